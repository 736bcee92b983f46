# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Engine files: written whole, refused with the reason and the command that builds them again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ros2_spatial_ttt.errors import ModelError
from ros2_spatial_ttt.resources import model_directory
from ros2_spatial_ttt.runtime.base import load_manifest
from ros2_spatial_ttt.runtime.engine_file import (
    EngineFile,
    Stamp,
    build_command,
    engine_directory,
    engine_path,
    find_engine,
    read_engine,
    write_engine,
)
from ros2_spatial_ttt.runtime.unavailable import Unavailable

PLANS = {'update': b'\x00plan of the update\xff', 'embed': b'x' * 1000}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv('SPATIAL_TTT_ENGINES', str(tmp_path / 'engines'))
    return engine_directory()


@pytest.fixture(scope='module')
def manifest():
    return load_manifest(model_directory('untrained'))


@pytest.fixture
def asked(manifest):
    """What a Jetson Orin with plugins has."""
    return Stamp(
        model=manifest.name,
        model_hash=manifest.hash,
        backend='tensorrt',
        version='10.3.0',
        architectures=('sm_87',),
        plugins='1',
    )


def written(folder, stamp, plans=PLANS):
    path = engine_path(folder, stamp)
    write_engine(EngineFile(path, stamp, plans))
    return path


def test_a_file_comes_back_as_it_was_written(folder, asked):
    path = written(folder, asked)
    assert read_engine(path) == EngineFile(path, asked, PLANS)
    assert [one.name for one in folder.iterdir()] == [path.name]


def test_the_name_says_model_library_gpu_and_plugins(folder, asked):
    short = asked.model_hash[:8]
    name = engine_path(folder, asked).name
    assert name == f'untrained-{short}.tensorrt-10.3.0.sm_87.plugins-1.engine'
    many = replace(asked, architectures=('sm_80', 'sm_89', 'sm_120'), plugins='')
    assert engine_path(folder, many).name.endswith('.sm_80-to-sm_120.no-plugins.engine')


def test_an_engine_with_plugins_goes_before_one_without(folder, asked, manifest):
    bodies = written(folder, replace(asked, plugins=''))
    assert find_engine(manifest, asked).path == bodies
    plugins = written(folder, asked)
    assert find_engine(manifest, asked).path == plugins


def test_an_engine_for_many_gpus_runs_on_one_of_them(folder, asked, manifest):
    path = written(folder, replace(asked, architectures=('sm_86', 'sm_87'), plugins=''))
    assert find_engine(manifest, asked).path == path


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'architectures': ('sm_90',)}, 'built for sm_90, this GPU is sm_87'),
        ({'version': '10.13.3'}, 'built by tensorrt 10.13.3, tensorrt 10.3.0 is installed'),
        ({'model_hash': 'f' * 64}, 'built for another version of the model (ffffffffffff…'),
        ({'plugins': '2'}, 'built with plugins of version 2, the library has 1'),
    ],
)
def test_a_foreign_or_stale_engine_is_refused_with_the_command(
    folder, asked, manifest, changes, words
):
    path = written(folder, replace(asked, **changes))
    with pytest.raises(Unavailable) as error:
        find_engine(manifest, asked)
    assert f'{path.name} is {words}' in str(error.value)
    assert f"build it with '{build_command(manifest, 'tensorrt')}'" in str(error.value)


def test_an_engine_with_plugins_needs_their_library(folder, asked, manifest):
    written(folder, asked)
    with pytest.raises(Unavailable, match=r'plugins of version 1, their library is not installed'):
        find_engine(manifest, replace(asked, plugins=''))


def test_an_engine_of_the_other_tensorrt_is_not_looked_at(folder, asked, manifest):
    written(folder, replace(asked, backend='tensorrt_rtx'))
    with pytest.raises(Unavailable, match='found none'):
        find_engine(manifest, asked)


def test_the_command_names_a_model_that_is_not_shipped_by_its_folder(manifest, tmp_path):
    assert build_command(manifest, 'tensorrt').endswith('--model untrained --backend tensorrt')
    own = build_command(replace(manifest, folder=tmp_path), 'tensorrt')
    assert f'--model {tmp_path} ' in own


@pytest.mark.parametrize('damage', ['cut', 'flipped', 'foreign', 'empty'])
def test_a_damaged_file_is_refused_not_run(folder, asked, manifest, damage):
    path = written(folder, asked)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    broken = {'cut': data[:-20], 'flipped': data, 'foreign': b'GGUF' + data[4:], 'empty': b''}
    path.write_bytes(broken[damage])
    with pytest.raises(ModelError, match=r'not a whole engine file .* delete it and build it'):
        find_engine(manifest, asked)


@pytest.mark.parametrize('damage', ['cut', 'flipped'])
def test_a_damaged_file_does_not_hide_a_good_one(folder, asked, manifest, damage, caplog):
    good = written(folder, replace(asked, plugins=''))
    first = written(folder, asked)
    data = bytearray(first.read_bytes())
    data[-1] ^= 1
    first.write_bytes(data[:-20] if damage == 'cut' else data)
    assert find_engine(manifest, asked).path == good
    assert f'{first}: not a whole engine file' in caplog.text


def test_a_folder_that_cannot_be_written_to_is_an_error_with_a_remedy(tmp_path, asked):
    blocker = tmp_path / 'file'
    blocker.write_text('')
    with pytest.raises(ModelError, match=r'cannot be written .*--out, or set SPATIAL_TTT_ENGINES'):
        written(blocker / 'engines', asked)
