# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Observed space of the baselines: voxels that were seen free or occupied."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ros2_spatial_ttt.exam.systems.glimpse import VOXEL_M
from ros2_spatial_ttt.types import Region

__all__ = ['FREE', 'SURFACE', 'DenseSpace', 'Space', 'floor_area', 'observed_share']

SURFACE, FREE = 1, 2  # a voxel that was ever free stays so: there is floor below
_MARGIN = 16  # voxels by which a grid grows at least
_ENTRY_BYTES = 9  # of a packed list: key and state
# Heights above the ground in which free space shows that there is floor.
_ABOVE_FLOOR_M = (-0.1, 1.9)


class Space(Protocol):
    """Observed space."""

    def at(self, points: NDArray) -> NDArray[np.uint8]:
        """Return the state of the voxels of map points (n, 3): 0 unseen, SURFACE or FREE."""
        ...

    def observed(self) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """Return the centres (n, 3) m and states (n,) of all voxels seen."""
        ...


class DenseSpace:
    """A grid that grows with the world; reports the bytes a packed list of its voxels takes."""

    def __init__(self) -> None:
        self._low = np.zeros(3, np.int64)
        self._grid = np.zeros((0, 0, 0), np.uint8)

    def add(self, surface: NDArray, free: NDArray) -> None:
        """Take in surface points (m, 3) and free points (f, 3), m."""
        self.add_cells(_cells(surface), _cells(free))

    def add_cells(self, surface: NDArray, free: NDArray) -> None:
        """Take in voxels by number, (m, 3) and (f, 3): map metres over VOXEL_M, rounded down."""
        self._reach([cells for cells in (surface, free) if len(cells)])
        grid = self._grid.reshape(-1)
        at_surface = self._flat(surface)
        grid[at_surface] = np.maximum(grid[at_surface], SURFACE)
        grid[self._flat(free)] = FREE

    def at(self, points: NDArray) -> NDArray[np.uint8]:
        """Return the state of the voxels of map points (n, 3): 0 unseen, SURFACE or FREE."""
        cells = _cells(points) - self._low
        inside = np.all((cells >= 0) & (cells < self._grid.shape), axis=1)
        out = np.zeros(len(cells), np.uint8)
        out[inside] = self._grid[tuple(cells[inside].T)]
        return out

    def observed(self) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """Return the centres (n, 3) m and states (n,) of all voxels seen."""
        cells = np.stack(np.nonzero(self._grid), axis=1)
        return (cells + self._low + 0.5) * VOXEL_M, self._grid[tuple(cells.T)]

    @property
    def nbytes(self) -> int:
        """Bytes of a packed list of the voxels seen."""
        return _ENTRY_BYTES * int(np.count_nonzero(self._grid))

    def _flat(self, cells: NDArray) -> NDArray:
        low, shape = self._low, self._grid.shape
        row = (cells[:, 0] - low[0]) * shape[1] + (cells[:, 1] - low[1])
        return row * shape[2] + (cells[:, 2] - low[2])

    def _reach(self, parts: list[NDArray]) -> None:
        """Grow so that all cells (n, 3) of all parts are inside."""
        if not parts:
            return
        low = np.min([cells.min(axis=0) for cells in parts], axis=0).astype(np.int64)
        high = np.max([cells.max(axis=0) for cells in parts], axis=0).astype(np.int64) + 1
        old, old_low = self._grid, self._low
        if old.size:
            old_high = old_low + old.shape
            if np.all(low >= old_low) and np.all(high <= old_high):
                return
            low = np.where(low < old_low, low - _MARGIN, old_low)
            high = np.where(high > old_high, high + _MARGIN, old_high)
        self._low, self._grid = low, np.zeros(tuple(high - low), np.uint8)
        if old.size:
            x, y, z = old_low - low
            self._grid[x : x + old.shape[0], y : y + old.shape[1], z : z + old.shape[2]] = old


def observed_share(space: Space, points: NDArray) -> float:
    """Return the share of map points (n, 3) whose voxel or a neighbour of it was seen."""
    steps = VOXEL_M * np.array(
        [[0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]]
    )
    around = (points[:, None] + steps).reshape(-1, 3)
    return float((space.at(around).reshape(len(points), -1) > 0).any(axis=1).mean())


def floor_area(space: Space, region: Region | None) -> tuple[float, float, float]:
    """Return the floor area seen within a region, m², with its 90 % interval.

    A column counts when anything was seen in it between floor and head; what stands there stands
    on floor. Gaps between rays are closed. Without a region half a voxel along the border is wall;
    the interval is half a voxel along the border.
    """
    centres, _ = space.observed()
    keep = (centres[:, 2] > _ABOVE_FLOOR_M[0]) & (centres[:, 2] < _ABOVE_FLOOR_M[1])
    if region is not None:
        low, high = np.asarray(region.minimum[:2]), np.asarray(region.maximum[:2])
        keep &= np.all((centres[:, :2] >= low) & (centres[:, :2] <= high), axis=1)
    if not keep.any():
        return 0.0, 0.0, 0.0
    columns = np.floor(centres[keep, :2] / VOXEL_M).astype(np.int64)
    columns -= columns.min(axis=0) - 1
    plan = np.zeros(columns.max(axis=0) + 2, np.bool_)
    plan[columns[:, 0], columns[:, 1]] = True
    plan = ndimage.binary_fill_holes(ndimage.binary_closing(plan))
    border = int((plan & ~ndimage.binary_erosion(plan)).sum())
    area, slack = float(plan.sum()) * VOXEL_M**2, 0.5 * border * VOXEL_M**2
    if region is None:
        area -= slack
    return area, max(0.0, area - slack), area + slack


def _cells(points: NDArray) -> NDArray[np.int64]:
    return np.floor(np.asarray(points, np.float64) / VOXEL_M).astype(np.int64)
