# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The model as float64 numpy: slow, without any framework, the form others are compared with."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from ros2_spatial_ttt.memory import oracle
from ros2_spatial_ttt.memory.field import FieldState
from ros2_spatial_ttt.runtime.base import (
    ChunkInput,
    FieldKind,
    Manifest,
    Samples,
    load_frequencies,
)

__all__ = ['ReferenceRuntime']

# float64 throughout; the protocol's float32 states what the other runtimes take and give.
Array = NDArray[Any]


class ReferenceRuntime:
    """Runs the weights and rules of a model folder through ``memory/oracle.py``."""

    name = 'reference'

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.omega = load_frequencies(manifest)
        weights = load_file(manifest.folder / 'weights.safetensors')
        self._weights = {name: value.astype(np.float64) for name, value in weights.items()}
        rule = manifest.rule
        self._rule: dict[str, Any] = {**rule, 'steps': int(rule['steps'])}

    def encode(self, chunk: ChunkInput) -> Samples:
        """See ``Runtime.encode``; float64."""
        image = chunk.image.astype(np.float64).transpose(0, 3, 1, 2) / 255.0
        frames, tokens = chunk.depth.shape
        embedding = _project(self._cells(image), self._weights, padding=1)
        embedding = embedding.reshape(frames, -1, tokens).transpose(0, 2, 1)
        colour = _pooled(image, self.manifest.stride).reshape(frames, 3, tokens).transpose(0, 2, 1)
        depth, ray = chunk.depth.astype(np.float64), chunk.ray.astype(np.float64)
        pose = chunk.tile_T_camera.astype(np.float64)
        direction = np.einsum('fij,tj->fti', pose[:, :, :3], ray)
        length = np.linalg.norm(ray, axis=1)
        fraction = _free_fractions(frames, tokens)
        margin = self.manifest.free_margin_m / length
        free_depth = np.maximum(depth - margin, 0.0) * fraction
        origin = pose[:, None, :, 3]
        measured = (depth > 0) & (depth <= self.manifest.depth_max_m)
        surface_weight: Array = measured * chunk.frame_valid.astype(np.float64)[:, None]
        free_weight = surface_weight * (free_depth > 0)
        ones = np.ones((frames, tokens, 1))
        value = np.concatenate([ones, colour, -direction / length[:, None], embedding], axis=2)
        return Samples(
            surface_points=_kept(origin + direction * depth[..., None], surface_weight),
            surface_values=_kept(value, surface_weight),
            surface_weights=surface_weight.reshape(-1),
            free_points=_kept(origin + direction * free_depth[..., None], free_weight),
            free_weights=free_weight.reshape(-1),
        )

    def update(
        self,
        kind: FieldKind,
        state: FieldState,
        points: NDArray[np.float32],
        values: NDArray[np.float32],
        weights: NDArray[np.float32],
    ) -> FieldState:
        """See ``Runtime.update``; float64."""
        return oracle.field_update(
            state, points, values, weights, omega=self.omega[kind], **self._rule
        )

    def read(
        self, kind: FieldKind, state: FieldState, points: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """See ``Runtime.read``; float64."""
        return oracle.field_read(state, points, omega=self.omega[kind])

    def embed(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See ``Runtime.embed``; float64."""
        image = pictures.astype(np.float64).transpose(0, 3, 1, 2) / 255.0
        return _project(self._cells(image), self._weights, padding=0).reshape(len(pictures), -1)

    def _cells(self, image: Array) -> Array:
        x = _convolved(image - 0.5, self._weights['first'], stride=2, padding=3, mode='edge')
        x = _pooled(_contrast_normalised(_rectified(x)), 2)
        x = _convolved(x, self._weights['second'], stride=1, padding=1, mode='edge')
        return _pooled(_contrast_normalised(_rectified(x)), 4)


def _free_fractions(frames: int, tokens: int) -> Array:
    index = np.arange(frames * tokens)
    fraction = np.cbrt((index * 0.6180339887498949) % 1.0)
    fraction[index % 3 == 0] = 1.0
    return fraction.reshape(frames, tokens)


def _kept(values: Array, weight: Array) -> Array:
    kept = np.where(weight[..., None] > 0, values, 0.0)
    return kept.reshape(-1, values.shape[-1])


def _convolved(
    x: Array,
    kernel: Array,
    *,
    stride: int,
    padding: int,
    mode: Literal['constant', 'edge'] = 'constant',
) -> Array:
    """Return the cross-correlation of x (F, I, H, W) with kernel (O, I, k, k)."""
    pad = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    size = kernel.shape[-1]
    padded = np.pad(x, pad, mode=mode)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride]
    return np.einsum('fihwyx,oiyx->fohw', windows, kernel, optimize=True)


def _pooled(x: Array, size: int) -> Array:
    """Return the mean over size × size cells of x (F, C, H, W)."""
    frames, channels, height, width = x.shape
    cells = x.reshape(frames, channels, height // size, size, width // size, size)
    return cells.mean(axis=(3, 5))


def _rectified(x: Array) -> Array:
    return np.concatenate([np.maximum(x, 0.0), np.maximum(-x, 0.0)], axis=1)


def _contrast_normalised(x: Array) -> Array:
    energy = (x * x).mean(axis=1, keepdims=True)
    box = np.ones((1, 1, 5, 5))
    total = _convolved(energy, box, stride=1, padding=2)
    count = _convolved(np.ones_like(energy), box, stride=1, padding=2)
    return x / np.sqrt(total / count + 1e-3)


def _project(cells: Array, weights: dict[str, Array], *, padding: int) -> Array:
    x = _convolved(cells, weights['third'], stride=1, padding=padding, mode='edge')
    x = x + weights['bias'][:, None, None]
    return x / np.sqrt((x * x).sum(axis=1, keepdims=True) + 1e-12)
