# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The network of the second look as float64 numpy: ``training/second_look.py``, said again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.runtime.reference_ops import Array, convolution, picture, relu, residual

__all__ = ['SecondLookNetwork']

LEAST_SHARE = 1e-3
STEM = 8  # layers, each a residual one or one that halves the size


class SecondLookNetwork:
    """Runs ``weights`` (float64), batch norms folded, by the names of ``SecondLook``."""

    def __init__(self, weights: dict[str, Array]) -> None:
        self._weights = weights

    def probabilities(
        self, cut: NDArray[np.uint8], place: NDArray[np.float32], known: NDArray[np.float32]
    ) -> Array:
        """See ``Runtime.second_look``."""
        weights = self._weights
        seen = np.concatenate([2.0 * picture(cut) - 1.0, place.transpose(0, 3, 1, 2)], axis=1)
        x = self._stem(seen)
        numbers, shares = np.split(known.astype(np.float64), [len(weights['mean'])], axis=1)
        numbers = (numbers - weights['mean']) / weights['deviation']
        shares = np.maximum(shares, LEAST_SHARE)
        nothing = np.maximum(1.0 - shares.sum(axis=1, keepdims=True), 10.0 * LEAST_SHARE)
        first = np.log(np.concatenate([nothing, shares], axis=1))
        told = [x.mean(axis=(2, 3)), x.max(axis=(2, 3)), numbers, 0.3 * first]
        x = relu(self._linear('join', np.concatenate(told, axis=1)))
        x = relu(self._linear('hidden', x))
        scores = weights['trust'] * first + self._linear('names', x)
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def _stem(self, x: Array) -> Array:
        for number in range(STEM):
            if f'stem.{number}.body.0.weight' in self._weights:
                x = residual(self._weights, f'stem.{number}', x)
            else:
                x = relu(convolution(self._weights, f'stem.{number}.0', x, stride=2))
        return x

    def _linear(self, name: str, x: Array) -> Array:
        return x @ self._weights[f'{name}.weight'].T + self._weights[f'{name}.bias']
