# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Things on surfaces of other things."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.sim.catalogue import Model, model
from ros2_spatial_ttt.sim.plans.overlap import box, corners, thing_box
from ros2_spatial_ttt.sim.world import Thing

__all__ = ['lies_on', 'spot_on']

Surface = tuple[float, float, float, float, float]

_LEVEL_M = 0.002
_EDGE_M = 0.002
_HEADROOM_M = 0.04


def lies_on(thing: Thing, support: Thing) -> bool:
    """Tell whether a thing stands level and wholly on a surface, below the next one over it."""
    cos, sin = np.cos(support.yaw), np.sin(support.yaw)
    flat = corners(thing_box(thing)[None])[0] - np.array(support.centre[:2])
    x, y = flat @ np.array([cos, sin]), flat @ np.array([-sin, cos])
    bottom = thing.centre[2] - thing.size[2] / 2.0 - support.centre[2]
    for surface in model(support.category, support.shape).surfaces:
        z, x0, x1, y0, y1 = surface
        if (
            abs(bottom - z) < _LEVEL_M
            and x.min() > x0 - _LEVEL_M
            and x.max() < x1 + _LEVEL_M
            and y.min() > y0 - _LEVEL_M
            and y.max() < y1 + _LEVEL_M
        ):
            return z + thing.size[2] < _ceiling(support, surface)
    return False


def _ceiling(support: Thing, surface: Surface) -> float:
    """Return the height of the next surface over one, in the support's frame, m."""
    levels = [other[0] for other in model(support.category, support.shape).surfaces]
    return min((z for z in levels if z > surface[0] + 0.05), default=np.inf)


def spot_on(
    rng: np.random.Generator,
    support: Thing,
    kind: Model,
    surface: Surface,
    *,
    back: bool,
    turn: float | None,
) -> NDArray[np.float64] | None:
    """Draw a place on a surface.

    Args:
        rng: random numbers.
        support: what the thing shall stand on.
        kind: the thing's shape.
        surface: of the support.
        back: at the back of the surface.
        turn: yaw against the support, rad; None draws one, mostly along an edge.

    Returns:
        The thing's box (7,) in the map; None when it is too large.
    """
    z, x0, x1, y0, y1 = surface
    if z + kind.size[2] > _ceiling(support, surface) - _HEADROOM_M:
        return None
    if turn is None:
        turn = float(rng.integers(4)) * np.pi / 2.0 + float(rng.normal(0.0, 0.15))
    cos, sin = abs(np.cos(turn)), abs(np.sin(turn))
    half_x = (kind.size[0] * cos + kind.size[1] * sin) / 2.0 + _EDGE_M
    half_y = (kind.size[0] * sin + kind.size[1] * cos) / 2.0 + _EDGE_M
    if half_x * 2 > x1 - x0 or half_y * 2 > y1 - y0:
        return None
    x = x0 + half_x if back else rng.uniform(x0 + half_x, x1 - half_x)
    y = rng.uniform(y0 + half_y, y1 - half_y)
    cos, sin = np.cos(support.yaw), np.sin(support.yaw)
    centre = support.centre[0] + x * cos - y * sin, support.centre[1] + x * sin + y * cos
    bottom = support.centre[2] + z
    return box(centre, kind.size[:2], support.yaw + turn, bottom, bottom + kind.size[2])
