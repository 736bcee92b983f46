# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Where and when surfaces were measured: a bounded table of places per tile.

It tells the reader where to look; what is there is read from the fast weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ['CELL_M', 'PlaceTable']

# Edge of the cell in which measurements count as one place.
CELL_M = 0.12
_OFFSET = 1 << 20


@dataclass(frozen=True)
class PlaceTable:
    """Places sorted by cell; immutable.

    Attributes:
        key: (n,) int64 cell. point: (n, 3) float32 m in the tile, newest measurement.
        first_ns, last_ns: (n,) int64 stamps. count: (n,) int32 samples.
    """

    key: NDArray[np.int64]
    point: NDArray[np.float32]
    first_ns: NDArray[np.int64]
    last_ns: NDArray[np.int64]
    count: NDArray[np.int32]

    @staticmethod
    def empty() -> PlaceTable:
        """Return a table without places."""
        stamps = np.zeros(0, np.int64)
        return PlaceTable(
            stamps, np.zeros((0, 3), np.float32), stamps, stamps, np.zeros(0, np.int32)
        )

    def __len__(self) -> int:
        return len(self.key)

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return sum(array.nbytes for array in self.arrays().values())

    def arrays(self) -> dict[str, NDArray]:
        """Return {name: array}."""
        return dict(vars(self))

    def merged(
        self, points: NDArray[np.float32], stamps_ns: NDArray[np.int64], *, capacity: int
    ) -> PlaceTable:
        """Return the table with measurements added; over capacity the longest unseen places go.

        Args:
            points: (N, 3) m in the tile.
            stamps_ns: (N,).
            capacity: most places that are kept.
        """
        cell = np.floor(points.astype(np.float64) / CELL_M).astype(np.int64) + _OFFSET
        new_key = (cell[:, 0] << 42) | (cell[:, 1] << 21) | cell[:, 2]
        key = np.concatenate([self.key, new_key])
        first = np.concatenate([self.first_ns, stamps_ns])
        last = np.concatenate([self.last_ns, stamps_ns])
        count = np.concatenate([self.count, np.ones(len(points), np.int32)])
        point = np.concatenate([self.point, points])
        order = np.lexsort((last, key))
        key, first, last, count, point = (a[order] for a in (key, first, last, count, point))
        starts = np.flatnonzero(np.r_[True, key[1:] != key[:-1]]) if len(key) else np.zeros(0, int)
        ends = np.r_[starts[1:], len(key)] - 1 if len(key) else starts
        table = PlaceTable(
            key=key[starts],
            point=point[ends],
            first_ns=np.minimum.reduceat(first, starts) if len(starts) else first,
            last_ns=last[ends],
            count=np.add.reduceat(count, starts).astype(np.int32) if len(starts) else count,
        )
        if len(table) <= capacity:
            return table
        newest = np.argsort(-table.last_ns, kind='stable')[:capacity]
        return table.kept(np.isin(np.arange(len(table)), newest))

    def kept(self, mask: NDArray[np.bool_]) -> PlaceTable:
        """Return the places where ``mask`` (n,) is true."""
        return PlaceTable(**{name: array[mask] for name, array in self.arrays().items()})
