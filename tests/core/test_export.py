# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The export: same bytes every time, custom parts as local functions, explicit state."""

from __future__ import annotations

import argparse
import re

import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('onnx')
pytest.importorskip('onnxscript')

import onnx
import torch
from tiny_network import FIELD

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.memory.field import FieldState
from ros2_spatial_ttt.runtime.base import load_manifest
from ros2_spatial_ttt.training.checkpoint import save_checkpoint
from ros2_spatial_ttt.training.export import (
    add_arguments,
    export_untrained,
    load_calibration,
    network_of,
    run,
)
from ros2_spatial_ttt.training.graphs import field_graphs, untrained_graphs
from ros2_spatial_ttt.training.untrained import EncoderConfig, seeded_backbone

# The exporter warns of its own internals.
pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings('ignore')]

ENCODER = EncoderConfig(image_width=96, image_height=64, chunk_frames=2, embedding=8)


@pytest.fixture(scope='module')
def folder(tmp_path_factory, tiny_fields):
    """A small model, its fields those of another."""
    folder = tmp_path_factory.mktemp('export') / 'tiny'
    export_untrained(folder, 'tiny', ENCODER, FIELD, seeded_backbone(ENCODER))
    return folder


@pytest.fixture(params=['appearance_update', 'geometry_update'])
def graph(request, manifest):
    """A graph of the model that the repository carries."""
    return onnx.load(manifest.folder / f'{request.param}.onnx')


def test_a_second_export_is_equal_to_the_byte(folder):
    """One graph with weights and one with a local function stand for all six: seconds each."""
    graphs = untrained_graphs(ENCODER, FIELD, seeded_backbone(ENCODER))
    graphs |= field_graphs(FIELD, embedding=ENCODER.embedding)  # not those of the folder
    again = {name: graphs[name]() for name in ('update', 'appearance_update')}
    for name, model in again.items():
        assert model.SerializeToString() == (folder / f'{name}.onnx').read_bytes(), name


def test_an_export_is_whole_and_leaves_nothing_beside_it(folder):
    assert load_manifest(folder).name == 'tiny'
    assert len(list(folder.iterdir())) == 10
    assert [path.name for path in folder.parent.iterdir()] == ['tiny']


def test_another_seed_is_another_model():
    other = seeded_backbone(EncoderConfig(seed=1, embedding=8))
    assert not np.array_equal(other.first.numpy(), seeded_backbone(ENCODER).first.numpy())


@pytest.mark.ort
def test_a_model_of_other_sizes_runs(folder):
    pytest.importorskip('onnxruntime')
    from ros2_spatial_ttt.runtime.ort import OrtRuntime

    manifest = load_manifest(folder)
    runtime = OrtRuntime(manifest, threads=1)
    state = FieldState.zeros(16, manifest.appearance_channels)
    values = np.ones((5, manifest.appearance_channels), np.float32)
    points, weights = np.zeros((5, 3), np.float32), np.ones(5, np.float32)
    after = runtime.update('appearance', state, points, values, weights)
    assert float(runtime.read('appearance', after.weight, points[:1])[0, 0]) > 0.5


def test_the_update_is_one_local_function_that_the_graph_calls_once(graph):
    (function,) = graph.functions
    assert (function.domain, function.name) == ('spatial_ttt', 'FieldUpdateK6')
    assert [node.op_type for node in graph.graph.node if node.domain == 'spatial_ttt'] == [
        function.name
    ]
    assert {entry.domain for entry in graph.opset_import} >= {'', 'spatial_ttt'}


def test_every_name_in_the_function_is_its_own(graph):
    """TensorRT's parser leaks formal names, so they must not meet those of the graph."""
    (function,) = graph.functions
    values = [*function.input, *(name for node in function.node for name in node.output)]
    nodes = [node.name for node in function.node]
    for names in (values, nodes):
        assert len(set(names)) == len(names)
        assert all(name.startswith(f'{function.name}.') for name in names)
    used = {name for node in function.node for name in node.input if name}
    assert used <= set(values) and set(function.output) <= set(values)


def test_state_is_explicit_and_named(graph):
    inputs = [value.name for value in graph.graph.input]
    outputs = [value.name for value in graph.graph.output]
    assert inputs[:3] == ['state/curvature', 'state/target', 'state/weight']
    assert outputs == [f'next_{name}' for name in inputs[:3]]


def test_graphs_hold_no_notes_of_the_machine(manifest):
    for path in manifest.folder.glob('*.onnx'):
        assert not re.search(rb'/(home|work|root|tmp|usr)/|\.py\b', path.read_bytes()), path.name


# Bad input.


def arguments(*words):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args([*map(str, words)])


@pytest.fixture
def checkpoint(tmp_path):
    """Return a writer of checkpoints that no training run made."""

    def write(weights, **header):
        path = tmp_path / 'last.safetensors'
        tensors = {f'average.{name}': value for name, value in weights.items()}
        whole = {'config': {'preset': 'nano'}, 'step': 1, 'skipped': 0, **header}
        save_checkpoint(path, tensors, whole)
        return path

    return write


def test_an_opset_that_was_never_tested_is_refused(tmp_path):
    with pytest.raises(ConfigError, match='--opset 11: expected 18'):
        run(arguments('--out', tmp_path / 'model', '--opset', 11))


def test_a_checkpoint_with_other_names_is_refused(checkpoint):
    with pytest.raises(ConfigError, match=r'trained for 1 names \(dog, …\)'):
        network_of(checkpoint({'x': torch.zeros(1)}, labels=['dog']))


def test_a_checkpoint_of_another_config_is_refused(checkpoint):
    with pytest.raises(ConfigError, match="its weights are not those of preset 'nano'"):
        network_of(checkpoint({'x': torch.zeros(1)}))
    with pytest.raises(ConfigError, match='preset: expected one of'):
        network_of(checkpoint({'x': torch.zeros(1)}, config={'preset': 'giant'}))
    with pytest.raises(ConfigError, match='preset: expected str, got None'):
        network_of(checkpoint({'x': torch.zeros(1)}, config={}))


def test_blocks_of_a_rule_for_training_alone_are_refused(checkpoint):
    config = {'preset': 'nano', 'backbone': {'update_rule': 'curvature'}}
    with pytest.raises(
        ConfigError, match="'curvature', which is .* in training alone.*'momentum'"
    ):
        network_of(checkpoint({'backbone.x': torch.zeros(1)}, config=config))


def test_weights_that_are_not_finite_are_refused(checkpoint):
    with pytest.raises(ConfigError, match='not finite'):
        network_of(checkpoint({'x': torch.full((1,), torch.nan)}))


def test_an_output_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(ConfigError, match=r'--out .*file/model: cannot be written'):
        export_untrained(tmp_path / 'file/model', 'x', ENCODER, FIELD, seeded_backbone(ENCODER))


def test_a_calibration_with_unknown_names_is_refused(tmp_path):
    path = tmp_path / 'measured.yaml'
    path.write_text('found_scores: [0.5, 12]')
    with pytest.raises(ConfigError, match='found_score'):
        load_calibration(path)
    path.write_text('found_score: [0.6, 10]\ndetector: {least: 0.4}')
    assert load_calibration(path).found_score == (0.6, 10.0)
