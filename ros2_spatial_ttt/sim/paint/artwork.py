# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Pictures of pictures: paintings, screens, covers of books, and the view from a window.

Each takes a generator and (h, w); returns (h, w, 3) floats 0..1.
"""

from __future__ import annotations

import cv2
import numpy as np

from ros2_spatial_ttt.sim.paint.drawing import Generator, Image, Shape, flower, grid, noise, texel

__all__ = ['cover', 'painting', 'screen', 'sky']


def _vivid(rng: Generator, low: float = 0.25, high: float = 0.95) -> Image:
    """Return a clear but not a loud colour."""
    hue, tone = rng.random(), rng.uniform(low, high)
    wheel = 0.5 + 0.5 * np.cos(2 * np.pi * (hue + np.array([0.0, 1 / 3, 2 / 3])))
    return tone * (1 - rng.uniform(0.3, 0.75) * (1 - wheel))


def screen(rng: Generator, shape: Shape) -> Image:
    """Return a programme: a landscape, windows of an office, or text."""
    kind = int(rng.integers(3))
    if kind == 0:
        return _landscape(rng, shape)
    picture = np.empty((*shape, 3))
    picture[:] = (0.12, 0.14, 0.2) if kind == 1 else (0.93, 0.94, 0.95)
    for _ in range(3):
        left, top = rng.integers(0, shape[1] // 2), rng.integers(2, shape[0] // 2)
        right, low = left + rng.integers(30, 60), top + rng.integers(20, 34)
        cv2.rectangle(
            picture, (int(left), int(top)), (int(right), int(low)), _vivid(rng, 0.5).tolist(), -1
        )
        cv2.rectangle(
            picture, (int(left), int(top)), (int(right), int(top) + 4), (0.3, 0.35, 0.5), -1
        )
        for row in range(int(top) + 8, int(low) - 2, 4):
            end = int(left + rng.uniform(0.3, 0.9) * (right - left))
            cv2.line(picture, (int(left) + 3, row), (end, row), (0.25, 0.25, 0.3), 1)
    return picture


def _landscape(rng: Generator, shape: Shape) -> Image:
    """Return sky, hills in bands and a sun."""
    v, u = grid(shape)
    picture = (1 - v)[..., None] * _vivid(rng, 0.5) + v[..., None] * np.array([0.95, 0.85, 0.7])
    sun = (int(rng.uniform(0.2, 0.8) * shape[1]), int(rng.uniform(0.15, 0.4) * shape[0]))
    cv2.circle(picture, sun, max(3, shape[0] // 10), (1.0, 0.92, 0.6), -1, cv2.LINE_AA)
    for k in range(int(rng.integers(2, 5))):
        wave = 0.06 * np.sin(2 * np.pi * (rng.uniform(0.6, 2.2) * u + rng.random()))
        hill = v > 0.45 + 0.14 * k + wave
        picture[hill] = _vivid(rng, 0.1, 0.75)
    return picture


def painting(rng: Generator, shape: Shape) -> Image:
    """Return a painting: landscape, fields of colour, circles, flowers or a portrait."""
    kind = int(rng.integers(5))
    if kind == 0:
        return _landscape(rng, shape)
    picture = np.empty((*shape, 3))
    picture[:] = _vivid(rng, 0.5)
    draw = (_fields, _circles, _bouquet, _portrait)[kind - 1]
    draw(rng, picture)
    return picture * (1 + 0.05 * noise(rng, shape, (24, 24)))[..., None]


def _fields(rng: Generator, picture: Image) -> None:
    """Paint rectangles between black lines."""
    height, width = picture.shape[:2]
    columns = [0, *sorted(int(c) for c in rng.uniform(0.15, 0.85, 3) * width), width]
    rows = [0, *sorted(int(r) for r in rng.uniform(0.15, 0.85, 2) * height), height]
    for low, high in zip(rows[:-1], rows[1:], strict=True):
        for left, right in zip(columns[:-1], columns[1:], strict=True):
            colour = _vivid(rng) if rng.random() < 0.6 else np.full(3, 0.93)
            cv2.rectangle(picture, (left, low), (right, high), colour.tolist(), -1)
            cv2.rectangle(picture, (left, low), (right, high), (0.08, 0.08, 0.08), 2)


def _circles(rng: Generator, picture: Image) -> None:
    height, width = picture.shape[:2]
    for _ in range(int(rng.integers(4, 9))):
        at = rng.uniform(0.1, 0.9, 2) * (width, height)
        radius = rng.uniform(0.06, 0.3) * height
        colour = _vivid(rng)
        cv2.circle(picture, texel(at), int(radius), colour.tolist(), -1, cv2.LINE_AA)
        cv2.circle(
            picture, texel(at), int(0.55 * radius), (colour * 0.6).tolist(), -1, cv2.LINE_AA
        )


def _bouquet(rng: Generator, picture: Image) -> None:
    height, width = picture.shape[:2]
    foot = np.array([0.5 * width, 0.8 * height])
    for _ in range(7):
        head = np.array([rng.uniform(0.2, 0.8) * width, rng.uniform(0.12, 0.5) * height])
        cv2.line(picture, texel(foot), texel(head), (0.15, 0.4, 0.18), 2, cv2.LINE_AA)
        flower(picture, head, 0.13 * height, 6, _vivid(rng, 0.5))
    cv2.ellipse(
        picture,
        texel(foot),
        (width // 9, height // 6),
        0,
        0,
        360,
        _vivid(rng).tolist(),
        -1,
        cv2.LINE_AA,
    )


def _portrait(rng: Generator, picture: Image) -> None:
    height, width = picture.shape[:2]
    skin = np.array([0.88, 0.68, 0.54]) * rng.uniform(0.5, 1.05)
    hair, middle = _vivid(rng, 0.05, 0.5), np.array([0.5 * width, 0.42 * height])
    cv2.ellipse(
        picture,
        texel(middle - (0, 0.07 * height)),
        (width // 6, height // 4),
        0,
        0,
        360,
        hair.tolist(),
        -1,
    )
    cv2.ellipse(
        picture,
        (width // 2, height),
        (width // 3, height // 3),
        0,
        0,
        360,
        _vivid(rng).tolist(),
        -1,
    )
    cv2.ellipse(picture, texel(middle), (width // 8, height // 5), 0, 0, 360, skin.tolist(), -1)
    for side in (-1, 1):
        cv2.circle(
            picture, texel(middle + (side * 0.05 * width, -0.03 * height)), 2, (0.1, 0.1, 0.1), -1
        )
    cv2.ellipse(picture, texel(middle + (0, 0.08 * height)), (5, 2), 0, 0, 180, (0.6, 0.2, 0.2), 2)


def cover(rng: Generator, shape: Shape) -> Image:
    """Return the front of a book to be tinted: lines of a title, and an ornament."""
    picture = np.ones((*shape, 3))
    height, width = shape
    ink = float(rng.uniform(0.25, 0.6))
    for row in np.linspace(0.15, 0.32, int(rng.integers(2, 4))) * height:
        half = int(rng.uniform(0.2, 0.38) * width)
        cv2.line(
            picture, (width // 2 - half, int(row)), (width // 2 + half, int(row)), (ink,) * 3, 3
        )
    radius, at = int(rng.uniform(0.1, 0.22) * height), (width // 2, int(0.65 * height))
    cv2.circle(picture, at, radius, (ink,) * 3, int(rng.choice([-1, 3])), cv2.LINE_AA)
    return picture


def sky(rng: Generator, side: int = 128) -> list[Image]:
    """Return six square pictures for right, left, up, down, front and back of the outside."""
    top, low = np.array([0.55, 0.72, 0.93]), np.array([0.90, 0.94, 0.97])
    ground = np.array([0.56, 0.64, 0.42]) * rng.uniform(0.9, 1.1)
    faces = []
    for _ in range(4):
        v, u = grid((side, side))
        cloud = np.clip(
            noise(rng, (side, side), (6, 3)) + 0.3 * noise(rng, (side, side), (16, 8)), 0, 1
        )
        tone = np.clip(2 * v, 0, 1)[..., None]
        picture = (1 - tone) * top + tone * low
        picture = picture + (0.97 - picture) * 0.7 * cloud[..., None]
        skyline = (
            0.46
            - 0.05 * np.abs(noise(rng, (1, side), (1, 12)))
            - 0.02 * noise(rng, (1, side), (1, 40))
        )
        trees = v > skyline
        leaves = 0.8 + 0.3 * noise(rng, (side, side), (40, 40))
        picture[trees] = (leaves[..., None] * np.array([0.36, 0.50, 0.32]))[trees]
        grass = 1 + 0.12 * noise(rng, (side, side), (48, 24)) + 0.5 * (0.6 - v)
        picture[v > 0.5] = (grass[..., None] * ground)[v > 0.5]
        faces.append(picture)
    up, down = np.empty((side, side, 3)), np.empty((side, side, 3))
    up[:], down[:] = top, ground
    return [faces[0], faces[1], up, down, faces[2], faces[3]]
