# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What ``spatial-ttt train`` says of files that are not what they should be."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('tensorboard')

import torch
from toy_clips import SCENES, SIZE, save_toy, tiny_config, toy_home

from ros2_spatial_ttt.cli import main
from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.training.checkpoint import (
    FORMAT,
    _digest,
    load_checkpoint,
    save_checkpoint,
)
from ros2_spatial_ttt.training.data import ClipOptions, make_clip
from ros2_spatial_ttt.training.run import Run
from ros2_spatial_ttt.training.scenes import home_path, load_home
from ros2_spatial_ttt.training.settings import TrainConfig, load_config

pytestmark = pytest.mark.torch
NANO = Path(__file__).resolve().parents[2] / 'models/nano'


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'config.yaml'
    tiny_config(path)
    return load_config(path)


@pytest.fixture
def saved(tmp_path, config):
    """Return a fresh run and its checkpoint."""
    training, path = Run(config), tmp_path / 'last.safetensors'
    training.save(path)
    return training, path


def refusal(training: Run, path, *, start: bool = False) -> str:
    """Return why a checkpoint was refused."""
    with pytest.raises(ConfigError) as caught:
        training.start_from(path) if start else training.load(path)
    return str(caught.value)


def test_a_checkpoint_of_another_config_is_refused(saved, config):
    _, path = saved
    said = refusal(Run(replace(config, rate=0.1)), path)
    assert 'another config: rate: expected 0.1, got 0.002' in said
    assert 'give the config it was made with' in said


def test_a_start_of_another_preset_is_refused(saved, config):
    _, path = saved
    assert "preset: expected 'nano', got 'tiny'" in refusal(
        Run(replace(config, preset='nano', backbone={'cells': (3, 3)})), path, start=True
    )


def test_a_start_that_does_not_tell_its_preset_is_refused(saved):
    training, path = saved
    tensors, header = load_checkpoint(path)
    save_checkpoint(path, tensors, {**header, 'config': {}})
    assert "preset: expected 'tiny', got None" in refusal(training, path, start=True)


def test_a_start_with_other_shapes_is_refused(saved, config):
    training, path = saved
    tensors, header = load_checkpoint(path)
    tensors['average.names.weight'] = torch.zeros(3, 3)
    del tensors['average.names.bias']
    save_checkpoint(path, tensors, header)
    said = refusal(training, path, start=True)
    assert 'names.bias: expected (37,), got none' in said
    assert 'names.weight: expected (37, 8), got (3, 3)' in said


def test_a_checkpoint_of_another_class_table_is_refused(saved):
    training, path = saved
    tensors, header = load_checkpoint(path)
    save_checkpoint(path, tensors, {**header, 'labels': ['cat', 'dog']})
    for start in (False, True):
        assert "labels: expected ['chair'," in refusal(training, path, start=start)


def test_a_model_of_another_class_table_is_no_start(tmp_path):
    folder = tmp_path / 'model'
    shutil.copytree(NANO, folder)
    manifest = (folder / 'manifest.yaml').read_text(encoding='utf-8')
    assert manifest.count('\n- chair\n') == 1
    (folder / 'manifest.yaml').write_text(manifest.replace('\n- chair\n', '\n- throne\n'))
    said = refusal(Run(TrainConfig()), folder, start=True)
    assert "labels: expected ['chair'," in said and "got ['throne'," in said


@pytest.mark.parametrize('share', [0.0, 0.001, 0.5, 0.99])
def test_a_half_written_checkpoint_is_refused(share, saved):
    training, path = saved
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    assert 'half-written or damaged' in refusal(training, path)


def test_a_checkpoint_with_numbers_that_are_not_finite_is_refused(saved):
    training, path = saved
    tensors, header = load_checkpoint(path)
    tensors['net.names.bias'][0] = torch.nan
    save_checkpoint(path, tensors, header)
    assert 'not finite' in refusal(training, path)


def test_another_kind_of_file_is_refused(saved):
    from safetensors.torch import save_file

    training, path = saved
    save_file({'a': torch.zeros(1)}, path)
    assert "expected format 'spatial_ttt checkpoint 2', got None" in refusal(training, path)


@pytest.mark.parametrize('place', [0.3, 0.6, 0.999])
def test_one_wrong_bit_is_noticed(place, saved):
    training, path = saved
    data = bytearray(path.read_bytes())
    begin = 8 + int.from_bytes(data[:8], 'little')
    # The lowest bit of a mantissa: the number stays finite and nearly the same.
    data[begin + int(place * (len(data) - begin)) // 4 * 4] ^= 1
    path.write_bytes(data)
    for start in (False, True):
        assert 'damaged (expected digest' in refusal(training, path, start=start)


def test_a_wrong_digit_in_the_header_is_noticed(saved):
    training, path = saved
    data = path.read_bytes()
    path.write_bytes(data.replace(b'\\"seed\\": 1', b'\\"seed\\": 2', 1))
    assert path.read_bytes() != data
    assert 'expected digest' in refusal(training, path)


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        ({'config': None}, "expected 'config' of type dict"),
        ({'step': None}, "expected 'step' of type int"),
        ({'skipped': 'none'}, "expected 'skipped' of type int"),
    ],
)
def test_a_header_without_what_a_run_needs_is_refused(change, said, saved):
    training, path = saved
    tensors, header = load_checkpoint(path)
    save_checkpoint(path, tensors, {**header, **change})
    assert f'damaged (header: {said})' in refusal(training, path)


