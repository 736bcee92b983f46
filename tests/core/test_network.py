# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The trained network in three forms: float64 loops, torch, the exported graph.

Every form is compared with the float64 one, not with its neighbour.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('onnx')
pytest.importorskip('onnxscript')

import onnx
import tiny_network as tiny
import torch
from safetensors.numpy import load_file, save_file

from ros2_spatial_ttt.runtime import parity
from ros2_spatial_ttt.runtime.base import Samples, Tokens, load_initial_state, load_manifest
from ros2_spatial_ttt.runtime.reference import ReferenceRuntime
from ros2_spatial_ttt.training.chunk_encoder import folded
from ros2_spatial_ttt.training.precision import in_half

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings('ignore')]

# Valid frames of the chunks of a stream.
VALID = (8, 3, 7, 1, 8)
# Largest error per tensor, relative to the largest number of the float64 form or 1.
TOLERANCE = {
    # Float32 products of up to 150 numbers through a dozen layers, 6e-8 each.
    'default': 2e-5,
    # Exponentials of heads: relative errors are the absolute ones of the heads.
    'tokens/size': 1e-4,
    'tokens/spread': 1e-4,
    # 1 minus a cosine near 1.
    'tokens/surprise': 1e-4,
}
# Largest error of a state after 100 chunks, over its largest number. Measured: 1e-6 at most.
CHAINED = {
    # 0 or 1.
    'seen': 0.0,
    # What the newest frames say, over a dozen layers whose fast weights differ by rounding.
    **dict.fromkeys(('prediction', 'keys', 'values', 'tail'), 3e-6),
    # Decay and row lengths keep what each chunk's sums round from adding up.
    **dict.fromkeys(('w0', 'w1', 'w2', 'm0', 'm1', 'm2'), 5e-6),
}


@pytest.fixture(scope='module')
def model(tiny_model):
    """The manifest of the tiny model and its network."""
    folder, net = tiny_model
    return load_manifest(folder), net


@pytest.fixture(scope='module')
def reference(model):
    return ReferenceRuntime(model[0])


class TorchRuntime:
    """The encoder without export; only what these tests call."""

    def __init__(self, net) -> None:
        self._encoder = tiny.encoder_of(net)
        self._initial = net.backbone.initial_state(1)

    def initial_state(self):
        return {name: tensor.numpy() for name, tensor in self._initial.items()}

    def encode(self, chunk, state):
        arrays = [*vars(chunk).values(), *state.values()]
        with torch.no_grad():
            out = self._encoder(*(torch.from_numpy(array) for array in arrays))
        names = (*self._encoder.outputs, *(f'next/{name}' for name in state))
        values = {n: value.numpy() for n, value in zip(names, out, strict=True)}
        tokens = {n[7:]: v for n, v in values.items() if n.startswith('tokens/')}
        samples = {n: values[n] for n in Samples.arrays()}
        after = {n[5:]: v for n, v in values.items() if n.startswith('next/')}
        return Samples(**samples, tokens=Tokens(**tokens)), after


@pytest.fixture(scope='module', params=['torch', pytest.param('ort', marks=pytest.mark.ort)])
def form(request, model):
    """The form under test."""
    manifest, net = model
    if request.param == 'torch':
        return TorchRuntime(net)
    pytest.importorskip('onnxruntime')
    from ros2_spatial_ttt.runtime.ort import OrtRuntime

    return OrtRuntime(manifest, threads=1)


def flat(samples, state):
    """All arrays of an answer by name."""
    arrays = {name: getattr(samples, name) for name in Samples.arrays()}
    arrays |= {f'tokens/{name}': array for name, array in vars(samples.tokens).items()}
    return arrays | {f'state/{name}': array for name, array in state.items()}


def assert_close(got, want, *, times=1.0):
    for name, expected in want.items():
        assert got[name].shape == expected.shape, name
        error = np.abs(got[name] - expected).max() / max(np.abs(expected).max(), 1.0)
        bound = times * TOLERANCE.get(name, TOLERANCE['default'])
        assert error <= bound, f'{name}: {error:.2g}, at most {bound:.2g}'


def test_a_stream_of_whole_and_partial_chunks_equals_the_float64_form(form, reference):
    state, exact = form.initial_state(), reference.initial_state()
    for number, valid in enumerate(VALID):
        chunk = tiny.chunk_of(number, valid)
        samples, state = form.encode(chunk, state)
        wanted, exact = reference.encode(chunk, exact)
        assert_close(flat(samples, state), flat(wanted, exact), times=number + 1)


def test_states_after_a_hundred_chunks_equal_the_float64_form(form, reference):
    state, exact = form.initial_state(), reference.initial_state()
    for number in range(100):
        chunk = tiny.chunk_of(number, VALID[number % len(VALID)])
        state, exact = form.encode(chunk, state)[1], reference.encode(chunk, exact)[1]
    for name, want in exact.items():
        error = np.abs(state[name] - want).max() / np.abs(want).max()
        bound = CHAINED[name.rpartition('.')[2]]
        assert error <= bound, f'{name}: {error:.2g}, at most {bound:.2g}'
    moved = reference.initial_state()
    assert np.abs(exact['block0.w0'] - moved['block0.w0']).max() > 0.05, 'nothing was written'


@pytest.mark.parametrize('valid', [1, 3, 7])
def test_what_stands_in_padding_has_no_effect(form, valid):
    chunk = tiny.chunk_of(1, valid)
    depth, pose, image = chunk.depth.copy(), chunk.tile_T_camera.copy(), chunk.image.copy()
    depth[valid:], pose[valid:], image[valid:] = np.nan, np.nan, 171
    spoilt = replace(chunk, depth=depth, tile_T_camera=pose, image=image)
    start = form.initial_state()
    clean, got = (flat(*form.encode(c, start)) for c in (chunk, spoilt))
    for name, want in clean.items():
        assert np.array_equal(got[name], want), name


