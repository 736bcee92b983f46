# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Whole frames in few bytes, and many of them seen at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.exam.systems.clustering import Votes
from ros2_spatial_ttt.exam.systems.glimpse import VOXEL_M, Glimpse
from ros2_spatial_ttt.exam.systems.space import DenseSpace

__all__ = ['PackedFrame', 'PackedFrames']

MILLIMETRES = 1e3
_REACH_M = 32.0  # of int16 millimetres


@dataclass(frozen=True)
class PackedFrame:
    """A frame with its points in int16 millimetres from the camera and the rest in float16.

    Attributes:
        stamp_ns: of the frame. camera: (3,) float32 m. ahead: (3,) float16 unit vector.
        label: (n,) uint8. centre: (n, 3). box: (n, 5) float16 size, yaw and weight.
        surface: (m, 3). free: (f, 3).
    """

    stamp_ns: int
    camera: NDArray[np.float32]
    ahead: NDArray[np.float16]
    label: NDArray[np.uint8]
    centre: NDArray[np.int16]
    box: NDArray[np.float16]
    surface: NDArray[np.int16]
    free: NDArray[np.int16]

    @staticmethod
    def of(glimpse: Glimpse) -> PackedFrame:
        """Return a frame packed."""
        return PackedFrame(
            stamp_ns=glimpse.stamp_ns,
            camera=glimpse.camera,
            ahead=glimpse.ahead.astype(np.float16),
            label=glimpse.label.astype(np.uint8),
            centre=_millimetres(glimpse.centre - glimpse.camera),
            box=np.column_stack([glimpse.size, glimpse.yaw, glimpse.weight]).astype(np.float16),
            surface=_millimetres(glimpse.surface - glimpse.camera),
            free=_millimetres(glimpse.free - glimpse.camera),
        )

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays and the stamp."""
        return 8 + sum(v.nbytes for v in vars(self).values() if isinstance(v, np.ndarray))


class PackedFrames:
    """Some frames at once; what costs time is unpacked when it is asked for.

    Args:
        frames: one or more, oldest first.

    Attributes:
        stamps_ns: (k,) int64. views: (k, 6) float32 place and direction of the camera.
        label: (n,) of all detections.
    """

    def __init__(self, frames: Sequence[PackedFrame]) -> None:
        self._frames = frames
        self._cameras = np.array([f.camera for f in frames])
        self.stamps_ns = np.array([f.stamp_ns for f in frames], np.int64)
        self.views = np.concatenate([self._cameras, np.array([f.ahead for f in frames])], axis=1)
        self.label = np.concatenate([f.label for f in frames])

    @cached_property
    def votes(self) -> Votes:
        """All detections."""
        box = np.concatenate([f.box for f in self._frames]).astype(np.float32)
        return Votes.made(
            point=self._metres([f.centre for f in self._frames]),
            size=box[:, :3],
            yaw=box[:, 3],
            weight=box[:, 4],
            stamp_ns=np.repeat(self.stamps_ns, [len(f.label) for f in self._frames]),
        )

    @cached_property
    def space(self) -> DenseSpace:
        """What the frames saw free and occupied."""
        space = DenseSpace()
        space.add_cells(
            self._voxels([f.surface for f in self._frames]),
            self._voxels([f.free for f in self._frames]),
        )
        return space

    def surface(self, frame: int) -> NDArray[np.float32]:
        """Return the surface points (m, 3) m of one frame."""
        packed = self._frames[frame]
        return packed.surface.astype(np.float32) / np.float32(MILLIMETRES) + packed.camera

    def _voxels(self, parts: list[NDArray[np.int16]]) -> NDArray[np.int32]:
        """Return the voxels of points of all frames; in whole millimetres, as they are many."""
        cameras = np.round(self._cameras * MILLIMETRES).astype(np.int32)
        points = np.concatenate(parts) + np.repeat(cameras, [len(p) for p in parts], axis=0)
        return points // np.int32(VOXEL_M * MILLIMETRES)

    def _metres(self, parts: list[NDArray[np.int16]]) -> NDArray[np.float32]:
        """Return points of all frames in the map, m."""
        points = np.concatenate(parts).astype(np.float32) / np.float32(MILLIMETRES)
        return points + np.repeat(self._cameras, [len(part) for part in parts], axis=0)


def _millimetres(points: NDArray[np.float32]) -> NDArray[np.int16]:
    """Return points (n, 3) m as whole millimetres, at most 32 m from the camera."""
    limit = _REACH_M * MILLIMETRES
    return np.clip(np.round(points * MILLIMETRES), -limit, limit).astype(np.int16)
