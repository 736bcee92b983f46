# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The benchmarks' frames are usable frames, and their tables say what was measured."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('psutil', reason='the benchmarks need psutil')

from ros2_spatial_ttt.bench import endurance, material, run
from ros2_spatial_ttt.types import Frame


@pytest.fixture(scope='module')
def frames() -> list[Frame]:
    return material.rendered_frames(4, seed=0, width=160)


def test_rendered_depth_is_whole_millimetres_of_the_room(frames: list[Frame]) -> None:
    for frame in frames:
        assert frame.depth is not None and frame.depth.dtype == np.uint16
        assert frame.colour.shape == (120, 160, 3)
        assert 300 < np.median(frame.depth) < 10_000


def test_loop_repeats_the_pictures_with_stamps_that_always_increase(frames: list[Frame]) -> None:
    stream = list(material.looped(frames, 10))
    stamps = np.array([frame.stamp_ns for frame in stream])
    assert (np.diff(stamps) > 0).all()
    assert stamps[4] - stamps[3] == 5_000_000_000
    assert [np.array_equal(stream[i].colour, frames[i % 4].colour) for i in range(10)] == [
        True
    ] * 10


def test_pictures_are_the_middle_of_frames_spread_over_the_stream(frames: list[Frame]) -> None:
    pictures = material.example_pictures(frames, 2)
    assert np.array_equal(pictures[0], frames[0].colour[12:108, 32:128])
    assert np.array_equal(pictures[1], frames[3].colour[12:108, 32:128])


def test_slope_is_the_growth_per_1000_frames_after_the_warm_up() -> None:
    fed = list(range(100, 1100, 100))
    # 300 MiB while warming up, then 2 MiB per 1,000 frames.
    rss = [300.0, 10.0, 20.0, *(40.0 + 0.002 * frame for frame in fed[3:])]
    assert endurance.slope_per_1000(fed, rss) == pytest.approx(2.0)
    assert np.isnan(endurance.slope_per_1000([1], [1.0]))


def test_every_benchmark_is_a_command_with_json() -> None:
    parser = argparse.ArgumentParser()
    run.add_arguments(parser)
    for name in run.BENCHMARKS:
        assert parser.parse_args([name, '--json', 'x.json']).json == Path('x.json')
    with pytest.raises(SystemExit):
        parser.parse_args(['nothing'])
