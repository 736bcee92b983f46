# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What a camera may see of a home, and which lamps light it. All tests err on the safe side."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.sim.paint.scenery import FAR_M, Scenery
from ros2_spatial_ttt.sim.paint.shell import rectangles
from ros2_spatial_ttt.sim.world import Home
from ros2_spatial_ttt.types import Intrinsics

__all__ = ['RoomLight', 'Viewable']

# A lamp is fully on for cameras in its room and off from this distance to the room, m.
FADE_M = 4.0
MOST_LIGHTS = 7


class Viewable:
    """Finds geoms that may be in a picture."""

    def __init__(self, scenery: Scenery) -> None:
        self._radius = scenery.model.geom_rbound.copy()

    def geoms(
        self, intrinsics: Intrinsics, map_T_camera: NDArray[np.float64], data: Any
    ) -> NDArray[np.bool_]:
        """Return (g,) bool: the geom's bounding sphere reaches into the frustum."""
        local = (data.geom_xpos - map_T_camera[:3, 3]) @ map_T_camera[:3, :3]
        shown = (local[:, 2] > -self._radius) & (local[:, 2] < FAR_M)
        for normal in _sides(intrinsics):
            shown &= local @ normal > -self._radius
        return shown


def _sides(intrinsics: Intrinsics) -> NDArray[np.float64]:
    """Return (4, 3) unit normals, into the frustum, of the planes through its sides."""
    left = (-0.5 - intrinsics.cx) / intrinsics.fx
    right = (intrinsics.width - 0.5 - intrinsics.cx) / intrinsics.fx
    top = (-0.5 - intrinsics.cy) / intrinsics.fy
    bottom = (intrinsics.height - 0.5 - intrinsics.cy) / intrinsics.fy
    normals = np.array([[1, 0, -left], [-1, 0, right], [0, 1, -top], [0, -1, bottom]])
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


class RoomLight:
    """Switches the lamps near a camera on, smoothly: lights cost time, and walls stop none."""

    def __init__(self, scenery: Scenery, home: Home) -> None:
        self._full = scenery.model.light_diffuse.copy()
        self._boxes = [_box_of(home, lamp) for lamp in scenery.lamps]

    def apply(self, model: Any, eye: NDArray[np.float64]) -> None:
        """Set the strength of all lamps for a camera at (3,) m."""
        away = np.array([_distance(box, eye) for box in self._boxes])
        share = np.clip(1.0 - away / FADE_M, 0.0, 1.0)
        if len(share) > MOST_LIGHTS - 1:
            share[np.argsort(-share, kind='stable')[MOST_LIGHTS - 1 :]] = 0.0
        model.light_diffuse[1:] = self._full[1:] * share[:, None]
        model.light_active[1:] = share > 0.0


def _box_of(home: Home, lamp: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Return the rectangle around the room that a lamp is in."""
    for room in home.rooms:
        for x0, y0, x1, y1 in rectangles(room.polygon):
            if x0 <= lamp[0] <= x1 and y0 <= lamp[1] <= y1:
                corners = np.array(room.polygon)
                return (*corners.min(axis=0), *corners.max(axis=0))
    return (lamp[0], lamp[1], lamp[0], lamp[1])


def _distance(box: tuple[float, float, float, float], eye: NDArray[np.float64]) -> float:
    x = max(box[0] - eye[0], 0.0, eye[0] - box[2])
    y = max(box[1] - eye[1], 0.0, eye[1] - box[3])
    return float(np.hypot(x, y))
