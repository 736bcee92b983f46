# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The convolution's kernels against the float64 loops of ``memory/oracle_layers``."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from trt_plugins.comparing import assert_near, prefix_mask

from ros2_spatial_ttt.memory import oracle_layers as oracle

HEADS = {
    'one_channel_per_thread': (2, 8),
    'odd': (1, 33),
    'two_channels_per_thread': (2, 50),
    'four_channels_per_thread': (1, 128),
    'several_warps_per_token': (1, 132),
    'several_warps_odd': (1, 65),
}
# Sums of 27 products in float; rounding of the result in the narrow types.
TOLERANCE = {np.float32: 2e-6, np.float16: 1e-3, ml_dtypes.bfloat16: 8e-3}


def given(rng, batch, frames, grid, channels, dtype=np.float32) -> dict:
    def normal(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    places = grid[0] * grid[1]
    return {
        'tokens': normal(batch, frames, places, channels).astype(dtype),
        'tail': normal(batch, 2, places, channels),
        'kernel': normal(3, channels, 1, 3, 3) / 3,
        'bias': normal(channels),
    }


def check(got: dict, arrays: dict, valid, *, grid, heads, tolerance) -> None:
    for stream, count in enumerate(valid):
        tokens = arrays['tokens'][stream].astype(np.float32)
        mixed, tail = oracle.spatio_temporal_conv(
            *(tokens, arrays['tail'][stream], arrays['kernel'], arrays['bias']),
            **{'grid': grid, 'valid': count},
        )
        features = oracle.head_features(mixed, heads)
        wanted = dict(zip(('query', 'key', 'value'), features, strict=True))
        real = count * grid[0] * grid[1]
        for name, want in wanted.items():
            assert_near(got[name][stream][:, :real], want[:, :real], tolerance, name)
        np.testing.assert_array_equal(got['next_tail'][stream], tail.astype(np.float32))


@pytest.mark.parametrize('sizes', HEADS.values(), ids=HEADS)
def test_equals_the_oracle_for_every_layout_of_threads(kernels, sizes, order):
    heads, width = sizes
    arrays = given(np.random.default_rng(1), 1, 2, (2, 3), 3 * heads * width)
    mask = prefix_mask([2], 2)
    got = kernels.conv(**arrays, frame_valid=mask, grid=(2, 3), heads=heads)
    check(got, arrays, [2], grid=(2, 3), heads=heads, tolerance=TOLERANCE[np.float32])


# The widest head by channels of a thread, and the next wider one, which is refused.
WIDEST = {'four': (1024, 1028), 'two': (510, 514), 'one': (255, 257)}


@pytest.mark.parametrize('widths', WIDEST.values(), ids=WIDEST)
def test_the_widest_head_is_launched_and_a_wider_one_is_refused(kernels, widths):
    sizes = {'batch': 1, 'frames': 1, 'rows': 1, 'columns': 2, 'heads': 1, 'type': 0}
    assert kernels.refusal('conv', **sizes, width=widths[0]) is None
    assert '1024 channels, 512' in kernels.refusal('conv', **sizes, width=widths[1])
    arrays = given(np.random.default_rng(6), 1, 1, (1, 2), 3 * widths[0])
    got = kernels.conv(**arrays, frame_valid=prefix_mask([1], 1), grid=(1, 2), heads=1)
    check(got, arrays, [1], grid=(1, 2), heads=1, tolerance=TOLERANCE[np.float32])


@pytest.mark.parametrize('grid', [(1, 1), (7, 9), (5, 13)], ids=str)
def test_equals_the_oracle_on_odd_grids_with_partial_chunks(kernels, grid):
    arrays = given(np.random.default_rng(2), 4, 3, grid, 12)
    valid = [0, 1, 2, 3]
    got = kernels.conv(**arrays, frame_valid=prefix_mask(valid, 3), grid=grid, heads=2)
    check(got, arrays, valid, grid=grid, heads=2, tolerance=TOLERANCE[np.float32])


@pytest.mark.parametrize('dtype', [np.float16, ml_dtypes.bfloat16], ids=['half', 'bfloat16'])
def test_narrow_tokens_are_summed_in_float(kernels, dtype):
    arrays = given(np.random.default_rng(3), 1, 4, (3, 3), 3 * 64, dtype)
    mask = prefix_mask([3], 4)
    got = kernels.conv(**arrays, frame_valid=mask, grid=(3, 3), heads=1)
    assert {got[name].dtype for name in ('query', 'key', 'value')} == {np.dtype(dtype)}
    check(got, arrays, [3], grid=(3, 3), heads=1, tolerance=TOLERANCE[dtype])


def test_padded_frames_reach_neither_real_frames_nor_the_tail(kernels):
    arrays = given(np.random.default_rng(4), 1, 3, (3, 4), 12)
    arrays['tokens'][:, 1:] = np.nan
    got = kernels.conv(**arrays, frame_valid=prefix_mask([1], 3), grid=(3, 4), heads=2)
    check(got, arrays, [1], grid=(3, 4), heads=2, tolerance=TOLERANCE[np.float32])


def test_a_stream_is_the_same_in_one_chunk_and_in_many(kernels):
    rng = np.random.default_rng(5)
    arrays = given(rng, 1, 100, (2, 2), 12)
    whole = kernels.conv(**arrays, frame_valid=prefix_mask([100], 100), grid=(2, 2), heads=2)
    tail, keys = arrays['tail'], []
    for frame in range(100):
        chunk = {**arrays, 'tokens': arrays['tokens'][:, frame : frame + 1], 'tail': tail}
        part = kernels.conv(**chunk, frame_valid=prefix_mask([1], 1), grid=(2, 2), heads=2)
        tail = part['next_tail']
        keys.append(part['key'])
    np.testing.assert_array_equal(np.concatenate(keys, axis=2), whole['key'])
    np.testing.assert_array_equal(tail, whole['next_tail'])
