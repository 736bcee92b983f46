# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A run: it resumes exactly, steps over what is not finite, and looks at other homes aside."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip('torch')
pytest.importorskip('tensorboard')

import torch
from toy_clips import tiny_config, toy_folder

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.training import descent
from ros2_spatial_ttt.training.batches import HomeShelf, make_batch
from ros2_spatial_ttt.training.checkpoint import load_checkpoint
from ros2_spatial_ttt.training.run import Run
from ros2_spatial_ttt.training.scenes import home_path
from ros2_spatial_ttt.training.settings import load_config
from ros2_spatial_ttt.training.train import add_arguments, batch_options, check, run

pytestmark = pytest.mark.torch
STAGES = ('perception', 'memory')


@pytest.fixture(scope='module')
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp('clips')
    toy_folder(folder)
    return folder


@pytest.fixture
def command(tmp_path, clips):
    """Return the arguments of a training run of a stage."""

    def make(out: str, **changes) -> argparse.Namespace:
        config = tmp_path / f'{out}.yaml'
        tiny_config(config, **changes)
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        words = ['--config', str(config), '--out', str(tmp_path / out), '--clips', str(clips)]
        return parser.parse_args([*words, '--device', 'cpu', '--workers', '1'])

    return make


@pytest.fixture
def begun(tmp_path, clips):
    """Return a fresh run of a stage and the batch of each of its steps."""

    def make(stage: str, **changes):
        path = tmp_path / 'config.yaml'
        tiny_config(path, stage=stage, **changes)
        config = load_config(path)
        shelf = HomeShelf([home_path(clips, seed) for seed in (30_000, 30_001)])

        def batch(step: int):
            return make_batch(shelf, batch_options(config, step), seed=config.seed, step=step)

        return Run(config), batch

    return make


def tensors_of(out: Path) -> dict:
    return load_checkpoint(out / 'last.safetensors')[0]


def assert_same(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    different = [name for name, value in one.items() if not torch.equal(value, other[name])]
    assert different == []


def state_of(training: Run) -> dict:
    moments = training.optimiser.state_dict()['state']
    return {
        **{name: value.clone() for name, value in training.objective.state_dict().items()},
        **{f'average.{name}': value.clone() for name, value in training.average.items()},
        **{f'{n}.{k}': v.clone() for n, state in moments.items() for k, v in state.items()},
    }


class Stopped(Exception):
    """Stands for whatever ends a run half-way."""


@pytest.mark.parametrize('stage', STAGES)
def test_a_run_that_was_stopped_ends_as_one_that_was_not(stage, command, tmp_path, monkeypatch):
    assert run(command('whole', stage=stage)) == 0

    advance = Run.advance

    def two_steps(self, batch):
        if self.step == 3:
            raise Stopped
        return advance(self, batch)

    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(Run, 'advance', two_steps)
        run(command('halves', stage=stage))
    assert run(command('halves', stage=stage)) == 0
    assert_same(tensors_of(tmp_path / 'whole'), tensors_of(tmp_path / 'halves'))


def test_a_run_logs_lines_and_curves_and_looks_at_held_out_homes(command, tmp_path):
    run(command('out'))
    lines = [json.loads(line) for line in (tmp_path / 'out/log.jsonl').read_text().splitlines()]
    held_out = [line for line in lines if line['kind'] == 'held_out']
    assert [line['step'] for line in held_out] == [2, 4]
    assert all({'loss', 'things_right', 'names'} <= line.keys() for line in held_out)
    assert len(list((tmp_path / 'out').glob('events.out.tfevents.*'))) == 1


@pytest.mark.parametrize('stage', STAGES)
def test_looking_at_held_out_homes_changes_nothing(stage, begun, clips):
    training, batch = begun(stage)
    training.advance(batch(0))
    before = state_of(training)
    check(training, HomeShelf([home_path(clips, 0)]))
    assert_same(before, state_of(training))
    assert training.objective.training


def test_held_out_homes_are_looked_at_with_the_averaged_weights(begun):
    training, batch = begun('perception')
    training.advance(batch(0))
    with training.averaged() as objective:
        assert not objective.training
        assert_same(training.average, objective.net.state_dict())
    assert not torch.equal(training.average['names.weight'], training.net.names.weight)


@pytest.mark.parametrize('stage', STAGES)
def test_a_step_that_is_not_finite_is_counted_and_leaves_no_trace(stage, begun):
    training, batch = begun(stage)
    training.advance(batch(0))
    before = state_of(training)
    broken = batch(1)
    broken = replace(broken, geometry=broken.geometry.index_fill(2, torch.tensor([3]), torch.nan))
    assert training.advance(broken) is None
    assert (training.step, training.skipped) == (2, 1)
    assert_same(before, state_of(training))
    assert training.advance(batch(2)) is not None


def test_a_run_without_any_finite_step_ends(begun, monkeypatch):
    monkeypatch.setattr(descent, 'MOST_SKIPPED', 2)
    training, batch = begun('perception')
    broken = replace(batch(0), geometry=torch.full_like(batch(0).geometry, torch.nan))
    training.advance(broken)
    with pytest.raises(ConfigError, match='2 in a row'):
        training.advance(broken)


def test_the_memory_stage_begins_with_the_averages_of_the_first(command, tmp_path):
    run(command('first'))
    config = replace(load_config(tmp_path / 'first.yaml'), stage='memory')
    training = Run(config)
    training.start_from(tmp_path / 'first/last.safetensors')
    averages = tensors_of(tmp_path / 'first')
    own = training.net.state_dict()
    shared = [name for name in own if not name.startswith('backbone.')]
    assert_same(
        {name: own[name] for name in shared},
        {name: averages[f'average.{name}'] for name in shared},
    )
    assert_same(own, training.average)


@pytest.mark.parametrize(('rate', 'moves'), [(0.0, False), (0.1, True)])
def test_in_the_memory_stage_all_before_the_blocks_moves_at_its_own_rate(rate, moves, begun):
    training, batch = begun('memory', trunk_rate=rate)
    before = state_of(training)
    logged = training.advance(batch(0))
    after = state_of(training)
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert 'net.backbone.blocks.0.qkv.weight' in changed
    assert 'net.names.weight' in changed
    assert ('net.trunk.first.0.weight' in changed) == moves
    assert ('appearance' in logged) == moves
    assert not [name for name in changed if 'running' in name and 'average' not in name]


@pytest.mark.gpu
@pytest.mark.parametrize('stage', STAGES)
def test_a_gpu_takes_the_same_step(stage, begun):
    if not torch.cuda.is_available():
        pytest.skip('no CUDA device')
    training, batch = begun(stage, half=False, trunk_rate=1.0)
    on_gpu = Run(training.config, torch.device('cuda'))
    assert training.advance(batch(0)) == pytest.approx(
        on_gpu.advance(batch(0)), rel=1e-2, abs=1e-3
    )
