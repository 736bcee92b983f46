# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Pictures of floors, walls and ceilings; they repeat without a seam.

Each takes a generator, (h, w) and a colour where there is a choice; returns (h, w, 3) floats 0..1.
"""

from __future__ import annotations

import numpy as np

from ros2_spatial_ttt.sim.paint.drawing import (
    Colour,
    Generator,
    Image,
    Shape,
    flower,
    grey,
    grid,
    noise,
    wood_grain,
)

__all__ = [
    'TINTS',
    'carpet',
    'ceiling',
    'floor_tiles',
    'marble',
    'parquet',
    'planks',
    'plaster',
    'wall_stripes',
    'wall_tiles',
    'wallpaper',
]

WALL_TINTS = (
    (0.94, 0.93, 0.90),
    (0.92, 0.90, 0.83),
    (0.90, 0.86, 0.78),
    (0.86, 0.88, 0.86),
    (0.80, 0.86, 0.82),
    (0.78, 0.85, 0.90),
    (0.90, 0.82, 0.78),
    (0.84, 0.80, 0.86),
    (0.93, 0.87, 0.68),
    (0.66, 0.74, 0.72),
    (0.88, 0.74, 0.64),
    (0.62, 0.68, 0.76),
    (0.83, 0.83, 0.83),
    (0.72, 0.76, 0.62),
)
WOOD_TINTS = (
    (0.72, 0.53, 0.34),
    (0.56, 0.38, 0.24),
    (0.82, 0.66, 0.45),
    (0.42, 0.28, 0.19),
    (0.66, 0.58, 0.49),
    (0.76, 0.60, 0.42),
    (0.60, 0.36, 0.22),
    (0.78, 0.74, 0.66),
)
TILE_TINTS = (
    (0.88, 0.87, 0.84),
    (0.70, 0.70, 0.69),
    (0.80, 0.70, 0.58),
    (0.45, 0.47, 0.49),
    (0.62, 0.40, 0.30),
    (0.78, 0.82, 0.84),
    (0.30, 0.32, 0.34),
    (0.85, 0.80, 0.70),
)
STONE_TINTS = ((0.92, 0.90, 0.87), (0.66, 0.64, 0.61), (0.86, 0.78, 0.68), (0.42, 0.43, 0.45))
CARPET_TINTS = (
    (0.62, 0.57, 0.50),
    (0.48, 0.50, 0.53),
    (0.42, 0.30, 0.28),
    (0.35, 0.42, 0.52),
    (0.45, 0.50, 0.40),
    (0.70, 0.65, 0.58),
)
GLAZE_TINTS = (
    (0.93, 0.94, 0.93),
    (0.80, 0.89, 0.90),
    (0.86, 0.90, 0.82),
    (0.72, 0.80, 0.86),
    (0.93, 0.88, 0.78),
    (0.60, 0.72, 0.70),
)
# The number of a material picks the colour, so that neighbours in a list never look alike.
TINTS = {
    'planks': WOOD_TINTS,
    'parquet': WOOD_TINTS,
    'floor_tiles': TILE_TINTS,
    'carpet': CARPET_TINTS,
    'marble': STONE_TINTS,
    'plaster': WALL_TINTS,
    'wall_tiles': GLAZE_TINTS,
}


def planks(rng: Generator, shape: Shape, base: Colour) -> Image:
    """Return a floor of long boards."""
    rows, out = int(rng.integers(10, 15)), np.empty((*shape, 3))
    grain = wood_grain(rng, shape, rings=2 * rows)
    edges = np.linspace(0, shape[0], rows + 1).astype(int)
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        shift, cut = (
            int(rng.integers(shape[1])),
            int(rng.integers(shape[1] // 3, 2 * shape[1] // 3)),
        )
        tone = np.where(np.arange(shape[1]) < cut, *rng.uniform(0.9, 1.06, 2))
        tone[[0, cut]] = 0.66
        lines = np.roll(grain[low:high], int(rng.integers(shape[1])), axis=1)
        board = (1 - 0.16 * lines) * np.roll(tone, shift)
        board[0] *= 0.72
        out[low:high] = board[..., None] * np.array(base)
    return out


def parquet(rng: Generator, shape: Shape, base: Colour) -> Image:
    """Return squares of sticks, turned by turns."""
    cells, sticks = 4, 5
    side = shape[0] // cells
    out = np.empty((*shape, 3))
    for row in range(cells):
        for column in range(cells):
            grain = wood_grain(rng, (side, side), rings=sticks)
            tone = np.repeat(rng.uniform(0.82, 1.1, sticks), side // sticks + 1)[:side]
            seam = np.diff(np.arange(side) * sticks // side, prepend=-1) != 0
            cell = (1 - 0.18 * grain) * (tone * np.where(seam, 0.75, 1.0))[:, None]
            cell = cell if (row + column) % 2 else cell.T
            out[row * side : (row + 1) * side, column * side : (column + 1) * side] = cell[
                ..., None
            ] * np.array(base)
    return out


def _tiles(
    rng: Generator, shape: Shape, cells: tuple[int, int], first, second, *, grout, shift=False
) -> Image:
    """Return tiles in two colours with a little variation, and the joints between them."""
    v, u = grid(shape)
    row = (v * cells[0]).astype(int)
    across = (u * cells[1] + (0.5 * (row % 2) if shift else 0.0)) % cells[1]
    column = across.astype(int)
    tone = rng.uniform(0.93, 1.05, cells)[row, column]
    odd = ((row + column) % 2)[..., None]
    body = np.where(odd, second, first) * tone[..., None]
    body = body * (1 + 0.04 * noise(rng, shape, (8, 8)))[..., None]
    width = 1.2 / shape[0]
    off = np.minimum((v * cells[0]) % 1 / cells[0], (across % 1) / cells[1])
    return np.where((off < width)[..., None], grout, body)


def floor_tiles(rng: Generator, shape: Shape, first: Colour) -> Image:
    """Return square tiles, some as a checkerboard."""
    other = TINTS['floor_tiles'][int(rng.integers(len(TINTS['floor_tiles'])))]
    second = other if rng.random() < 0.4 else first
    cells = int(rng.choice([2, 4]))
    return _tiles(rng, shape, (cells, cells), first, second, grout=np.full(3, 0.5))


def wall_tiles(rng: Generator, shape: Shape, tint: Colour) -> Image:
    """Return glazed tiles: square or like bricks."""
    bricks = rng.random() < 0.4
    cells = (12, 4) if bricks else (6, 6)
    return _tiles(rng, shape, cells, tint, tint, grout=np.full(3, 0.68), shift=bricks)


def carpet(rng: Generator, shape: Shape, base: Colour) -> Image:
    """Return a short pile."""
    tone = 1 + 0.10 * rng.uniform(-1, 1, shape) + 0.06 * noise(rng, shape, (6, 6))
    return tone[..., None] * np.array(base)


def marble(rng: Generator, shape: Shape, tint: Colour) -> Image:
    """Return pale stone with veins."""
    _, u = grid(shape)
    cloud = (
        noise(rng, shape, (3, 3))
        + 0.5 * noise(rng, shape, (7, 7))
        + 0.25 * noise(rng, shape, (15, 15))
    )
    veins = np.abs(np.sin(np.pi * (2 * u + 1.3 * cloud))) ** 0.35
    return (0.84 + 0.13 * veins + 0.05 * cloud)[..., None] * np.array(tint)


def plaster(rng: Generator, shape: Shape, tint: Colour) -> Image:
    """Return a painted wall that is not quite even."""
    tone = 1 + 0.025 * noise(rng, shape, (5, 5)) + 0.012 * rng.uniform(-1, 1, shape)
    return tone[..., None] * np.array(tint)


def ceiling(rng: Generator, shape: Shape) -> Image:
    """Return white paint."""
    return grey(0.95 + 0.015 * noise(rng, shape, (6, 6)))


def wall_stripes(rng: Generator, shape: Shape) -> Image:
    """Return upright stripes in two tones."""
    first, second = np.array(WALL_TINTS)[rng.permutation(len(WALL_TINTS))[:2]]
    _, u = grid(shape)
    phase = (u * int(rng.choice([4, 6, 8]))) % 1
    mask = (phase < rng.uniform(0.3, 0.6)) | (np.abs(phase - 0.8) < 0.03)
    return (
        np.where(mask[..., None], first, second)
        * (1 + 0.02 * noise(rng, shape, (9, 9)))[..., None]
    )


def wallpaper(rng: Generator, shape: Shape) -> Image:
    """Return small ornaments on a pale ground, in rows that are offset."""
    ground, ink = np.array(WALL_TINTS)[rng.permutation(9)[:2]]
    ink = ink * rng.uniform(0.55, 0.8)
    picture = np.empty((*shape, 3))
    picture[:] = ground
    cells, petals = int(rng.choice([3, 4])), int(rng.integers(3, 7))
    step = shape[0] / cells
    for row in range(2 * cells + 1):
        for column in range(-1, cells + 1):
            middle = np.array([(column + 0.5 * (row % 2) + 0.25) * step, row * step / 2])
            flower(picture, middle, 0.24 * step, petals, ink)
    return picture
