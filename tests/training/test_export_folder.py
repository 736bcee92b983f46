# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What an export does to the folder that it is asked to write, and an export in half precision."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip('torch')
pytest.importorskip('onnx')
pytest.importorskip('onnxscript')
pytest.importorskip('onnxruntime')

import numpy as np
import onnx
import torch
import yaml
from safetensors.numpy import load_file
from tiny_network import FIELD
from toy_clips import tiny_config

from ros2_spatial_ttt.cli import main
from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.runtime.base import load_manifest
from ros2_spatial_ttt.training import export
from ros2_spatial_ttt.training.artefact import Artefact, write_artefact
from ros2_spatial_ttt.training.graphs import FieldConfig
from ros2_spatial_ttt.training.run import Run
from ros2_spatial_ttt.training.settings import load_config

# The exporter warns of its own internals.
pytestmark = [pytest.mark.torch, pytest.mark.ort, pytest.mark.filterwarnings('ignore')]

SHIPPED = Path(__file__).resolve().parents[2] / 'models/untrained'


def artefact(name: str, **changes) -> Artefact:
    """Return the shipped untrained model under another name, without exporting its graphs."""
    manifest = yaml.safe_load((SHIPPED / 'manifest.yaml').read_text(encoding='utf-8'))
    made = ('artefact_version', 'opset', 'precision', 'field', 'state', 'graphs', 'files')
    omega = load_file(SHIPPED / 'omega.safetensors')
    parts = {
        'graphs': {
            path.stem: lambda path=path: onnx.load(path) for path in SHIPPED.glob('*.onnx')
        },
        'weights': load_file(SHIPPED / 'weights.safetensors'),
        'omega': omega,
        'manifest': {k: v for k, v in manifest.items() if k not in made} | {'name': name},
        'field': FieldConfig(),
        'embedding': manifest['embedding'],
    }
    return Artefact(**{**parts, **changes})


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder and those within it."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob('*') if p.is_file()}


def test_a_folder_of_other_things_is_left_as_it_is(tmp_path, capsys):
    """By the command, as a user would lose a home folder to a slip of the hand."""
    folder = tmp_path / 'home'
    (folder / 'photos').mkdir(parents=True)
    (folder / 'photos/one.jpg').write_bytes(b'dear')
    before = contents(tmp_path)
    assert main(['export', '--out', str(folder)]) == 2
    said = capsys.readouterr().err
    assert f'--out {folder}: expected no folder, an empty one or a model folder' in said
    assert "got a folder that holds 'photos'" in said and 'choose another folder' in said
    assert contents(tmp_path) == before


@pytest.mark.parametrize('text', ['kind: Deployment', 'artefact_version: [', ''])
def test_a_manifest_of_something_else_makes_no_model_folder(text, tmp_path):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out/manifest.yaml').write_text(text)
    with pytest.raises(ConfigError, match=r'expected no folder, .* or a model folder'):
        write_artefact(tmp_path / 'out', artefact('new'))
    assert (tmp_path / 'out/manifest.yaml').read_text() == text


def test_a_file_in_place_of_the_folder_is_left_as_it_is(tmp_path):
    path = tmp_path / 'out'
    path.write_text('here')
    with pytest.raises(ConfigError, match='expected no folder'):
        write_artefact(path, artefact('new'))
    assert path.read_text() == 'here'


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / 'out').mkdir()
    write_artefact(tmp_path / 'out', artefact('new'))
    assert load_manifest(tmp_path / 'out').name == 'new'


def test_a_model_is_replaced_and_keeps_its_card(tmp_path):
    folder = tmp_path / 'out'
    write_artefact(folder, artefact('old'))
    (folder / 'README.md').write_text('the card')
    (folder / 'stale.onnx').write_text('of the old model')
    write_artefact(folder, artefact('new'))
    assert load_manifest(folder).name == 'new'
    assert (folder / 'README.md').read_text() == 'the card'
    assert not (folder / 'stale.onnx').exists()
    assert [path.name for path in tmp_path.iterdir()] == ['out']


def test_a_link_to_a_model_stays_a_link(tmp_path):
    write_artefact(tmp_path / 'real', artefact('old'))
    (tmp_path / 'link').symlink_to('real')
    write_artefact(tmp_path / 'link', artefact('new'))
    assert (tmp_path / 'link').is_symlink()
    assert load_manifest(tmp_path / 'real').name == 'new'


def test_an_export_that_fails_leaves_the_model_as_it_was(tmp_path):
    folder = tmp_path / 'out'
    write_artefact(folder, artefact('old'))
    before = contents(tmp_path)
    weights = load_file(SHIPPED / 'weights.safetensors')
    broken = onnx.load(SHIPPED / 'update.onnx')
    # The first kernel says NaN, so does the graph.
    tensor = next(t for t in broken.graph.initializer if len(t.dims) == 4)
    nan = np.full(tuple(tensor.dims), np.nan, np.float32)
    tensor.CopyFrom(onnx.numpy_helper.from_array(nan, tensor.name))
    graphs = artefact('new').graphs | {'update': lambda: broken}
    with pytest.raises(ConfigError, match='NaN or infinity'):
        write_artefact(folder, artefact('new', graphs=graphs, weights=weights))
    assert contents(tmp_path) == before


def test_a_network_in_half_precision_says_what_it_said_when_it_was_exported(
    tmp_path, capsys, monkeypatch, tiny_fields
):
    # Fields stay in single precision.
    monkeypatch.setattr(export, 'FieldConfig', lambda: FIELD)
    config, checkpoint = tmp_path / 'config.yaml', tmp_path / 'last.safetensors'
    tiny_config(config)
    torch.manual_seed(0)
    Run(load_config(config)).save(checkpoint)
    words = ['export', '--checkpoint', str(checkpoint), '--out', str(tmp_path / 'out')]
    assert main([*words, '--name', 'tiny', '--precision', 'fp16']) == 0
    assert load_manifest(tmp_path / 'out').precision == 'fp16'
    graph = onnx.load(tmp_path / 'out/update.onnx', load_external_data=False).graph
    halved = [t.name for t in graph.initializer if t.data_type == onnx.TensorProto.FLOAT16]
    assert halved
    assert main(['export', '--check', str(tmp_path / 'out')]) == 0
    assert 'tensors differ' not in capsys.readouterr().out
