# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A percept in the map frame, thinned: what every store of the exam takes in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.errors import BadRequest
from ros2_spatial_ttt.geometry import transform_points
from ros2_spatial_ttt.types import Percept

__all__ = ['VOXEL_M', 'Glimpse', 'LabelTable', 'voxel_centres', 'voxel_keys']

# Edge of the voxels of votes and of seen space. Finding things is the same from 0.1 to 0.3 m on
# train seeds (F1 0.915 to 0.925); floor areas want it small.
VOXEL_M = 0.15
# Points beyond this range are not used, as in the memory (gate.depth_max_m).
RANGE_M = 8.0
# What a detector doubts counts less than its chance to be right: there is much of it, and it adds
# up over a long stream. A model says itself what its detections are worth.
WEIGHT_POWER = 3.0
_BITS = 17
_OFFSET = 1 << (_BITS - 1)


def voxel_keys(points: NDArray, edge_m: float) -> NDArray[np.int64]:
    """Return the voxel of each map point (n, 3) as one number, (n,); 17 bits per axis."""
    cell = np.floor(points / edge_m).astype(np.int64) + _OFFSET
    return (cell[:, 0] << (2 * _BITS)) | (cell[:, 1] << _BITS) | cell[:, 2]


def voxel_centres(keys: NDArray[np.int64], edge_m: float) -> NDArray[np.float64]:
    """Return the centres (n, 3) m of voxels."""
    low = (1 << _BITS) - 1
    cells = np.stack([keys >> (2 * _BITS), (keys >> _BITS) & low, keys & low], axis=1)
    return (cells - _OFFSET + 0.5) * edge_m


class LabelTable:
    """Numbers of names."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        self.labels = labels
        self._number = {label: number for number, label in enumerate(labels)}

    def number(self, term: str) -> int:
        """Return the number of a name.

        Raises:
            BadRequest: the name is unknown, or the term is a picture or an object of an answer.
        """
        if term not in self._number:
            raise BadRequest(f'{term!r} is unknown here; ask for one of {", ".join(self.labels)}')
        return self._number[term]

    def numbers(self, labels: tuple[str, ...]) -> NDArray[np.int64]:
        """Return the number of each name, -1 where unknown."""
        return np.array([self._number.get(label, -1) for label in labels], np.int64)


@dataclass(frozen=True)
class Glimpse:
    """One frame in the map frame, metres.

    Attributes:
        stamp_ns: of the frame. camera: (3,) float32 where the camera was.
        ahead: (3,) float32 unit vector along its optical axis.
        label: (n,) int64. centre: (n, 3) float32. size: (n, 3) float32. yaw: (n,) float32.
        weight: (n,) float32.
        surface: (m, 3) float32, free: (f, 3) float32; one point per voxel, in which a voxel with
            a surface is not free.
    """

    stamp_ns: int
    camera: NDArray[np.float32]
    ahead: NDArray[np.float32]
    label: NDArray[np.int64]
    centre: NDArray[np.float32]
    size: NDArray[np.float32]
    yaw: NDArray[np.float32]
    weight: NDArray[np.float32]
    surface: NDArray[np.float32]
    free: NDArray[np.float32]

    @staticmethod
    def of(percept: Percept, table: LabelTable) -> Glimpse:
        """Return a percept in the map frame; detections with unknown names are left out."""
        pose = percept.map_T_camera
        number = table.numbers(percept.labels)
        known = number >= 0
        surface, free = _thinned(percept, pose)
        worth = percept.weight**WEIGHT_POWER if percept.worth is None else percept.worth
        return Glimpse(
            stamp_ns=percept.stamp_ns,
            camera=pose[:3, 3].astype(np.float32),
            ahead=pose[:3, 2].astype(np.float32),
            label=number[known],
            centre=transform_points(pose, percept.centre.reshape(-1, 3)[known]).astype('f4'),
            size=percept.size.reshape(-1, 3)[known].astype(np.float32),
            yaw=percept.yaw[known].astype(np.float32),
            weight=worth[known].astype(np.float32),
            surface=surface,
            free=free,
        )

    @property
    def nbytes(self) -> int:
        """Size of the arrays in bytes, with 1 B per label and 8 B for the stamp."""
        arrays = (self.camera, self.ahead, self.centre, self.size, self.yaw, self.weight)
        points = self.surface.nbytes + self.free.nbytes
        return 8 + len(self.label) + sum(array.nbytes for array in arrays) + points


def _thinned(percept: Percept, pose: NDArray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return one surface point and one free point per voxel, map frame."""
    both = np.concatenate([percept.surface.reshape(-1, 3), percept.free.reshape(-1, 3)])
    is_free = np.arange(len(both)) >= len(percept.surface)
    near = np.einsum('ij,ij->i', both, both) < RANGE_M**2  # False for what is not finite
    points, is_free = transform_points(pose, both[near]), is_free[near]
    # Surfaces come first, so that a voxel with both is occupied.
    _, first = np.unique(voxel_keys(points, VOXEL_M), return_index=True)
    points, is_free = points[first].astype(np.float32), is_free[first]
    return points[~is_free], points[is_free]
