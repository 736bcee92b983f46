# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What procedural pictures are made of: periodic noise, coordinates, ornaments."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = [
    'Colour',
    'Generator',
    'Image',
    'Shape',
    'flower',
    'wood_grain',
    'grey',
    'grid',
    'noise',
    'texel',
]

Image = NDArray[np.float64]
Shape = tuple[int, int]
Generator = np.random.Generator
Colour = tuple[float, float, float]


def noise(rng: Generator, shape: Shape, cells: tuple[int, int]) -> Image:
    """Return smooth periodic noise in -1..1 with ``cells`` grains along each side."""
    grid = rng.uniform(-1, 1, cells)
    grid = np.pad(grid, 1, mode='wrap')
    scale = (shape[1] / cells[1], shape[0] / cells[0])
    full = cv2.resize(
        grid,
        (round(scale[0] * grid.shape[1]), round(scale[1] * grid.shape[0])),
        interpolation=cv2.INTER_CUBIC,
    )
    top, left = round(scale[1]), round(scale[0])
    return np.clip(full[top : top + shape[0], left : left + shape[1]], -1, 1)


def grey(tone: Image) -> Image:
    """Return a tone (h, w) as a picture."""
    return np.repeat(tone[..., None], 3, axis=2)


def grid(shape: Shape) -> tuple[Image, Image]:
    """Return v and u of every texel's centre, 0..1."""
    v, u = np.mgrid[: shape[0], : shape[1]]
    return (v + 0.5) / shape[0], (u + 0.5) / shape[1]


def texel(at) -> tuple[int, int]:
    """Return a point as whole numbers."""
    return int(round(float(at[0]))), int(round(float(at[1])))


def flower(picture: Image, middle, radius: float, petals: int, ink) -> None:
    """Draw petals around a point, in place."""
    for angle in np.arange(petals) * 2 * np.pi / petals:
        at = middle + 0.6 * radius * np.array([np.cos(angle), np.sin(angle)])
        axes = (max(1, round(0.5 * radius)), max(1, round(0.22 * radius)))
        cv2.ellipse(
            picture, texel(at), axes, np.degrees(angle), 0, 360, ink.tolist(), -1, cv2.LINE_AA
        )
    cv2.circle(
        picture, texel(middle), max(1, round(0.2 * radius)), (ink * 0.7).tolist(), -1, cv2.LINE_AA
    )


def wood_grain(rng: Generator, shape: Shape, rings: int = 7) -> Image:
    """Return periodic wood grain 0..1 that runs along u."""
    v, _ = grid(shape)
    warp = noise(rng, shape, (3, 2)) * 0.09 + noise(rng, shape, (10, 2)) * 0.015
    lines = 0.5 + 0.5 * np.sin(2 * np.pi * rings * (v + warp))
    fine = noise(rng, shape, (shape[0] // 2, 3))
    return np.clip(0.45 * lines + 0.3 * fine + 0.3, 0, 1)