@pytest.mark.parametrize('text', ['{"step": 3', '[1]', '7', None])
def test_a_header_that_is_none_is_refused(text, saved):
    """Signed with the digest of such a header, as another program might."""
    from safetensors.torch import save_file

    training, path = saved
    digest = _digest({'a': torch.zeros(1)}, text or '')
    metadata = {'format': FORMAT, 'digest': digest} | ({'header': text} if text else {})
    save_file({'a': torch.zeros(1)}, path, metadata=metadata)
    for start in (False, True):
        assert 'half-written or damaged (' in refusal(training, path, start=start)


def test_a_checkpoint_of_before_there_were_digests_is_refused(saved):
    from safetensors.torch import save_file

    training, path = saved
    tensors, header = load_checkpoint(path)
    metadata = {'format': 'spatial_ttt checkpoint 1', 'header': json.dumps(header)}
    save_file(tensors, path, metadata=metadata)
    assert "got 'spatial_ttt checkpoint 1'; give a checkpoint that" in refusal(training, path)


@pytest.mark.parametrize('option', ['--out', '--clips'])
def test_a_folder_that_cannot_be_written_is_refused(option, tmp_path, capsys):
    tiny_config(tmp_path / 'config.yaml')
    (tmp_path / 'file').write_text('here')
    folders = {'--clips': tmp_path / 'clips', '--out': tmp_path / 'out'}
    folders[option] = tmp_path / 'file/folder'
    words = [str(word) for pair in folders.items() for word in pair]
    assert main(['train', '--config', str(tmp_path / 'config.yaml'), *words]) == 2
    assert f'{option} {folders[option]}: expected a folder' in capsys.readouterr().err


def test_an_older_checkpoint_stays_whole_when_a_new_one_cannot_be_written(saved, monkeypatch):
    from ros2_spatial_ttt.training import checkpoint

    training, path = saved
    before = path.read_bytes()

    def full(_tensors, file, **_):
        file.write_bytes(b'half')
        raise OSError('no space left on device')

    monkeypatch.setattr(checkpoint, 'save_file', full)
    with pytest.raises(ConfigError, match='no space left'):
        training.save(path)
    assert path.read_bytes() == before
    assert [item.name for item in path.parent.glob('.*.part')] == []


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'label': np.array([0, 0, 36])}, r'class table of 36 names .* got labels 0\.\.36'),
        ({'label': np.array([0, -2, 3])}, r'got labels -2\.\.3'),
        ({'centre': np.full((3, 3), np.nan)}, 'centre: expected finite numbers, got NaN'),
        ({'map_T_camera': np.full((16, 4, 4), np.inf)}, 'map_T_camera: expected finite'),
    ],
)
def test_clips_that_cannot_be_are_refused(change, message, tmp_path):
    path = tmp_path / 'home.npz'
    save_toy(path, replace(toy_home(), **change))
    with pytest.raises(ConfigError, match=f'home.npz: .*{message}'):
        load_home(path)


def test_clips_of_another_class_table_are_refused(tmp_path):
    path = tmp_path / 'home.npz'
    save_toy(path, toy_home())
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **{**arrays, 'names': np.array(['cat', 'dog'])})
    with pytest.raises(ConfigError, match=r'of 2 names \(cat, …\)'):
        load_home(path)


@pytest.mark.parametrize('share', [0.0, 0.5, 0.99])
def test_a_half_written_clip_file_is_refused(share, tmp_path):
    path = home_path(tmp_path, 1)
    save_toy(path, toy_home())
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ConfigError, match='delete it, it is then rendered again'):
        load_home(path)


def test_clips_of_another_size_than_they_say_are_refused(tmp_path, capsys):
    scenes = replace(SCENES, width=192)
    (tmp_path / 'clips').mkdir()
    for seed in (0, 30_000, 30_001):
        save_toy(home_path(tmp_path / 'clips', seed), toy_home(), scenes)
    tiny_config(tmp_path / 'config.yaml', scenes=asdict(scenes))
    words = ['train', '--config', str(tmp_path / 'config.yaml'), '--device', 'cpu']
    words += ['--clips', str(tmp_path / 'clips'), '--out', str(tmp_path / 'out')]
    assert main(words) == 2
    assert 'expected pictures of 192x96 px, got 96x96' in capsys.readouterr().err


def test_clips_that_are_too_short_are_refused(tmp_path, capsys):
    folder = tmp_path / 'clips'
    folder.mkdir()
    for seed in (0, 30_000, 30_001):
        save_toy(home_path(folder, seed), toy_home(frames=1, clips=2))
    tiny_config(tmp_path / 'config.yaml')
    words = ['train', '--config', str(tmp_path / 'config.yaml'), '--device', 'cpu']
    words += ['--clips', str(folder), '--out', str(tmp_path / 'out')]
    assert main(words) == 2
    assert 'expected at least the 2 frames of a stream, got 1' in capsys.readouterr().err


def test_empty_clips_are_refused(tmp_path):
    home = toy_home(clips=1, frames=1)
    path = tmp_path / 'home.npz'
    save_toy(path, home)
    with np.load(path) as file:
        arrays = dict(file)
    for name in ('jpeg_end', 'depth_png_end', 'ids_png_end', 'clip'):
        arrays[name] = arrays[name][:0]
    np.savez(path, **arrays)
    with pytest.raises(ConfigError, match='expected frames, got none'):
        load_home(path)


def test_a_damaged_picture_is_refused():
    home = toy_home(clips=1, frames=2)
    broken = replace(home, jpeg=(home.jpeg[0][:40], home.jpeg[1]))
    options = ClipOptions(width=SIZE, height=SIZE)
    with pytest.raises(ConfigError, match='a picture is damaged'):
        make_clip(broken, np.arange(2), options, np.random.default_rng(0))
