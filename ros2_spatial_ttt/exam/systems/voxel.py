# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The equal-byte voxel map: label votes and observed space in hash tables of fixed bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.exam.systems.buckets import EMPTY, BucketTable
from ros2_spatial_ttt.exam.systems.clustering import Votes
from ros2_spatial_ttt.exam.systems.glimpse import VOXEL_M, Glimpse, voxel_centres, voxel_keys
from ros2_spatial_ttt.exam.systems.looks import FADE, FAR_M, in_plain_view, reach_of
from ros2_spatial_ttt.exam.systems.space import FREE, SURFACE, Space
from ros2_spatial_ttt.exam.systems.store import DetectionStore

__all__ = ['VoxelMap']

VOTE_SHARE = 0.3  # of the bytes that hold votes; the rest is observed space
TICK_NS = 10_000_000  # stamps are kept to 10 ms in 32 bits: 497 days
_LABEL_BITS = 12
_LABEL_MASK = (1 << _LABEL_BITS) - 1
_VOTE_COLUMNS = {
    'mass': ((), np.float32),
    'point': ((3,), np.float32),
    'size': ((3,), np.float16),
    'axis': ((2,), np.float16),
    'first': ((), np.uint32),
    'count': ((), np.uint16),
    'hits': ((), np.float16),
    'missed': ((), np.float16),
}
_SPACE_COLUMNS = {'state': ((), np.uint8)}


class VoxelMap(DetectionStore):
    """Votes per voxel and label, and when each voxel was seen free or occupied.

    A vote falls into the voxel of the thing's centre; the entry keeps mass, mean centre, mean
    size, mean yaw, first and last stamp, and faded numbers of looks that showed the thing or
    should have (48 B). An entry of observed space takes 13 B. Instances are the maxima of the
    votes, as in all stores.

    Args:
        labels: names that things can have.
        budget_bytes: of both tables, whether used or not.
    """

    name = 'voxel'

    def __init__(self, labels: tuple[str, ...], *, budget_bytes: int) -> None:
        super().__init__(labels)
        votes = int(VOTE_SHARE * budget_bytes)
        self._budget = budget_bytes
        self._table = BucketTable(votes, _VOTE_COLUMNS)
        self._grid = _VoxelSpace(budget_bytes - votes)
        self._epoch_ns: int | None = None

    @property
    def stored_bytes(self) -> int:
        """Bytes of both tables; constant."""
        return self._table.nbytes + self._grid.nbytes

    @property
    def budget_bytes(self) -> int:
        """Most bytes of both tables."""
        return self._budget

    def _keep(self, glimpse: Glimpse) -> None:
        if self._epoch_ns is None:
            self._epoch_ns = glimpse.stamp_ns
        tick = (glimpse.stamp_ns - self._epoch_ns) // TICK_NS + 1
        self._grid.add(glimpse.surface, glimpse.free, tick)
        self._look(glimpse)
        if len(glimpse.label):
            self._vote(glimpse, tick)

    def _look(self, glimpse: Glimpse) -> None:
        """Count for every entry in view whether the thing was seen again or missed."""
        column, key = self._table.column, self._table.key
        rows = np.flatnonzero(key != EMPTY)
        towards = column['point'][rows] - glimpse.camera
        near = np.einsum('ij,ij->i', towards, towards) < FAR_M**2
        rows = rows[near & (towards @ glimpse.ahead > 0.0)]
        if not len(rows):
            return
        points, size = column['point'][rows], column['size'][rows].astype(np.float32)
        again = _seen_again(points, size, key[rows] & _LABEL_MASK, glimpse)
        hit = again > 0.0
        missed = np.zeros(len(rows), np.bool_)
        missed[~hit] = in_plain_view(
            glimpse.camera, glimpse.ahead, glimpse.surface, points[~hit], size[~hit]
        )
        looked = hit | missed
        rows, again = rows[looked], again[looked]
        column['hits'][rows] = FADE * column['hits'][rows] + again
        column['missed'][rows] = FADE * column['missed'][rows] + missed[looked]

    def _vote(self, glimpse: Glimpse, tick: int) -> None:
        keys = (voxel_keys(glimpse.centre, VOXEL_M) << _LABEL_BITS) | glimpse.label
        keys, row = np.unique(keys, return_inverse=True)
        stamps = np.full(len(row), glimpse.stamp_ns, np.int64)
        new = Votes.made(glimpse.centre, glimpse.weight, glimpse.size, glimpse.yaw, stamps).summed(
            row.reshape(-1), len(keys)
        )
        slot = self._table.claim(keys, tick)
        kept = slot >= 0
        self._merge(slot[kept], new.rows(kept), tick)

    def _merge(self, slot: NDArray[np.int64], new: Votes, tick: int) -> None:
        """Add votes to entries: sums of mass and count, weighted means of the rest."""
        column = self._table.column
        mass = column['mass'][slot] + new.mass
        share = (new.mass / mass)[:, None]
        for name, values in (('point', new.point), ('size', new.size), ('axis', new.axis)):
            old = column[name][slot].astype(np.float64)
            column[name][slot] = old + share * (values - old)
        column['mass'][slot] = mass
        new_entry = column['count'][slot] == 0
        column['hits'][slot[new_entry]] = np.minimum(new.mass[new_entry], 1.0)
        column['first'][slot] = np.where(column['first'][slot], column['first'][slot], tick)
        column['count'][slot] = np.minimum(column['count'][slot].astype(int) + new.count, 65535)

    def _votes(self, label: int) -> Votes:
        key = self._table.key
        rows = np.flatnonzero((key != EMPTY) & ((key & _LABEL_MASK) == label))
        column = {name: values[rows] for name, values in self._table.column.items()}
        return Votes(
            point=column['point'].astype(np.float64),
            mass=column['mass'].astype(np.float64),
            size=column['size'].astype(np.float64),
            axis=column['axis'].astype(np.float64),
            first_ns=self._stamp(column['first']),
            last_ns=self._stamp(self._table.used[rows]),
            count=column['count'].astype(np.int64),
            hits=column['hits'].astype(np.float64),
            missed=column['missed'].astype(np.float64),
        )

    def _judged(self, votes: Votes, found: Votes) -> Votes:
        return found

    def _space(self) -> Space:
        return self._grid

    def _stamp(self, ticks: NDArray[np.uint32]) -> NDArray[np.int64]:
        assert self._epoch_ns is not None
        return (ticks.astype(np.int64) - 1) * TICK_NS + self._epoch_ns


