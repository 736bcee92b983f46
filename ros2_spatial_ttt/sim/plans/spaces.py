# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The free space of one room while it is being furnished."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ros2_spatial_ttt.sim.catalogue import extent, model
from ros2_spatial_ttt.sim.plans.doors import approaches, door_sides
from ros2_spatial_ttt.sim.plans.overlap import box, clash, distance_to_box, thing_box, within
from ros2_spatial_ttt.sim.world import Opening, Room, Thing

__all__ = ['CELL_M', 'KEEP_M', 'Space', 'parts_clash']

CELL_M = 0.05
# The robot's radius of 0.22 m and half a cell's diagonal.
KEEP_M = 0.26
# Things that hang higher than this do not touch the robot, m.
ROBOT_TALL_M = 1.6
_WINDOW_DEPTH_M = 0.3
_GAP_M = 0.015


@lru_cache(maxsize=8192)
def _part_rows(category: str, shape: int) -> NDArray[np.float64]:
    """Return boxes (p, 7) around a model's parts in its own frame."""
    rows = []
    for part in model(category, shape).parts:
        half = extent(part)
        x, y, z = part.position
        rows.append([x, y, half[0], half[1], 0.0, z - half[2], z + half[2]])
    return np.array(rows)


def _placed_parts(thing: Thing) -> NDArray[np.float64]:
    rows = _part_rows(thing.category, thing.shape).copy()
    cos, sin = np.cos(thing.yaw), np.sin(thing.yaw)
    x, y = rows[:, 0].copy(), rows[:, 1].copy()
    rows[:, 0] = thing.centre[0] + x * cos - y * sin
    rows[:, 1] = thing.centre[1] + x * sin + y * cos
    rows[:, 4] = thing.yaw
    rows[:, 5:] += thing.centre[2]
    return rows


def parts_clash(a: Thing, b: Thing) -> bool:
    """Tell whether parts of two things overlap, as a chair pushed under a table must not."""
    return bool(clash(_placed_parts(a), _placed_parts(b), 0.005).any())


