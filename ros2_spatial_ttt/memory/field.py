# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The fast weights of one tile and the meaning of their channels. Numpy only.

A tile holds two linear fields over points of space, each with its own curvature:

- *appearance*, written by surface samples only: how a surface looks there;
- *geometry*, written by surface and free-space samples: is it observed, is it occupied.

They are apart because free space fills volumes and would use up the features that tell one
surface from the next (docs/LOG.md has the numbers).
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
    'TileFields',
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

    @property
    def nbytes(self) -> int:
        """Size of the three tensors in bytes."""
        return self.curvature.nbytes + self.target.nbytes + self.weight.nbytes

    def is_finite(self) -> bool:
        """Return whether every number is finite; a sum shows it without a temporary."""
        tensors = (self.curvature, self.target, self.weight)
        return all(bool(np.isfinite(tensor.sum(dtype=np.float64))) for tensor in tensors)


@dataclass(frozen=True)
class TileFields:
    """Both fields of one tile."""

    appearance: FieldState
    geometry: FieldState

    @staticmethod
    def zeros(features: int, channels: int) -> TileFields:
        """Return empty fields; ``channels`` is that of the appearance field."""
        return TileFields(
            appearance=FieldState.zeros(features, channels),
            geometry=FieldState.zeros(features, GEOMETRY_CHANNELS),
        )

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return self.appearance.nbytes + self.geometry.nbytes

    def is_finite(self) -> bool:
        """Return whether every number is finite."""
        return self.appearance.is_finite() and self.geometry.is_finite()

    def tensors(self) -> dict[str, NDArray]:
        """Return {name: tensor}, the explicit state of the exported graph without its prefix."""
        return {
            f'{field}/{name}': getattr(getattr(self, field), name)
            for field in ('appearance', 'geometry')
            for name in ('curvature', 'target', 'weight')
        }

    @staticmethod
    def from_tensors(tensors: dict[str, NDArray]) -> TileFields:
        """Return the fields of ``tensors`` as ``tensors()`` names them."""
        fields = {
            field: FieldState(
                **{name: tensors[f'{field}/{name}'] for name in ('curvature', 'target', 'weight')}
            )
            for field in ('appearance', 'geometry')
        }
        return TileFields(**fields)
