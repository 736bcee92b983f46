# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The fast-weight kernels against the float64 loops of ``memory/oracle_layers``."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from trt_plugins.comparing import assert_near, prefix_mask

from ros2_spatial_ttt.memory import oracle_layers as oracle

RULES = ('gd', 'momentum', 'muon')
# Heads, inner width, width: smaller than a tile, no multiple of anything, more than a tile, tall.
HEADS = {'small': (2, 16, 8), 'odd': (1, 25, 13), 'large': (1, 72, 66), 'tall': (1, 8, 40)}
# Products of floats lose their last 3 bits (split TF32), sums of a chunk some more. Narrow
# products: 11 and 8 bits per factor.
FLOAT, HALF, BFLOAT = 5e-6, 2e-3, 1.5e-2


def given(rng, batch, heads, inner, width, frames, places, dtype=np.float32):
    """Return weights, momenta, initial weights and the tokens' tensors of one chunk."""

    def normal(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    shapes = [(inner, width), (width, inner), (inner, width)]
    weights = [normal(batch, heads, *s) * s[1] ** -0.5 for s in shapes]
    momenta = [0.1 * normal(batch, heads, *s) for s in shapes]
    initial = [normal(heads, *s) * s[1] ** -0.5 for s in shapes]
    return weights, momenta, initial, chunk_of(rng, batch, heads, width, frames, places, dtype)


def chunk_of(rng, batch, heads, width, frames, places, dtype=np.float32) -> dict:
    tokens = frames * places
    key = rng.standard_normal((batch, heads, tokens, width))
    key /= np.linalg.norm(key, axis=-1, keepdims=True)
    return {
        'key': key.astype(dtype),
        'value': rng.standard_normal(key.shape).astype(dtype),
        'rates': rng.random((batch, heads, tokens, 3), np.float32),
        'gate': rng.random((batch, heads, tokens), np.float32),
        'step': rng.random(heads, np.float32),
        'decay': 0.2 * rng.random(heads, np.float32),
        'frame_valid': np.ones((batch, frames), np.float32),
    }


def expected(weights, momenta, initial, tokens, *, rule, stream, valid):
    """Return the oracle's next weights and momenta of one stream."""
    own = {name: tokens[name][stream].astype(np.float64) for name in ('key', 'value')}
    return oracle.fast_weight_update(
        *(tuple(group[i][stream] for i in range(3)) for group in (weights, momenta)),
        tuple(initial),
        *(own['key'], own['value'], tokens['rates'][stream], tokens['gate'][stream]),
        step=tokens['step'],
        decay=tokens['decay'],
        rule=rule,
        valid=valid,
        frames=tokens['frame_valid'].shape[1],
    )


def check(got, weights, momenta, initial, tokens, valid, *, rule, tolerance) -> None:
    for stream, count in enumerate(valid):
        want = expected(weights, momenta, initial, tokens, rule=rule, stream=stream, valid=count)
        for kind, group, wanted in zip('wm', got, want, strict=True):
            for i in range(3):
                assert_near(group[i][stream], wanted[i], tolerance, f'{rule} {kind}{i}')


@pytest.mark.parametrize('rule', RULES)
@pytest.mark.parametrize('sizes', HEADS.values(), ids=HEADS)
def test_equals_the_oracle(kernels, rule, sizes, order):
    arrays = given(np.random.default_rng(1), 1, *sizes, 2, 9)
    got = kernels.fast(*arrays, rule=rule)
    check(got, *arrays, [2], rule=rule, tolerance=FLOAT)


@pytest.mark.parametrize('tokens', [1, 63, 64, 65, 130])
def test_any_number_of_tokens(kernels, tokens):
    arrays = given(np.random.default_rng(2), 1, 1, 16, 16, 1, tokens)
    got = kernels.fast(*arrays, rule='momentum')
    check(got, *arrays, [1], rule='momentum', tolerance=FLOAT)


def test_long_sums_are_rounded_and_not_cut(kernels):
    # 4,800 channels of one sign in one accumulator each for a, u and g: cut, they come out 4e-5
    # too small.
    weights, momenta, initial, tokens = given(np.random.default_rng(10), 1, 1, 8, 4800, 1, 2)
    weights = [np.abs(w) for w in weights]
    tokens |= {name: np.abs(tokens[name]) for name in ('key', 'value')}
    got = kernels.fast(weights, momenta, initial, tokens, rule='gd')
    check(got, weights, momenta, initial, tokens, [1], rule='gd', tolerance=FLOAT)


@pytest.mark.parametrize('products', [np.float32, np.float16], ids=['float', 'half'])
def test_large_heads_in_large_tiles(kernels, products):
    arrays = given(np.random.default_rng(9), 1, 1, 260, 258, 1, 40)
    got = kernels.fast(*arrays, rule='momentum', products=products)
    tolerance = FLOAT if products is np.float32 else HALF
    check(got, *arrays, [1], rule='momentum', tolerance=tolerance)


@pytest.mark.parametrize('rule', RULES)
def test_partial_chunks_take_part_and_padding_is_never_read(kernels, rule):
    valid, frames, places = [0, 1, 3, 4], 4, 7
    arrays = given(np.random.default_rng(3), 4, 2, 16, 8, frames, places)
    tokens = arrays[3]
    tokens['frame_valid'] = prefix_mask(valid, frames)
    for stream, count in enumerate(valid):
        for name in ('key', 'value', 'rates', 'gate'):
            tokens[name][stream, :, count * places :] = np.nan
    got = kernels.fast(*arrays, rule=rule)
    check(got, *arrays, valid, rule=rule, tolerance=FLOAT)
    for i in range(3):  # not one bit of the stream without a real frame
        np.testing.assert_array_equal(got[0][i][0], arrays[0][i][0])
        np.testing.assert_array_equal(got[1][i][0], arrays[1][i][0])


@pytest.mark.parametrize('rule', RULES)
def test_the_new_state_may_lie_in_the_buffers_of_the_old(kernels, rule):
    arrays = given(np.random.default_rng(4), 2, 1, 24, 16, 2, 20)
    apart, shared = (kernels.fast(*arrays, rule=rule, in_place=where) for where in (False, True))
    for one, other in zip(apart, shared, strict=True):
        for i in range(3):
            np.testing.assert_array_equal(one[i], other[i])


@pytest.mark.parametrize(
    'products,tolerance', [(np.float16, HALF), (ml_dtypes.bfloat16, BFLOAT)], ids=['half', 'bf16']
)
@pytest.mark.parametrize('stored_narrow', [False, True], ids=['float_tokens', 'narrow_tokens'])
@pytest.mark.parametrize('rule', ['momentum', 'muon'])
def test_narrow_products_keep_the_state_in_float(
    kernels, products, tolerance, stored_narrow, rule
):
    dtype = products if stored_narrow else np.float32
    arrays = given(np.random.default_rng(5), 1, 1, 32, 16, 2, 32, dtype)
    got = kernels.fast(*arrays, rule=rule, products=products)
    check(got, *arrays, [2], rule=rule, tolerance=tolerance)


@pytest.mark.parametrize('products', [np.float32, np.float16], ids=['float', 'half'])
@pytest.mark.parametrize('sizes', [(2, 25, 13), (1, 8, 40), (1, 136, 130)], ids=str)
def test_muon_without_room_in_shared_memory(kernels, monkeypatch, sizes, products):
    monkeypatch.setenv('EMULATOR_SHARED', '0')  # on a GPU only the largest has no room
    arrays = given(np.random.default_rng(6), 1, *sizes, 2, 9)
    got = kernels.fast(*arrays, rule='muon', products=products)
    check(got, *arrays, [2], rule='muon', tolerance=FLOAT if products is np.float32 else HALF)


def chunks(count: int, seed: int = 7):
    rng = np.random.default_rng(seed)
    weights, momenta, initial, _ = given(rng, 1, 1, 16, 8, 1, 8)
    return weights, momenta, initial, [chunk_of(rng, 1, 1, 8, 1, 8) for _ in range(count)]


def after(weights, momenta, initial, tokens, rule: str):
    result = expected(weights, momenta, initial, tokens, rule=rule, stream=0, valid=1)
    return tuple(tuple(array[None] for array in group) for group in result)


@pytest.mark.parametrize('rule', ['gd', 'momentum'])
def test_a_hundred_chunks_stay_with_the_oracle(kernels, rule):
    weights, momenta, initial, stream = chunks(100)
    state = exact = (weights, momenta)
    for tokens in stream:
        state = kernels.fast(*state, initial, tokens, rule=rule)
        exact = after(*exact, initial, tokens, rule)
    for kind, group, wanted in zip('wm', state, exact, strict=True):
        for i in range(3):
            assert_near(group[i], wanted[i], 1e-3, f'{rule} {kind}{i}')


def test_each_of_a_hundred_muon_chunks_follows_the_oracle(kernels):
    # From the kernels' own state: as a chain the rule is chaotic, and torch in float32 is 0.2 off
    # the oracle after these chunks.
    weights, momenta, initial, stream = chunks(100)
    state = (weights, momenta)
    for number, tokens in enumerate(stream):
        want = after(*state, initial, tokens, 'muon')
        state = kernels.fast(*state, initial, tokens, rule='muon')
        for kind, group, wanted in zip('wm', state, want, strict=True):
            for i in range(3):
                assert_near(group[i], wanted[i], 1e-4, f'chunk {number} {kind}{i}')


def test_the_same_input_gives_the_same_bits(kernels):
    arrays = given(np.random.default_rng(8), 1, 2, 40, 24, 4, 50)
    first, second = (kernels.fast(*arrays, rule='muon') for _ in range(2))
    for i in range(3):
        np.testing.assert_array_equal(first[0][i], second[0][i])


def test_refuses_what_it_cannot_do(kernels):
    sizes = {
        **{'batch': 1, 'heads': 1, 'inner': 8, 'width': 8, 'tokens': 8, 'frames': 2},
        **{'rule': 0, 'type': 0, 'products': 0},
    }
    assert kernels.refusal('fast', **sizes) is None
    assert 'multiple of its frames' in kernels.refusal('fast', **{**sizes, 'tokens': 9})
    assert 'gd, momentum or muon' in kernels.refusal('fast', **{**sizes, 'rule': 3})
    assert 'bfloat16' in kernels.refusal('fast', **{**sizes, 'type': 7})
    assert 'at least 1' in kernels.refusal('fast', **{**sizes, 'heads': 0})


def test_the_workspace_of_refused_sizes_is_none(kernels):
    names = ('batch', 'heads', 'inner', 'width', 'tokens', 'frames', 'rule', 'type', 'products')
    assert kernels.workspace('fast', **dict.fromkeys(names, 0)) == 0
    assert kernels.workspace('fast', **dict.fromkeys(names, 1)) > 0
