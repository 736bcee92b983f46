# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The random convolutions of the untrained model as float64 numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.runtime.base import ChunkInput, Manifest, Samples, State
from ros2_spatial_ttt.runtime.reference_ops import Array, convolved, picture, pooled, samples

__all__ = ['UntrainedNetwork']


class UntrainedNetwork:
    """Runs ``weights`` (float64) as ``training/untrained.py`` defines them."""

    def __init__(self, manifest: Manifest, weights: dict[str, Array]) -> None:
        self._manifest, self._weights = manifest, weights

    def encode(self, chunk: ChunkInput, state: State) -> tuple[Samples, State]:
        """See ``Runtime.encode``."""
        image = picture(chunk.image)
        depth = chunk.depth.astype(np.float64)
        frames, tokens = depth.shape
        embedding = _project(self._cells(image), self._weights, padding=1)
        colour = pooled(image, self._manifest.stride).reshape(frames, 3, tokens)
        measured = (depth > 0) & (depth <= self._manifest.depth_max_m)
        made = samples(
            self._manifest,
            chunk,
            colour.transpose(0, 2, 1),
            embedding.reshape(frames, -1, tokens).transpose(0, 2, 1),
            depth=depth,
            spread=np.zeros_like(depth),
            weight=measured * chunk.frame_valid.astype(np.float64)[:, None],
            ray=chunk.ray.astype(np.float64),
        )
        return Samples(**made, tokens=None), {}

    def embed(self, pictures: NDArray[np.uint8]) -> Array:
        """See ``Runtime.embed``."""
        cells = self._cells(picture(pictures))
        return _project(cells, self._weights, padding=0).reshape(len(pictures), -1)

    def _cells(self, image: Array) -> Array:
        x = convolved(image - 0.5, self._weights['first'], stride=2, padding=3, mode='edge')
        x = pooled(_contrast_normalised(_rectified(x)), 2)
        x = convolved(x, self._weights['second'], stride=1, padding=1, mode='edge')
        return pooled(_contrast_normalised(_rectified(x)), 4)


def _rectified(x: Array) -> Array:
    return np.concatenate([np.maximum(x, 0.0), np.maximum(-x, 0.0)], axis=1)


def _contrast_normalised(x: Array) -> Array:
    energy = (x * x).mean(axis=1, keepdims=True)
    box = np.ones((1, 1, 5, 5))
    total = convolved(energy, box, stride=1, padding=2)
    count = convolved(np.ones_like(energy), box, stride=1, padding=2)
    return x / np.sqrt(total / count + 1e-3)


def _project(cells: Array, weights: dict[str, Array], *, padding: int) -> Array:
    x = convolved(cells, weights['third'], stride=1, padding=padding, mode='edge')
    x = x + weights['bias'][:, None, None]
    return x / np.sqrt((x * x).sum(axis=1, keepdims=True) + 1e-12)
