# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The maths of the memory as plain float64 numpy: the form that every runtime is compared with.

No cleverness, no in-place change of an input. Letters: N samples, D features, C channels.

A field is ridge regression on random Fourier features of a 3D point (Rahimi & Recht 2007),
updated at test time with the curvature kept (the Hessian-free rule of video-SALMONN S)::

    phi(p) = sqrt(2/D) [cos(Omega p), sin(Omega p)]
    A <- gamma A + sum_i w_i phi_i phi_i^T        B <- gamma B + sum_i w_i phi_i v_i^T
    W <- (A + lambda I)^-1 B

or, where a field stays on a device that has no solver, K conjugate-gradient steps towards it from
the last W: the exported graph does these.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.memory.field import FieldState

__all__ = [
    'conjugate_gradient',
    'exact_solution',
    'field_read',
    'field_update',
    'fourier_features',
    'novelty',
]

# Numbers in of any width; every result is float64.
Array = NDArray[Any]


def fourier_features(points: Array, omega: Array) -> Array:
    """Return phi of points (N, 3) for frequencies omega (D/2, 3) in rad/m, (N, D)."""
    phase = points.astype(np.float64) @ omega.astype(np.float64).T
    return np.concatenate([np.cos(phase), np.sin(phase)], axis=1) / np.sqrt(len(omega))


def novelty(mass: float, *, mass_max: float, weight_min: float) -> float:
    """Return the factor on a sample's weight where ``mass`` was already written.

    Keeps A bounded: a place that is seen for hours weighs no more than one seen for minutes.
    """
    return float(np.clip(1.0 - mass / mass_max, weight_min, 1.0))


def conjugate_gradient(
    curvature: Array, target: Array, start: Array, *, ridge: float, steps: int
) -> Array:
    """Return ``steps`` of conjugate gradients on (A + ridge I) W = B from ``start``.

    One scalar step per iteration is shared by all columns, as if they were one long vector:
    per-column steps drift apart between runtimes.
    """
    weight = start.astype(np.float64).copy()
    residual = target - (curvature @ weight + ridge * weight)
    direction = residual.copy()
    energy = float(np.sum(residual * residual))
    for _ in range(steps):
        image = curvature @ direction + ridge * direction
        step = energy / max(float(np.sum(direction * image)), 1e-30)
        weight = weight + step * direction
        residual = residual - step * image
        energy_next = float(np.sum(residual * residual))
        direction = residual + energy_next / max(energy, 1e-30) * direction
        energy = energy_next
    return weight


def exact_solution(curvature: Array, target: Array, *, ridge: float) -> Array:
    """Return W of (A + ridge I) W = B by a direct solve."""
    eye = np.eye(len(curvature))
    return np.linalg.solve(curvature.astype(np.float64) + ridge * eye, target.astype(np.float64))


def field_update(
    state: FieldState,
    points: Array,
    values: Array,
    weights: Array,
    *,
    omega: Array,
    ridge: float,
    decay: float,
    mass_max: float,
    weight_min: float,
    steps: int | None,
) -> FieldState:
    """Return the state after one chunk of samples, token by token.

    Args:
        state: before the chunk; not changed.
        points: (N, 3) metres in the frame of the tile.
        values: (N, C); channel 0 is always 1, so column 0 of B is the plain sum of weighted keys,
            and its product with a key is the mass already written around that point.
        weights: (N,) at least 0; 0 means the sample does not exist.
        omega: (D/2, 3) rad/m.
        ridge: lambda, in units of sample weight.
        decay: gamma.
        mass_max: see ``novelty``.
        weight_min: see ``novelty``.
        steps: K; None = solve exactly.
    """
    if not np.any(weights > 0.0):
        return state
    curvature = decay * state.curvature.astype(np.float64)
    target = decay * state.target.astype(np.float64)
    mass_key = state.target[:, 0].astype(np.float64)
    for key, value, weight in zip(fourier_features(points, omega), values, weights, strict=True):
        w = weight * novelty(float(key @ mass_key), mass_max=mass_max, weight_min=weight_min)
        curvature = curvature + w * np.outer(key, key)
        target = target + w * np.outer(key, value)
    if steps is None:
        weight = exact_solution(curvature, target, ridge=ridge)
    else:
        weight = conjugate_gradient(curvature, target, state.weight, ridge=ridge, steps=steps)
    return FieldState(curvature=curvature, target=target, weight=weight)


def field_read(weight: Array, points: Array, *, omega: Array) -> Array:
    """Return what W (D, C) says at points (M, 3) in the frame of the tile, (M, C)."""
    return fourier_features(points, omega) @ weight.astype(np.float64)
