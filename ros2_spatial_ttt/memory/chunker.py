# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Frames to chunks, per camera. The partition depends on stamps and order, never on clocks."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

__all__ = ['Chunker', 'Stamped']


class Stamped(Protocol):
    """What a chunk is made of: a frame or a percept."""

    @property
    def camera(self) -> str:
        """Name of the camera."""
        ...

    @property
    def stamp_ns(self) -> int:
        """Acquisition time, ns."""
        ...


T = TypeVar('T', bound=Stamped)


class Chunker(Generic[T]):
    """Collects frames of each camera until a chunk is full or spans ``flush_ns``.

    A frame belongs to the open chunk of its camera while it is less than ``flush_ns`` younger than
    that chunk's first frame, so a replay makes the same chunks as the live node.
    """

    def __init__(self, *, frames: int, flush_ns: int) -> None:
        self._frames = frames
        self._flush_ns = flush_ns
        self._open: dict[str, list[T]] = {}

    def add(self, frame: T) -> list[list[T]]:
        """Return the chunks that this frame closes, oldest first."""
        closed = []
        pending = self._open.setdefault(frame.camera, [])
        if pending and frame.stamp_ns - pending[0].stamp_ns >= self._flush_ns:
            closed.append(self._open.pop(frame.camera))
            pending = self._open.setdefault(frame.camera, [])
        pending.append(frame)
        if len(pending) == self._frames:
            closed.append(self._open.pop(frame.camera))
        return closed

    def take(self, now_ns: int | None = None) -> list[list[T]]:
        """Return the open chunks, or only those that began ``flush_ns`` before ``now_ns``."""
        ripe = [
            camera
            for camera, pending in self._open.items()
            if now_ns is None or now_ns - pending[0].stamp_ns >= self._flush_ns
        ]
        return [self._open.pop(camera) for camera in sorted(ripe)]

    def clear(self) -> None:
        """Forget frames that no chunk was made of."""
        self._open.clear()
