# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Ablations from the command line to their table, tiny."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import yaml

pytest.importorskip('torch', reason='ablations train')
pytest.importorskip('tensorboard', reason='training logs for it')
pytest.importorskip('mujoco', reason='homes need MuJoCo')

from toy_clips import SCENES, save_toy, toy_home

from ros2_spatial_ttt import cli
from ros2_spatial_ttt.training.ablate import LOSSES, SCORES
from ros2_spatial_ttt.training.run import Run
from ros2_spatial_ttt.training.scenes import home_path
from ros2_spatial_ttt.training.settings import load_config

pytestmark = [pytest.mark.torch, pytest.mark.sim]
CONFIGS = Path(__file__).resolve().parents[2] / 'config/train'
# A stream of two chunks of the preset nano.
TOYS = replace(SCENES, clips=1, frames=16)


def toy_config(folder: Path, name: str) -> Path:
    """Return a shipped config for toy homes, which need no rendering."""
    values = yaml.safe_load((CONFIGS / f'{name}.yaml').read_text(encoding='utf-8'))
    path = folder / f'{name}.yaml'
    toys = {'scenes': asdict(TOYS), 'backbone': {'cells': [3, 3]}}
    path.write_text(yaml.safe_dump(values | toys), encoding='utf-8')
    return path


def test_blocks_are_trained_without_a_part_and_compared(
    tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    start, clips = tmp_path / 'start.safetensors', tmp_path / 'clips'
    clips.mkdir()
    for seed in (0, 30_000, 30_001):
        save_toy(home_path(clips, seed), toy_home(seed, clips=1, frames=16), TOYS)
    Run(load_config(toy_config(tmp_path, 'smoke'))).save(start)
    words = ['ablate', '--of', 'network', '--out', str(tmp_path), '--start', str(start)]
    words += ['--config', str(toy_config(tmp_path, 'smoke_memory')), '--clips', str(clips)]
    words += ['--steps', '2', '--homes', '1', '--only', 'as shipped,no TTT branch']
    assert cli.main(words) == 0
    found = json.loads((tmp_path / 'network/ablation.json').read_text())
    assert found['as shipped'].keys() == set(LOSSES)
    assert 'scene' not in found['no TTT branch'], 'nobody is asked without fast weights'
    assert found['no TTT branch']['names'] != found['as shipped']['names']
    table = (tmp_path / 'network/ablation.md').read_text()
    assert '| no TTT branch ' in table and table.strip() in capfd.readouterr().out

    logs = {path: path.stat().st_mtime_ns for path in tmp_path.rglob('log.jsonl')}
    assert cli.main(words) == 0
    assert json.loads((tmp_path / 'network/ablation.json').read_text()) == found
    assert {path: path.stat().st_mtime_ns for path in logs} == logs, 'nothing is trained again'


@pytest.mark.ort
def test_a_memory_with_a_parameter_changed_is_examined(tmp_path: Path, renderer: str) -> None:
    words = ['ablate', '--of', 'memory', '--out', str(tmp_path), '--homes', '1']
    words += ['--minutes', '0.2', '--only', 'as shipped,D = 32']
    assert cli.main(words) == 0
    found = json.loads((tmp_path / 'memory/ablation.json').read_text())
    assert list(found) == ['as shipped', 'no field', 'window instead', 'D = 32']
    for name, scores in found.items():
        assert scores.keys() <= set(SCORES) and 'locate.recall_at_0.5m' in scores, name
    assert found['D = 32']['state_bytes'] < found['as shipped']['state_bytes']
    assert '| no field ' in (tmp_path / 'memory/ablation.md').read_text()
