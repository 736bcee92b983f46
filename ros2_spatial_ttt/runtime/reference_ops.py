# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What the float64 networks of the reference runtime are made of. Plain numpy.

Letters: F frames, C channels, T tokens per frame, N = F T samples.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.runtime.base import ChunkInput, Manifest

__all__ = [
    'Array',
    'convolution',
    'convolved',
    'kept',
    'picture',
    'pooled',
    'relu',
    'residual',
    'samples',
]

# float64 throughout; the protocol's float32 states what the other runtimes take and give.
Array = NDArray[Any]


def picture(image: NDArray[np.uint8]) -> Array:
    """Return images (F, H, W, 3) as (F, 3, H, W) in 0..1."""
    return image.astype(np.float64).transpose(0, 3, 1, 2) / 255.0


def convolved(
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


def convolution(weights: dict[str, Array], name: str, x: Array, *, stride: int = 1) -> Array:
    """Return the convolution of a layer with its bias; the size shrinks by ``stride`` alone."""
    kernel = weights[f'{name}.weight']
    padding = (kernel.shape[-1] - stride + 1) // 2
    out = convolved(x, kernel, stride=stride, padding=padding)
    return out + weights[f'{name}.bias'][:, None, None]


def residual(weights: dict[str, Array], name: str, x: Array) -> Array:
    """Return x + convolution of x, then ReLU."""
    return relu(x + convolution(weights, f'{name}.body.0', x))


def relu(x: Array) -> Array:
    """Return x where it is above 0, else 0."""
    return np.maximum(x, 0.0)


def pooled(x: Array, size: int) -> Array:
    """Return the mean over size × size cells of x (F, C, H, W)."""
    frames, channels, height, width = x.shape
    cells = x.reshape(frames, channels, height // size, size, width // size, size)
    return cells.mean(axis=(3, 5))


def kept(values: Array, weight: Array) -> Array:
    """Return values (F, T, X), 0 where weight (F, T) is 0."""
    return np.where(weight[..., None] > 0, values, 0.0)


def samples(
    manifest: Manifest,
    chunk: ChunkInput,
    colour: Array,
    embedding: Array,
    *,
    depth: Array,
    spread: Array,
    weight: Array,
    ray: Array,
) -> dict[str, Array]:
    """Return the arrays of ``Samples``.

    Args:
        manifest: constants.
        chunk: poses.
        colour: (F, T, 3).
        embedding: (F, T, E).
        depth: (F, T) m.
        spread: (F, T) expected relative error of it.
        weight: (F, T).
        ray: (T, 3).
    """
    pose = chunk.tile_T_camera.astype(np.float64)
    origin = pose[:, None, :, 3]
    direction = np.einsum('fij,tj->fti', pose[:, :, :3], ray)
    length = np.linalg.norm(ray, axis=1)
    near = np.maximum(depth * (1.0 - spread) - manifest.free_margin_m / length, 0.0)
    free_depth = near * _free_fractions(*depth.shape)
    free_weight = weight * (free_depth > 0)
    ones = np.ones((*weight.shape, 1))
    value = np.concatenate([ones, colour, -direction / length[:, None], embedding], axis=2)
    return {
        'surface_points': _rows(kept(origin + direction * depth[..., None], weight)),
        'surface_values': _rows(kept(value, weight)),
        'surface_weights': weight.reshape(-1),
        'free_points': _rows(kept(origin + direction * free_depth[..., None], free_weight)),
        'free_weights': free_weight.reshape(-1),
    }


def _rows(values: Array) -> Array:
    return values.reshape(-1, values.shape[-1])


def _free_fractions(frames: int, tokens: int) -> Array:
    index = np.arange(frames * tokens)
    fraction = np.cbrt((index * 0.6180339887498949) % 1.0)
    fraction[index % 3 == 0] = 1.0
    return fraction.reshape(frames, tokens)
