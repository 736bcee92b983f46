# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Homes in a folder that runs share: a file that was filmed in another way is filmed again."""

from __future__ import annotations

import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('tensorboard')

from toy_clips import SCENES, SIZE, save_toy, tiny_config, toy_folder, toy_home

from ros2_spatial_ttt.cli import main
from ros2_spatial_ttt.training.scenes import (
    SceneOptions,
    home_path,
    load_home,
    render_homes,
)

pytestmark = pytest.mark.torch
SMALL = SceneOptions(width=64, height=48, clips=1, frames=2, minutes=0.2)


def train(tmp_path, out: str, config: str = 'config.yaml') -> int:
    """Train with the clips of this test."""
    words = ['--config', tmp_path / config, '--out', tmp_path / out, '--clips', tmp_path / 'clips']
    return main(['train', '--device', 'cpu', '--render', '1', *map(str, words)])


def bytes_of(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.sim
@pytest.mark.parametrize(
    'other',
    [
        replace(SMALL, width=96),
        replace(SMALL, frames=3),
        replace(SMALL, clips=2),
        replace(SMALL, minutes=0.3),
    ],
    ids=['width', 'frames', 'clips', 'minutes'],
)
def test_other_scenes_are_filmed_again(other, tmp_path, renderer, capsys):
    save_toy(home_path(tmp_path, 3), toy_home(), SMALL)
    before = bytes_of(tmp_path)
    render_homes(tmp_path, [3], SMALL, processes=1)
    assert bytes_of(tmp_path) == before
    assert capsys.readouterr().out == ''
    render_homes(tmp_path, [3], other, processes=1)
    home = load_home(home_path(tmp_path, 3))
    assert len(home) == other.clips * other.frames
    assert cv2.imdecode(home.jpeg[0], cv2.IMREAD_COLOR).shape[:2] == (other.height, other.width)
    assert '1 of 1 homes there were filmed in another way' in capsys.readouterr().out
    render_homes(tmp_path, [3], other, processes=1)
    assert capsys.readouterr().out == ''


@pytest.mark.sim
def test_a_run_of_another_size_takes_the_folder_over(tmp_path, renderer, capsys):
    """As the smoke run and the run after it did, which then failed at its first look aside."""
    toy_folder(tmp_path / 'clips')
    tiny_config(tmp_path / 'config.yaml', steps=2)
    assert train(tmp_path, 'one') == 0
    assert 'another way' not in capsys.readouterr().out
    wide = {'width': 2 * SIZE, 'height': SIZE, 'clips': 1, 'frames': 4, 'minutes': 0.2}
    tiny_config(tmp_path / 'wide.yaml', steps=2, scenes=wide, backbone={'cells': [3, 3]})
    assert train(tmp_path, 'two', 'wide.yaml') == 0
    out = capsys.readouterr().out
    assert '2 of 2 homes there' in out and '1 of 1 homes there' in out
    lines = (tmp_path / 'two/log.jsonl').read_text()
    assert 'held_out' in lines


@pytest.mark.sim
@pytest.mark.parametrize('damage', ['half', 'old', 'names'])
def test_a_file_that_cannot_be_used_is_filmed_again(damage, tmp_path, renderer):
    path = home_path(tmp_path, 3)
    save_toy(path, toy_home(), SMALL)
    with np.load(path) as file:
        arrays = dict(file)
    if damage == 'half':
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == 'old':
        arrays.pop('made')
        np.savez(path, **{**arrays, 'format': np.array(1)})
    else:
        np.savez(path, **{**arrays, 'names': np.array(['cat', 'dog'])})
    render_homes(tmp_path, [3], SMALL, processes=1)
    assert len(load_home(path)) == SMALL.frames


def test_a_stage_that_is_finished_needs_no_clips(tmp_path, capsys):
    toy_folder(tmp_path / 'clips')
    tiny_config(tmp_path / 'config.yaml', scenes=vars(SCENES))
    assert train(tmp_path, 'out') == 0
    before = bytes_of(tmp_path / 'out')
    shutil.rmtree(tmp_path / 'clips')
    assert train(tmp_path, 'out') == 0
    assert 'finished' in capsys.readouterr().out
    assert list((tmp_path / 'clips').iterdir()) == []
    assert bytes_of(tmp_path / 'out') == before
