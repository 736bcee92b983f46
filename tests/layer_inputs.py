# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Random inputs of the custom layers of the blocks, at awkward sizes."""

from __future__ import annotations

import numpy as np

from ros2_spatial_ttt.memory import oracle_layers as oracle

__all__ = [
    'CHANNELS',
    'FRAMES',
    'GRIDS',
    'HEADS',
    'INNER',
    'VALID',
    'WIDTH',
    'Written',
    'conv_inputs',
]

FRAMES, HEADS, CHANNELS = 8, 2, 6  # CHANNELS of a head
WIDTH = HEADS * CHANNELS
INNER = 2 * CHANNELS
VALID = (0, 1, 7, 8)
# Token grids of T = 1, 63, 64, 65 with the cells of the attention.
GRIDS = {1: ((1, 1), (1, 1)), 63: ((7, 9), (1, 3)), 64: ((8, 8), (4, 2)), 65: ((5, 13), (5, 1))}


class Written:
    """Random inputs of a fast-weight update as numpy, without batch.

    Args:
        rng: source of chance.
        tokens: T.
        heads: H. channels: e; the inner width is twice that.
    """

    def __init__(self, rng, tokens: int, *, heads: int = HEADS, channels: int = CHANNELS) -> None:
        inner = 2 * channels
        shapes = ((inner, channels), (channels, inner), (inner, channels))
        self.initial = [rng.standard_normal((heads, *s)) / np.sqrt(s[1]) for s in shapes]
        self.weights = [w + 0.1 * rng.standard_normal(w.shape) for w in self.initial]
        self.momenta = [0.1 * rng.standard_normal(w.shape) for w in self.initial]
        self.look(rng, tokens)
        self.step, self.decay = np.linspace(0.3, 1.2, heads), np.linspace(0.01, 0.2, heads)

    def look(self, rng, tokens: int) -> None:
        """Draw another chunk for the same weights."""
        heads, channels, _ = self.initial[1].shape
        key, value = rng.standard_normal((2, heads, FRAMES * tokens, channels))
        self.key, self.value = key / np.linalg.norm(key, axis=2, keepdims=True), value
        self.rates = rng.uniform(0.0, 2.0, (heads, FRAMES * tokens, 3)) / (FRAMES * tokens)
        self.gate = rng.uniform(size=(heads, FRAMES * tokens))

    def reference(self, rule: str, valid: int) -> list[np.ndarray]:
        """Return the oracle's w0, w1, w2, m0, m1, m2."""
        weights, momenta = oracle.fast_weight_update(
            tuple(self.weights),
            tuple(self.momenta),
            tuple(self.initial),
            self.key,
            self.value,
            self.rates,
            self.gate,
            step=self.step,
            decay=self.decay,
            rule=rule,
            valid=valid,
            frames=FRAMES,
        )
        return [*weights, *momenta]


def conv_inputs(rng, grid, *, batch: int = 1, width: int = WIDTH):
    """Return tokens (B, F, T, 3d), tail (B, 2, T, 3d), kernel and bias."""
    count = grid[0] * grid[1]
    tokens = rng.standard_normal((batch, FRAMES, count, 3 * width))
    tail = rng.standard_normal((batch, 2, count, 3 * width))
    kernel = rng.standard_normal((3, 3 * width, 1, 3, 3)) / 5.0
    return tokens, tail, kernel, rng.standard_normal(3 * width)
