# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Pictures of what things are made of; pale where the colour of a part tints them.

Each takes a generator and (h, w); returns (h, w, 3) floats 0..1.
"""

from __future__ import annotations

import numpy as np

from ros2_spatial_ttt.sim.paint.drawing import (
    Generator,
    Image,
    Shape,
    grey,
    grid,
    noise,
    wood_grain,
)

__all__ = [
    'ball',
    'brushed',
    'cardboard',
    'fabric',
    'keyboard',
    'label',
    'leaf',
    'leather',
    'mirror',
    'pages',
    'speckle',
    'wicker',
    'wood',
]


def wood(rng: Generator, shape: Shape) -> Image:
    """Return pale grain to be tinted."""
    grain = wood_grain(rng, shape, rings=int(rng.integers(4, 9)))
    return (1.0 - grain[..., None] * np.array([0.15, 0.19, 0.23])) * 1.02


def fabric(rng: Generator, shape: Shape) -> Image:
    """Return a pale cloth to be tinted: woven, ribbed, chequered, striped or dotted."""
    v, u = grid(shape)
    kind = int(rng.integers(6))
    weave = 0.94 + 0.05 * np.sign(np.sin(2 * np.pi * 16 * u) * np.sin(2 * np.pi * 16 * v))
    if kind == 2:
        weave = weave * (0.88 + 0.12 * (np.sin(2 * np.pi * 8 * u) > 0))
    if kind == 3:
        weave = weave * (
            0.82
            + 0.1 * (np.sin(2 * np.pi * 3 * u) > 0.3)
            + 0.1 * (np.sin(2 * np.pi * 3 * v) > 0.3)
        )
    if kind == 4:
        weave = weave * np.where(np.sin(2 * np.pi * 3 * u) > 0.2, 1.0, 0.72)
    if kind == 5:
        weave = weave * np.where(np.hypot((4 * u) % 1 - 0.5, (4 * v) % 1 - 0.5) < 0.22, 0.7, 1.0)
    return grey(weave + 0.03 * noise(rng, shape, (8, 8)) + 0.02)


def leather(rng: Generator, shape: Shape) -> Image:
    """Return pale hide to be tinted."""
    return grey(0.92 + 0.08 * noise(rng, shape, (16, 16)) + 0.05 * noise(rng, shape, (4, 4)))


def brushed(rng: Generator, shape: Shape) -> Image:
    """Return brushed metal."""
    return grey(0.93 + 0.06 * noise(rng, shape, (shape[0] // 2, 2)))


def cardboard(rng: Generator, shape: Shape) -> Image:
    """Return card with darker edges."""
    tone = 0.95 + 0.03 * noise(rng, shape, (shape[0] // 2, 3)) + 0.05 * noise(rng, shape, (4, 4))
    tone[[0, -1]] *= 0.8
    tone[:, [0, -1]] *= 0.8
    return grey(tone)


def wicker(rng: Generator, shape: Shape) -> Image:
    """Return a weave of canes."""
    v, u = grid(shape)
    row = (v * 10).astype(int) % 2
    bulge = np.abs(np.sin(np.pi * (5 * u + 0.5 * row))) * np.abs(np.sin(np.pi * 10 * v)) ** 0.5
    return grey(0.55 + 0.45 * bulge + 0.05 * noise(rng, shape, (16, 16)))


def leaf(rng: Generator, shape: Shape) -> Image:
    """Return a leaf with veins."""
    _, u = grid(shape)
    return grey(0.85 + 0.15 * np.abs(np.sin(2 * np.pi * 2 * u)) + 0.06 * noise(rng, shape, (6, 6)))


def speckle(rng: Generator, shape: Shape) -> Image:
    """Return grains, as of earth or bark."""
    return grey(rng.uniform(0.6, 1.1, shape))


def pages(rng: Generator, shape: Shape) -> Image:
    """Return the edges of pages."""
    v, _ = grid(shape)
    return grey(0.92 + 0.08 * np.sin(2 * np.pi * 8 * v))


def ball(rng: Generator, shape: Shape) -> Image:
    """Return hexagon-like patches to be tinted."""
    v, u = grid(shape)
    spots = np.hypot((3 * u + 0.5 * ((3 * v).astype(int) % 2)) % 1 - 0.5, (3 * v) % 1 - 0.5)
    return grey(np.where(spots < rng.uniform(0.15, 0.3), 0.55, 1.0))


def mirror(rng: Generator, shape: Shape) -> Image:
    """Return a cool gradient with slanted streaks, as a mirror that shows a bright room."""
    v, u = grid(shape)
    streak = np.exp(-(((u + 0.6 * v) % 0.9 - 0.4) ** 2) / 0.006)
    tone = 0.55 + 0.25 * v + 0.2 * streak
    return tone[..., None] * np.array([0.92, 0.97, 1.0])


def keyboard(rng: Generator, shape: Shape) -> Image:
    """Return rows of dark keys."""
    v, u = grid(shape)
    gap = ((v * 5) % 1 < 0.16) | ((u * 14) % 1 < 0.16)
    return grey(np.where(gap, 0.45, 0.13))


def label(rng: Generator, shape: Shape) -> Image:
    """Return a sticker with a bar code and lines."""
    picture = np.full((*shape, 3), 0.95)
    for column in range(4, shape[1] // 2):
        if rng.random() < 0.5:
            picture[16:28, column] = 0.1
    picture[6:8, 4:40] = picture[10:12, 4:30] = 0.25
    return picture
