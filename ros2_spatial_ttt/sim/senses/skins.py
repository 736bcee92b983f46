# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Points spread over the visible surface of a model; each stands for a patch around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.geometry import matrix_from_quaternion
from ros2_spatial_ttt.sim.catalogue import Part, model

__all__ = ['FEWEST', 'MOST', 'Skin', 'skin']

Array = NDArray[np.float64]

# Samples of the smallest and the largest things; a square metre of surface is worth ONE_M2.
FEWEST, MOST, ONE_M2 = 16, 56, 20.0
DENSE = 720
# Samples are taken this far off the surface, so that parts which touch hide what is between them.
OFF_M = 0.002
# A sample that looks the other way counts as this much of the thing's length farther away.
TURN = 0.35
# Steps of the R2 sequence, which fills a square evenly (M. Roberts, 2018).
_R2 = np.array([0.7548776662466927, 0.5698402909980532])


@dataclass(frozen=True)
class Skin:
    """Samples of a model's surface, in the thing's frame.

    Attributes:
        points: (n, 3) m. normals: (n, 3) unit, outwards. areas: (n,) m² each stands for.
    """

    points: Array
    normals: Array
    areas: Array


@lru_cache(maxsize=4096)
def skin(category: str, shape: int) -> Skin:
    """Return the samples of ``catalogue.model(category, shape)``; the same on every machine."""
    parts = model(category, shape).parts
    points, normals, area = _dense(parts)
    count = int(np.clip(round(FEWEST + ONE_M2 * area * len(points)), FEWEST, MOST))
    reach = TURN * float(np.linalg.norm(np.ptp(points, axis=0)))
    chosen, owner = _spread(np.hstack([points, reach * normals]), count)
    areas = area * np.bincount(owner, minlength=len(chosen))
    return Skin(points[chosen], normals[chosen], areas)


def _dense(parts: Sequence[Part]) -> tuple[Array, Array, float]:
    """Return many even points and normals (m, 3) on the outside, and the area of one, m²."""
    sizes = np.array([_area(part) for part in parts])
    counts = np.maximum(np.round(DENSE * sizes / sizes.sum()), 1).astype(int)
    points, normals = [], []
    for number, (part, count) in enumerate(zip(parts, counts, strict=True)):
        square = (0.5 + np.outer(np.arange(1, count + 1), _R2) + 0.37 * number) % 1.0
        local, outwards = _on_part(part, square)
        rotation = _rotation(part)
        local, outwards = local @ rotation.T + part.position, outwards @ rotation.T
        off = local + OFF_M * outwards
        shown = np.ones(count, bool)
        for other, hider in enumerate(parts):
            if other != number:
                shown &= ~_inside(hider, off)
        points.append(local[shown])
        normals.append(outwards[shown])
    return np.vstack(points), np.vstack(normals), float(sizes.sum() / counts.sum())


