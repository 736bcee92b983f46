# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Training of the second look: its data, its run, and the model folder that it goes into."""

from __future__ import annotations

import argparse
import shutil
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('tensorboard')
pytest.importorskip('onnxruntime')

import torch

from ros2_spatial_ttt.cli import main
from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.memory.second_look import CROP, KNOWN
from ros2_spatial_ttt.resources import model_directory
from ros2_spatial_ttt.runtime import open_runtime
from ros2_spatial_ttt.runtime.base import load_manifest
from ros2_spatial_ttt.runtime.parity import worst
from ros2_spatial_ttt.training import train_second_look
from ros2_spatial_ttt.training.artefact import add_second_look
from ros2_spatial_ttt.training.chunk_encoder import folded
from ros2_spatial_ttt.training.descent import Descent
from ros2_spatial_ttt.training.distributed import Ranks
from ros2_spatial_ttt.training.looks import (
    LookOptions,
    Looks,
    load_looks,
    looks_of,
    make_looks,
)
from ros2_spatial_ttt.training.scenes import SceneOptions, render_home
from ros2_spatial_ttt.training.second_look import SecondLook
from ros2_spatial_ttt.training.train_second_look import (
    LookConfig,
    LookObjective,
    training_batch,
)

pytestmark = pytest.mark.torch
LABELS = ('chair', 'table', 'lamp')
CPU = torch.device('cpu')
TINY = LookOptions(clips=1, frames=4)


def toy_looks(count: int = 160) -> Looks:
    """Return red chairs and blue tables that the first look takes for lamps, and grey nothing."""
    rng = np.random.default_rng(3)
    target = rng.integers(0, 3, count)
    colour = np.array([(120, 120, 120), (220, 20, 20), (20, 20, 220)])[target]
    picture = np.broadcast_to(colour[:, None, None], (count, CROP, CROP, 3)).astype(np.uint8)
    known = rng.standard_normal((count, KNOWN + 3)).astype(np.float32)
    known[:, KNOWN:] = (0.2, 0.2, 0.6)
    place = np.zeros((count, CROP, CROP, 4), np.float16)
    return Looks(picture, place, known, target)


def config(**changes) -> LookConfig:
    return LookConfig(LABELS, **{'steps': 6, 'warmup': 2, 'batch': 16, **changes})


def begun(**changes) -> Descent:
    torch.manual_seed(0)
    return Descent(config(**changes), LookObjective(config(**changes)), CPU, Ranks())


def steps(training: Descent, until: int, looks: Looks) -> list[float]:
    losses = []
    while training.step < until:
        batch = training_batch(looks, training.config, training.step, training.ranks)
        losses.append(training.advance(batch)['names'])
    return losses


def test_it_begins_as_the_first_look():
    training, looks = begun(), toy_looks(8)
    training.objective.eval()
    scores = training.net(torch.zeros(8, 7, CROP, CROP), torch.from_numpy(looks.known))
    assert scores.argmax(dim=1).tolist() == [3] * 8


def test_it_learns_what_the_first_look_does_not_know():
    training, looks = begun(steps=30, average=0.5), toy_looks()
    steps(training, 30, looks)
    checked = train_second_look.check(training, looks)
    assert checked['first_look_right'] == 0.0
    assert checked['things_right'] > 0.9


def test_a_run_that_was_stopped_ends_as_one_that_was_not(tmp_path):
    looks, path = toy_looks(), tmp_path / 'last.safetensors'
    whole, first, second = begun(), begun(), begun()
    steps(whole, 6, looks)
    steps(first, 3, looks)
    first.save(path)
    second.load(path)
    steps(second, 6, looks)
    for name, value in whole.net.state_dict().items():
        assert torch.equal(value, second.net.state_dict()[name]), name
        assert torch.equal(whole.average[name], second.average[name]), name


def test_a_checkpoint_of_other_names_is_refused(tmp_path):
    path = tmp_path / 'last.safetensors'
    begun().save(path)
    other = LookConfig(('bed', 'table', 'lamp'), steps=6, warmup=2, batch=16)
    with pytest.raises(ConfigError, match='labels: expected'):
        Descent(other, LookObjective(other), CPU, Ranks()).load(path)


def test_processes_see_different_detections():
    looks = toy_looks()
    one, other = (training_batch(looks, config(), 0, Ranks(rank, 2)) for rank in range(2))
    assert len(one.target) == 8 and not torch.equal(one.known, other.known)


@pytest.fixture
def model(tiny_model, tmp_path):
    """A copy of the tiny model, with a card."""
    folder = tmp_path / 'tiny'
    shutil.copytree(tiny_model[0], folder)
    (folder / 'README.md').write_text('card')
    return folder