class _VoxelSpace:
    """Observed space in a table of fixed bytes."""

    def __init__(self, budget_bytes: int) -> None:
        self._table = BucketTable(budget_bytes, _SPACE_COLUMNS)

    @property
    def nbytes(self) -> int:
        return self._table.nbytes

    def add(self, surface: NDArray, free: NDArray, tick: int) -> None:
        """Take in one frame: one point per voxel, m; a voxel is in one of the two."""
        keys = voxel_keys(np.concatenate([surface, free]), VOXEL_M)
        is_free = np.arange(len(keys)) >= len(surface)
        slot = self._table.claim(keys, tick)
        slot, is_free = slot[slot >= 0], is_free[slot >= 0]
        state = self._table.column['state']
        state[slot] = np.maximum(state[slot], np.where(is_free, FREE, SURFACE))

    def at(self, points: NDArray) -> NDArray[np.uint8]:
        """Return the state of the voxels of map points (n, 3): 0 unseen, SURFACE or FREE."""
        slot = self._table.find(voxel_keys(points, VOXEL_M))
        return np.where(slot >= 0, self._table.column['state'][slot], 0).astype(np.uint8)

    def observed(self) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """Return the centres (n, 3) m and states (n,) of all voxels kept."""
        rows = np.flatnonzero(self._table.key != EMPTY)
        return voxel_centres(self._table.key[rows], VOXEL_M), self._table.column['state'][rows]


def _seen_again(
    points: NDArray, size: NDArray, label: NDArray, glimpse: Glimpse
) -> NDArray[np.float64]:
    """Return the weight of the detection that is each thing seen again, (n,); 0 without one."""
    if not len(glimpse.label):
        return np.zeros(len(points))
    apart = np.linalg.norm(points[:, None] - glimpse.centre[None], axis=2)
    near = (apart < reach_of(size)[:, None]) & (label[:, None] == glimpse.label[None])
    return np.where(near, glimpse.weight[None], 0.0).max(axis=1)
