# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Rotations of parts, in plain arithmetic that gives the same digits on every machine."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ['quaternion_of', 'rounded', 'towards', 'turned']


def rounded(values: Iterable[float], digits: int = 4) -> tuple[float, ...]:
    """Return rounded numbers without negative zeros."""
    return tuple(round(float(value), digits) + 0.0 for value in values)


def quaternion_of(rotation: NDArray[np.float64]) -> tuple[float, ...]:
    """Return w, x, y, z of a rotation; the first of them that is not zero is positive.

    From the largest of the four squares (Shepperd 1978): plain arithmetic, unlike an
    eigenvector, whose sign depends on the library.
    """
    return _quaternion(*rotation.ravel().tolist())


@lru_cache(maxsize=4096)
def _quaternion(*entries: float) -> tuple[float, ...]:
    m = entries[:3], entries[3:6], entries[6:]
    squares = (
        1 + m[0][0] + m[1][1] + m[2][2],
        1 + m[0][0] - m[1][1] - m[2][2],
        1 - m[0][0] + m[1][1] - m[2][2],
        1 - m[0][0] - m[1][1] + m[2][2],
    )
    products = {
        (0, 1): m[2][1] - m[1][2],
        (0, 2): m[0][2] - m[2][0],
        (0, 3): m[1][0] - m[0][1],
        (1, 2): m[1][0] + m[0][1],
        (1, 3): m[0][2] + m[2][0],
        (2, 3): m[2][1] + m[1][2],
    }
    best = max(range(4), key=lambda k: round(squares[k], 9))
    scale = 2 * math.sqrt(squares[best])
    q = [
        scale / 4 if k == best else products[min(k, best), max(k, best)] / scale for k in range(4)
    ]
    out = rounded(q, 6)
    sign = next(1.0 if value > 0 else -1.0 for value in out if value)
    return tuple(sign * value + 0.0 for value in out)


def turned(roll: float, pitch: float, yaw: float) -> NDArray[np.float64]:
    """Return the rotation about x, then y, then z (fixed axes), rad."""
    cos, sin = np.cos([roll, pitch, yaw]), np.sin([roll, pitch, yaw])
    about_x = np.array([[1, 0, 0], [0, cos[0], -sin[0]], [0, sin[0], cos[0]]])
    about_y = np.array([[cos[1], 0, sin[1]], [0, 1, 0], [-sin[1], 0, cos[1]]])
    about_z = np.array([[cos[2], -sin[2], 0], [sin[2], cos[2], 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def towards(direction: ArrayLike) -> NDArray[np.float64]:
    """Return a rotation that takes the z axis to a unit direction."""
    return np.array(_frame(*np.asarray(direction, np.float64).tolist())).T


@lru_cache(maxsize=4096)
def _frame(x: float, y: float, z: float) -> tuple[tuple[float, float, float], ...]:
    """Return three axes, the last of which is the direction."""
    # Across the direction and the axis that it is farthest from.
    side = (0.0, -z, y) if abs(x) <= min(abs(y), abs(z)) else (z, 0.0, -x)
    if abs(z) < min(abs(x), abs(y)):
        side = (-y, x, 0.0)
    length = math.sqrt(sum(value * value for value in side))
    a, b, c = (value / length for value in side)
    return (a, b, c), (y * c - z * b, z * a - x * c, x * b - y * a), (x, y, z)
