# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The backbone's layers in torch against the float64 token loops of ``memory/oracle_layers``."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('torch')

import layer_inputs
import torch
from layer_inputs import CHANNELS, FRAMES, GRIDS, HEADS, INNER, VALID, WIDTH, conv_inputs
from recall import recall

from ros2_spatial_ttt.memory import oracle_layers as oracle
from ros2_spatial_ttt.memory.oracle_layers import LayerSizes
from ros2_spatial_ttt.training.attention import WindowAttention
from ros2_spatial_ttt.training.backbone import STEPS
from ros2_spatial_ttt.training.layers import (
    UPDATE_RULES,
    FastWeightUpdate,
    SpatioTemporalConv,
    fast_weight_read,
)

pytestmark = pytest.mark.torch

# Both sides count in float64, so only the order of sums differs.
EXACT = {'rtol': 1e-9, 'atol': 1e-11}
# float32 against float64: rounding errors of 6e-8 times a few dozen sums.
SINGLE = {'rtol': 2e-5, 'atol': 2e-5}


@pytest.fixture(params=[torch.float64, torch.float32], ids=['float64', 'float32'])
def precision(request):
    """The dtype in torch and the tolerance that goes with it."""
    return request.param, EXACT if request.param == torch.float64 else SINGLE


@pytest.fixture(params=GRIDS, ids=lambda count: f'T{count}')
def grid_and_cells(request):
    return GRIDS[request.param]


@pytest.fixture(params=VALID, ids=lambda count: f'valid{count}')
def valid(request):
    return request.param


def mask(*counts: int, dtype=torch.float64) -> torch.Tensor:
    return torch.stack([(torch.arange(FRAMES) < count).to(dtype) for count in counts])


def tensors(dtype, *arrays):
    return [torch.tensor(np.asarray(array), dtype=dtype) for array in arrays]


def assert_equal(got: torch.Tensor, expected: np.ndarray, tolerance) -> None:
    np.testing.assert_allclose(got.double().numpy(), expected, **tolerance)


class Written(layer_inputs.Written):
    """Random inputs of a fast-weight update, and the layer in torch."""

    def inputs(self, valid: int, dtype) -> list[torch.Tensor]:
        """Return the layer's arguments with batch 1."""
        batched = (*self.weights, *self.momenta)
        alone = (self.key, self.value, self.rates, self.gate)
        return [
            *(tensor[None] for tensor in tensors(dtype, *batched)),
            *tensors(dtype, *self.initial),
            *(tensor[None] for tensor in tensors(dtype, *alone)),
            *tensors(dtype, self.step, self.decay),
            mask(valid, dtype=dtype),
        ]

    def update(self, rule: str, valid: int, dtype) -> list[torch.Tensor]:
        """Run the layer in torch; w0, w1, w2, m0, m1, m2 with batch 1."""
        return FastWeightUpdate(rule)(*self.inputs(valid, dtype))


def test_convolution_equals_the_token_loop(rng, grid_and_cells, valid, precision):
    grid, (dtype, tolerance) = grid_and_cells[0], precision
    tokens, tail, kernel, bias = conv_inputs(rng, grid)
    mixed, next_tail = oracle.spatio_temporal_conv(
        tokens[0], tail[0], kernel, bias, grid=grid, valid=valid
    )
    conv = SpatioTemporalConv(grid, HEADS)
    tokens, tail, kernel, bias = tensors(dtype, tokens, tail, kernel, bias)
    got = conv(tokens, tail, mask(valid, dtype=dtype), kernel, bias)
    for have, want in zip(got[:3], oracle.head_features(mixed, HEADS), strict=True):
        assert_equal(have[0], want, tolerance)
    assert_equal(got[3][0], next_tail, tolerance)


def test_convolution_never_looks_ahead(rng):
    conv = SpatioTemporalConv((3, 4), HEADS)
    tokens, tail, kernel, bias = tensors(torch.float64, *conv_inputs(rng, (3, 4)))
    changed = tokens.clone()
    changed[:, 5:] = 9.0
    for before, after in zip(
        conv(tokens, tail, mask(8), kernel, bias)[:3],
        conv(changed, tail, mask(8), kernel, bias)[:3],
        strict=True,
    ):
        past = slice(0, 5 * 12)
        assert torch.equal(before[:, :, past], after[:, :, past])
        assert not torch.equal(before, after)


