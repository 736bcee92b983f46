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


def train(config: str, out: Path, *words: str) -> list[dict]:
    """Run ``spatial-ttt train`` and return the lines of its log."""
    command = ['train', '--config', str(CONFIGS / config), '--out', str(out), '--render', '1']
    clips = ['--clips', str(out.parent / 'clips'), '--device', 'cpu']
    assert main([*command, *clips, *words]) == 0
    return [json.loads(line) for line in (out / 'log.jsonl').read_text().splitlines()]


def test_both_stages_train_from_nothing(tmp_path):
    seeing = train('smoke.yaml', tmp_path / 'seeing')
    assert [line['step'] for line in seeing] == [3, 6]
    assert seeing[1]['loss'] < seeing[0]['loss']
    start = str(tmp_path / 'seeing/last.safetensors')
    remembering = train('smoke_memory.yaml', tmp_path / 'remembering', '--start', start)
    assert remembering[1]['scene_seen'] < remembering[0]['scene_seen']
    tensors, header = load_checkpoint(tmp_path / 'remembering/last.safetensors')
    assert header['config']['start'] == start
    assert any(name.startswith('average.backbone.') for name in tensors)
    homes = [load_home(path) for path in sorted((tmp_path / 'clips').glob('home-*.npz'))]
    assert len(homes) == 3
    assert all(0 <= home.room.max() < len(ROOM_KINDS) for home in homes)
