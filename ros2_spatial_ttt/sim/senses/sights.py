# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Which thing is visible in which frame of a tour, by rays; nothing is rendered.

Every thing has fixed samples on its surface (``senses/skins.py``). Of those that face the camera
and lie in the picture, a ray tells whether something else is in front. A sample stands for a
patch, so the pixels it covers follow from its area, distance and slant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.sim.senses.optics import camera_poses, intrinsics_of
from ros2_spatial_ttt.sim.senses.skins import skin
from ros2_spatial_ttt.sim.world import Home, Sights, Thing, Tour, Wall, things_at
from ros2_spatial_ttt.types import Intrinsics

if TYPE_CHECKING:
    from ros2_spatial_ttt.sim.stage import Stage

__all__ = ['MOST_M', 'VISIBLE_PIXELS', 'VISIBLE_SHARE', 'Crowd', 'see', 'visible']

Array = NDArray[np.float64]

# Things whose centre is farther away do not count as in sight.
MOST_M = 8.0
# From when on a thing counts as seen; what is in sight below that is a glimpse.
VISIBLE_SHARE, VISIBLE_PIXELS = 0.25, 100
NEAR_M = 0.1
# A sample counts as reached when nothing is hit this much before it.
REACHED_M = 0.01
# Samples seen flatter than this (cosine) do not count as facing the camera.
GRAZING = 0.05
# A wall is in the way of a sample if it begins before this share of the way to it: a thing may
# hang on a wall or stand close to it.
SLACK = 0.98
TINY = 1e-6
_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / 2.0


def see(stage: Stage, home: Home, tour: Tour, camera: int = 0) -> Sights:
    """Return what one camera of a tour sees.

    Args:
        stage: of the home with the tour's changes; its time is moved.
        home: that is walked through.
        tour: the walk.
        camera: index in ``tour.cameras``.
    """
    intrinsics, poses = intrinsics_of(tour.cameras[camera]), camera_poses(tour, camera)
    starts = [0, *(c.stamp_ns for c in tour.changes)]
    epoch = np.searchsorted(starts, tour.stamps_ns, side='right')
    crowd, known, tables = Crowd(()), -1, []
    for frame, pose in enumerate(poses):
        if epoch[frame] != known:
            known = int(epoch[frame])
            stage.set_time(int(tour.stamps_ns[frame]))
            things = things_at(home, tour.changes, int(tour.stamps_ns[frame]))
            crowd = Crowd(things, home.walls)
        tables.append(crowd.look(stage, intrinsics, pose, frame))
    return Sights(
        *(np.concatenate([getattr(t, name) for t in tables]) for name in Sights.__annotations__)
    )


def visible(sights: Sights) -> NDArray[np.bool_]:
    """Return for each row of a table (k,) whether the thing counts as seen there."""
    return (sights.share >= VISIBLE_SHARE) & (sights.pixels >= VISIBLE_PIXELS)


