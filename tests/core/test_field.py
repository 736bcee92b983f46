# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Fields as they are kept: a quarter of the bytes, and what is read stays what it was."""

from __future__ import annotations

import numpy as np
import pytest

from ros2_spatial_ttt.config import VoteConfig
from ros2_spatial_ttt.memory.field import FieldState, PackedField
from ros2_spatial_ttt.memory.oracle import exact_solution, field_read, field_update
from ros2_spatial_ttt.memory.votes import (
    empty_votes,
    update_votes,
    vote_frequencies,
    vote_values,
)

RIDGE = 1.0
RULE = {'ridge': RIDGE, 'decay': 1.0, 'mass_max': 60.0, 'weight_min': 0.02, 'steps': None}
FEATURES, CHANNELS = 64, 9
OMEGA = vote_frequencies(FEATURES, 0.3)


def samples(rng, count=200):
    points = rng.uniform(-1.0, 1.0, (count, 3))
    values = rng.standard_normal((count, CHANNELS)) / 3.0
    values[:, 0] = 1.0
    return points, values, np.ones(count)


def written(rng, chunks: int, *, packed: bool) -> FieldState:
    """Return a field after some chunks, packed and unpacked after each or not."""
    state = FieldState.zeros(FEATURES, CHANNELS)
    for _ in range(chunks):
        state = field_update(state, *samples(rng), omega=OMEGA, **RULE)
        if packed:
            state = PackedField.of(state, RIDGE).unpacked(RIDGE)
    return state


def test_a_packed_field_reads_as_before(rng):
    state = written(rng, 3, packed=False)
    packed = PackedField.of(state, RIDGE)
    points = samples(rng)[0]
    got, want = (
        field_read(weight, points, omega=OMEGA) for weight in (packed.weight, state.weight)
    )
    # Half a unit in the last of 11 bits, for each of 64 features.
    assert np.abs(got - want).max() < 2e-3


def test_packing_after_every_chunk_does_not_add_up(rng):
    """After forty chunks it reads what one regression on all their samples reads."""
    seed = rng.integers(1 << 30)
    got, want = (
        written(np.random.default_rng(seed), 40, packed=packed) for packed in (True, False)
    )
    points = samples(rng)[0]
    error = field_read(got.weight, points, omega=OMEGA) - field_read(
        want.weight, points, omega=OMEGA
    )
    assert np.sqrt(np.mean(error**2)) < 2e-3


def test_the_target_is_not_kept_but_comes_back(rng):
    state = written(rng, 2, packed=False)
    back = PackedField.of(state, RIDGE).unpacked(RIDGE)
    assert np.abs(back.curvature - state.curvature).max() < 2e-3 * np.abs(state.curvature).max()
    # W is the exact solution of what came back, so that nothing changes by itself.
    again = exact_solution(back.curvature, back.target, ridge=RIDGE)
    assert np.abs(again - back.weight).max() < 1e-4


def test_what_is_packed_is_positive_definite_after_months(rng):
    """The factor keeps its smallest directions where the largest have grown by a million."""
    key = np.linalg.qr(rng.standard_normal((FEATURES, FEATURES)))[0]
    curvature = (key * np.r_[np.full(FEATURES // 2, 1e6), np.zeros(FEATURES // 2)]) @ key.T
    weight = rng.standard_normal((FEATURES, CHANNELS))
    packed = PackedField.of(FieldState(curvature, curvature @ weight, weight), RIDGE)
    factor = np.zeros((FEATURES, FEATURES))
    factor[np.tril_indices(FEATURES)] = packed.factor
    assert packed.is_finite()
    assert np.linalg.eigvalsh(factor @ factor.T).min() > 0.1 * RIDGE


def test_forgetting_does_not_wear_the_ridge_away(rng):
    """A rule that forgets takes from A in every chunk; errors of float16 would add up to -0.1."""
    config = VoteConfig(labels='a', features=FEATURES)
    omega, centres = vote_frequencies(FEATURES, 0.2), rng.uniform(-1.0, 1.0, (12, 3))
    exact = kept = empty_votes(config)
    for _ in range(400):
        points = rng.permutation(centres)[:6] + rng.normal(0.0, 0.05, (6, 3))
        none, sure = np.zeros(6), np.ones(6)
        values = vote_values(none.astype(int), np.ones((6, 3)), none, sure, none, labels=1)
        chunk = points, values, rng.uniform(0.1, 1.0, 6), omega, config
        exact = update_votes(exact, *chunk)
        packed = PackedField.of(update_votes(kept, *chunk), config.ridge, forgets=True)
        kept = packed.unpacked(config.ridge)
    assert np.linalg.eigvalsh(kept.curvature.astype(np.float64)).min() > -0.01
    beliefs = [field_read(field.weight, centres, omega=omega) for field in (exact, kept)]
    assert np.abs(beliefs[0] - beliefs[1]).max() < 5e-3


def test_bytes_are_a_quarter():
    empty = FieldState.zeros(FEATURES, 71)
    dense = sum(tensor.nbytes for tensor in empty.tensors().values())
    assert PackedField.empty(FEATURES, 71, RIDGE).nbytes == 64 * 65 + 2 * 64 * 71 < dense / 3.9


def test_an_empty_field_unpacks_to_nothing():
    state = PackedField.empty(FEATURES, CHANNELS, RIDGE).unpacked(RIDGE)
    assert not any(tensor.any() for tensor in state.tensors().values())


def test_a_rule_without_curvature_keeps_its_target(rng):
    nothing = np.zeros((0, 0), np.float32)
    tensors = rng.standard_normal((2, FEATURES, CHANNELS)).astype(np.float32)
    back = PackedField.of(FieldState(nothing, *tensors), RIDGE).unpacked(RIDGE)
    assert back.curvature.size == 0
    for got, want in zip((back.target, back.weight), tensors, strict=True):
        assert np.abs(got - want).max() < 2e-3


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf, 1e6])
def test_what_float16_cannot_hold_is_not_finite(value):
    weight = np.zeros((FEATURES, CHANNELS))
    empty = PackedField.empty(FEATURES, CHANNELS, RIDGE)
    assert empty.is_finite()
    weight[3, 4] = value
    assert not empty.with_weight(weight).is_finite()


def test_what_is_no_curvature_is_refused_or_not_finite():
    nothing = np.zeros((4, 1))
    with pytest.raises(np.linalg.LinAlgError):
        PackedField.of(FieldState(-2.0 * np.eye(4), nothing, nothing), RIDGE)
    state = FieldState(np.full((4, 4), np.nan), nothing, nothing)
    assert not PackedField.of(state, RIDGE).is_finite()
