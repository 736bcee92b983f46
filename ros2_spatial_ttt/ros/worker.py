# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The one thread that feeds the memory, behind a bounded queue."""

from __future__ import annotations

import os
import threading
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any

from ros2_spatial_ttt.errors import Refusal
from ros2_spatial_ttt.ros.refusals import Refusals
from ros2_spatial_ttt.types import Frame

__all__ = ['Worker', 'yield_to_others']

# Added to the niceness of the process for threads that update.
NICE = 5


def yield_to_others() -> None:
    """Let this thread, and threads that it starts, run after those of questions and messages."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.nice(0) + NICE)


class Worker:
    """Feeds frames to the memory in order of arrival; a full queue drops the oldest.

    An exception in the memory is logged with its traceback and counted; the thread goes on.
    ``failing`` says that none of its updates has succeeded since.

    Args:
        memory: the ``SpatialMemory``; no other thread feeds it.
        length: frames that may wait.
        refusals: counts and logs what is dropped.
        on_update: called in the worker's thread after every update of the memory.
        log: a ROS logger.
    """

    def __init__(
        self,
        memory: Any,
        *,
        length: int,
        refusals: Refusals,
        on_update: Callable[[], None],
        log: Any,
    ) -> None:
        self._memory = memory
        self._length = length
        self._refusals = refusals
        self._on_update = on_update
        self._log = log
        self._frames: deque[Frame] = deque()
        self._flush_ns: int | None = None
        self._flush_all = False
        self._stopping = False
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._run, name='memory', daemon=True)
        self.errors = 0
        self.last_error = ''
        self.failing = False
        self._thread.start()

    def __len__(self) -> int:
        """Return how many frames wait."""
        return len(self._frames)

    def put(self, frame: Frame) -> None:
        """Enqueue a frame; never waits for the memory."""
        dropped = None
        with self._wake:
            if len(self._frames) >= self._length:
                dropped = self._frames.popleft()
            self._frames.append(frame)
            self._wake.notify()
        if dropped is not None:
            self._drop(dropped, Refusal.QUEUE_FULL, f'{self._length} frames wait already')

    def flush(self, now_ns: int | None = None) -> None:
        """Ask for an update with what is pending, once the queue is empty.

        Args:
            now_ns: only chunks that are due at this stamp; None for all.
        """
        with self._wake:
            if now_ns is None:
                self._flush_all = True
            else:
                self._flush_ns = now_ns
            self._wake.notify()

    def stop(self, *, timeout_s: float) -> bool:
        """Drop what waits, flush and end the thread.

        Returns:
            False when the thread did not end in time; it then ends with the process.
        """
        with self._wake:
            waiting, self._frames = list(self._frames), deque()
            self._flush_all, self._stopping = True, True
            self._wake.notify()
        for frame in waiting:
            self._drop(frame, Refusal.INACTIVE, 'the node is stopping')
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _drop(self, frame: Frame, reason: Refusal, why: str) -> None:
        self._refusals(reason, f'frame of {frame.camera} at {frame.stamp_ns} ns dropped, {why}')

    def _run(self) -> None:
        yield_to_others()
        while (job := self._next()) is not None:
            self._guarded(job)

    def _next(self) -> Callable[[], None] | None:
        """Wait for a frame, then a flush, then the end."""
        with self._wake:
            while not (self._frames or self._flush_all or self._flush_ns or self._stopping):
                self._wake.wait()
            if self._frames:
                frame = self._frames.popleft()
                return lambda: self._feed(frame)
            if self._flush_all or self._flush_ns:
                now_ns = None if self._flush_all else self._flush_ns
                self._flush_all, self._flush_ns = False, None
                return lambda: self._flush(now_ns)
            return None

    def _feed(self, frame: Frame) -> None:
        result = self._memory.feed_frame(frame)
        if not result.accepted:
            text = f'{frame.camera} at {frame.stamp_ns} ns: {result.message}'
            self._refusals.log(result.refused, text)
        if result.chunk_updated:
            self._updated()

    def _flush(self, now_ns: int | None) -> None:
        if self._memory.flush(now_ns=now_ns):
            self._updated()

    def _updated(self) -> None:
        self.failing = False
        self._on_update()

    def _guarded(self, job: Callable[[], None]) -> None:
        try:
            job()
        except Exception as error:
            self.errors += 1
            self.failing = True
            self.last_error = f'{type(error).__name__}: {error}'
            self._log.error(f'the memory failed on a job:\n{traceback.format_exc()}')
