# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A table of numbers that grows row by row without being copied each time."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ['GrowingTable']


class GrowingTable:
    """Rows of float32 numbers, each with an int64 stamp.

    Args:
        width: numbers in a row.
    """

    def __init__(self, width: int) -> None:
        self._rows = np.zeros((64, width), np.float32)
        self._stamps = np.zeros(64, np.int64)
        self._count = 0

    def append(self, row: ArrayLike, stamp_ns: int) -> None:
        """Add a row."""
        if self._count == len(self._stamps):
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
            self._stamps = np.concatenate([self._stamps, np.zeros_like(self._stamps)])
        self._rows[self._count] = row
        self._stamps[self._count] = stamp_ns
        self._count += 1

    @property
    def rows(self) -> NDArray[np.float32]:
        """All rows, (n, width)."""
        return self._rows[: self._count]

    @property
    def stamps_ns(self) -> NDArray[np.int64]:
        """Their stamps, (n,)."""
        return self._stamps[: self._count]
