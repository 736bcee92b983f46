# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The perception of the memory's model, apart from the memory: for the stores it is compared with.

The memory is fed with frames and perceives them itself. Everything else that lives on named things
gets what the same model sees in the same frames, so that an exam compares memories, not
perceptions. This module is the only one of the exam that knows how the core perceives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ros2_spatial_ttt.config import MemoryConfig
from ros2_spatial_ttt.errors import FrameRefused
from ros2_spatial_ttt.memory.chunker import Chunker
from ros2_spatial_ttt.memory.gate import Gate, check_content
from ros2_spatial_ttt.memory.measure import Perception
from ros2_spatial_ttt.memory.preprocess import CameraTokens, PreparedFrame
from ros2_spatial_ttt.runtime import open_runtime
from ros2_spatial_ttt.runtime.base import Manifest
from ros2_spatial_ttt.types import Frame, Percept

__all__ = ['ClosedEyes', 'Eyes', 'Look', 'ModelEyes', 'open_eyes']

# Returns one percept per prepared frame of a chunk of one camera, in order of time.
Look = Callable[[list[PreparedFrame]], list[Percept]]


class Eyes(Protocol):
    """Frames in, percepts out: in order of time, perhaps later, when a chunk is full."""

    def percepts(self, frame: Frame) -> list[Percept]:
        """Take in a frame and return what can be told now, of earlier frames as well."""
        ...

    def flush(self) -> list[Percept]:
        """Return what is told of the frames that no full chunk was made of."""
        ...


class ClosedEyes:
    """See nothing: for exams that show percepts themselves, or to nobody who needs them."""

    def percepts(self, frame: Frame | Percept) -> list[Percept]:
        """Return nothing."""
        return []

    def flush(self) -> list[Percept]:
        """Return nothing."""
        return []


def open_eyes(config: MemoryConfig) -> Eyes:
    """Return the perception of the memory's model.

    Raises:
        ModelError: the model cannot be opened.
    """
    runtime = open_runtime(config.model, config.backend, threads=config.threads)
    return ModelEyes(config, runtime.manifest, Perception(runtime))


class ModelEyes:
    """Refuses, shrinks and gathers frames as the memory does, and looks at whole chunks.

    With ``flush`` wherever the memory is flushed, chunks and percepts are those of the memory.

    Args:
        config: of the memory.
        manifest: of its model.
        look: the model's perception.
    """

    def __init__(self, config: MemoryConfig, manifest: Manifest, look: Look) -> None:
        self._config, self._manifest, self._look = config, manifest, look
        self._gate = Gate(config.gate)
        self._cameras: dict[str, CameraTokens] = {}
        self._chunker: Chunker[PreparedFrame] = Chunker(
            frames=manifest.chunk_frames, flush_ns=round(config.chunk.flush_s * 1e9)
        )

    def percepts(self, frame: Frame) -> list[Percept]:
        """Take in a frame and return the percepts of the chunks that it closes."""
        try:
            check_content(frame, depth_needed=not self._manifest.predicts_depth)
            self._gate.check(frame)
            chunks = self._chunker.add(self._camera(frame).prepare(frame))
        except FrameRefused:
            return []
        return [percept for chunk in chunks for percept in self._look(chunk)]

    def flush(self) -> list[Percept]:
        """Close all chunks and return their percepts."""
        return [percept for chunk in self._chunker.take() for percept in self._look(chunk)]

    def _camera(self, frame: Frame) -> CameraTokens:
        camera = self._cameras.get(frame.camera)
        if camera is None or camera.intrinsics != frame.intrinsics:
            camera = CameraTokens(
                frame.intrinsics, self._manifest, depth_max_m=self._config.gate.depth_max_m
            )
            self._cameras[frame.camera] = camera
        return camera
