# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Contact sheets, the census of homes and the render rate."""

from __future__ import annotations

import argparse

import cv2
import numpy as np
import pytest

from ros2_spatial_ttt.errors import ConfigError

pytest.importorskip('mujoco')

from ros2_spatial_ttt.sim import census, rate, sheet  # noqa: E402
from ros2_spatial_ttt.sim.world import CATEGORIES  # noqa: E402


def options(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    sheet.add_arguments(parser)
    return parser.parse_args(words)


@pytest.mark.sim
def test_a_sheet_shows_several_things_in_six_views(tmp_path, renderer, capsys):
    assert sheet.run(options('--out', str(tmp_path), '--seed', '7', '--homes', '1')) == 0
    path = tmp_path / 'home_00007.jpg'
    assert str(path) in capsys.readouterr().out
    assert path.stat().st_size <= 150_000
    picture = cv2.imread(str(path))
    height, width = sheet.VIEW[1], sheet.VIEW[0]
    assert picture.shape[0] == 3 * height + 2 * sheet.GAP
    assert picture.shape[1] == sheet.COLUMNS * (width + sheet.GAP) - sheet.GAP
    colour, masks = picture[:height], picture[-height:]
    assert 90 < colour.mean() < 190
    assert len(np.unique(masks.reshape(-1, 3) // 32, axis=0)) >= 10


@pytest.mark.sim
def test_the_same_seed_gives_the_same_sheet(renderer):
    first, second = (sheet.contact_sheet(3, rooms=1, columns=2) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.sim
def test_no_homes_are_refused(tmp_path, renderer):
    with pytest.raises(ConfigError, match='expected at least 1'):
        sheet.run(options('--out', str(tmp_path), '--homes', '0'))


@pytest.mark.sim
def test_rate_is_positive(renderer):
    assert rate.render_rate(seconds=0.3, width=64, height=48) > 1.0


def test_near_is_red_far_is_blue_and_nothing_is_black():
    near, far, nothing = sheet.paint_depth(np.array([[0.5, 6.5, 0.0]], np.float32))[0]
    assert near[0] > near[2] and far[2] > far[0] and nothing.tolist() == [0, 0, 0]


def test_masks_have_a_colour_per_thing():
    colours = sheet.paint_ids(np.arange(40, dtype=np.int32)[None])[0]
    assert colours[0].tolist() == [45, 45, 45]
    assert len(np.unique(colours, axis=0)) >= 38


def test_census_counts_things():
    rows = census.census(range(6))
    assert sum(row.share for row in rows) == pytest.approx(1.0)
    assert {row.category for row in rows} <= set(CATEGORIES) and len(rows) >= 24
    assert [row.count for row in rows] == sorted((row.count for row in rows), reverse=True)
    assert all((row.size[0] <= row.size[2]).all() and 0 < row.homes <= 1 for row in rows)
    lines = census.table(rows).splitlines()
    assert len(lines) == len(rows) + 2 and lines[2].startswith(f'| {rows[0].category} |')
