# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A hash table of fixed bytes that forgets the least recently used, vectorised.

As in a set-associative cache: a key belongs to one bucket of 16 entries and may be in any of
them. A new key takes an empty entry or that of the bucket which was not used for the longest
time. There is no index beside the entries, so their bytes are all that the table needs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.errors import ConfigError

__all__ = ['BucketTable']

WAYS = 16
EMPTY = np.int64(-1)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # Knuth's multiplicative hash


class BucketTable:
    """Entries of an int64 key, a stamp of last use and further columns.

    Args:
        budget_bytes: most bytes of all entries.
        columns: {name: (shape of one entry, dtype)}; zero in a new entry.

    Attributes:
        key: (n,) int64, EMPTY where free. used: (n,) uint32. column: {name: (n, …)}.
    """

    def __init__(self, budget_bytes: int, columns: dict[str, tuple[tuple[int, ...], type]]):
        entry = 12 + sum(int(np.prod(s)) * np.dtype(d).itemsize for s, d in columns.values())
        self._buckets = budget_bytes // (entry * WAYS)
        if self._buckets < 1:
            raise ConfigError(
                f'budget of a voxel table: expected at least {entry * WAYS} B, got {budget_bytes}'
            )
        size = self._buckets * WAYS
        self.key = np.full(size, EMPTY)
        self.used = np.zeros(size, np.uint32)
        self.column = {name: np.zeros((size, *s), d) for name, (s, d) in columns.items()}

    @property
    def nbytes(self) -> int:
        """Bytes of all entries, in use or not."""
        return self.key.nbytes + self.used.nbytes + sum(a.nbytes for a in self.column.values())

    def find(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the entry of each key (n,), -1 where it is not in the table."""
        slots = self._slots(keys)
        hit = self.key[slots] == keys[:, None]
        found = slots[np.arange(len(keys)), hit.argmax(axis=1)]
        return np.where(hit.any(axis=1), found, -1)

    def claim(self, keys: NDArray[np.int64], tick: int) -> NDArray[np.int64]:
        """Return the entry of each key (n,), all different, making it where there is none.

        -1 where a bucket has no entry left that is not in use by this very call.
        """
        out = self.find(keys)
        self.used[out[out >= 0]] = tick
        missing = np.flatnonzero(out < 0)
        while len(missing):
            # One new key per bucket and round, as two must not take the same entry.
            _, first = np.unique(self._bucket(keys[missing]), return_index=True)
            rows = missing[first]
            out[rows] = self._replace_oldest(keys[rows], tick)
            missing = np.delete(missing, first)
        return out

    def _replace_oldest(self, keys: NDArray[np.int64], tick: int) -> NDArray[np.int64]:
        slots = self._slots(keys)
        oldest = slots[np.arange(len(keys)), self.used[slots].argmin(axis=1)]
        full = self.used[oldest] >= tick
        taken = oldest[~full]
        self.key[taken] = keys[~full]
        self.used[taken] = tick
        for column in self.column.values():
            column[taken] = 0
        return np.where(full, -1, oldest)

    def _bucket(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        mixed = (keys.astype(np.uint64) * _GOLDEN) >> np.uint64(24)
        return (mixed % np.uint64(self._buckets)).astype(np.int64)

    def _slots(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        return self._bucket(keys)[:, None] * WAYS + np.arange(WAYS)
