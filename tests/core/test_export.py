# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The export: same bytes every time, custom parts as local functions, explicit state."""

from __future__ import annotations

import re

import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('onnx')
pytest.importorskip('onnxscript')

import onnx

from ros2_spatial_ttt.memory.field import FieldState
from ros2_spatial_ttt.runtime.base import load_manifest
from ros2_spatial_ttt.training import export
from ros2_spatial_ttt.training.export import FieldConfig, export_model
from ros2_spatial_ttt.training.untrained import EncoderConfig, seeded_backbone

# The exporter warns of its own internals.
pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings('ignore')]

ENCODER = EncoderConfig(image_width=96, image_height=64, chunk_frames=2, embedding=8)
FIELD = FieldConfig(appearance_features=16, geometry_features=16)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A small model."""
    folder = tmp_path_factory.mktemp('export') / 'tiny'
    export_model(folder, 'tiny', ENCODER, FIELD, seeded_backbone(ENCODER))
    return folder


@pytest.fixture(params=['appearance_update', 'geometry_update'])
def graph(request, manifest):
    """A graph of the model that the repository carries."""
    return onnx.load(manifest.folder / f'{request.param}.onnx')


def test_a_second_export_is_equal_to_the_byte(folder):
    """One graph with weights and one with a local function stand for all six: seconds each."""
    channels = 7 + ENCODER.embedding
    again = {
        'encode': export._encode_graph(ENCODER, seeded_backbone(ENCODER)),
        'appearance_update': export._update_graph(FIELD.rule, 16, channels),
    }
    for name, model in again.items():
        assert model.SerializeToString() == (folder / f'{name}.onnx').read_bytes(), name


def test_an_export_is_whole_and_leaves_nothing_beside_it(folder):
    assert load_manifest(folder).name == 'tiny'
    assert len(list(folder.iterdir())) == 9
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
    assert float(runtime.read('appearance', after, points[:1])[0, 0]) > 0.5


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
