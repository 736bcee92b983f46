# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Two processes that train together do as one that sees the batches of both."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('torch')
pytest.importorskip('tensorboard')

import torch
from toy_clips import tiny_config, toy_folder

from ros2_spatial_ttt.training.batches import HomeShelf, make_batch
from ros2_spatial_ttt.training.checkpoint import load_checkpoint
from ros2_spatial_ttt.training.run import Run
from ros2_spatial_ttt.training.scenes import home_path
from ros2_spatial_ttt.training.settings import load_config
from ros2_spatial_ttt.training.train import batch_options

pytestmark = pytest.mark.torch
HERE = Path(__file__).resolve().parent
STEPS = 2


def with_two(script: str, *words) -> None:
    """Run a script of this folder in two processes of torchrun."""
    environment = {
        **os.environ,
        'PYTHONPATH': os.pathsep.join([str(HERE.parents[1]), str(HERE.parent)]),
        'OMP_NUM_THREADS': '1',
        'GLOO_SOCKET_IFNAME': 'lo',
    }
    done = subprocess.run(
        [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '2']
        + [HERE / script, *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr


def train_with_two(folder: Path) -> None:
    words = ['--config', folder / 'config.yaml', '--out', folder / 'out', '--clips', folder]
    with_two('tiny_run.py', *words, '--device', 'cpu', '--threads', '1', '--workers', '1')


def train_alone(folder: Path) -> Run:
    """Take the same steps in this process, with the mean gradient of both batches."""
    config = load_config(folder / 'config.yaml')
    training = Run(config)
    shelf = HomeShelf([home_path(folder, seed) for seed in (30_000, 30_001)])

    def mean_of_both(batch):
        options = batch_options(config, batch.step)
        other = make_batch(shelf, options, seed=config.seed, step=batch.step, rank=1)
        losses = [training.objective(each)[0] for each in (batch, other)]
        return torch.stack(losses).mean(), {}

    training._shared = mean_of_both
    for step in range(STEPS):
        options = batch_options(config, step)
        training.advance(make_batch(shelf, options, seed=config.seed, step=step))
    return training


def test_two_processes_average_their_gradients(tmp_path):
    toy_folder(tmp_path)
    # Frozen batch norms: their statistics alone are not averaged, they are those of rank 0.
    tiny_config(tmp_path / 'config.yaml', stage='memory', steps=STEPS, half=False)
    train_with_two(tmp_path)
    tensors, header = load_checkpoint(tmp_path / 'out/last.safetensors')
    assert header['step'] == STEPS
    alone = train_alone(tmp_path)
    fresh = Run(alone.config)
    for name, value in alone.net.state_dict().items():
        torch.testing.assert_close(tensors[f'net.{name}'], value, rtol=1e-4, atol=1e-6, msg=name)
    assert not torch.equal(alone.net.names.weight, fresh.net.names.weight)
    # One process writes: one line per look at held-out homes, one file of curves.
    assert len((tmp_path / 'out/log.jsonl').read_text().splitlines()) == 1
    assert len(list((tmp_path / 'out').glob('events.out.tfevents.*'))) == 1


def test_two_processes_go_on_exactly_and_step_over_nan_together(tmp_path):
    toy_folder(tmp_path)
    tiny_config(tmp_path / 'config.yaml', stage='memory', half=False)
    with_two('two_ranks.py', tmp_path)

    def found(name: str, rank: int) -> tuple[dict, dict]:
        return load_checkpoint(tmp_path / f'{name}-{rank}.safetensors')

    for rank in (0, 1):
        # A run that was stopped ends with the same bits as one that was not.
        assert_same(found('whole', rank)[0], found('halves', rank)[0])
        # NaN in the second process alone: neither moves, both count it, both go on.
        (before, told), (after, said) = found('before', rank), found('after', rank)
        assert (told['skipped'], said['skipped'], said['step']) == (0, 1, 2)
        assert_same(before, after)
        later, header = found('later', rank)
        assert (header['skipped'], header['step']) == (1, 3)
        assert not torch.equal(later['net.names.weight'], after['net.names.weight'])
    for name in ('whole', 'after', 'later'):
        assert_same(found(name, 0)[0], found(name, 1)[0])


def assert_same(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    assert [name for name, value in one.items() if not torch.equal(value, other[name])] == []
