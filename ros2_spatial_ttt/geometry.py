# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Rigid transforms, pinhole rays and boxes. Metres, radians, right-handed (REP-103, REP-105).

A transform ``a_T_b`` takes points in frame b to frame a: ``p_a = a_T_b @ p_b``.
Quaternions are in ROS order (x, y, z, w).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    'interpolate_transform',
    'invert_transform',
    'matrix_from_quaternion',
    'quaternion_from_matrix',
    'rotation_angle',
    'transform',
    'transform_points',
]

Array = NDArray[np.float64]


def matrix_from_quaternion(quaternion_xyzw: ArrayLike) -> Array:
    """Return the (3, 3) rotation of a quaternion, normalised first.

    Raises:
        ValueError: the quaternion is not four finite numbers or has no length.
    """
    q = np.asarray(quaternion_xyzw, dtype=np.float64)
    norm = float(np.linalg.norm(q)) if q.shape == (4,) else float('nan')
    if not np.isfinite(norm) or norm < 1e-9:
        raise ValueError(f'quaternion must be 4 finite numbers of length 1, got {q.tolist()}')
    x, y, z, w = q / norm
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_from_matrix(rotation: ArrayLike) -> Array:
    """Return the unit quaternion (x, y, z, w), w ≥ 0, of a (3, 3) rotation.

    Uses the symmetric 4×4 eigenproblem (Bar-Itzhack 2000), stable for every angle.
    """
    m = np.asarray(rotation, dtype=np.float64)
    k = np.array(
        [
            [m[0, 0] - m[1, 1] - m[2, 2], 0, 0, 0],
            [m[0, 1] + m[1, 0], m[1, 1] - m[0, 0] - m[2, 2], 0, 0],
            [m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], m[2, 2] - m[0, 0] - m[1, 1], 0],
            [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], np.trace(m)],
        ]
    )
    q = np.linalg.eigh(k, UPLO='L')[1][:, -1]
    return q if q[3] >= 0 else -q


def transform(translation_m: ArrayLike, quaternion_xyzw: ArrayLike) -> Array:
    """Return the (4, 4) transform of a translation in metres and a quaternion."""
    out = np.eye(4)
    out[:3, :3] = matrix_from_quaternion(quaternion_xyzw)
    out[:3, 3] = translation_m
    return out


def invert_transform(a_T_b: Array) -> Array:
    """Return ``b_T_a`` of a rigid (4, 4) transform."""
    out = np.eye(4)
    out[:3, :3] = a_T_b[:3, :3].T
    out[:3, 3] = -a_T_b[:3, :3].T @ a_T_b[:3, 3]
    return out


def transform_points(a_T_b: Array, points_b: ArrayLike) -> Array:
    """Return points (..., 3) of frame b in frame a."""
    return np.asarray(points_b) @ a_T_b[:3, :3].T + a_T_b[:3, 3]


def rotation_angle(a_T_b: Array, a_T_c: Array) -> float:
    """Return the angle in radians between the orientations of two transforms."""
    cosine = (np.trace(a_T_b[:3, :3].T @ a_T_c[:3, :3]) - 1.0) / 2.0
    return float(np.arccos(np.clip(cosine, -1.0, 1.0)))


def interpolate_transform(a_T_b0: Array, a_T_b1: Array, fraction: float) -> Array:
    """Return the transform at ``fraction`` (0..1) between two: straight line and slerp."""
    q0 = quaternion_from_matrix(a_T_b0[:3, :3])
    q1 = quaternion_from_matrix(a_T_b1[:3, :3])
    dot = float(q0 @ q1)
    if dot < 0.0:
        q1, dot = -q1, -dot
    angle = np.arccos(min(dot, 1.0))
    if angle < 1e-6:
        q = (1.0 - fraction) * q0 + fraction * q1
    else:
        q = (np.sin((1.0 - fraction) * angle) * q0 + np.sin(fraction * angle) * q1) / np.sin(angle)
    return transform((1.0 - fraction) * a_T_b0[:3, 3] + fraction * a_T_b1[:3, 3], q)
