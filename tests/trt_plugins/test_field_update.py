# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The field's kernels against the float64 loops of ``memory/oracle``."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from trt_plugins.comparing import assert_near

from ros2_spatial_ttt.memory import oracle
from ros2_spatial_ttt.memory.field import FieldState

RULE = {'ridge': 1.0, 'decay': 0.99, 'mass_max': 4.0, 'weight_min': 0.02, 'steps': 6}
SIZES = {
    **{'features': 64, 'channels': 2, 'samples': 10, 'steps': 6, 'type': 0},
    **{'ridge': 1.0, 'decay': 1.0, 'mass_max': 60.0, 'weight_min': 0.02},
}
# Features, channels: one tile, no multiple of anything, several tiles of both.
FIELDS = {'tile': (64, 7), 'odd': (38, 3), 'several': (70, 66)}
FLOAT = 5e-6


def omega_of(rng, features: int) -> np.ndarray:
    return (3.0 * rng.standard_normal((features // 2, 3))).astype(np.float32)


def samples_of(rng, count: int, channels: int, dtype=np.float32):
    points = (4.0 * rng.random((count, 3))).astype(np.float32)
    values = rng.standard_normal((count, channels)).astype(np.float32)
    values[:, 0] = 1.0
    weights = rng.random(count).astype(np.float32)
    weights[::5] = 0.0
    return points, values.astype(dtype), weights


def empty(features: int, channels: int) -> tuple[np.ndarray, ...]:
    shapes = ((features, features), (features, channels), (features, channels))
    return tuple(np.zeros(shape, np.float32) for shape in shapes)


def expected(state, samples, omega, rule=RULE):
    points, values, weights = samples
    after = oracle.field_update(
        FieldState(*state), points, values.astype(np.float32), weights, omega=omega, **rule
    )
    return after.curvature, after.target, after.weight


def check(got, want, tolerance: float) -> None:
    for name, one, other in zip('ABW', got, want, strict=True):
        assert_near(one, other, tolerance, name)
    np.testing.assert_array_equal(got[0], got[0].T)


@pytest.mark.parametrize('sizes', FIELDS.values(), ids=FIELDS)
def test_equals_the_oracle_over_some_chunks(kernels, sizes, order):
    rng = np.random.default_rng(1)
    omega, state = omega_of(rng, sizes[0]), empty(*sizes)
    exact = state
    for count in (33, 1):
        samples = samples_of(rng, count + 1, sizes[1])
        state = kernels.field(state, samples, omega, rule=RULE)
        exact = expected(exact, samples, omega)
    check(state, exact, FLOAT)


@pytest.mark.parametrize('count', [2, 63, 64, 65, 400])
def test_any_number_of_samples(kernels, count):
    rng = np.random.default_rng(2)
    omega, samples = omega_of(rng, 24), samples_of(rng, count, 5)
    got = kernels.field(empty(24, 5), samples, omega, rule=RULE)
    check(got, expected(empty(24, 5), samples, omega), FLOAT)


@pytest.mark.parametrize('count', [0, 1, 40])
def test_without_a_live_sample_no_bit_changes(kernels, count):
    rng = np.random.default_rng(3)
    omega, samples = omega_of(rng, 24), samples_of(rng, 50, 5)
    state = kernels.field(empty(24, 5), samples, omega, rule=RULE)
    points, values, weights = samples_of(rng, count, 5)
    dead = (points * np.nan, values * np.nan, weights * 0.0)
    for one, other in zip(state, kernels.field(state, dead, omega, rule=RULE), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_a_sample_without_weight_holds_is_never_read(kernels):
    rng = np.random.default_rng(4)
    omega, (points, values, weights) = omega_of(rng, 40), samples_of(rng, 60, 4)
    want = expected(empty(40, 4), (points, values, weights), omega)
    points[weights == 0.0], values[weights == 0.0] = np.nan, np.nan
    got = kernels.field(empty(40, 4), (points, values, weights), omega, rule=RULE)
    check(got, want, FLOAT)


@pytest.mark.parametrize(
    'dtype,tolerance', [(np.float16, FLOAT), (ml_dtypes.bfloat16, FLOAT)], ids=['half', 'bf16']
)
def test_narrow_values_are_read_as_they_are(kernels, dtype, tolerance):
    rng = np.random.default_rng(5)
    omega, samples = omega_of(rng, 24), samples_of(rng, 50, 5, dtype)
    got = kernels.field(empty(24, 5), samples, omega, rule=RULE)
    check(got, expected(empty(24, 5), samples, omega), tolerance)


def test_the_new_state_may_lie_in_the_buffers_of_the_old(kernels):
    rng = np.random.default_rng(6)
    omega, samples = omega_of(rng, 70), samples_of(rng, 50, 5)
    state = kernels.field(empty(70, 5), samples, omega, rule=RULE)
    apart, shared = (
        kernels.field(state, samples, omega, rule=RULE, in_place=where) for where in (False, True)
    )
    for one, other in zip(apart, shared, strict=True):
        np.testing.assert_array_equal(one, other)


# So many tiles that no sum is split, which would keep the emulator busy for hours.
@pytest.mark.parametrize('kernels', [pytest.param('gpu', marks=pytest.mark.gpu)], indirect=True)
def test_long_sums_over_samples_are_rounded_and_not_cut(kernels):
    check_sums(kernels, features=2048, count=4800)


def check_sums(kernels, features: int, count: int) -> None:
    rng = np.random.default_rng(8)
    omega, (points, values, weights) = omega_of(rng, features), samples_of(rng, count, 3)
    got = kernels.field(empty(features, 3), (points, values, weights), omega, rule=RULE)
    phases = points.astype(np.float64) @ omega.astype(np.float64).T
    keys = np.concatenate([np.cos(phases), np.sin(phases)], axis=1) * (2 / features) ** 0.5
    weighted = keys * weights[:, None].astype(np.float64)
    assert_near(got[0], weighted.T @ keys, FLOAT, 'A')
    assert_near(got[1], weighted.T @ values.astype(np.float64), FLOAT, 'B')


def test_a_hundred_chunks_stay_with_the_oracle(kernels):
    rng = np.random.default_rng(7)
    omega, state, rule = omega_of(rng, 24), empty(24, 3), {**RULE, 'steps': 2}
    exact = state
    for _ in range(100):
        samples = samples_of(rng, 20, 3)
        state = kernels.field(state, samples, omega, rule=rule)
        exact = expected(exact, samples, omega, rule)
    check(state, exact, 1e-4)


def test_refuses_what_it_cannot_do(kernels):
    sizes = SIZES
    assert kernels.refusal('field', **sizes) is None
    assert 'even' in kernels.refusal('field', **{**sizes, 'features': 63})
    assert 'mass_max' in kernels.refusal('field', **{**sizes, 'mass_max': 0.0})
    assert 'steps' in kernels.refusal('field', **{**sizes, 'steps': -1})
    assert 'bfloat16' in kernels.refusal('field', **{**sizes, 'type': 3})


def test_the_workspace_of_refused_sizes_is_none(kernels):
    assert kernels.workspace('field', **SIZES) > 0
    assert kernels.workspace('field', **dict.fromkeys(SIZES, 0)) == 0
