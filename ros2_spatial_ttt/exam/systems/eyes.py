# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The perception of the memory's model, apart from the memory: for the stores it is compared with.

The memory is fed with frames and perceives them itself. Everything else that lives on named things
or on how surfaces look gets what the same model sees in the same frames, so that an exam compares
memories, not perceptions. This module is the only one of the exam that knows how the core
perceives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.config import MemoryConfig
from ros2_spatial_ttt.errors import FrameRefused
from ros2_spatial_ttt.geometry import transform_points
from ros2_spatial_ttt.memory.chunker import Chunker
from ros2_spatial_ttt.memory.field import EMBEDDING
from ros2_spatial_ttt.memory.gate import Gate, check_content
from ros2_spatial_ttt.memory.measure import Perception
from ros2_spatial_ttt.memory.preprocess import CameraTokens, PreparedFrame
from ros2_spatial_ttt.runtime.base import ChunkInput, Manifest, Runtime, Samples, State
from ros2_spatial_ttt.types import Frame, Percept

__all__ = ['ClosedEyes', 'Eyes', 'Look', 'Looks', 'ModelEyes', 'Seen', 'open_eyes']


@dataclass(frozen=True)
class Looks:
    """How the surfaces of a chunk look.

    Attributes:
        stamp_ns: of the last frame. points: (n, 3) m in the map. embedding: (n, E) float32.
    """

    stamp_ns: int
    points: NDArray[np.float64]
    embedding: NDArray[np.float32]


Seen = Percept | Looks
# Returns one percept per prepared frame of a chunk of one camera, in order of time, and perhaps
# how it looks.
Look = Callable[[list[PreparedFrame]], list[Seen]]


class Eyes(Protocol):
    """Frames in, what is seen out: in order of time, perhaps later, when a chunk is full."""

    def percepts(self, frame: Frame) -> list[Seen]:
        """Take in a frame and return what can be told now, of earlier frames as well."""
        ...

    def flush(self) -> list[Seen]:
        """Return what is told of the frames that no full chunk was made of."""
        ...


class ClosedEyes:
    """See nothing: for exams that show percepts themselves, or to nobody who needs them."""

    def percepts(self, frame: Frame | Percept) -> list[Seen]:
        """Return nothing."""
        return []

    def flush(self) -> list[Seen]:
        """Return nothing."""
        return []


def open_eyes(config: MemoryConfig, runtime: Runtime) -> Eyes:
    """Return the perception of the memory's model.

    Args:
        config: of the memory.
        runtime: of its model.
    """
    return ModelEyes(config, runtime.manifest, _look_of(runtime))


def _look_of(runtime: Runtime) -> Look:
    """Return the model's look at chunks: percepts, and the embeddings of their surfaces."""
    network = _Remembered(runtime)
    perception = Perception(network)

    def look(chunk: list[PreparedFrame]) -> list[Seen]:
        percepts = perception(chunk)
        samples = network.samples
        assert samples is not None
        points = [transform_points(p.map_T_camera, p.surface) for p in percepts]
        live = samples.surface_weights > 0
        embedding = samples.surface_values[live][:, EMBEDDING]
        return [*percepts, Looks(chunk[-1].stamp_ns, np.concatenate(points), embedding)]

    return look


class _Remembered:
    """The network of a runtime, with what it said last."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.samples: Samples | None = None

    def __getattr__(self, name: str) -> Any:
        """Return what the runtime has."""
        return getattr(self._runtime, name)

    def encode(self, chunk: ChunkInput, state: State) -> tuple[Samples, State]:
        """See ``Runtime.encode``."""
        self.samples, after = self._runtime.encode(chunk, state)
        return self.samples, after


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

    def percepts(self, frame: Frame) -> list[Seen]:
        """Take in a frame and return what is seen in the chunks that it closes."""
        try:
            check_content(frame, depth_needed=not self._manifest.predicts_depth)
            self._gate.check(frame)
            chunks = self._chunker.add(self._camera(frame).prepare(frame))
        except FrameRefused:
            return []
        return [seen for chunk in chunks for seen in self._look(chunk)]

    def flush(self) -> list[Seen]:
        """Close all chunks and return what is seen in them."""
        return [seen for chunk in self._chunker.take() for seen in self._look(chunk)]

    def _camera(self, frame: Frame) -> CameraTokens:
        camera = self._cameras.get(frame.camera)
        if camera is None or camera.intrinsics != frame.intrinsics:
            camera = CameraTokens(
                frame.intrinsics, self._manifest, depth_max_m=self._config.gate.depth_max_m
            )
            self._cameras[frame.camera] = camera
        return camera