class Crowd:
    """The samples of all things of a home at one time, in the map.

    Args:
        things: as they stand.
        walls: what is behind them needs no rays.
    """

    def __init__(self, things: tuple[Thing, ...], walls: tuple[Wall, ...] = ()) -> None:
        placed = [(skin(t.category, t.shape), t.pose()) for t in things]
        self.ids = np.array([thing.id for thing in things], np.int64)
        self.centres = np.array([thing.centre for thing in things]).reshape(-1, 3)
        self._walls = np.array([(w.centre, w.size) for w in walls], np.float32).reshape(-1, 2, 3)
        self.owner = np.repeat(np.arange(len(things)), [len(s.points) for s, _ in placed])
        self.points = _stack([s.points @ p[:3, :3].T + p[:3, 3] for s, p in placed])
        self.normals = _stack([s.normals @ p[:3, :3].T for s, p in placed])
        self.areas = np.concatenate([s.areas for s, _ in placed] or [np.zeros(0)])
        self.corners = _stack(
            [_CORNERS * t.size @ t.pose()[:3, :3].T + t.centre for t in things],
        )

    def look(self, stage: Stage, camera: Intrinsics, pose: Array, frame: int) -> Sights:
        """Return what is in sight in one picture.

        Args:
            stage: of the home, at the time of these things.
            camera: its intrinsics.
            pose: (4, 4) map_T_camera.
            frame: its number, for the table.
        """
        eye, count = pose[:3, 3], len(self.ids)
        distance = np.linalg.norm(self.centres - eye, axis=1)
        ray = self.points - eye
        reach = np.maximum(np.sqrt(np.einsum('ij,ij->i', ray, ray)), 1e-9)
        slant = -np.einsum('ij,ij->i', ray, self.normals) / reach
        local = ray @ pose[:3, :3]
        facing = slant > GRAZING
        shown = facing & (distance <= MOST_M)[self.owner] & _in_picture(camera, local)
        index = np.flatnonzero(shown)
        index = index[~self._walled(eye, ray[index])]
        seen, bare = self._cast(stage, eye, ray[index] / reach[index, None], reach, index)
        owner, own = self.owner[index[seen]], index[bare]
        faces = np.bincount(self.owner[facing], minlength=count)
        share = np.bincount(owner, minlength=count) / np.maximum(faces, 1)
        # Pixels of a patch: its slanted area on the unit sphere, stretched off the optical axis.
        off_axis = np.maximum(local[own, 2] / reach[own], 0.1)
        patch = self.areas[own] * slant[own] / reach[own] ** 2 / off_axis**3
        pixels = np.bincount(self.owner[own], patch, minlength=count) * camera.fx * camera.fy
        rows = np.flatnonzero(share > 0)
        return Sights(
            np.full(len(rows), frame, np.int64),
            self.ids[rows],
            np.round(share[rows], 4).astype(np.float32),
            np.round(distance[rows], 4).astype(np.float32),
            np.maximum(np.round(pixels[rows]), 1.0).astype(np.int32),
            self._whole(camera, pose, rows),
        )

    def _walled(self, eye: Array, rays: Array) -> NDArray[np.bool_]:
        """Return for rays (n, 3) from the eye to samples whether a wall is in the way (slabs)."""
        inverse = (1.0 / np.where(np.abs(rays) < TINY, TINY, rays)).T.astype(np.float32)
        centre = (self._walls[:, 0] - eye.astype(np.float32)).T
        half = self._walls[:, 1].T / 2
        enter, leave = np.float32(0.0), np.float32(SLACK)
        for axis in range(3):
            middle = np.multiply.outer(inverse[axis], centre[axis])
            reach = np.multiply.outer(np.abs(inverse[axis]), half[axis])
            enter, leave = np.maximum(enter, middle - reach), np.minimum(leave, middle + reach)
        return (enter < leave).any(axis=1)

    def _cast(
        self, stage: Stage, eye: Array, directions: Array, reach: Array, index: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return for samples whether nothing else hides them, and whether they themselves show."""
        away, hit = stage.cast(eye, directions, most_m=MOST_M + 4.0)
        reached = away >= reach[index] - REACHED_M
        return reached | (hit == self.ids[self.owner[index]]), reached

    def _whole(
        self, camera: Intrinsics, pose: Array, rows: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Return for things whether all corners of their boxes are in the picture."""
        corners = self.corners.reshape(-1, 8, 3)[rows].reshape(-1, 3)
        inside = _in_picture(camera, (corners - pose[:3, 3]) @ pose[:3, :3])
        return inside.reshape(-1, 8).all(axis=1)


def _in_picture(camera: Intrinsics, local: Array) -> NDArray[np.bool_]:
    """Return for points (n, 3) of the optical frame whether they project into the picture."""
    x, y, z = local.T
    u, v = camera.fx * x + (camera.cx + 0.5) * z, camera.fy * y + (camera.cy + 0.5) * z
    return (z > NEAR_M) & (u >= 0) & (u < camera.width * z) & (v >= 0) & (v < camera.height * z)


def _stack(arrays: list[Array]) -> Array:
    return np.vstack(arrays) if arrays else np.zeros((0, 3))
