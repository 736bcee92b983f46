# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The equal-byte keyframe store: whole frames, chosen so that their viewpoints differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.exam.systems.frames import FrameStore
from ros2_spatial_ttt.exam.systems.glimpse import Glimpse
from ros2_spatial_ttt.exam.systems.packed import PackedFrame

__all__ = ['Keyframes']

# Turning by one radian is as new a view as walking this far.
TURN_M = 1.0
_LEAST_BYTES = 64 * 1024


class Keyframes(FrameStore):
    """Frames packed to millimetres, under a fixed number of bytes.

    When the bytes are used up, the two most similar viewpoints are found and the older frame of
    the two goes, so that the store covers all viewpoints and stays up to date.

    Args:
        labels: names that things can have. budget_bytes: most bytes of the frames it keeps.
    """

    name = 'keyframe'

    def __init__(self, labels: tuple[str, ...], *, budget_bytes: int) -> None:
        super().__init__(labels)
        if budget_bytes < _LEAST_BYTES:
            raise ConfigError(
                f'budget of the keyframe store: expected at least {_LEAST_BYTES} B, got '
                f'{budget_bytes}; one frame takes some 5 kB'
            )
        self._budget = budget_bytes
        self._used = 0
        self._kept: list[PackedFrame] = []  # oldest first
        self._view = np.zeros((0, 6))  # where from and, scaled, where to
        self._twin_distance = np.zeros(0)  # of each to the nearest newer viewpoint

    @property
    def stored_bytes(self) -> int:
        """Bytes of the frames kept."""
        return self._used

    @property
    def budget_bytes(self) -> int:
        """Most bytes of the frames it keeps."""
        return self._budget

    def __len__(self) -> int:
        return len(self._kept)

    def _keep(self, glimpse: Glimpse) -> None:
        packed = PackedFrame.of(glimpse)
        if packed.nbytes > self._budget:
            return
        view = np.concatenate([glimpse.camera, TURN_M * glimpse.ahead])
        apart = np.linalg.norm(self._view - view, axis=1)
        self._twin_distance = np.append(np.minimum(self._twin_distance, apart), np.inf)
        self._view = np.concatenate([self._view, view[None]])
        self._kept.append(packed)
        self._used += packed.nbytes
        while self._used > self._budget:
            self._drop(int(np.argmin(self._twin_distance)))
        self._changed()

    def _drop(self, row: int) -> None:
        """Let a frame go; those that had it as nearest newer viewpoint look for another."""
        gone, older = self._view[row], self._view[:row]
        orphan = np.isclose(np.linalg.norm(older - gone, axis=1), self._twin_distance[:row])
        self._used -= self._kept.pop(row).nbytes
        self._view = np.delete(self._view, row, axis=0)
        self._twin_distance = np.delete(self._twin_distance, row)
        for other in np.flatnonzero(orphan):
            newer = self._view[other + 1 :]
            self._twin_distance[other] = np.linalg.norm(newer - self._view[other], axis=1).min()

    def _frames(self) -> Sequence[PackedFrame]:
        return self._kept
