# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The lens takes away what all embeddings share."""

from __future__ import annotations

import numpy as np
import pytest

from ros2_spatial_ttt.memory.lens import GROWTH, Lens, Statistics

WIDTH = 16


@pytest.fixture
def embedding(rng):
    """Unit vectors with a large common part and one noisy direction."""
    raw = rng.standard_normal((4000, WIDTH)) * np.r_[3.0, np.full(WIDTH - 1, 0.3)]
    raw[:, -1] += 5.0
    return (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)


def test_without_samples_nothing_changes(embedding):
    lens = Statistics.empty(WIDTH).lens(Lens.identity(WIDTH))
    assert np.allclose(lens.through(embedding), embedding, atol=1e-6)


def test_the_common_part_is_gone_and_lengths_are_about_one(embedding):
    lens = Statistics.empty(WIDTH).with_samples(embedding).lens(Lens.identity(WIDTH))
    half = len(embedding) // 2
    before = np.mean(np.sum(embedding[:half] * embedding[half:], axis=1))
    seen = lens.through(embedding)
    after = np.mean(np.sum(seen[:half] * seen[half:], axis=1))
    assert before > 0.5 and abs(after) < 0.05
    assert np.allclose(np.linalg.norm(seen, axis=1), 1.0, atol=1e-5)
    raw = (embedding - lens.mean) @ lens.matrix
    assert np.sqrt(np.mean(np.sum(raw**2, axis=1))) == pytest.approx(1.0, rel=0.01)


def test_statistics_do_not_depend_on_how_samples_are_cut(embedding):
    whole, parts = Statistics.empty(WIDTH).with_samples(embedding), Statistics.empty(WIDTH)
    for part in np.array_split(embedding, 7):
        parts = parts.with_samples(part)
    assert parts.count == whole.count == len(embedding)
    assert np.allclose(parts.total, whole.total) and np.allclose(parts.outer, whole.outer)


def test_the_lens_is_made_anew_only_when_samples_have_grown(embedding):
    statistics = Statistics.empty(WIDTH).with_samples(embedding[:1000])
    lens = statistics.lens(Lens.identity(WIDTH))
    little = round(1000 * GROWTH) - 1
    assert statistics.with_samples(embedding[1000:little]).lens(lens) is lens
    assert statistics.with_samples(embedding[1000 : little + 1]).lens(lens) is not lens


@pytest.mark.parametrize('count', [1, 50])
def test_equal_samples_tell_nothing_to_whiten_by(embedding, count):
    """A first frame may have a single measured token."""
    same = np.tile(embedding[:1], (count, 1))
    identity = Lens.identity(WIDTH)
    assert Statistics.empty(WIDTH).with_samples(same).lens(identity) is identity
