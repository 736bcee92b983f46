# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The pose of a camera from rays and the map points that they meet.

RANSAC over three points (Ke and Roumeliotis, CVPR 2017; OpenCV's AP3P) finds a pose for each group
of pairs. The one that most pairs of all groups agree with is refined on these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ['LEAST_PAIRS', 'Fit', 'Pairs', 'fitted']

Array = NDArray[np.float64]

# Fewest pairs that a pose is believed from. Tries of RANSAC, and rounds of refinement.
LEAST_PAIRS, _TRIES, _ROUNDS = 6, 300, 3
# Nothing is seen nearer than this.
_NEAREST_M = 0.05
# Standard deviations are stretched, and at least so large (m, rad), as the landmarks of a keyframe
# err together with its pose: 87 % of errors are within 90 % (docs/LOG.md).
_STRETCH, _FLOOR = 2.0, np.array([0.015] * 3 + [0.008] * 3)


@dataclass(frozen=True)
class Pairs:
    """n features of the picture, each with the landmark that it matches.

    Attributes:
        feature: (n,) number. xy: (n, 2) where it looks, at z = 1. point: (n, 3) m in the map.
        group: (n,) number of the group that they are of.
    """

    feature: NDArray[np.int64]
    xy: Array
    point: Array
    group: NDArray[np.int64]

    def kept(self, mask: NDArray) -> Pairs:
        """Return the pairs where ``mask`` (n,) is true."""
        return Pairs(**{name: array[mask] for name, array in vars(self).items()})

    @staticmethod
    def joined(parts: Sequence[Pairs]) -> Pairs:
        """Return all pairs of several."""
        names = vars(parts[0])
        return Pairs(**{n: np.concatenate([getattr(part, n) for part in parts]) for n in names})

    @property
    def distinct(self) -> int:
        """Features, however many landmarks each matches."""
        return len(np.unique(self.feature))


@dataclass(frozen=True)
class Fit:
    """A pose that pairs agree with.

    Attributes:
        map_T_camera: (4, 4) optical frame to map.
        covariance: (6, 6) of its position, m², and of turns about the map's axes, rad².
        agree: the pairs. matched: features that were matched at all.
    """

    map_T_camera: Array
    covariance: Array
    agree: Pairs
    matched: int


def fitted(groups: Sequence[Pairs], reach: float) -> Fit | None:
    """Return the pose that most features agree with; None where too few do.

    Args:
        groups: pairs that may be right together.
        reach: distance at z = 1 within which a pair agrees with a pose.
    """
    pairs = Pairs.joined(groups)
    poses = [pose for group in (*groups, pairs) if (pose := _guessed(group, reach)) is not None]
    if not poses:
        return None
    pose = max(poses, key=lambda one: pairs.kept(_error(one, pairs) < reach).distinct)
    for _ in range(_ROUNDS):
        agree = pairs.kept(_error(pose, pairs) < reach)
        if agree.distinct < LEAST_PAIRS:
            return None
        turn, shift = _vectors(pose)
        pose = _pose(*cv2.solvePnPRefineLM(agree.point, agree.xy, np.eye(3), None, turn, shift))
    return Fit(pose, _covariance(pose, agree), agree, pairs.distinct)


def _guessed(pairs: Pairs, reach: float) -> Array | None:
    """Return a pose (4, 4) map_T_camera by RANSAC."""
    if len(pairs.feature) < LEAST_PAIRS:
        return None
    found, turn, shift, _ = cv2.solvePnPRansac(
        pairs.point,
        pairs.xy,
        np.eye(3),
        None,
        iterationsCount=_TRIES,
        reprojectionError=reach,
        confidence=0.999,
        flags=cv2.SOLVEPNP_AP3P,
    )
    return _pose(turn, shift) if found else None


def _pose(turn: NDArray, shift: NDArray) -> Array:
    """Return (4, 4) map_T_camera of OpenCV's rotation vector and translation of camera_T_map."""
    out = np.eye(4)
    out[:3, :3] = cv2.Rodrigues(turn)[0].T
    out[:3, 3] = -out[:3, :3] @ shift.ravel()
    return out


def _vectors(pose: Array) -> tuple[Array, Array]:
    """Return OpenCV's rotation vector (3, 1) and translation (3, 1) of a pose map_T_camera."""
    camera_R_map = pose[:3, :3].T
    return np.asarray(cv2.Rodrigues(camera_R_map)[0]), -camera_R_map @ pose[:3, 3:]


def _error(pose: Array, pairs: Pairs) -> Array:
    """Return how far apart a feature and its landmark are at z = 1, (n,); inf behind."""
    local = (pairs.point - pose[:3, 3]) @ pose[:3, :3]
    ahead = local[:, 2] > _NEAREST_M
    xy = local[:, :2] / np.where(ahead, local[:, 2], 1.0)[:, None]
    return np.where(ahead, np.linalg.norm(xy - pairs.xy, axis=1), np.inf)


def _covariance(pose: Array, agree: Pairs) -> Array:
    """Return the covariance (6, 6) of a pose that was fitted to pairs, see ``Standpoint``."""
    apart = agree.point - pose[:3, 3]
    x, y, z = (apart @ pose[:3, :3]).T
    zero = np.zeros_like(z)
    project = np.stack([1 / z, zero, -x / z**2, zero, 1 / z, -y / z**2], axis=1).reshape(-1, 2, 3)
    by_shift = -project @ pose[:3, :3].T
    # A turn of the camera by a small vector a moves what is at p as -a x p does.
    by_turn = np.cross(-by_shift, apart[:, None])
    slope = np.concatenate([by_shift, by_turn], axis=2).reshape(-1, 6)
    variance = float((_error(pose, agree) ** 2).sum()) / max(2 * len(apart) - 6, 1)
    return _STRETCH**2 * variance * np.linalg.pinv(slope.T @ slope) + np.diag(_FLOOR) ** 2