def test_no_frame_leaves_every_bit_of_the_state(form):
    state = form.encode(tiny.chunk_of(0, 8), form.initial_state())[1]
    after = form.encode(tiny.chunk_of(1, 0), state)[1]
    for name, array in state.items():
        assert np.array_equal(after[name], array), name


def test_inputs_are_not_changed(form):
    chunk, state = tiny.chunk_of(0, 8), form.initial_state()
    before = {name: array.copy() for name, array in {**vars(chunk), **state}.items()}
    form.encode(chunk, MappingProxyType(state))
    for name, array in {**vars(chunk), **state}.items():
        assert np.array_equal(array, before[name]), name


def test_folding_batch_norms_changes_nothing():
    net = tiny.make_net()
    generator = torch.Generator().manual_seed(3)
    picture = torch.rand(2, 3, 48, 64, generator=generator)
    geometry = torch.randn(2, 8, 48, generator=generator)
    before = net(picture, geometry)
    folded(net)
    assert not [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    after = net(picture, geometry)
    for name, want in vars(before).items():
        assert torch.allclose(getattr(after, name), want, atol=1e-4), name


def test_predicted_depth_writes_samples_only_where_it_is_good(reference, model):
    manifest = model[0]
    samples = reference.encode(tiny.chunk_of(0, 8), reference.initial_state())[0]
    weight = samples.surface_weights.reshape(manifest.chunk_frames, -1)
    assert not samples.tokens.depth_spread[1].all() and samples.tokens.depth_spread[0].all()
    assert (weight[0] < 1.0).all() and (weight[0] > 0.0).any(), 'frame 0 has no depth'
    assert (weight[1] == 1.0).all(), 'frame 1 has'
    spread = samples.tokens.depth_spread[0].reshape(3, 2, 4, 2).mean(axis=(1, 3)).ravel()
    expected = np.maximum(1.0 - spread / manifest.worst_depth, 0.0)
    near = weight[0] > 0  # nearer than the model's limit, too
    assert np.allclose(weight[0][near], expected[near])


def test_custom_parts_are_functions_that_several_blocks_call(model):
    graph = onnx.load(model[0].folder / 'update.onnx')
    assert sorted(function.name for function in graph.functions) == [
        'FastWeightUpdateMomentum',
        'SpatioTemporalConv2x2Heads2',
    ]
    calls = [node.op_type for node in graph.graph.node if node.domain == 'spatial_ttt']
    assert sorted(calls) == sorted(3 * [function.name for function in graph.functions])


def test_state_of_the_graph_is_explicit(model):
    manifest = model[0]
    graph = onnx.load(manifest.folder / 'update.onnx').graph
    names = [value.name for value in graph.input if value.name.startswith('state/')]
    assert names == [f'state/{name}' for name in manifest.state]
    after = [value.name for value in graph.output if value.name.startswith('next_state/')]
    assert after == [f'next_{name}' for name in names]


@pytest.mark.ort
def test_embed_equals_the_float64_form(model, reference):
    from ros2_spatial_ttt.runtime.ort import OrtRuntime

    pictures = np.random.default_rng(1).integers(0, 256, (3, 48, 48, 3)).astype(np.uint8)
    got = OrtRuntime(model[0], threads=1).embed(pictures)
    assert np.abs(got - reference.embed(pictures)).max() < 2e-5


@pytest.mark.ort
def test_the_stored_numbers_are_those_of_both_runtimes(model, reference):
    from ros2_spatial_ttt.runtime.ort import OrtRuntime

    for runtime in (OrtRuntime(model[0], threads=1), reference):
        name, error = next(iter(parity.worst(runtime).items()))
        assert error <= 1.0, f'{name}: {error:.2g} of what is allowed'
    assert (model[0].folder / 'parity.safetensors').stat().st_size <= 1_000_000


@pytest.mark.ort
def test_another_model_fails_the_stored_numbers(model, tmp_path):
    """Else the check would check nothing."""
    from ros2_spatial_ttt.runtime.ort import OrtRuntime

    runtime = OrtRuntime(model[0], threads=1)
    stored = load_file(model[0].folder / 'parity.safetensors')
    stored['2.tokens.centre'] = stored['2.tokens.centre'] + np.float32(1e-2)
    save_file(stored, tmp_path / 'parity.safetensors')
    runtime.manifest = replace(model[0], folder=tmp_path)
    assert next(iter(parity.worst(runtime))) == '2.tokens.centre'


@pytest.mark.ort
def test_half_precision_keeps_state_and_shape_of_the_graph(model):
    """Rounding of half precision: 5e-4 an operand; measured 1.5e-3 at most."""
    import onnxruntime

    whole = onnx.load(model[0].folder / 'update.onnx')
    half = in_half(whole)
    assert [f.name for f in half.functions] == [f.name for f in whole.functions]
    for before, after in (
        (whole.graph.input, half.graph.input),
        (whole.graph.output, half.graph.output),
    ):
        assert [v.SerializeToString() for v in before] == [v.SerializeToString() for v in after]
    chunk, start = tiny.chunk_of(0, 8), load_initial_state(model[0])
    feed = {**vars(chunk), **{f'state/{name}': array for name, array in start.items()}}
    said = []
    for graph in (whole, half):
        session = onnxruntime.InferenceSession(
            graph.SerializeToString(), providers=['CPUExecutionProvider']
        )
        said.append(session.run(['tokens/centre', 'next_state/block0.w0'], feed))
    for exact, rough in zip(*said, strict=True):
        assert 0 < np.abs(exact - rough).max() < 1e-2 * max(np.abs(exact).max(), 1.0)
