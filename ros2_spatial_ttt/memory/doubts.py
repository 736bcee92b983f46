# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Doubts: places where the memory believes a thing, and where one can see that there is none.

This is the prediction error of the memory: it expects a thing, nothing is detected, and the depth
sensor sees through its place, or for a flat thing the wall that it hung on. Without doubts a thing
that was carried away would be believed for ever. Where a surface still stands in the way, nothing
is doubted: a detector may miss a thing, and a wall may hide it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.geometry import invert_transform, transform_points

__all__ = ['Look', 'doubts']

NEAR_M = 0.3
# A thing smaller than this, seen from its distance (edge / distance), may be missed by a detector.
_SMALLEST = 0.05
# Share of the rays towards a thing that must reach its centre, up to these errors of a depth.
_UNHIDDEN = 0.7
_DEPTH_M, _DEPTH_SHARE = 0.05, 0.01
_SPACING = 0.12


@dataclass(frozen=True)
class Look:
    """What one frame looked at.

    Attributes:
        map_T_camera: (4, 4). surface: (r, 3) m, measured points in the optical frame.
        votes: (k, 3) m in the map, what was detected.
    """

    map_T_camera: NDArray[np.float64]
    surface: NDArray[np.float64]
    votes: NDArray[np.float64]


def doubts(
    look: Look, points: NDArray[np.float64], edge: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the weight (n,) with which a look speaks against things believed at points.

    0 where a place is out of view, filled, hidden or too small at its distance, and near a
    detection.
    Places closer together than ``NEAR_M`` are one belief and share the weight of 1.

    Args:
        look: one frame.
        points: (n, 3) m in the map.
        edge: (n,) m, typical edge of what is believed there.
    """
    weight = np.zeros(len(points))
    if not len(points) or not len(look.surface):
        return weight
    local = transform_points(invert_transform(look.map_T_camera), points)
    rows = np.flatnonzero(local[:, 2] > 0.3)
    if len(look.votes) and len(rows):
        apart = np.linalg.norm(points[rows, None] - look.votes[None], axis=2).min(axis=1)
        rows = rows[apart > np.maximum(NEAR_M, 0.5 * edge[rows])]
    if not len(rows):
        return weight
    rows = rows[_empty(look.surface, local[rows], edge[rows])]
    if len(rows):
        crowd = np.linalg.norm(points[rows, None] - points[None, rows], axis=2) < NEAR_M
        weight[rows] = 1.0 / crowd.sum(axis=1)
    return weight


def _empty(
    surface: NDArray[np.float64], points: NDArray[np.float64], edge: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return at which points (n, 3) of the optical frame one sees that nothing is there, (n,)."""
    ray = surface[:, :2] / surface[:, 2:]
    centre = points[:, :2] / points[:, 2:]
    radius = np.maximum(0.5 * edge / points[:, 2], _SPACING / 2.0)
    low, high = ray.min(axis=0), ray.max(axis=0)
    half = 0.5 * radius[:, None]
    inside = ((centre - half >= low) & (centre + half <= high)).all(axis=1)
    out = inside & (edge >= _SMALLEST * points[:, 2])
    rows = np.flatnonzero(out)
    if len(rows):
        depth = points[rows, 2] * (1.0 - _DEPTH_SHARE) - _DEPTH_M
        out[rows] = _unhidden(ray, surface[:, 2], centre[rows], radius[rows], depth)
    return np.asarray(out)


def _unhidden(
    ray: NDArray[np.float64],
    reach: NDArray[np.float64],
    centre: NDArray[np.float64],
    radius: NDArray[np.float64],
    depth: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Return towards which of n directions most rays reach far enough, (n,).

    Args:
        ray: (r, 2) directions x / z, y / z.
        reach: (r,) m.
        centre: (n, 2) directions.
        radius: (n,) of what counts as towards one.
        depth: (n,) m that must be reached.
    """
    apart = np.sqrt(((centre[:, None] - ray[None]) ** 2).sum(axis=2))
    towards = apart <= np.maximum(radius, np.minimum(apart.min(axis=1), _SPACING))[:, None]
    count = towards.sum(axis=1)
    free = (towards & (reach[None] >= depth[:, None])).sum(axis=1)
    return np.asarray((count > 0) & (free >= _UNHIDDEN * np.maximum(count, 1)))
