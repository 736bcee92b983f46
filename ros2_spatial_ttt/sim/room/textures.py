# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Procedural, seeded surface textures. Images are (h, w, 3) uint8 RGB; row 0 is v = 0."""

from __future__ import annotations

import colorsys
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ['KINDS', 'bake', 'pyramid']

Image = NDArray[np.uint8]
Shape = tuple[int, int]
Generator = np.random.Generator


def bake(
    kind: str, extent_m: tuple[float, float], *, texels_per_m: float, seed: list[int]
) -> Image:
    """Return the texture of a surface.

    Args:
        kind: one of ``KINDS``.
        extent_m: width (u) and height (v) of the surface in metres.
        texels_per_m: resolution.
        seed: entropy; the same seed gives the same picture.
    """
    shape = (max(8, round(extent_m[1] * texels_per_m)), max(8, round(extent_m[0] * texels_per_m)))
    rng = np.random.default_rng(seed)
    picture = KINDS[kind](rng, shape, texels_per_m)
    grain = 1.0 + 0.10 * _noise(rng, shape, 2.0) + 0.12 * _noise(rng, shape, 0.35 * texels_per_m)
    return np.clip(picture * grain[..., None] * 255.0, 0, 255).astype(np.uint8)


def pyramid(picture: Image) -> list[NDArray[np.float32]]:
    """Return the picture and its halved versions down to about 4 texels, as float32."""
    levels = [picture.astype(np.float32)]
    while min(levels[-1].shape[:2]) >= 8:
        height, width = levels[-1].shape[:2]
        levels.append(
            cv2.resize(levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        )
    return levels


def _noise(rng: Generator, shape: Shape, cell: float) -> NDArray[np.float32]:
    """Return smooth noise in −1..1 of (h, w) with features of about ``cell`` texels."""
    grid = (max(2, int(shape[0] / cell) + 2), max(2, int(shape[1] / cell) + 2))
    values = rng.uniform(-1, 1, grid).astype(np.float32)
    return cv2.resize(values, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)


def _colour(rng: Generator, *, saturation: float = 0.6, value: float = 0.8) -> NDArray[np.float32]:
    hsv = (rng.random(), saturation * rng.uniform(0.6, 1.3), value * rng.uniform(0.75, 1.2))
    return np.array(colorsys.hsv_to_rgb(hsv[0], min(hsv[1], 1.0), min(hsv[2], 1.0)), np.float32)


def _brown(rng: Generator) -> NDArray[np.float32]:
    hsv = (rng.uniform(0.05, 0.11), rng.uniform(0.35, 0.65), rng.uniform(0.45, 0.85))
    return np.array(colorsys.hsv_to_rgb(*hsv), np.float32)


def _mix(weight: NDArray, first: NDArray, second: NDArray) -> NDArray[np.float32]:
    return first + weight[..., None].astype(np.float32) * (second - first)


def _grain(rng: Generator, shape: Shape, density: float) -> NDArray[np.float32]:
    """Return wood grain 0..1 that runs along u."""
    warp = _noise(rng, (shape[0], max(2, shape[1] // 6)), 0.12 * density)
    warp = cv2.resize(warp, (shape[1], shape[0]))
    rows = np.arange(shape[0], dtype=np.float32)[:, None] / density
    return 0.5 + 0.5 * np.sin(2 * np.pi * (rows * 18.0 + 2.2 * warp))


def _plain(rng: Generator, shape: Shape, density: float) -> NDArray[np.float32]:
    return np.broadcast_to(_colour(rng, saturation=0.3, value=0.85), (*shape, 3))


def _white(rng: Generator, shape: Shape, density: float) -> NDArray[np.float32]:
    return np.full((*shape, 3), 0.9, np.float32)


def _wood(rng: Generator, shape: Shape, density: float) -> NDArray[np.float32]:
    base = _brown(rng)
    return _mix(_grain(rng, shape, density), base, base * 0.6)


def _planks(rng: Generator, shape: Shape, density: float) -> NDArray[np.float32]:
    rows = (np.arange(shape[0]) / (0.16 * density)).astype(int)
    shift = rng.uniform(0, 1.4, rows.max() + 1)[rows]
    columns = ((np.arange(shape[1])[None] / density + shift[:, None]) / 1.4).astype(int)
    tone = rng.uniform(0.65, 1.15, (rows.max() + 1, columns.max() + 1))[rows[:, None], columns]
    seam = np.diff(rows, prepend=-1)[:, None].astype(bool) | (np.diff(columns, prepend=-1) != 0)
    base = _brown(rng)
    boards = _mix(_grain(rng, shape, density) * 0.5, base, base * 0.6) * tone[..., None]
    return boards * np.where(seam, 0.35, 1.0)[..., None]


def _checker(rng: Generator, shape: Shape, density: float) -> NDArray[np.float32]:
    cell = rng.uniform(0.05, 0.12) * density
    rows, columns = (np.arange(n) // cell for n in shape)
    odd = (rows[:, None] + columns[None]) % 2
    tint = 0.5 + 0.5 * _noise(rng, shape, 3 * cell)
    return _mix(odd, _mix(tint, _colour(rng), _colour(rng)), _colour(rng, value=0.4))


def _stripes(rng: Generator, shape: Shape, density: float) -> NDArray[np.float32]:
    edges = np.cumsum(rng.uniform(0.015, 0.09, 400)) * density
    palette = np.stack([_colour(rng, value=v) for v in (0.95, 0.7, 0.3, 0.85)])
    tones = palette[rng.integers(0, 4, len(edges) + 1)]
    slant = rng.uniform(-0.4, 0.4) if rng.random() < 0.5 else 0.0
    along = np.arange(shape[1])[None] + slant * np.arange(shape[0])[:, None]
    return tones[np.searchsorted(edges, along - along.min()) % len(tones)]


def _camouflage(rng: Generator, shape: Shape, density: float) -> NDArray[np.float32]:
    palette = np.stack([_colour(rng, value=v) for v in (0.9, 0.7, 0.5, 0.3)])
    field = _noise(rng, shape, 0.07 * density) + 0.6 * _noise(rng, shape, 0.03 * density)
    return palette[np.clip((field * 2.2 + 2.0).astype(int), 0, 3)]


def _bricks(rng: Generator, shape: Shape, density: float) -> NDArray[np.float32]:
    rows = (np.arange(shape[0]) / (0.075 * density)).astype(int)
    columns = (np.arange(shape[1])[None] / (0.22 * density) + 0.5 * (rows[:, None] % 2)).astype(
        int
    )
    tone = rng.uniform(0.45, 1.15, (rows.max() + 1, columns.max() + 1))[rows[:, None], columns]
    joint = np.diff(rows, prepend=-1)[:, None].astype(bool) | (np.diff(columns, prepend=-1) != 0)
    return _mix(
        joint, _colour(rng, saturation=0.5) * tone[..., None], np.full(3, 0.85, np.float32)
    )


def _wallpaper(rng: Generator, shape: Shape, density: float) -> NDArray[np.float32]:
    """Return a pale wall with scattered motifs; no two square metres are alike."""
    tint = 0.5 + 0.5 * _noise(rng, shape, 1.2 * density)
    picture = _mix(tint, _colour(rng, saturation=0.25, value=0.95), _colour(rng, saturation=0.25))
    picture = np.ascontiguousarray(picture, np.float32)
    for _ in range(int(9 * shape[0] * shape[1] / density**2)):
        _motif(rng, picture, radius=rng.uniform(0.02, 0.09) * density)
    return picture


def _poster(rng: Generator, shape: Shape, density: float) -> NDArray[np.float32]:
    """Return a framed picture of overlapping shapes and lines of writing."""
    picture = np.empty((*shape, 3), np.float32)
    picture[:] = _colour(rng, value=0.9)
    for _ in range(14):
        _motif(rng, picture, radius=rng.uniform(0.06, 0.28) * min(shape))
    for row in np.linspace(0.08, 0.2, 3) * shape[0]:
        for column in np.arange(0.1, 0.85, 0.05) * shape[1]:
            if rng.random() < 0.75:
                end = (int(column + 0.04 * shape[1]), int(row + 0.02 * shape[0]))
                cv2.rectangle(picture, (int(column), int(row)), end, (0.1, 0.1, 0.1), -1)
    cv2.rectangle(
        picture,
        (0, 0),
        (shape[1] - 1, shape[0] - 1),
        _brown(rng).tolist(),
        max(2, min(shape) // 16),
    )
    return picture


def _books(rng: Generator, shape: Shape, density: float) -> NDArray[np.float32]:
    """Return spines of books that stand side by side."""
    picture = np.full((*shape, 3), 0.08, np.float32)
    left = 0.0
    while left < shape[1]:
        width, top = rng.uniform(0.02, 0.06) * density, rng.uniform(0.7, 1.0) * shape[0]
        right, middle = int(left + width) - 1, rng.uniform(0.3, 0.6) * shape[0]
        cv2.rectangle(picture, (int(left), 0), (right, int(top)), _colour(rng).tolist(), -1)
        title = (
            (int(left + 0.25 * width), int(middle)),
            (int(left + 0.7 * width), int(middle + 0.25 * shape[0])),
        )
        cv2.rectangle(picture, *title, _colour(rng, saturation=0.2, value=0.95).tolist(), -1)
        left += width
    return picture


def _motif(rng: Generator, picture: NDArray[np.float32], *, radius: float) -> None:
    """Draw one disc, square, triangle or star at a random place."""
    centre = rng.uniform(0, 1, 2) * (picture.shape[1], picture.shape[0])
    colour, corners = _colour(rng).tolist(), int(rng.integers(2, 6))
    if corners == 2:
        cv2.circle(
            picture, tuple(int(v) for v in centre), max(1, int(radius)), colour, -1, cv2.LINE_AA
        )
        return
    angles = rng.uniform(0, 2 * np.pi) + np.arange(2 * corners) * np.pi / corners
    reach = radius * np.where(np.arange(2 * corners) % 2, rng.uniform(0.35, 1.0), 1.0)
    points = centre + reach[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    cv2.fillPoly(picture, [points.astype(np.int32)], colour, cv2.LINE_AA)


KINDS: dict[str, Callable[[Generator, Shape, float], NDArray[np.float32]]] = {
    'books': _books,
    'bricks': _bricks,
    'camouflage': _camouflage,
    'checker': _checker,
    'plain': _plain,
    'planks': _planks,
    'poster': _poster,
    'stripes': _stripes,
    'wallpaper': _wallpaper,
    'white': _white,
    'wood': _wood,
}
