# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The exam through the real node: ``exam --via ros``.

Every question goes over ~/query. Detections have no topic, so with oracle and noisy perception
the memory is written in this process and handed to the node as a snapshot, over ~/load, before
questions are asked. With the model's own perception every frame is published over DDS, and the
node has written all of them before it is asked.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ros2_spatial_ttt.config import MemoryConfig, to_flat
from ros2_spatial_ttt.errors import SpatialTTTError
from ros2_spatial_ttt.types import Answer, Frame, Percept, Query

__all__ = ['NodeMemory', 'require_ros']

SNAPSHOT = 'exam'
NS = 1_000_000_000


def require_ros() -> None:
    """Raise SpatialTTTError when ROS 2 or the built package is missing.

    Where ROS 2 comes as wheels, its first import starts this program anew to set the library
    path; so this is called before any work is done.
    """
    try:
        import ros2_spatial_ttt.ros.session  # noqa: F401
    except ImportError as error:
        raise SpatialTTTError(
            f'--via ros needs ROS 2 and the built package ({error}): make build, then source '
            'scripts/env.sh'
        ) from error


class NodeMemory:
    """A memory node as a system of the exam. A context manager.

    Args:
        core: the memory system of this process; it sees the same frames, so that controls and
            sizes can be taken from it.
        config: parameters of both memories.
    """

    name = 'memory'

    def __init__(self, core: Any, config: MemoryConfig) -> None:
        self._core, self._config = core, config
        self._namespace = f'exam_{os.getpid()}'
        self._sender: Any = None
        self._behind = True

    def __enter__(self) -> NodeMemory:
        from ros2_spatial_ttt.ros.frame_sender import sender_options, sender_parameters
        from ros2_spatial_ttt.ros.session import NodeSession

        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix='exam-node-'))
            self._folder = Path(folder)
            parameters = {
                **sender_parameters(self._namespace),
                'snapshot.directory': folder,
                **{f'memory.{name}': value for name, value in to_flat(self._config).items()},
            }
            self._session = stack.enter_context(
                NodeSession(
                    self._folder,
                    parameters,
                    options=sender_options(self._namespace),
                    namespace=self._namespace,
                )
            )
            self._session.bring_up()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def observe(self, percept: Percept) -> None:
        """Write one frame's detections, in this process."""
        self._core.observe(percept)
        self._behind = True

    def observe_frame(self, frame: Frame) -> None:
        """Publish a frame."""
        from ros2_spatial_ttt.ros.frame_sender import FrameSender

        self._sender = self._sender or FrameSender(self._session, self._namespace)
        self._sender.send(frame)
        self._core.observe_frame(frame)
        self._behind = True

    def query(self, query: Query) -> Answer:
        """Answer over the node's service, from all frames so far."""
        if self._behind:
            self._catch_up()
            self._behind = False
        return self._session.ask(query)[0]

    @property
    def memory(self) -> Any:
        """The memory of this process."""
        return self._core.memory

    @property
    def stored_bytes(self) -> int:
        """Bytes that hold something."""
        return self._core.stored_bytes

    def _catch_up(self) -> None:
        """Have the node remember what the memory of this process does."""
        self._core.settle()
        if self._sender is None:
            self._core.memory.save(self._folder / f'{SNAPSHOT}.safetensors')
            self._session.load(SNAPSHOT)
        else:
            newest_ns = self._core.memory.status().newest_stamp_ns
            self._sender.finish(newest_ns, flush_ns=int(NS * self._config.chunk.flush_s))
