# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Where the robot can stand in a home and how it walks from place to place.

The floor is a grid of cells that know how far the nearest thing or wall is. Ways are shortest
paths on it (Dijkstra) that prefer to keep off the furniture, made smooth where there is room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from ros2_spatial_ttt.sim.plans.overlap import box, distance_to_box, inside_polygon, thing_box
from ros2_spatial_ttt.sim.plans.spaces import CELL_M, ROBOT_TALL_M
from ros2_spatial_ttt.sim.world import Home, Thing

__all__ = ['RADIUS_M', 'Ground', 'Leg', 'Walker', 'all_reached']

RADIUS_M = 0.22
_MOST_M = 0.6  # clearance beyond this does not matter
_PLAN_M = 0.25
_WALK_M = 0.235  # of a smoothed path; leaves room for the error of interpolating the grid
_STRIDE = 2
_SPEED = 0.78
_TURN = 1.1
_ACCELERATION = 0.7
_SLOW = 0.12
_STEP_M = 0.05
_SMOOTH_M = (0.3, 0.18, 0.1, 0.05)


@dataclass(frozen=True)
class Leg:
    """A way from one place to another at the robot's best speed.

    Attributes:
        seconds: (n,) from its begin. xy: (n, 2) m. yaw: (n,) rad, unwrapped.
    """

    seconds: NDArray[np.float64]
    xy: NDArray[np.float64]
    yaw: NDArray[np.float64]


