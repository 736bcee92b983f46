# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What a camera on a tour could see of empty places: line of sight through walls and things.

Truth about things comes from the tour's ``Sights``; these answer whether a place *without* a thing
was looked at. Only boxes stand in the way, which hides a little more than the true shapes do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.sim.world import CameraRig, Thing, Wall

__all__ = ['NEVER', 'View', 'clear_of_things', 'clear_of_walls']

NEVER = np.iinfo(np.int64).max
CHUNK = 64  # frames looked at together
END = 0.98  # of the way to a point; what it lies on does not hide it


class View:
    """Frustums of all cameras of a tour.

    Args:
        stamps_ns: (n,) of the frames.
        cameras: each with its poses (n, 4, 4) map_T_camera, optical frame.
        walls: what is not seen through.
    """

    def __init__(
        self,
        stamps_ns: NDArray[np.int64],
        cameras: Sequence[tuple[CameraRig, NDArray[np.float64]]],
        walls: Sequence[Wall],
    ) -> None:
        self._stamps = stamps_ns
        self._cameras = cameras
        self._walls = walls

    def seen_at(
        self,
        points: NDArray[np.float64],
        *,
        since_ns: int = 0,
        frames: int = 1,
        most_m: float = 5.0,
        widen: float = 1.0,
        things: Sequence[Thing] = (),
    ) -> NDArray[np.int64]:
        """Return the stamp at which each point had been seen in so many frames, (P,); or NEVER.

        Args:
            points: (P, 3) m, map frame.
            since_ns: frames before it do not count.
            frames: how many.
            most_m: farther points are not seen.
            widen: factor on the half width and height of the picture.
            things: that hide what is behind them, besides walls.
        """
        out = np.full(len(points), NEVER)
        times = np.zeros(len(points), np.int64)
        begin = int(np.searchsorted(self._stamps, since_ns))
        for first in range(begin, len(self._stamps), CHUNK):
            open_ = np.flatnonzero(out == NEVER)
            if not len(open_):
                break
            span = slice(first, min(first + CHUNK, len(self._stamps)))
            seen = self._seen(points[open_], span, most_m, widen, things)
            so_far = times[open_] + np.cumsum(seen, axis=0)
            done = so_far >= frames
            when = np.argmax(done, axis=0)
            finished = done.any(axis=0)
            out[open_[finished]] = self._stamps[span][when[finished]]
            times[open_] = so_far[-1]
        return out

    def first_seen(
        self,
        points: NDArray[np.float64],
        groups: NDArray[np.int64],
        *,
        most_m: float,
        widen: float,
    ) -> NDArray[np.int64]:
        """Return the first stamp at which any point of each group was in view, (G,); or NEVER.

        Args:
            points: (P, 3) m, map frame.
            groups: (P,) number of the group of each point, 0 … G - 1.
            most_m: farther points are not seen.
            widen: factor on the half width and height of the picture.
        """
        out = np.full(int(groups.max()) + 1, NEVER)
        for first in range(0, len(self._stamps), CHUNK):
            open_ = np.flatnonzero(out[groups] == NEVER)
            if not len(open_):
                break
            span = slice(first, min(first + CHUNK, len(self._stamps)))
            frame, point = np.nonzero(self._seen(points[open_], span, most_m, widen, ()))
            np.minimum.at(out, groups[open_[point]], self._stamps[span][frame])
        return out

    def _seen(
        self,
        points: NDArray,
        span: slice,
        most_m: float,
        widen: float,
        things: Sequence[Thing],
    ) -> NDArray[np.bool_]:
        """Return (frames, P): whether any camera sees a point in a frame."""
        seen = np.zeros((span.stop - span.start, len(points)), bool)
        for rig, poses in self._cameras:
            pose = poses[span]
            frame, point = np.nonzero(_in_picture(rig, pose, points, most_m, widen) & ~seen)
            origins, targets = pose[frame, :3, 3], points[point]
            clear = clear_of_walls(origins, targets, self._walls)
            kept = np.flatnonzero(clear)
            clear[kept] = clear_of_things(origins[kept], targets[kept], things)
            seen[frame[clear], point[clear]] = True
        return seen


def _in_picture(
    rig: CameraRig, pose: NDArray, points: NDArray, most_m: float, widen: float
) -> NDArray[np.bool_]:
    """Return (frames, P): whether a point is in the picture and near enough, walls left out."""
    turn = pose[:, :3, :3].astype(np.float32)
    shift = -np.einsum('fkc,fk->fc', pose[:, :3, :3], pose[:, :3, 3]).astype(np.float32)
    flat = points.T.astype(np.float32)
    x, y, z = (turn[:, :, axis] @ flat + shift[:, axis, None] for axis in range(3))
    across = math.tan(rig.hfov / 2.0) * widen
    up = across * rig.height / rig.width
    inside = (np.abs(x) <= across * z) & (np.abs(y) <= up * z)
    return inside & (z > 0.1) & (x * x + y * y + z * z <= most_m**2)


def clear_of_walls(origins: NDArray, targets: NDArray, walls: Sequence[Wall]) -> NDArray[np.bool_]:
    """Return for lines of sight (m, 3) to (m, 3) whether no wall is in the way, (m,)."""
    clear = np.ones(len(origins), bool)
    start, along = origins.T.astype(np.float32), (targets - origins).T.astype(np.float32)
    left = np.arange(len(origins))
    # The longest walls first: what they hide need not be held against the others.
    for wall in sorted(walls, key=lambda w: -max(w.size)):
        if not len(left):
            break
        centre = np.asarray(wall.centre, np.float32)[:, None]
        hit = _hits(start - centre, along, np.asarray(wall.size) / 2.0)
        if hit.any():
            clear[left[hit]] = False
            start, along, left = start[:, ~hit], along[:, ~hit], left[~hit]
    return clear


def clear_of_things(
    origins: NDArray, targets: NDArray, things: Sequence[Thing]
) -> NDArray[np.bool_]:
    """Return for lines of sight (m, 3) to (m, 3) whether no thing's box is in the way, (m,)."""
    clear = np.ones(len(origins), bool)
    for thing in things if len(origins) else ():
        turn = thing.pose()[:3, :3]
        half = np.asarray(thing.size) / 2.0
        clear &= ~_hits(turn.T @ (origins - thing.centre).T, turn.T @ (targets - origins).T, half)
    return clear


def _hits(start: NDArray, along: NDArray, half: NDArray) -> NDArray[np.bool_]:
    """Return whether segments (3, m) enter the box ±half before their end (slab method)."""
    enter, leave = 0.0, END
    for axis in range(3):
        step = np.where(np.abs(along[axis]) < 1e-6, 1e-6, along[axis])
        middle, reach = -start[axis] / step, np.float32(half[axis]) / np.abs(step)
        enter, leave = np.maximum(enter, middle - reach), np.minimum(leave, middle + reach)
    return enter < leave
