# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Fast weights and the meaning of their channels. Numpy only.

Two kinds of linear field over points of space, each with its own curvature:

- *appearance*, written by surface samples: how a surface looks, one field per tile **and sector**,
  the compass direction that it was seen from, as the front and the back of a thing look unlike and
  would blur into a mean;
- *geometry*, written by surface and free-space samples, one per tile: is a point observed, is it
  occupied. Apart from appearance, because free space fills volumes and would use up the features
  that tell one surface from the next (docs/LOG.md has the numbers).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    'COLOUR',
    'EMBEDDING',
    'GEOMETRY_CHANNELS',
    'OBSERVED',
    'OCCUPIED',
    'SEEN',
    'VIEW',
    'FieldState',
]

# Columns of the appearance field.
SEEN = 0  # 1 wherever a surface was measured
COLOUR = slice(1, 4)  # RGB, 0..1
VIEW = slice(4, 7)  # unit vector from the surface to the camera, map axes
EMBEDDING = slice(7, None)  # appearance embedding, mean over looks

# Columns of the geometry field.
OBSERVED = 0  # 1 wherever something was measured, surface or free
OCCUPIED = 1  # 1 on a surface, 0 in free space
GEOMETRY_CHANNELS = 2


@dataclass(frozen=True)
class FieldState:
    """Fast weights of one field; immutable: an update returns a new one.

    Attributes:
        curvature: A, (D, D), sum of weighted outer products of keys.
        target: B, (D, C), sum of weighted keys times values; column 0 is the mass of keys.
        weight: W, (D, C), the solution that is read.
    """

    curvature: NDArray
    target: NDArray
    weight: NDArray

    @staticmethod
    def zeros(features: int, channels: int) -> FieldState:
        """Return the empty field: nothing observed anywhere."""
        return FieldState(
            curvature=np.zeros((features, features), np.float32),
            target=np.zeros((features, channels), np.float32),
            weight=np.zeros((features, channels), np.float32),
        )

    def tensors(self) -> dict[str, NDArray]:
        """Return {name: tensor}, the state of the exported graph without its prefix."""
        return dict(vars(self))

    @property
    def nbytes(self) -> int:
        """Size of the three tensors in bytes."""
        return self.curvature.nbytes + self.target.nbytes + self.weight.nbytes

    def is_finite(self) -> bool:
        """Return whether every number is finite; a sum shows it without a temporary."""
        tensors = (self.curvature, self.target, self.weight)
        return all(bool(np.isfinite(tensor.sum(dtype=np.float64))) for tensor in tensors)
