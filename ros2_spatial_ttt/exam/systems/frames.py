# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Stores of whole frames: the last ones, or all of them."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.exam.systems.clustering import Votes
from ros2_spatial_ttt.exam.systems.glimpse import Glimpse
from ros2_spatial_ttt.exam.systems.growing import GrowingTable
from ros2_spatial_ttt.exam.systems.looks import judged
from ros2_spatial_ttt.exam.systems.packed import PackedFrame, PackedFrames
from ros2_spatial_ttt.exam.systems.space import DenseSpace, Space
from ros2_spatial_ttt.exam.systems.store import DetectionStore

__all__ = ['FrameStore', 'Unlimited', 'Window']


class FrameStore(DetectionStore):
    """Keeps whole frames and looks at all of them when asked; ``_frames`` says which."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        super().__init__(labels)
        self._seen: PackedFrames | None = None

    @abstractmethod
    def _frames(self) -> Sequence[PackedFrame]:
        """Return the frames it has, oldest first."""

    def _changed(self) -> None:
        """Say that the kept frames are others than before."""
        self._seen = None

    def _votes(self, label: int) -> Votes:
        seen = self._looked()
        return seen.votes.rows(seen.label == label)

    def _judged(self, votes: Votes, found: Votes) -> Votes:
        seen = self._looked()
        return judged(seen.views, seen.stamps_ns, seen.surface, votes, found)

    def _space(self) -> Space:
        return self._looked().space

    def _looked(self) -> PackedFrames:
        if self._seen is None:
            self._seen = PackedFrames(self._frames())
        return self._seen


class Window(FrameStore):
    """The last frames only: no long-term memory.

    Args:
        labels: names that things can have.
        frames: how many it keeps.
    """

    name = 'window'

    def __init__(self, labels: tuple[str, ...], *, frames: int) -> None:
        super().__init__(labels)
        self._kept: deque[PackedFrame] = deque(maxlen=frames)

    @property
    def stored_bytes(self) -> int:
        """Bytes of the frames in the window."""
        return sum(frame.nbytes for frame in self._kept)

    def _keep(self, glimpse: Glimpse) -> None:
        self._kept.append(PackedFrame.of(glimpse))
        self._changed()

    def _frames(self) -> Sequence[PackedFrame]:
        return list(self._kept)


class Unlimited(DetectionStore):
    """Every detection, every surface point and a voxel map of all space seen: grows for ever."""

    name = 'unlimited'

    def __init__(self, labels: tuple[str, ...]) -> None:
        super().__init__(labels)
        self._detections: dict[int, GrowingTable] = {}
        self._views = GrowingTable(6)
        self._surfaces: list[NDArray[np.float32]] = []
        self._grid = DenseSpace()
        self._bytes = 0

    @property
    def stored_bytes(self) -> int:
        """Bytes of all frames, their free points as voxels."""
        return self._bytes + self._grid.nbytes

    def _keep(self, glimpse: Glimpse) -> None:
        self._grid.add(glimpse.surface, glimpse.free)
        self._bytes += glimpse.nbytes - glimpse.free.nbytes
        self._views.append([*glimpse.camera, *glimpse.ahead], glimpse.stamp_ns)
        self._surfaces.append(glimpse.surface)
        rows = np.column_stack([glimpse.centre, glimpse.size, glimpse.yaw, glimpse.weight])
        for label, row in zip(glimpse.label.tolist(), rows, strict=True):
            if label not in self._detections:
                self._detections[label] = GrowingTable(8)
            self._detections[label].append(row, glimpse.stamp_ns)

    def _votes(self, label: int) -> Votes:
        table = self._detections.get(label, GrowingTable(8))
        rows = table.rows
        return Votes.made(
            point=rows[:, :3],
            size=rows[:, 3:6],
            yaw=rows[:, 6],
            weight=rows[:, 7],
            stamp_ns=table.stamps_ns,
        )

    def _judged(self, votes: Votes, found: Votes) -> Votes:
        views = self._views
        return judged(views.rows, views.stamps_ns, self._surfaces.__getitem__, votes, found)

    def _space(self) -> Space:
        return self._grid