def test_convolution_of_parts_equals_that_of_the_whole(rng):
    """3 + 5 frames as two padded chunks, against 8 at once."""
    conv = SpatioTemporalConv((3, 4), HEADS)
    tokens, tail, kernel, bias = tensors(torch.float64, *conv_inputs(rng, (3, 4)))
    whole = conv(tokens, tail, mask(8), kernel, bias)
    garbage = torch.full_like(tokens, 7.0)
    first = torch.cat([tokens[:, :3], garbage[:, :5]], dim=1)
    second = torch.cat([tokens[:, 3:], garbage[:, :3]], dim=1)
    early = conv(first, tail, mask(3), kernel, bias)
    late = conv(second, early[3], mask(5), kernel, bias)
    for part in range(3):
        joined = torch.cat([early[part][:, :, : 3 * 12], late[part][:, :, : 5 * 12]], dim=2)
        torch.testing.assert_close(joined, whole[part], rtol=0.0, atol=1e-12)
    assert torch.equal(late[3], whole[3])


@pytest.mark.parametrize('rule', UPDATE_RULES)
def test_update_equals_the_token_loop(rng, rule, grid_and_cells, valid, precision):
    (rows, columns), (dtype, tolerance) = grid_and_cells[0], precision
    written = Written(rng, rows * columns)
    got, expected = written.update(rule, valid, dtype), written.reference(rule, valid)
    for have, want in zip(got, expected, strict=True):
        assert_equal(have[0], want, tolerance)


@pytest.mark.parametrize('rule', UPDATE_RULES)
def test_a_chunk_without_frames_changes_no_bit(rng, rule):
    written = Written(rng, 5)
    before = tensors(torch.float32, *written.weights, *written.momenta)
    for old, new in zip(before, written.update(rule, 0, torch.float32), strict=True):
        assert torch.equal(old, new[0])


@pytest.mark.parametrize('rule', UPDATE_RULES)
def test_update_of_a_batch_equals_that_of_its_members(rng, rule):
    """Streams of 0, 1, 7 and 8 real frames side by side."""
    streams = [Written(rng, 5) for _ in VALID]
    for stream in streams:
        stream.initial = streams[0].initial
    inputs = [
        stream.inputs(valid, torch.float64) for stream, valid in zip(streams, VALID, strict=True)
    ]
    shared = ('initial0', 'initial1', 'initial2', 'step', 'decay')
    joined = [
        own[0] if name in shared else torch.cat(own)
        for name, own in zip(FastWeightUpdate.inputs, zip(*inputs, strict=True), strict=True)
    ]
    together = FastWeightUpdate(rule)(*joined)
    for number, own in enumerate(inputs):
        for have, want in zip(together, FastWeightUpdate(rule)(*own), strict=True):
            torch.testing.assert_close(have[number], want[0], **EXACT)


@pytest.mark.parametrize('rule', UPDATE_RULES)
def test_padding_writes_nothing(rng, rule):
    written = Written(rng, 5)
    clean = written.update(rule, 3, torch.float64)
    for array in (written.key, written.value, written.rates, written.gate):
        array[:, 3 * 5 :] = 1e6
    for old, new in zip(clean, written.update(rule, 3, torch.float64), strict=True):
        assert torch.equal(old, new)


