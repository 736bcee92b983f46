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

Between chunks a field is kept *packed*: the solution W, and the Cholesky factor L of A + lambda I,
in float16. This is the square-root form of information filters (Potter 1963; Bierman 1977):
L has half the digits of what it stands for, and L L^T is positive definite however it is rounded.
B is not kept, as it is (A + lambda I) W. So rounding L changes nothing that is read, only how much
the next samples count against the past.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

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
    'FieldKeys',
    'FieldState',
    'PackedField',
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
class FieldKeys:
    """What makes a kind of field.

    Attributes:
        omega: (D/2, 3) frequencies of its keys, rad/m. ridge: lambda, in units of sample weight.
    """

    omega: NDArray[np.float32]
    ridge: float


@dataclass(frozen=True)
class FieldState:
    """Fast weights of one field, as they are computed with; immutable.

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


@dataclass(frozen=True)
class PackedField:
    """Fast weights of one field, as they are kept; immutable.

    Attributes:
        factor: (D (D + 1) / 2,) float16, rows of the lower triangle L with L L^T = A + lambda I;
            (0,) where a rule keeps no curvature; float32 where a rule forgets.
        target: (D, C) float16, B of a rule that keeps it without a curvature; else (0, C).
        weight: (D, C) float16, W, the solution that is read.
    """

    factor: NDArray[np.floating]
    target: NDArray[np.float16]
    weight: NDArray[np.float16]

    @staticmethod
    def of(state: FieldState, ridge: float, *, forgets: bool = False) -> PackedField:
        """Return a field packed; ``ridge`` is the lambda of its rule.

        A rule that ``forgets`` takes from A again, which adds errors of rounding up: its factor
        stays float32.

        Raises:
            LinAlgError: A + lambda I is not positive definite.
        """
        curved = bool(state.curvature.size)
        exact = state.curvature.astype(np.float64) + ridge * np.eye(len(state.curvature))
        factor = np.linalg.cholesky(exact)
        factor = factor[_lower(len(factor))]
        return PackedField(
            factor=factor.astype(np.float32) if forgets else _half(factor),
            target=_half(state.target[:0] if curved else state.target),
            weight=_half(state.weight),
        )

    @staticmethod
    def empty(features: int, channels: int, ridge: float) -> PackedField:
        """Return the empty field: nothing observed anywhere."""
        return PackedField.of(FieldState.zeros(features, channels), ridge)

    def unpacked(self, ridge: float) -> FieldState:
        """Return the field as float32; ``ridge`` as it was packed with."""
        weight = self.weight.astype(np.float32)
        if not self.factor.size:
            nothing = np.zeros((0, 0), np.float32)
            return FieldState(nothing, self.target.astype(np.float32), weight)
        size = len(weight)
        factor = np.zeros((size, size), np.float32)
        factor[_lower(size)] = self.factor
        information = factor @ factor.T
        target = information @ weight
        information[np.diag_indices(size)] -= np.float32(ridge)
        return FieldState(information, target, weight)

    def with_weight(self, weight: NDArray) -> PackedField:
        """Return the field with another solution (D, C)."""
        return replace(self, weight=_half(weight))

    def tensors(self) -> dict[str, NDArray]:
        """Return {name: tensor}."""
        return dict(vars(self))

    @property
    def nbytes(self) -> int:
        """Size of the tensors in bytes."""
        return self.factor.nbytes + self.target.nbytes + self.weight.nbytes

    def is_finite(self) -> bool:
        """Return whether every number is finite."""
        parts = self.tensors().values()
        # A sum shows it without a temporary.
        return all(bool(np.isfinite(part.sum(dtype=np.float32))) for part in parts)


@lru_cache(maxsize=8)
def _lower(size: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns of the lower triangle, row by row."""
    return np.tril_indices(size)


def _half(tensor: NDArray) -> NDArray[np.float16]:
    """Return a tensor as float16; what is too large becomes infinite, which no state may hold."""
    with np.errstate(over='ignore'):
        return tensor.astype(np.float16)