def test_a_model_takes_it_and_keeps_everything_else(model):
    before = load_manifest(model)
    for seed in range(2):
        torch.manual_seed(seed)
        net = folded(SecondLook(len(LABELS)).eval().requires_grad_(False))
        add_second_look(model, net, {'seed': seed})
        manifest = load_manifest(model)
        assert manifest.second_look and not before.second_look
        assert replace(manifest, hash='', second_look=False) == replace(before, hash='')
        assert (model / 'README.md').read_text() == 'card'
        assert 'README.md' not in (model / 'manifest.yaml').read_text()
        assert all(path.stat().st_mode & 0o044 == 0o044 for path in model.iterdir())
        runtime = open_runtime(str(model), 'ort', threads=1)
        assert max(worst(runtime).values()) <= 1.0
        said = runtime.second_look(
            np.zeros((2, CROP, CROP, 3), np.uint8),
            np.zeros((2, CROP, CROP, 4), np.float32),
            np.full((2, KNOWN + 3), 0.3, np.float32),
        )
        assert said.sum(axis=1) == pytest.approx([1.0, 1.0], abs=1e-5)
    assert not list(model.parent.glob('.second-look-*'))


def test_a_folder_that_cannot_be_written_stays_as_it_was(model, monkeypatch):
    def full(*_, **__):
        raise OSError('No space left on device')

    monkeypatch.setattr('tempfile.mkdtemp', full)
    with pytest.raises(ConfigError, match='No space left on device'):
        add_second_look(model, folded(SecondLook(3).eval()), {})
    assert not load_manifest(model).second_look


@pytest.fixture(scope='module')
def home(renderer):
    return render_home(30_000, SceneOptions(clips=1, frames=4))


@pytest.fixture(scope='module')
def nano():
    return open_runtime('nano', 'ort', threads=1)


@pytest.mark.sim
def test_detections_are_told_what_they_really_are(home, nano):
    looks = looks_of(nano, home, replace(TINY, without_depth=0.0, strength=0.0), seed=1)
    assert len(looks) > 4 and looks.picture.shape[1:] == (CROP, CROP, 3)
    there = looks.target > 0
    first = looks.known[there, KNOWN:].argmax(axis=1) + 1
    # Chance would be a thirtieth.
    assert there.mean() > 0.4 and (first == looks.target[there]).mean() > 0.5
    shown = set((home.label + 1).tolist())
    assert set(looks.target[there].tolist()) <= shown


@pytest.mark.sim
def test_what_is_made_depends_on_the_seed_and_the_options_alone(home, nano):
    one, same, other = (looks_of(nano, home, TINY, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.picture, same.picture) and np.array_equal(one.target, same.target)
    assert one.picture.shape != other.picture.shape or not np.array_equal(
        one.picture, other.picture
    )
    both = looks_of(nano, home, replace(TINY, without_depth=1.0), seed=1)
    guessed = both.known[:, 11]
    assert (guessed > 0.5).any() and (guessed < 0.5).any()


@pytest.mark.sim
def test_files_are_made_once_and_again_when_made_otherwise(tmp_path, renderer, monkeypatch):
    folder, model = tmp_path / 'looks', model_directory('nano')
    (path,) = make_looks(folder, model, [30_000], TINY, processes=1)
    made = path.stat().st_mtime_ns
    assert len(load_looks([path])) > 0
    make_looks(folder, model, [30_000], TINY, processes=1)
    assert path.stat().st_mtime_ns == made
    make_looks(folder, model, [30_000], replace(TINY, frames=2), processes=1)
    assert path.stat().st_mtime_ns > made
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ConfigError, match='is not or is damaged'):
        load_looks([path])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--model', 'untrained'], 'knows no names'),
        (['--model', 'nano', '--first-home', '100000'], 'the others are for exams'),
        (['--model', 'nano', '--first-home', '3'], 'held out'),
        (['--model', 'nano', '--homes', '0'], 'expected homes within'),
        (['--model', 'nano', '--steps', '0'], 'expected at least 1'),
    ],
)
def test_what_cannot_be_trained_is_refused_in_a_sentence(options, message, tmp_path, capsys):
    words = ['train-second-look', *options, '--out', str(tmp_path / 'out')]
    assert main([*words, '--looks', str(tmp_path / 'looks')]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.sim
def test_the_command_trains_and_fills_the_folder(tmp_path, renderer, monkeypatch, capsys):
    folder = tmp_path / 'nano'
    shutil.copytree(model_directory('nano'), folder)
    monkeypatch.setattr(train_second_look, 'HELD_OUT', range(1))
    monkeypatch.setattr(LookConfig, 'looks', TINY)
    parser = argparse.ArgumentParser()
    train_second_look.add_arguments(parser)
    words = ['--model', str(folder), '--out', str(tmp_path / 'out'), '--device', 'cpu']
    words += ['--looks', str(tmp_path / 'looks'), '--homes', '1', '--steps', '2']
    assert train_second_look.run(parser.parse_args(words)) == 0
    assert load_manifest(folder).second_look
    assert 'run spatial-ttt tune now' in capsys.readouterr().out
    # A finished run is not made again, but its network is put into the folder.
    shutil.rmtree(folder)
    shutil.copytree(model_directory('nano'), folder)
    assert train_second_look.run(parser.parse_args(words)) == 0
    assert load_manifest(folder).second_look