def test_directions_are_the_gradients_of_the_inner_loss(rng):
    """Rate 1, no momentum: the descent of -sum <f_W(k), v> by autograd."""
    written = Written(rng, 5)
    written.rates[:] = 1.0
    got = written.update('gd', 8, torch.float64)[3:]
    weights = [w[None].requires_grad_() for w in tensors(torch.float64, *written.weights)]
    key, value = (x[None] for x in tensors(torch.float64, written.key, written.value))
    loss = -(fast_weight_read(*weights, key) * value).sum()
    for direction, gradient in zip(got, torch.autograd.grad(loss, weights), strict=True):
        torch.testing.assert_close(direction, -gradient, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('rule', UPDATE_RULES)
def test_rows_keep_their_initial_length(rng, rule):
    written = Written(rng, 5)
    for new, initial in zip(
        written.update(rule, 8, torch.float64)[:3], written.initial, strict=True
    ):
        lengths = torch.linalg.vector_norm(new[0], dim=2).numpy()
        np.testing.assert_allclose(lengths, np.linalg.norm(initial, axis=2), rtol=1e-9)


def test_muon_brings_singular_values_near_one(rng):
    u = oracle.orthogonalised(rng.standard_normal((INNER, CHANNELS)))
    assert np.abs(np.linalg.svd(u, compute_uv=False) - 1.0).max() < 0.1


def test_muon_steps_by_the_share_of_real_frames(rng):
    written = Written(rng, 5)
    written.weights, written.decay[:], written.step[:] = written.initial, 0.0, 1e-3
    moved = []
    for valid in (2, 8):
        written.momenta = [np.zeros_like(m) for m in written.momenta]
        new = written.update('muon', valid, torch.float64)[0][0].numpy()
        moved.append(np.linalg.norm(new - written.initial[0]))
    assert moved[0] / moved[1] == pytest.approx(0.25, rel=0.1)


def test_decay_leads_back_to_the_initial_weights(rng):
    written = Written(rng, 5)
    written.rates[:], written.gate[:], written.decay[:] = 0.0, 0.0, 0.2
    start = np.linalg.norm(written.weights[0] - written.initial[0])
    for _ in range(40):
        written.weights = [w[0].numpy() for w in written.update('gd', 8, torch.float64)[:3]]
    assert np.linalg.norm(written.weights[0] - written.initial[0]) < 1e-3 * start


def test_first_steps_remember_and_unit_muon_forgets():
    """The trap of the published rule: a step of fixed size 1 wipes what is older than 8 chunks."""
    for rule in UPDATE_RULES:
        step = STEPS[rule]
        assert min(recall(FastWeightUpdate(rule), step, (4, 8))) > 0.7, rule
        assert recall(FastWeightUpdate(rule), step, (16,))[0] > 0.6, rule
    assert recall(FastWeightUpdate('muon'), 1.0, (8,))[0] < 0.3


def test_reading_equals_the_token_loop(rng, grid_and_cells, precision):
    (rows, columns), (dtype, tolerance) = grid_and_cells[0], precision
    written = Written(rng, rows * columns)
    weights, query = tensors(dtype, *written.weights), tensors(dtype, written.key)[0]
    got = fast_weight_read(*(w[None] for w in weights), query[None])[0]
    assert_equal(got, oracle.fast_weight_read(tuple(written.weights), written.key), tolerance)


def make_attention(grid, cells, dtype=torch.float64):
    torch.manual_seed(3)
    torch.set_default_dtype(dtype)  # of the tables of positions
    try:
        attention = WindowAttention(grid, cells, WIDTH, HEADS, window=4, frames=FRAMES, sinks=2)
    finally:
        torch.set_default_dtype(torch.float32)
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return attention


def sizes_of(grid, cells) -> LayerSizes:
    return LayerSizes(grid, cells, FRAMES, HEADS, 4, 'gd', rate=1.0, step=1.0, decay=0.0)


def attend(attention, qkv, seen, cache, counts):
    """Run the layer; seen (B, W - 1), counts of real frames."""
    dtype = qkv.dtype
    frame_valid = mask(*counts, dtype=dtype)
    flags = torch.cat([seen.to(dtype), frame_valid], dim=1)
    pooled = (attention.pool @ qkv)[..., WIDTH:]
    with torch.no_grad():
        return attention(qkv[..., :WIDTH], pooled, flags, frame_valid, cache)


def attention_inputs(rng, grid, cells, *, frames: int = FRAMES, batch: int = 1):
    qkv = rng.standard_normal((batch, frames, grid[0] * grid[1], 3 * WIDTH))
    cached = rng.standard_normal((2, batch, 3, cells[0] * cells[1], WIDTH))
    return qkv, {'keys': cached[0], 'values': cached[1]}


@pytest.mark.parametrize('seen', [(0, 0, 0), (0, 1, 1), (1, 1, 1)])
def test_attention_equals_the_token_loop(rng, grid_and_cells, valid, precision, seen):
    (grid, cells), (dtype, tolerance) = grid_and_cells, precision
    qkv, cache = attention_inputs(rng, grid, cells)
    attention = make_attention(grid, cells, dtype)
    parameters = {n: p.detach().double().numpy() for n, p in attention.named_parameters()}
    own = {name: array[0] for name, array in cache.items()}
    want, after = oracle.window_attention(
        parameters, qkv[0], own, np.array(seen), sizes=sizes_of(grid, cells), valid=valid
    )
    cache = {name: tensors(dtype, array)[0] for name, array in cache.items()}
    got, got_after = attend(
        attention, tensors(dtype, qkv)[0], torch.tensor([seen]), cache, [valid]
    )
    assert_equal(got[0, :valid], want[:valid], tolerance)
    for name, expected in after.items():
        assert_equal(got_after[name][0], expected, tolerance)


def test_attention_over_chunks_equals_attention_over_the_whole(rng):
    """Chunks of 3, 8, 5 real frames, padded with garbage, against the loop over all 16."""
    grid, cells = (4, 6), (2, 3)
    qkv, cache = attention_inputs(rng, grid, cells, frames=16)
    attention = make_attention(grid, cells)
    parameters = {n: p.detach().double().numpy() for n, p in attention.named_parameters()}
    empty = {name: np.zeros_like(array[0]) for name, array in cache.items()}
    whole, _ = oracle.window_attention(
        parameters, qkv[0], empty, np.zeros(3), sizes=sizes_of(grid, cells), valid=16
    )
    state = {name: tensors(torch.float64, array)[0] * 0.0 for name, array in cache.items()}
    seen, parts, start = torch.zeros(1, 3, dtype=torch.float64), [], 0
    for count in (3, 8, 5):
        chunk = torch.full((1, FRAMES, 24, 3 * WIDTH), 5.0, dtype=torch.float64)
        chunk[:, :count] = tensors(torch.float64, qkv[:, start : start + count])[0]
        mixed, state = attend(attention, chunk, seen, state, [count])
        seen = torch.cat([seen, torch.ones(1, count)], dim=1)[:, -3:]
        parts.append(mixed[0, :count])
        start += count
    assert_equal(torch.cat(parts), whole, EXACT)


def test_attention_forgets_what_left_the_window(rng):
    grid, cells = (4, 6), (2, 3)
    qkv, cache = attention_inputs(rng, grid, cells)
    attention = make_attention(grid, cells)
    qkv, other = tensors(torch.float64, qkv, qkv)
    other[:, 0] = 3.0
    cache = {name: tensors(torch.float64, array)[0] for name, array in cache.items()}
    one, two = (attend(attention, x, torch.ones(1, 3), cache, [8])[0][0] for x in (qkv, other))
    # A window of four frames: frame 3 still sees frame 0, frame 4 does not.
    assert torch.equal(one[4:], two[4:])
    assert not torch.equal(one[3], two[3])


def test_layers_of_a_batch_equal_those_of_its_members(rng):
    grid, cells, counts = (4, 6), (2, 3), (8, 3, 0)
    dtype = torch.float64
    tokens, tail, kernel, bias = tensors(dtype, *conv_inputs(rng, grid, batch=3))
    qkv, cache = attention_inputs(rng, grid, cells, batch=3)
    qkv, attention = tensors(dtype, qkv)[0], make_attention(grid, cells)
    cache = {name: tensors(dtype, array)[0] for name, array in cache.items()}
    conv, seen = SpatioTemporalConv(grid, HEADS), torch.ones(3, 3)
    convolved = conv(tokens, tail, mask(*counts), kernel, bias)
    attended, after = attend(attention, qkv, seen, cache, counts)
    for i, count in enumerate(counts):
        own = slice(i, i + 1)
        alone = conv(tokens[own], tail[own], mask(count), kernel, bias)
        for have, want in zip(convolved, alone, strict=True):
            torch.testing.assert_close(have[own], want, **EXACT)
        mine = {name: tensor[own] for name, tensor in cache.items()}
        single, single_after = attend(attention, qkv[own], seen[own], mine, [count])
        torch.testing.assert_close(attended[own, :count], single[:, :count], **EXACT)
        for name, tensor in single_after.items():
            torch.testing.assert_close(after[name][own], tensor, **EXACT)
