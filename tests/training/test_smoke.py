# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The shipped smoke configs: from nothing to a network with memory, with real renderings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip('torch')
pytest.importorskip('tensorboard')
pytest.importorskip('mujoco')

from ros2_spatial_ttt.cli import main
from ros2_spatial_ttt.training.checkpoint import load_checkpoint
from ros2_spatial_ttt.training.scenes import ROOM_KINDS, load_home

pytestmark = [pytest.mark.torch, pytest.mark.sim]
CONFIGS = Path(__file__).resolve().parents[2] / 'config/train'


def logged(run: Path) -> list[dict]:
    """Return the lines of the log of a run."""
    return [json.loads(line) for line in (run / 'log.jsonl').read_text().splitlines()]


def test_both_stages_train_from_nothing_by_one_command(tmp_path):
    configs = [str(CONFIGS / 'smoke.yaml'), str(CONFIGS / 'smoke_memory.yaml')]
    places = ['--out', str(tmp_path / 'out'), '--clips', str(tmp_path / 'clips')]
    assert main(['train', *places, '--render', '1', '--device', 'cpu', '--config', *configs]) == 0
    seeing = logged(tmp_path / 'out/smoke')
    assert [line['step'] for line in seeing] == [3, 6]
    assert seeing[1]['loss'] < seeing[0]['loss']
    remembering = logged(tmp_path / 'out/smoke_memory')
    assert remembering[1]['scene_seen'] < remembering[0]['scene_seen']
    tensors, header = load_checkpoint(tmp_path / 'out/smoke_memory/last.safetensors')
    assert header['config']['start'] == str(tmp_path / 'out/smoke/last.safetensors')
    assert any(name.startswith('average.backbone.') for name in tensors)
    homes = [load_home(path) for path in sorted((tmp_path / 'clips').glob('home-*.npz'))]
    assert len(homes) == 3
    assert all(0 <= home.room.max() < len(ROOM_KINDS) for home in homes)
