# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The blocks' local functions in ONNX Runtime against the float64 token loops.

Awkward numbers of tokens, streams of 0, 1, 7 and 8 real frames side by side in one batch, every
rule; and the bodies that ship.
"""

from __future__ import annotations

import logging

import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('onnx')
pytest.importorskip('onnxscript')
pytest.importorskip('onnxruntime')

import torch
from layer_inputs import FRAMES, GRIDS, HEADS, VALID, Written, conv_inputs
from onnx_bodies import Body, functions

from ros2_spatial_ttt.memory import oracle_layers as oracle
from ros2_spatial_ttt.resources import model_directory
from ros2_spatial_ttt.training import onnx_functions
from ros2_spatial_ttt.training.layers import (
    UPDATE_RULES,
    CustomLayer,
    FastWeightUpdate,
    SpatioTemporalConv,
)

# The exporter warns of its own internals.
pytestmark = [pytest.mark.torch, pytest.mark.ort, pytest.mark.filterwarnings('ignore')]

BATCH, STATE = len(VALID), FastWeightUpdate.inputs[:6]
PER_TOKEN = ('key', 'value', 'rates', 'gate')
MASK = (np.arange(FRAMES) < np.array(VALID)[:, None]).astype(np.float32)

# Largest error over the largest number of a tensor, float32 against float64. Other processors sum
# in another order, so each is a few times what was measured.
CONVOLUTION = {
    # 27 products and a bias, 6e-8 each, then SiLU.
    'value': 1e-6,
    # Over a length too; small lengths make rounding errors large.
    'query': 4e-6,
    'key': 4e-6,
    # A copy.
    'next_tail': 0.0,
}
UPDATE = {
    # Sums over up to 520 tokens of products of three rounded factors.
    **dict.fromkeys(('next_m0', 'next_m1', 'next_m2'), 3e-6),
    # The same times a step, added to a weight of more size and brought to its length.
    **dict.fromkeys(('next_w0', 'next_w1', 'next_w2'), 1e-6),
}
# Newton-Schulz multiplies what is far below the largest singular value by up to 4.1 a step,
# rounding included; only the weights have to do with it.
MUON = UPDATE | dict.fromkeys(('next_w0', 'next_w1', 'next_w2'), 1e-5)
# After 100 chunks gradients differ as the weights they are taken at; decay and the row lengths
# keep those from going apart.
CHAINED = {
    **dict.fromkeys(('next_m0', 'next_m1', 'next_m2'), 1e-5),
    **dict.fromkeys(('next_w0', 'next_w1', 'next_w2'), 5e-6),
}


def body_of(layer: CustomLayer, shapes: list[tuple[int, ...]], dynamic=None) -> Body:
    """Return the exported body of a layer with inputs of these shapes."""
    logging.getLogger('torch.onnx').setLevel(logging.ERROR)
    arguments = tuple(torch.ones(shape) for shape in shapes)
    with torch.no_grad():
        part = onnx_functions.CustomPart(layer, arguments, dynamic or {})
        return Body(onnx_functions._function_of(part))


def assert_near(name: str, got: np.ndarray, want: np.ndarray, allowed: float) -> None:
    """Fail unless the largest error, over the largest number, is as small as allowed."""
    assert got.shape == want.shape, name
    difference = got - np.asarray(want, np.float64)
    largest = np.abs(difference).max() / max(np.abs(want).max(), 1e-30)
    rms = np.sqrt(np.mean(difference**2) / max(np.mean(np.square(want)), 1e-30))
    assert largest <= allowed, f'{name}: maximum {largest:.3g}, relative RMS {rms:.3g}'


def rounded(written: Written) -> Written:
    """Round all inputs to float32, so that both sides start from the same numbers."""
    for name, value in vars(written).items():
        many = isinstance(value, list)
        arrays = [np.float64(np.float32(v)) for v in (value if many else [value])]
        setattr(written, name, arrays if many else arrays[0])
    return written


def batched(streams: list[Written]) -> dict[str, np.ndarray]:
    """Return the inputs of an update of several streams with the same initial weights."""
    first = streams[0]
    tensors = {name: np.stack([getattr(s, name) for s in streams]) for name in PER_TOKEN}
    for i in range(3):
        tensors[f'w{i}'] = np.stack([s.weights[i] for s in streams])
        tensors[f'm{i}'] = np.stack([s.momenta[i] for s in streams])
        tensors[f'initial{i}'] = first.initial[i]
    return tensors | {'step': first.step, 'decay': first.decay}


def streams_of(rng, tokens: int, **sizes: int) -> list[Written]:
    """Return one stream for each of ``VALID``, of the same initial weights."""
    streams = [rounded(Written(rng, tokens, **sizes)) for _ in VALID]
    for stream in streams[1:]:
        stream.initial = streams[0].initial
    return streams


@pytest.fixture(scope='module', params=UPDATE_RULES)
def rule_and_update(request):
    """A rule and the body of its update, for any number of tokens."""
    sample = batched(streams_of(np.random.default_rng(0), 3)) | {'frame_valid': MASK}
    many = 8 * torch.export.Dim('places')
    layer = FastWeightUpdate(request.param)
    shapes = [sample[name].shape for name in layer.inputs]
    return request.param, body_of(layer, shapes, dict.fromkeys(PER_TOKEN, {2: many}))


@pytest.mark.parametrize('tokens', GRIDS)
def test_update_equals_the_token_loop(rng, rule_and_update, tokens):
    rule, update = rule_and_update
    streams = streams_of(rng, tokens)
    got = update(batched(streams) | {'frame_valid': MASK})
    for number, (stream, valid) in enumerate(zip(streams, VALID, strict=True)):
        wanted = dict(zip(update.outputs, stream.reference(rule, valid), strict=True))
        for name, want in wanted.items():
            allowed = MUON if rule == 'muon' else UPDATE
            assert_near(f'{name} of {valid} frames', got[name][number], want, allowed[name])


def test_update_without_frames_changes_no_bit(rng, rule_and_update):
    _, update = rule_and_update
    inputs = batched(streams_of(rng, 5)) | {'frame_valid': MASK}
    got = update(inputs)
    for name in STATE:
        np.testing.assert_array_equal(got[f'next_{name}'][0], np.float32(inputs[name][0]))


def test_weights_after_100_chunks_equal_the_token_loop(rng, rule_and_update):
    """Of four streams whose chunks have 0, 1, 7 or 8 frames in turn.

    Muon as a chain is chaotic: its chunks are compared one by one, each from the body's own state.
    """
    rule, update = rule_and_update
    streams = streams_of(rng, 1)
    state = {name: batched(streams)[name] for name in STATE}
    for chunk in range(100):
        valid = np.roll(VALID, chunk)
        for number, stream in enumerate(streams):
            stream.look(rng, 1)
            stream.key, stream.value = (np.float32(x) for x in (stream.key, stream.value))
            if rule == 'muon':
                stream.weights = [state[f'w{i}'][number] for i in range(3)]
                stream.momenta = [state[f'm{i}'][number] for i in range(3)]
        mask = np.arange(FRAMES) < valid[:, None]
        got = update(batched(streams) | state | {'frame_valid': mask})
        state = {name: got[f'next_{name}'] for name in STATE}
        for number, stream in enumerate(streams):
            after = stream.reference(rule, int(valid[number]))
            stream.weights, stream.momenta = list(after[:3]), list(after[3:])
            for name, want in zip(update.outputs, after, strict=True):
                allowed = MUON if rule == 'muon' else CHAINED
                assert_near(f'{name} after {chunk + 1}', got[name][number], want, allowed[name])


@pytest.mark.parametrize('tokens', GRIDS)
def test_convolution_equals_the_token_loop(rng, tokens):
    grid = GRIDS[tokens][0]
    inputs = dict(
        zip(SpatioTemporalConv.inputs, masked(conv_inputs(rng, grid, batch=BATCH)), strict=True)
    )
    layer = SpatioTemporalConv(grid, HEADS)
    convolve = body_of(layer, [inputs[name].shape for name in layer.inputs])
    compare_convolution(convolve(inputs), inputs, grid=grid, heads=HEADS, counts=VALID)


def masked(arrays) -> tuple:
    """Return tokens, tail, mask, kernel, bias of a convolution, in float32."""
    tokens, tail, kernel, bias = (np.float32(array) for array in arrays)
    return tokens, tail, MASK[: len(tokens)], kernel, bias


def compare_convolution(got, inputs, *, grid, heads, counts) -> None:
    """Compare every real frame of each stream, and the tail to the bit."""
    for number, valid in enumerate(counts):
        mixed, tail = oracle.spatio_temporal_conv(
            *(inputs['tokens'][number], inputs['tail'][number], inputs['kernel'], inputs['bias']),
            **{'grid': grid, 'valid': valid},
        )
        wanted = dict(zip(got, (*oracle.head_features(mixed, heads), tail), strict=True))
        for name, want in wanted.items():
            assert_near(f'{name} of {valid} frames', got[name][number], want, CONVOLUTION[name])


@pytest.fixture(scope='module')
def shipped():
    """The local functions of the network that ships."""
    return functions(model_directory('nano') / 'update.onnx')


@pytest.mark.parametrize('valid', VALID)
def test_the_shipped_convolution_equals_the_token_loop(rng, shipped, valid):
    grid, heads, width = (8, 10), 4, 128
    arrays = masked(conv_inputs(rng, grid, width=width))
    inputs = dict(zip(SpatioTemporalConv.inputs, arrays, strict=True))
    inputs['frame_valid'] = MASK[VALID.index(valid)][None]
    got = Body(shipped['SpatioTemporalConv8x10Heads4'])(inputs)
    compare_convolution(got, inputs, grid=grid, heads=heads, counts=[valid])


@pytest.mark.parametrize('valid', VALID)
def test_the_shipped_update_equals_the_token_loop(rng, shipped, valid):
    stream = rounded(Written(rng, 80, heads=4, channels=32))
    inputs = batched([stream]) | {'frame_valid': MASK[VALID.index(valid)][None]}
    got = Body(shipped['FastWeightUpdateMomentum'])(inputs)
    for (name, array), want in zip(got.items(), stream.reference('momentum', valid), strict=True):
        assert_near(name, array[0], want, UPDATE[name])