class Ground:
    """The floor of a home as a grid.

    Attributes:
        low: (2,) m, corner of the grid. clearance: (nx, ny) m from cell centres to what is
            nearest, at most 0.6; 0 where there is no floor.
        room: (nx, ny) index of the room, -1 in doors and outside.
    """

    def __init__(self, home: Home, things: Sequence[Thing] | None = None) -> None:
        corners = np.array([point for room in home.rooms for point in room.polygon])
        self.low = corners.min(axis=0) - CELL_M
        count = np.ceil((corners.max(axis=0) + CELL_M - self.low) / CELL_M).astype(int)
        self._x = self.low[0] + (np.arange(count[0]) + 0.5) * CELL_M
        self._y = self.low[1] + (np.arange(count[1]) + 0.5) * CELL_M
        self.room = self._rooms(home)
        self.clearance = np.where(self.room >= 0, _MOST_M, 0.0)
        for hole in home.openings:
            if hole.kind != 'window' and min(hole.rooms) >= 0:
                half = np.array(hole.size[:2]) / 2.0 + CELL_M
                part = self._part(np.array(hole.centre[:2]), half)
                self.clearance[part] = _MOST_M
        for wall in home.walls:
            if wall.centre[2] - wall.size[2] / 2.0 < ROBOT_TALL_M:
                self._near(box(wall.centre, wall.size, 0.0, 0.0, 1.0))
        for thing in home.things if things is None else things:
            row = thing_box(thing)
            if row[5] < ROBOT_TALL_M:
                self._near(row)

    def _rooms(self, home: Home) -> NDArray[np.int64]:
        out = np.full((len(self._x), len(self._y)), -1, dtype=np.int64)
        for room in home.rooms:
            corners = np.array(room.polygon)
            middle = (corners.min(axis=0) + corners.max(axis=0)) / 2.0
            part = self._part(middle, (corners.max(axis=0) - corners.min(axis=0)) / 2.0)
            grid = np.stack(np.meshgrid(self._x[part[0]], self._y[part[1]], indexing='ij'), -1)
            inside = inside_polygon(room.polygon, grid.reshape(-1, 2)).reshape(grid.shape[:2])
            out[part][inside] = room.index
        return out

    def _part(self, centre: NDArray[np.float64], half: NDArray[np.float64]) -> tuple[slice, slice]:
        """Return the cells whose centres lie in a rectangle."""
        x = np.searchsorted(self._x, [centre[0] - half[0], centre[0] + half[0]])
        y = np.searchsorted(self._y, [centre[1] - half[1], centre[1] + half[1]])
        return slice(int(x[0]), int(x[1])), slice(int(y[0]), int(y[1]))

    def _near(self, row: NDArray[np.float64]) -> None:
        cos, sin = abs(np.cos(row[4])), abs(np.sin(row[4]))
        half = np.array([row[2] * cos + row[3] * sin, row[2] * sin + row[3] * cos]) + _MOST_M
        part = self._part(row[:2], half)
        away = distance_to_box(self._x[part[0], None], self._y[None, part[1]], row)
        np.minimum(self.clearance[part], away, out=self.clearance[part])

    def cells(self, xy: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the cells (n, 2) that points (n, 2) lie in, limited to the grid."""
        index = np.floor((xy - self.low) / CELL_M).astype(np.int64)
        return np.clip(index, 0, np.array(self.room.shape) - 1)

    def room_at(self, xy: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the room (n,) of points (n, 2), -1 in doors and outside."""
        i, j = self.cells(xy).T
        return self.room[i, j]

    def clearance_at(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the clearance (n,) at points (n, 2), interpolated, m."""
        at = ((xy - self.low) / CELL_M - 0.5).T
        return ndimage.map_coordinates(self.clearance, at, order=1, mode='nearest')


def all_reached(ground: Ground) -> bool:
    """Tell whether the robot gets from every room into every other."""
    parts, _ = ndimage.label(ground.clearance >= _PLAN_M)
    rooms = np.unique(ground.room[ground.room >= 0])
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return bool(np.isin(rooms, ground.room[parts == int(np.argmax(sizes))]).all())


class Walker:
    """Finds ways on the floor of a home and remembers them."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        for stride in (_STRIDE, 1):
            self._build(stride)
            if self._joined():
                break
        self._trees: dict[int, NDArray[np.int32]] = {}
        self._legs: dict[tuple[int, int], Leg] = {}

    def _build(self, stride: int) -> None:
        """Join free cells to their eight neighbours."""
        clearance = self.ground.clearance[::stride, ::stride]
        free = clearance >= _PLAN_M
        self._cell = np.argwhere(free)
        self.xy = self.ground.low + (self._cell * stride + 0.5) * CELL_M
        number = np.full(free.shape, -1, dtype=np.int64)
        number[free] = np.arange(len(self._cell))
        # Half a metre of room costs nothing extra, none costs as much as three times the way.
        weight = 1.0 + 2.0 * np.clip((0.5 - clearance) / (0.5 - _PLAN_M), 0.0, 1.0)
        starts, ends, costs = [], [], []
        for di, dj in ((1, 0), (0, 1), (1, 1), (1, -1)):
            a = (slice(0, -di or None), slice(max(-dj, 0), -dj if dj > 0 else None))
            b = (slice(di, None), slice(max(dj, 0), dj if dj < 0 else None))
            both = free[a] & free[b]
            length = stride * CELL_M * float(np.hypot(di, dj))
            starts.append(number[a][both])
            ends.append(number[b][both])
            costs.append(length * (weight[a] + weight[b])[both] / 2.0)
        start, end, cost = (np.concatenate(v) for v in (starts, ends, costs))
        self._graph = sparse.csr_matrix(
            (
                np.concatenate([cost, cost]),
                (np.concatenate([start, end]), np.concatenate([end, start])),
            ),
            shape=(len(self._cell), len(self._cell)),
        )
        _, self.part = csgraph.connected_components(self._graph, directed=False)
        self.room = self.ground.room_at(self.xy)

    def _joined(self) -> bool:
        """Tell whether one connected part of the floor reaches into every room."""
        rooms = np.unique(self.ground.room[self.ground.room >= 0])
        main = self.main
        return bool(np.isin(rooms, self.room[self.part == main]).all())

    @property
    def main(self) -> int:
        """Number of the largest connected part of the floor."""
        return int(np.argmax(np.bincount(self.part)))

    def places(self, room: int, count: int) -> list[int]:
        """Return up to ``count`` nodes to stand on, spread over a room, the most open first."""
        mine = np.flatnonzero((self.room == room) & (self.part == self.main))
        i, j = self.ground.cells(self.xy[mine]).T
        clearance = self.ground.clearance[i, j]
        open_ones = mine[clearance >= min(0.32, float(clearance.max()))]
        xy = self.xy[open_ones]
        away = np.hypot(*(xy - self.xy[mine].mean(axis=0)).T)
        out = [int(open_ones[np.argmin(away)])]
        nearest = np.full(len(open_ones), np.inf)
        while len(out) < count:
            nearest = np.minimum(nearest, np.hypot(*(xy - self.xy[out[-1]]).T))
            if nearest.max() < 1.0:
                break
            out.append(int(open_ones[np.argmax(nearest)]))
        return out

    def leg(self, start: int, end: int) -> Leg:
        """Return the way between two nodes."""
        key = start, end
        if key not in self._legs:
            self._legs[key] = _timed(self._smooth(self.xy[self._path(start, end)]))
        return self._legs[key]

    def _path(self, start: int, end: int) -> list[int]:
        if start not in self._trees:
            _, self._trees[start] = csgraph.dijkstra(
                self._graph, indices=start, return_predecessors=True
            )
        before = self._trees[start]
        path = [end]
        while path[-1] != start:
            path.append(int(before[path[-1]]))
        return path[::-1]

    def _smooth(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the path with even steps, as smooth as what stands around allows."""
        even = _resampled(points)
        for sigma in _SMOOTH_M:
            smooth = _blurred(even, sigma / _STEP_M)
            if self.ground.clearance_at(smooth).min() >= _WALK_M:
                return smooth
        return even


def _resampled(points: NDArray[np.float64]) -> NDArray[np.float64]:
    steps = np.hypot(*np.diff(points, axis=0).T)
    at = np.concatenate([[0.0], np.cumsum(steps)])
    count = max(int(np.ceil(at[-1] / _STEP_M)), 2) + 1
    s = np.linspace(0.0, at[-1], count)
    return np.column_stack([np.interp(s, at, points[:, 0]), np.interp(s, at, points[:, 1])])


def _blurred(points: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Blur a path along its length; its ends stay, since it is continued point-mirrored there."""
    pad = min(int(4 * sigma), len(points) - 1)
    longer = np.pad(points, ((pad, pad), (0, 0)), mode='reflect', reflect_type='odd')
    return ndimage.gaussian_filter1d(longer, sigma, axis=0, mode='nearest')[
        pad : pad + len(points)
    ]


def _timed(points: NDArray[np.float64]) -> Leg:
    """Give a path times: slow in bends, gentle at both ends."""
    step = np.diff(points, axis=0)
    length = np.maximum(np.hypot(*step.T), 1e-6)
    heading = np.unwrap(np.arctan2(step[:, 1], step[:, 0]))
    # Headings belong to the middles of steps; those at points lie between.
    yaw = np.concatenate([heading[:1], (heading[1:] + heading[:-1]) / 2.0, heading[-1:]])
    turned = np.abs(np.diff(yaw))
    speed = np.minimum(_SPEED, _TURN * length / np.maximum(turned, 1e-6))
    # v² grows by 2 a s at most, from both ends: the lower envelope of parabolas.
    s = np.concatenate([[0.0], np.cumsum(length)])
    square = np.full(len(s), _SPEED**2)
    square[:-1] = np.minimum(square[:-1], speed**2)
    square[1:] = np.minimum(square[1:], speed**2)
    square[[0, -1]] = np.minimum(square[[0, -1]], _SLOW**2)
    rise = 2.0 * _ACCELERATION * s
    square = np.minimum.accumulate(square - rise) + rise
    square = np.minimum.accumulate((square + rise)[::-1])[::-1] - rise
    velocity = np.sqrt(np.maximum(square, 1e-4))
    seconds = np.maximum(2.0 * length / (velocity[1:] + velocity[:-1]), turned / _TURN)
    seconds = np.maximum(seconds, length / _SPEED)
    return Leg(np.concatenate([[0.0], np.cumsum(seconds)]), points, yaw)