def _spread(features: Array, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return ``count`` rows that are far from each other, and whose neighbour each row is."""
    count = min(count, len(features))
    first = int(np.argmax(np.linalg.norm(features - features.mean(axis=0), axis=1)))
    chosen, owner = [first], np.zeros(len(features), np.int64)
    nearest = np.sum((features - features[first]) ** 2, axis=1)
    while len(chosen) < count:
        chosen.append(int(np.argmax(nearest)))
        away = np.sum((features - features[chosen[-1]]) ** 2, axis=1)
        owner[away < nearest] = len(chosen) - 1
        nearest = np.minimum(nearest, away)
    return np.array(chosen), owner


def _rotation(part: Part) -> Array:
    w, x, y, z = part.quaternion
    return matrix_from_quaternion((x, y, z, w))


def _area(part: Part) -> float:
    """Return the surface of a primitive, m² (ellipsoid: Thomsen's formula, within 1.1 %)."""
    a, b, c = part.size
    if part.shape == 'box':
        return 8.0 * (a * b + b * c + a * c)
    if part.shape == 'cylinder':
        return 2.0 * np.pi * a * (a + 2.0 * b)
    if part.shape == 'capsule':
        return 4.0 * np.pi * a * (a + b)
    if part.shape == 'sphere':
        return 4.0 * np.pi * a * a
    p = 1.6075
    return float(4 * np.pi * (((a * b) ** p + (a * c) ** p + (b * c) ** p) / 3) ** (1 / p))


def _on_part(part: Part, square: Array) -> tuple[Array, Array]:
    """Return points and normals (n, 3) on a primitive, in its own frame, for (n, 2) of 0..1."""
    if part.shape == 'box':
        return _on_box(np.array(part.size), square)
    if part.shape in ('cylinder', 'capsule'):
        return _on_rod(part.size[0], part.size[1], square, round_ends=part.shape == 'capsule')
    ball = _on_ball(square)
    axes = np.array(part.size) if part.shape == 'ellipsoid' else np.full(3, part.size[0])
    normals = ball / axes
    return ball * axes, normals / np.linalg.norm(normals, axis=1, keepdims=True)


def _on_ball(square: Array) -> Array:
    z, turn = 2.0 * square[:, 1] - 1.0, 2.0 * np.pi * square[:, 0]
    flat = np.sqrt(np.maximum(1.0 - z**2, 0.0))
    return np.stack([flat * np.cos(turn), flat * np.sin(turn), z], axis=1)


def _on_box(half: Array, square: Array) -> tuple[Array, Array]:
    """Cut the first coordinate into the six faces by area; the rest of it runs over a face."""
    faces = np.repeat([half[1] * half[2], half[0] * half[2], half[0] * half[1]], 2)
    limits = np.concatenate([[0.0], np.cumsum(faces / faces.sum())])
    limits[-1] = 1.0
    face = np.clip(np.searchsorted(limits, square[:, 0], side='right') - 1, 0, 5)
    along = (square[:, 0] - limits[face]) / (limits[face + 1] - limits[face])
    axis, side, row = face // 2, 2.0 * (face % 2) - 1.0, np.arange(len(square))
    points, normals = np.zeros((len(square), 3)), np.zeros((len(square), 3))
    points[row, axis], normals[row, axis] = side * half[axis], side
    for shift, share in ((1, along), (2, square[:, 1])):
        other = (axis + shift) % 3
        points[row, other] = (2.0 * share - 1.0) * half[other]
    return points, normals


def _on_rod(radius: float, half: float, square: Array, *, round_ends: bool) -> tuple[Array, Array]:
    """Spread over mantle and ends of a cylinder or capsule by their areas."""
    ends = 2.0 * radius if round_ends else radius
    mantle = 2.0 * half / (2.0 * half + ends)
    on_side = square[:, 1] < mantle
    turn = 2.0 * np.pi * square[:, 0]
    circle = np.stack([np.cos(turn), np.sin(turn), np.zeros_like(turn)], axis=1)
    points, normals = radius * circle, circle.copy()
    points[:, 2] = half * (2.0 * square[:, 1] / max(mantle, 1e-9) - 1.0)
    rest = np.clip((square[:, 1] - mantle) / max(1.0 - mantle, 1e-9), 0.0, 1.0)[~on_side]
    side = np.where(rest < 0.5, -1.0, 1.0)
    if round_ends:
        ball = _on_ball(np.stack([square[~on_side, 0], rest], axis=1))
        points[~on_side] = radius * ball + np.outer(np.sign(ball[:, 2]), (0, 0, half))
        normals[~on_side] = ball
    else:
        reach = radius * np.sqrt((2.0 * rest) % 1.0)
        points[~on_side] = reach[:, None] * circle[~on_side]
        points[~on_side, 2] = side * half
        normals[~on_side] = np.outer(side, (0.0, 0.0, 1.0))
    return points, normals


def _inside(part: Part, points: Array) -> NDArray[np.bool_]:
    """Return for points (n, 3) of the thing's frame whether they lie in a primitive, (n,)."""
    local = (points - part.position) @ _rotation(part)
    if part.shape == 'box':
        return np.all(np.abs(local) < part.size, axis=1)
    if part.shape == 'ellipsoid':
        return np.sum((local / part.size) ** 2, axis=1) < 1.0
    radius, half = part.size[0], part.size[1]
    if part.shape == 'cylinder':
        return (np.abs(local[:, 2]) < half) & (np.hypot(local[:, 0], local[:, 1]) < radius)
    beyond = np.maximum(np.abs(local[:, 2]) - (half if part.shape == 'capsule' else 0.0), 0.0)
    return local[:, 0] ** 2 + local[:, 1] ** 2 + beyond**2 < radius**2
