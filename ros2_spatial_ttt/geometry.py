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
    'box_corners',
    'box_distance',
    'interpolate_transform',
    'invert_transform',
    'level_T_camera',
    'matrix_from_quaternion',
    'message_quaternion',
    'quaternion_from_matrix',
    'rotation_2d',
    'rotation_angle',
    'transform',
    'transform_points',
]

Array = NDArray[np.float64]


def level_T_camera(map_T_camera: Array) -> tuple[Array, float]:  # noqa: N802
    """Return the rotation (3, 3) from the optical to the level frame, and the heading in rad.

    Level frame: at the camera, x along its heading, y to the left, z up.
    """
    ahead = map_T_camera[:3, 2]
    heading = float(np.arctan2(ahead[1], ahead[0]))
    cos, sin = np.cos(heading), np.sin(heading)
    level_T_map = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
    return level_T_map @ map_T_camera[:3, :3], heading


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


def message_quaternion(rotation: ArrayLike) -> Array:
    """Return the unit quaternion (x, y, z, w) of a rotation, on a grid of 1e-9.

    ``matrix_from_quaternion`` of it is that rotation within 1e-9, and gives the same quaternion
    again, to the last bit: a pose that went once through a message does not change any more.
    """
    q = quaternion_from_matrix(rotation)
    grid = np.round(q / np.abs(q).max(), 9)
    return grid / np.linalg.norm(grid)


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


def rotation_2d(angle: float) -> Array:
    """Return the (2, 2) rotation by an angle in rad, counter-clockwise."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])


def box_corners(centre: ArrayLike, size: ArrayLike, yaw: float) -> Array:
    """Return the footprint (4, 2) of an upright box, counter-clockwise, metres."""
    # A point is a very small box: the separating axes below need edges.
    half = np.maximum(np.asarray(size, np.float64)[:2] / 2.0, 1e-6)
    unit = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * half
    return np.asarray(unit @ rotation_2d(yaw).T + np.asarray(centre, np.float64)[:2])


def box_distance(
    centre_a: ArrayLike,
    size_a: ArrayLike,
    yaw_a: float,
    centre_b: ArrayLike,
    size_b: ArrayLike,
    yaw_b: float,
) -> float:
    """Return the distance of the closest points of two upright boxes, m; 0 where they touch.

    Args:
        centre_a: (3,) m, middle of the first box.
        size_a: (3,) m, extent of the first box along its own axes (x, y, z).
        yaw_a: rad, of the first box about z.
        centre_b: likewise of the second.
        size_b: likewise.
        yaw_b: likewise.
    """
    reach = (np.asarray(size_a, np.float64)[2] + np.asarray(size_b, np.float64)[2]) / 2.0
    apart = abs(float(np.asarray(centre_a)[2]) - float(np.asarray(centre_b)[2]))
    vertical = max(0.0, apart - float(reach))
    flat = _footprint_distance(
        box_corners(centre_a, size_a, yaw_a), box_corners(centre_b, size_b, yaw_b)
    )
    return float(np.hypot(flat, vertical))


def _footprint_distance(a: Array, b: Array) -> float:
    """Return the distance of two convex polygons (4, 2), 0 where they overlap."""
    if not _separated(a, b):
        return 0.0
    return min(_corner_distance(a, b), _corner_distance(b, a))


def _separated(a: Array, b: Array) -> bool:
    """Return whether an edge of either rectangle separates them (separating axis theorem)."""
    for polygon in (a, b):
        for edge in (polygon[1] - polygon[0], polygon[2] - polygon[1]):
            axis = np.array([-edge[1], edge[0]])
            on_a, on_b = a @ axis, b @ axis
            if on_a.max() < on_b.min() or on_b.max() < on_a.min():
                return True
    return False


def _corner_distance(corners: Array, polygon: Array) -> float:
    """Return the least distance of points (n, 2) to the edges of a polygon (4, 2)."""
    start = polygon[None]
    edge = np.roll(polygon, -1, axis=0)[None] - start
    length = np.maximum((edge**2).sum(-1), 1e-12)
    share = np.clip(((corners[:, None] - start) * edge).sum(-1) / length, 0.0, 1.0)
    nearest = start + share[..., None] * edge
    return float(np.linalg.norm(corners[:, None] - nearest, axis=-1).min())
