# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Boxes that stand upright: do they overlap, do they lie inside a room, how far is a point.

A box is a row (7,): centre x, y, half extents along its own x, y, yaw, lowest and highest z, in
metres and radians. Overlap is the separating-axis test (Gottschalk, Lin and Manocha, "OBBTree",
1996) in the plane together with the overlap of the heights.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.sim.world import Thing

__all__ = ['box', 'clash', 'corners', 'distance_to_box', 'inside_polygon', 'thing_box', 'within']

# Things may touch: contact is not overlap, and coordinates are rounded to 0.1 mm.
TOUCH_M = 0.001


def box(
    centre: Sequence[float], size: Sequence[float], yaw: float, bottom: float, top: float
) -> NDArray[np.float64]:
    """Return the row (7,) of a box from its centre (x, y) and full extents (x, y)."""
    return np.array([centre[0], centre[1], size[0] / 2.0, size[1] / 2.0, yaw, bottom, top])


def thing_box(thing: Thing) -> NDArray[np.float64]:
    """Return the row (7,) of a thing."""
    half = thing.size[2] / 2.0
    low, high = thing.centre[2] - half, thing.centre[2] + half
    return box(thing.centre, thing.size, thing.yaw, low, high)


def clash(
    a: NDArray[np.float64], b: NDArray[np.float64], gap: float = -TOUCH_M
) -> NDArray[np.bool_]:
    """Return (k, n): which of the boxes a (k, 7) overlaps which of b (n, 7).

    Args:
        a: boxes.
        b: other boxes.
        gap: boxes nearer than this in the plane count as overlapping, m; negative allows touch.
    """
    a, b = a[:, None, :], b[None, :, :]
    dx, dy = b[..., 0] - a[..., 0], b[..., 1] - a[..., 1]
    turn = b[..., 4] - a[..., 4]
    cos, sin = np.abs(np.cos(turn)), np.abs(np.sin(turn))
    hit = (a[..., 5] < b[..., 6] - TOUCH_M) & (b[..., 5] < a[..., 6] - TOUCH_M)
    for own, other in ((a, b), (b, a)):
        c, s = np.cos(own[..., 4]), np.sin(own[..., 4])
        reach_x = own[..., 2] + other[..., 2] * cos + other[..., 3] * sin + gap
        reach_y = own[..., 3] + other[..., 2] * sin + other[..., 3] * cos + gap
        hit = hit & (np.abs(dx * c + dy * s) < reach_x) & (np.abs(dy * c - dx * s) < reach_y)
    return hit


def corners(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n, 4, 2) corners of boxes (n, 7), counter-clockwise."""
    x = boxes[:, 2:3] * np.array([1.0, -1.0, -1.0, 1.0])
    y = boxes[:, 3:4] * np.array([1.0, 1.0, -1.0, -1.0])
    cos, sin = np.cos(boxes[:, 4:5]), np.sin(boxes[:, 4:5])
    return np.stack([boxes[:, :1] + x * cos - y * sin, boxes[:, 1:2] + x * sin + y * cos], axis=-1)


def within(boxes: NDArray[np.float64], rectangle: Sequence[float]) -> NDArray[np.bool_]:
    """Return (n,): which boxes lie inside an axis-aligned rectangle (x0, y0, x1, y1)."""
    cos, sin = np.abs(np.cos(boxes[:, 4])), np.abs(np.sin(boxes[:, 4]))
    reach_x = boxes[:, 2] * cos + boxes[:, 3] * sin - TOUCH_M
    reach_y = boxes[:, 2] * sin + boxes[:, 3] * cos - TOUCH_M
    x0, y0, x1, y1 = rectangle
    return (
        (boxes[:, 0] - reach_x >= x0)
        & (boxes[:, 0] + reach_x <= x1)
        & (boxes[:, 1] - reach_y >= y0)
        & (boxes[:, 1] + reach_y <= y1)
    )


def distance_to_box(
    x: NDArray[np.float64], y: NDArray[np.float64], row: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the distance in the plane of points from a box (7,), 0 inside, m."""
    dx, dy = x - row[0], y - row[1]
    cos, sin = np.cos(row[4]), np.sin(row[4])
    out_x = np.maximum(np.abs(dx * cos + dy * sin) - row[2], 0.0)
    out_y = np.maximum(np.abs(dy * cos - dx * sin) - row[3], 0.0)
    return np.hypot(out_x, out_y)


def inside_polygon(
    polygon: Sequence[Sequence[float]], points: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return (n,): which points (n, 2) lie inside a simple polygon (even-odd rule)."""
    x, y = points[:, 0], points[:, 1]
    inside = np.zeros(len(points), dtype=bool)
    for (x0, y0), (x1, y1) in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
        if y0 == y1:
            continue
        crossing = x0 + (y - y0) * (x1 - x0) / (y1 - y0)
        inside ^= ((y0 <= y) != (y1 <= y)) & (x < crossing)
    return inside
