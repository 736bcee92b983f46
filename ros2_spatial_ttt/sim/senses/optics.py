# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Cameras of a tour: intrinsics, poses and the rays of a coarse grid. Optical frames, metres."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.sim.world import CameraRig, Tour
from ros2_spatial_ttt.types import Intrinsics

__all__ = ['camera_poses', 'grid_rays', 'intrinsics_of']

Array = NDArray[np.float64]


def intrinsics_of(rig: CameraRig) -> Intrinsics:
    """Return the pinhole of a camera: square pixels, optical axis in the middle of the picture."""
    focal = round(rig.width / 2.0 / float(np.tan(rig.hfov / 2.0)), 4)
    return Intrinsics(
        rig.width, rig.height, focal, focal, (rig.width - 1) / 2.0, (rig.height - 1) / 2.0
    )


def camera_poses(tour: Tour, camera: int = 0) -> Array:
    """Return (n, 4, 4) map_T_camera, the true pose of a camera's optical frame in each frame."""
    return tour.map_T_base @ np.asarray(tour.cameras[camera].base_T_camera, np.float64)


def grid_rays(intrinsics: Intrinsics, columns: int, rows: int, shift: Array) -> Array:
    """Return rays (rows * columns, 3), z = 1, one in each cell of a grid over the picture.

    Args:
        intrinsics: of the picture.
        columns: of the grid.
        rows: of the grid.
        shift: (rows * columns, 2) where in its cell a ray is, 0..1 to the right and down.
    """
    column, row = np.meshgrid(np.arange(columns), np.arange(rows))
    u = (column.ravel() + shift[:, 0]) / columns * intrinsics.width - 0.5
    v = (row.ravel() + shift[:, 1]) / rows * intrinsics.height - 0.5
    x, y = (u - intrinsics.cx) / intrinsics.fx, (v - intrinsics.cy) / intrinsics.fy
    return np.stack([x, y, np.ones_like(x)], axis=1)
