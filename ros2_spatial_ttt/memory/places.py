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
_CELL_MM = round(1e3 * CELL_M)
_OFFSET = 1 << 20
_MOST = np.iinfo(np.uint16).max


@dataclass(frozen=True)
class PlaceTable:
    """Places sorted by cell; immutable.

    Attributes:
        point_mm: (n, 3) int16 mm in the tile, newest measurement.
        first_ns, last_ns: (n,) int64 stamps. count: (n,) uint16 samples, at most 65535.
    """

    point_mm: NDArray[np.int16]
    first_ns: NDArray[np.int64]
    last_ns: NDArray[np.int64]
    count: NDArray[np.uint16]

    @staticmethod
    def empty() -> PlaceTable:
        """Return a table without places."""
        stamps = np.zeros(0, np.int64)
        return PlaceTable(np.zeros((0, 3), np.int16), stamps, stamps, np.zeros(0, np.uint16))

    def __len__(self) -> int:
        return len(self.point_mm)

    @property
    def point(self) -> NDArray[np.float32]:
        """The points, (n, 3) float32 m in the tile."""
        return self.point_mm * np.float32(1e-3)

    @property
    def key(self) -> NDArray[np.int64]:
        """The cells, (n,), ascending."""
        return _cells(self.point_mm)

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
        new_mm = np.rint(1e3 * points).astype(np.int16)
        point_mm = np.concatenate([self.point_mm, new_mm])
        key = _cells(point_mm)
        first = np.concatenate([self.first_ns, stamps_ns])
        last = np.concatenate([self.last_ns, stamps_ns])
        count = np.concatenate([self.count, np.ones(len(points), np.int32)])
        order = np.lexsort((last, key))
        key, first, last, count = (a[order] for a in (key, first, last, count))
        starts = np.flatnonzero(np.diff(key, prepend=-1))
        ends = np.append(starts[1:], len(key))[: len(starts)] - 1
        table = PlaceTable(
            point_mm=point_mm[order[ends]],
            first_ns=np.minimum.reduceat(first, starts) if len(starts) else first,
            last_ns=last[ends],
            count=_summed(count, starts),
        )
        if len(table) <= capacity:
            return table
        newest = np.argsort(-table.last_ns, kind='stable')[:capacity]
        return table.kept(np.isin(np.arange(len(table)), newest))

    def kept(self, mask: NDArray[np.bool_]) -> PlaceTable:
        """Return the places where ``mask`` (n,) is true."""
        return PlaceTable(**{name: array[mask] for name, array in self.arrays().items()})


def _cells(point_mm: NDArray[np.int16]) -> NDArray[np.int64]:
    """Return the number of the cell of points (n, 3), (n,) at least 0."""
    cell = point_mm.astype(np.int64) // _CELL_MM + _OFFSET
    return (cell[:, 0] << 42) | (cell[:, 1] << 21) | cell[:, 2]


def _summed(count: NDArray[np.integer], starts: NDArray[np.intp]) -> NDArray[np.uint16]:
    """Return the sum of each run of rows, as far as it can be kept."""
    total = np.add.reduceat(count, starts) if len(starts) else count
    return np.minimum(total, _MOST).astype(np.uint16)
