# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""~/watch: things that other nodes want to be told about on ~/events."""

from __future__ import annotations

import dataclasses
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ros2_spatial_ttt.errors import BadRequest
from ros2_spatial_ttt.ros.frames import Frames
from ros2_spatial_ttt.ros.requests import (
    example_from_messages,
    labels_from_message,
    region_from_message,
)
from ros2_spatial_ttt.types import Answer, Instance, Query, QueryType, ResultCode

__all__ = ['APPEARED', 'MAX_WATCHES', 'MOVED', 'VANISHED', 'Event', 'Watches']

# The numbers of msg/SpatialEvent.
APPEARED, VANISHED, MOVED = 0, 1, 2
MAX_WATCHES = 16
MAX_NAME = 200


@dataclass(frozen=True)
class Event:
    """What happened to a watched thing; ``instance`` is the thing now, or as last seen."""

    kind: int
    watch: str
    instance: Instance
    sentence: str


@dataclass
class _Watch:
    """A question asked again and again.

    ``known`` is the thing as last reported, so that small steps add up to a move; ``latest`` is
    the thing as last seen.
    """

    query: Query
    known: Instance | None = None
    latest: Instance | None = None
    change: int | None = None
    seen_in_a_row: int = 0


class Watches:
    """Keeps the watches and finds out what changed.

    Args:
        memory: the ``SpatialMemory``.
        frames: transforms of the regions.
        moved_m: a thing found further than this from where it was has moved.
        confirm: looks in a row that must agree.
        publish: takes every event.
        log: a ROS logger.
    """

    def __init__(
        self,
        memory: Any,
        frames: Frames,
        *,
        moved_m: float,
        confirm: int,
        publish: Callable[[Event], None],
        log: Any,
    ) -> None:
        self._memory = memory
        self._frames = frames
        self._moved_m = moved_m
        self._confirm = confirm
        self._publish = publish
        self._log = log
        self._watches: dict[str, _Watch] = {}
        self._lock = threading.Lock()
        self._updated = False

    def __len__(self) -> int:
        """Return how many watches there are."""
        return len(self._watches)

    def note_update(self) -> None:
        """Have the watches looked at on the next ``look``."""
        self._updated = True

    def handle(self, request: Any, response: Any) -> Any:
        """Handle ~/watch; never raises."""
        try:
            with self._lock:
                change = self._start if request.enable else self._end
                response.message = change(request)
            response.success = True
        except BadRequest as error:
            response.success, response.message = False, str(error)
        except Exception as error:
            self._log.error(f'a watch failed:\n{traceback.format_exc()}')
            response.success = False
            response.message = f"{type(error).__name__}: {error}; the node's log has the traceback"
        return response

    def look(self) -> None:
        """Ask for every watched thing if the memory was updated, and publish what changed."""
        with self._lock:
            if not self._updated or not self._watches:
                return
            self._updated = False
            for name, watch in self._watches.items():
                self._look_at(name, watch)

    def _start(self, request: Any) -> str:
        name = request.name
        if not name or len(name) > MAX_NAME:
            raise BadRequest(f'name must have 1 to {MAX_NAME} letters, got {len(name)}')
        if name not in self._watches and len(self._watches) >= MAX_WATCHES:
            raise BadRequest(f'there are {MAX_WATCHES} watches already; end one first')
        labels = labels_from_message(request.labels)
        example = example_from_messages(request.image, request.roi)
        if (example is None) == (not labels):
            raise BadRequest('a watch needs either labels or an image of the thing, not both')
        region = region_from_message(request.region, self._frames)
        examples = () if example is None else (example,)
        query = Query(QueryType.LOCATE, labels=labels, examples=examples, region=region)
        watch = _Watch(dataclasses.replace(query, max_results=1))
        answer = self._memory.query(watch.query)
        if answer.code is ResultCode.BAD_REQUEST:
            raise BadRequest(answer.message)
        watch.known = watch.latest = _found(answer)
        self._watches[name] = watch
        now = 'not seen so far' if watch.known is None else f'now at {_place(watch.known)}'
        return f'watching {name!r}, {now}'

    def _end(self, request: Any) -> str:
        if self._watches.pop(request.name, None) is None:
            known = sorted(self._watches)
            raise BadRequest(f'there is no watch {request.name!r}; there are {known}')
        return f'no longer watching {request.name!r}'

    def _look_at(self, name: str, watch: _Watch) -> None:
        answer = self._memory.query(watch.query)
        if answer.code not in (ResultCode.OK, ResultCode.NOT_FOUND):
            return
        found = _found(answer)
        change = self._change(watch.known, found)
        watch.seen_in_a_row = watch.seen_in_a_row + 1 if change == watch.change else 1
        watch.change = change
        if change is not None and watch.seen_in_a_row >= self._confirm:
            self._publish(_event(name, change, known=watch.latest, found=found))
            watch.known, watch.change = found, None
        if found is not None:
            watch.latest = found

    def _change(self, known: Instance | None, found: Instance | None) -> int | None:
        if known is None or found is None:
            return None if known is found else (APPEARED if known is None else VANISHED)
        distance_m = float(np.linalg.norm(found.position - known.position))
        return MOVED if distance_m > self._moved_m else None


def _found(answer: Answer) -> Instance | None:
    is_there = answer.code is ResultCode.OK and answer.instances
    return answer.instances[0] if is_there else None


def _place(instance: Instance) -> str:
    x, y, z = instance.position
    return f'({x:.2f}, {y:.2f}, {z:.2f}) m'


def _event(name: str, kind: int, *, known: Instance | None, found: Instance | None) -> Event:
    if kind == APPEARED:
        return Event(kind, name, found, f'{name} appeared at {_place(found)}')
    if kind == VANISHED:
        return Event(kind, name, known, f'{name} vanished from {_place(known)}')
    moved = f'{name} moved from {_place(known)} to {_place(found)}'
    return Event(kind, name, found, moved)
