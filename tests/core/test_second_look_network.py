# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The network of the second look in three forms: float64 loops, torch, the exported graph."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('onnx')
pytest.importorskip('onnxscript')
pytest.importorskip('onnxruntime')

import onnx
import onnxruntime
import torch
from safetensors.numpy import load_file, save_file
from second_look_model import cut_outs, make_second_look

from ros2_spatial_ttt.resources import model_directory
from ros2_spatial_ttt.runtime import parity
from ros2_spatial_ttt.runtime.base import load_manifest
from ros2_spatial_ttt.runtime.ort import OrtRuntime
from ros2_spatial_ttt.runtime.reference import ReferenceRuntime
from ros2_spatial_ttt.training.precision import in_half
from ros2_spatial_ttt.training.second_look import SecondLookGraph

pytestmark = [pytest.mark.torch, pytest.mark.ort]

# Largest error of a probability. Float32 sums of up to 1152 products through a dozen layers, 6e-8
# each, make scores of some tens; a probability is off by at most a quarter of its score's error.
# Measured: 5e-7.
TOLERANCE = 1e-5
NANO = load_manifest(model_directory('nano'))
NAMES = len(NANO.labels)


@pytest.fixture(scope='module')
def manifest(second_look_model):
    return load_manifest(second_look_model[0])


@pytest.fixture(scope='module')
def reference(manifest):
    return ReferenceRuntime(manifest)


@pytest.fixture(scope='module')
def ort(manifest):
    return OrtRuntime(manifest, threads=1)


def in_torch(net):
    def second_look(*arrays):
        with torch.no_grad():
            return SecondLookGraph(net)(*map(torch.from_numpy, arrays)).numpy()

    return second_look


@pytest.fixture(params=['torch', 'torch, batch norms folded', 'ort'])
def form(request, second_look_model, ort):
    """The form under test."""
    return {
        'torch': in_torch(make_second_look(NAMES)),
        'torch, batch norms folded': in_torch(second_look_model[1]),
        'ort': ort.second_look,
    }[request.param]


@pytest.mark.parametrize('count', [0, 1, 3])
def test_every_form_equals_the_float64_one(form, reference, count):
    given = cut_outs(NAMES, count)
    got, want = form(*given), reference.second_look(*given)
    assert got.shape == want.shape == (count, 1 + NAMES)
    assert np.abs(got - want).max(initial=0.0) <= TOLERANCE


def test_random_weights_say_something(reference):
    """Else equal probabilities would show nothing."""
    names = reference.second_look(*cut_outs(NAMES, 20))
    assert np.allclose(names.sum(axis=1), 1.0)
    assert (names.max(axis=1) < 0.999).mean() > 0.5
    assert (names.std(axis=0) > 0.5 * names.mean(axis=0)).all()
    assert len(set(names.argmax(axis=1))) > 1


@pytest.mark.parametrize('number', range(3))
def test_each_input_counts(reference, number):
    given, other = list(cut_outs(NAMES, 4)), cut_outs(NAMES, 4, seed=2)
    before = reference.second_look(*given)
    given[number] = other[number]
    assert np.abs(reference.second_look(*given) - before).max() > 1e-2


def test_a_model_without_one_has_none():
    manifest = load_manifest(model_directory('untrained'))
    assert not manifest.second_look
    for runtime in (OrtRuntime(manifest, threads=1), ReferenceRuntime(manifest)):
        assert runtime._second_look is None
    assert not [name for name in parity.inputs(manifest) if 'cut' in name]


def test_all_weights_lie_in_their_own_file(second_look_model):
    folder = second_look_model[0]
    path = folder / 'second_look.safetensors'
    with path.open('rb') as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), 'little')))
    graph = onnx.load(folder / 'second_look.onnx', load_external_data=False).graph
    outside = [t for t in graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
    assert {tensor.name.removeprefix('net.') for tensor in outside} == set(header)
    places = {e.key: e.value for tensor in outside for e in tensor.external_data}
    assert places['location'] == path.name
    # Bounds of slices, least shares.
    inside = [t for t in graph.initializer if t.data_location != onnx.TensorProto.EXTERNAL]
    assert sum(onnx.numpy_helper.to_array(tensor).size for tensor in inside) < 20


def test_the_stored_numbers_hold_what_it_says(manifest, ort, tmp_path):
    errors = parity.worst(ort)
    name, error = next(iter(errors.items()))
    assert error <= 1.0, f'{name}: {error:.2g} of what is allowed'
    # What other weights say is wrong, and nothing else is.
    folder = shutil.copytree(manifest.folder, tmp_path / 'model')
    weights = load_file(folder / 'second_look.safetensors')
    weights['trust'] = weights['trust'] + np.float32(0.05)
    save_file(weights, folder / 'second_look.safetensors')
    errors = parity.worst(OrtRuntime(replace(manifest, folder=folder), threads=1))
    assert [name for name, error in errors.items() if error > 1.0] == ['second_look']


def test_half_precision_is_near(manifest, ort):
    """Rounding of half precision: 5e-4 an operand, in scores of some tens."""
    half = in_half(onnx.load(manifest.folder / 'second_look.onnx'))
    products = [node for node in half.graph.node if node.op_type in ('Conv', 'Gemm')]
    types = {t.name: t.data_type for t in half.graph.initializer}
    assert {types[node.input[1]] for node in products} == {onnx.TensorProto.FLOAT16}
    session = onnxruntime.InferenceSession(
        half.SerializeToString(), providers=['CPUExecutionProvider']
    )
    given = cut_outs(NAMES, 5)
    feed = dict(zip(('picture', 'place', 'known'), given, strict=True))
    error = np.abs(session.run(['names'], feed)[0] - ort.second_look(*given)).max()
    assert 0 < error < parity.TOLERANCE['fp16']
