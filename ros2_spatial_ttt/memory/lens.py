# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Running statistics of embeddings, and the lens: the whitening that they are compared through.

The encoder was whitened on other pictures than this camera's. What a camera sees all day shares a
large part that tells nothing apart, and a mean over looks keeps just that part. As the field is
linear, mean and whitening can be applied when it is read, so they may change at any time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ['Lens', 'Statistics']

# The lens is made anew when this many times as many samples were seen; every change of it costs a
# new read of all places.
GROWTH = 1.5
# Share of the mean variance added to every direction, so that noise is not blown up.
SHRINK = 0.3
# Mean variance of one sample, or of equal ones, with rounding: there is nothing to whiten by.
_NO_VARIANCE = 1e-9


@dataclass(frozen=True, eq=False)
class Lens:
    """Whitening of an embedding e: ``(e - mean) @ matrix``, of typical length 1.

    Attributes:
        mean: (E,). matrix: (E, E). count: samples it was made of.
    """

    mean: NDArray[np.float32]
    matrix: NDArray[np.float32]
    count: float

    @staticmethod
    def identity(width: int) -> Lens:
        """Return the lens that changes nothing."""
        return Lens(np.zeros(width, np.float32), np.eye(width, dtype=np.float32), 0.0)

    def through(self, embedding: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return embeddings (n, E) seen through the lens, of length 1."""
        seen = (embedding - self.mean) @ self.matrix
        return seen / np.maximum(np.linalg.norm(seen, axis=1, keepdims=True), 1e-6)


@dataclass(frozen=True, eq=False)
class Statistics:
    """Sums over all embeddings ever written; immutable.

    Attributes:
        count: of samples. total: (E,) their sum. outer: (E, E) sum of outer products; float64.
    """

    count: float
    total: NDArray[np.float64]
    outer: NDArray[np.float64]

    @staticmethod
    def empty(width: int) -> Statistics:
        """Return the statistics of no sample."""
        return Statistics(0.0, np.zeros(width), np.zeros((width, width)))

    def with_samples(self, embedding: NDArray[np.float32]) -> Statistics:
        """Return the statistics with embeddings (n, E) added."""
        rows = embedding.astype(np.float64)
        return Statistics(
            self.count + len(rows), self.total + rows.sum(axis=0), self.outer + rows.T @ rows
        )

    def lens(self, last: Lens) -> Lens:
        """Return ``last`` while it holds, else the lens of these statistics."""
        if self.count < max(GROWTH * last.count, 1.0):
            return last
        mean = self.total / self.count
        covariance = self.outer / self.count - np.outer(mean, mean)
        values, vectors = np.linalg.eigh(covariance)
        values = np.maximum(values, 0.0)
        if values.mean() < _NO_VARIANCE:
            return last
        spread = values + SHRINK * values.mean() + 1e-9
        matrix = (vectors / np.sqrt(spread)) @ vectors.T
        matrix /= np.sqrt(np.sum(values / spread))
        return Lens(mean.astype(np.float32), matrix.astype(np.float32), self.count)