class Space:
    """One room: what stands in it, what must stay free, and where the robot can go.

    Args:
        room: the room. openings: all of the home.
        leaves: door leaves that stand in this room.
    """

    def __init__(self, room: Room, openings: Sequence[Opening], leaves: Sequence[Thing]) -> None:
        self.room = room
        xs, ys = zip(*room.polygon, strict=True)
        self.limits = (min(xs), min(ys), max(xs), max(ys))
        self.things: list[Thing] = []
        mine = [hole for hole in openings if room.index in hole.rooms]
        self._solid = _notches(room.polygon, self.limits)
        self._keep = np.concatenate(
            [
                approaches(mine),
                *(_window_front(h, room.height) for h in mine if h.kind == 'window'),
            ]
        )
        self._rows = np.empty((0, 7))
        self._fronts = np.empty((0, 7))
        self._start_grid()
        for leaf in leaves:
            self.put(leaf)
        # Where one steps in beside the open leaf.
        self._gates = [
            self._nearest_free(door_sides(hole, KEEP_M + CELL_M)[hole.rooms.index(room.index)])
            for hole in mine
            if hole.kind != 'window' and min(hole.rooms) >= 0
        ]

    def _start_grid(self) -> None:
        x0, y0, x1, y1 = self.limits
        self._x = np.arange(x0 + CELL_M / 2.0, x1, CELL_M)
        self._y = np.arange(y0 + CELL_M / 2.0, y1, CELL_M)
        edge_x = np.minimum(self._x - x0, x1 - self._x)[:, None]
        edge_y = np.minimum(self._y - y0, y1 - self._y)[None, :]
        self.free = np.minimum(edge_x, edge_y) >= KEEP_M
        for row in self._solid:
            self._block(self.free, row)

    def _nearest_free(self, point: NDArray[np.float64]) -> tuple[int, int]:
        """Return the free cell nearest to a point."""
        i, j = np.nonzero(self.free)
        away = (self._x[i] - point[0]) ** 2 + (self._y[j] - point[1]) ** 2
        k = int(np.argmin(away))
        return int(i[k]), int(j[k])

    @property
    def area(self) -> float:
        """Free floor of the empty room, m²."""
        x, y = np.array(self.room.polygon).T
        return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2.0)

    def _block(self, free: NDArray[np.bool_], row: NDArray[np.float64]) -> bool:
        """Take the cells near a box out of ``free``; tell whether any was free."""
        reach = float(np.hypot(row[2], row[3])) + KEEP_M
        i = np.searchsorted(self._x, [row[0] - reach, row[0] + reach])
        j = np.searchsorted(self._y, [row[1] - reach, row[1] + reach])
        part = free[i[0] : i[1], j[0] : j[1]]
        x, y = self._x[i[0] : i[1], None], self._y[None, j[0] : j[1]]
        near = distance_to_box(x, y, row) < KEEP_M
        changed = bool((part & near).any())
        part &= ~near
        return changed

    def fits(
        self,
        rows: NDArray[np.float64],
        *,
        beside: Sequence[Thing] = (),
        front: float = 0.0,
        any_front: bool = False,
    ) -> NDArray[np.bool_]:
        """Return (k,): which boxes (k, 7) stand free in the room.

        Args:
            rows: candidates.
            beside: things they may overlap.
            front: depth that must be free before them, m.
            any_front: whether they may stand in the free front of something.
        """
        ok = within(rows, self.limits)
        if len(self._solid):
            ok &= ~clash(rows, self._solid).any(axis=1)
        others = self._rows
        if beside:
            names = [thing.id for thing in beside]
            others = others[[thing.id not in names for thing in self.things]]
        grown = _fronted(rows, front) if front else rows
        for obstacles, gap in ((others, _GAP_M), (self._keep, 0.0)):
            if len(obstacles):
                ok &= ~clash(rows, obstacles, gap).any(axis=1)
        if front:
            ok &= within(grown, self.limits)
            blocking = np.concatenate([others, self._solid])
            ok &= ~clash(grown, blocking).any(axis=1)
        if not any_front and len(self._fronts):
            ok &= ~clash(rows, self._fronts).any(axis=1)
        return ok

    def walkable_with(self, row: NDArray[np.float64]) -> bool:
        """Tell whether the robot still gets from door to door and about with a box there."""
        if row[5] > ROBOT_TALL_M:
            return True
        free = self.free.copy()
        if not self._block(free, row):
            return True
        return self._walkable(free)

    def _walkable(self, free: NDArray[np.bool_]) -> bool:
        labels, count = ndimage.label(free)
        if count == 0:
            return False
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        main = int(np.argmax(sizes))
        if any(labels[gate] != main for gate in self._gates):
            return False
        enough = max(0.3, 0.06 * self.area) / CELL_M**2
        return bool(sizes[main] >= max(enough, 0.75 * sizes.sum()))

    def put(self, thing: Thing, front: float = 0.0) -> None:
        """Add a thing; ``front`` metres before it stay free of other furniture."""
        row = thing_box(thing)
        self.things.append(thing)
        self._rows = np.concatenate([self._rows, row[None]])
        if front:
            self._fronts = np.concatenate([self._fronts, _fronted(row[None], front)])
        if row[5] < ROBOT_TALL_M:
            self._block(self.free, row)

    def mark(self) -> tuple[int, int, NDArray[np.bool_]]:
        """Return a state to go ``back`` to."""
        return len(self.things), len(self._fronts), self.free.copy()

    def back(self, mark: tuple[int, int, NDArray[np.bool_]]) -> None:
        """Take away what was put since ``mark``."""
        things, fronts, self.free = mark
        self.things = self.things[:things]
        self._rows, self._fronts = self._rows[:things], self._fronts[:fronts]

    def walls(self) -> list[tuple[NDArray[np.float64], NDArray[np.float64], float]]:
        """Return start (2,), direction (2,) and length of the room's sides, inside on the left."""
        points = np.array(self.room.polygon)
        steps = np.roll(points, -1, axis=0) - points
        lengths = np.hypot(steps[:, 0], steps[:, 1])
        return [(points[k], steps[k] / lengths[k], float(lengths[k])) for k in range(len(points))]


def _fronted(rows: NDArray[np.float64], depth: float) -> NDArray[np.float64]:
    """Return boxes of the floor before boxes, as wide as these."""
    out = rows.copy()
    shift = rows[:, 2] + depth / 2.0
    out[:, 0] += np.cos(rows[:, 4]) * shift
    out[:, 1] += np.sin(rows[:, 4]) * shift
    out[:, 2] = depth / 2.0
    out[:, 5], out[:, 6] = 0.0, 1.5
    return out


def _notches(
    polygon: Sequence[tuple[float, float]], limits: tuple[float, float, float, float]
) -> NDArray[np.float64]:
    """Return what an L-shaped room lacks of its bounding rectangle, as boxes (0 or 1, 7)."""
    n = len(polygon)
    for k in range(n):
        (px, py), (x, y), (nx, ny) = polygon[k - 1], polygon[k], polygon[(k + 1) % n]
        if (x - px) * (ny - y) - (y - py) * (nx - x) < 0.0:
            # What is missing lies between the two sides of the corner that points inwards.
            far_x = limits[2] if max(px, nx) > x else limits[0]
            far_y = limits[3] if max(py, ny) > y else limits[1]
            middle = ((x + far_x) / 2.0, (y + far_y) / 2.0)
            return box(middle, (abs(x - far_x), abs(y - far_y)), 0.0, 0.0, 9.0)[None]
    return np.empty((0, 7))


def _window_front(hole: Opening, height: float) -> NDArray[np.float64]:
    wide = [s if s > 0.3 else s + 2 * _WINDOW_DEPTH_M for s in hole.size[:2]]
    bottom = hole.centre[2] - hole.size[2] / 2.0
    return box(hole.centre, wide, 0.0, bottom, height)[None]
