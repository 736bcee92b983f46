# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""~/save, ~/load, ~/forget and ~/reset; each answers with success and a sentence."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ros2_spatial_ttt.errors import BadRequest, SpatialTTTError
from ros2_spatial_ttt.ros.frames import Frames
from ros2_spatial_ttt.ros.requests import region_from_message, times_from_messages

__all__ = ['Commands', 'snapshot_path']

PLAIN_NAME = re.compile(r'[A-Za-z0-9_-][A-Za-z0-9_.-]{0,199}')
SUFFIX = '.safetensors'


def snapshot_path(directory: str, name: str) -> Path:
    """Return the file of a snapshot; ``.safetensors`` is added where it is missing.

    Raises:
        BadRequest: the name is not a plain file name.
    """
    if not PLAIN_NAME.fullmatch(name) or '..' in name:
        raise BadRequest(
            f'name {name!r} is not a plain file name: use letters, digits, _ - and . only, no '
            "'/' or '..', and no dot in front"
        )
    file_name = name if name.endswith(SUFFIX) else name + SUFFIX
    return Path(directory).expanduser() / file_name


class Commands:
    """Handlers of the services that change the memory or write it to disk.

    Args:
        memory: the ``SpatialMemory``.
        frames: transforms of the region of ~/forget.
        directory: folder of the snapshots.
        on_change: called after the memory was replaced, emptied or cut.
        log: a ROS logger.
    """

    def __init__(
        self,
        memory: Any,
        frames: Frames,
        *,
        directory: str,
        on_change: Callable[[], None],
        log: Any,
    ) -> None:
        self._memory = memory
        self._frames = frames
        self._directory = directory
        self._on_change = on_change
        self._log = log

    def save(self, request: Any, response: Any) -> Any:
        """Handle ~/save."""
        return self._guarded(self._save, request, response)

    def load(self, request: Any, response: Any) -> Any:
        """Handle ~/load."""
        return self._guarded(self._load, request, response)

    def forget(self, request: Any, response: Any) -> Any:
        """Handle ~/forget."""
        return self._guarded(self._forget, request, response)

    def reset(self, request: Any, response: Any) -> Any:
        """Handle ~/reset."""
        return self._guarded(self._reset, request, response)

    def _save(self, request: Any, response: Any) -> str:
        path = self.save_as(request.name)
        response.path, response.bytes = str(path), path.stat().st_size
        return f'saved {response.bytes} bytes to {path}'

    def save_as(self, name: str) -> Path:
        """Write a snapshot and return its file; BadRequest or SnapshotError where it cannot."""
        path = snapshot_path(self._directory, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._memory.save(path)
        return path

    def _load(self, request: Any, _response: Any) -> str:
        path = snapshot_path(self._directory, request.name)
        if not path.is_file():
            known = sorted(item.name for item in path.parent.glob(f'*{SUFFIX}'))[:20]
            raise BadRequest(f'there is no snapshot {path}; there are {known}')
        self._memory.load(path)
        self._on_change()
        return f'loaded {path}'

    def _forget(self, request: Any, response: Any) -> str:
        since_ns, until_ns = times_from_messages(request.since, request.until)
        region = region_from_message(request.region, self._frames)
        limited = region is not None or since_ns or until_ns
        if request.all and limited:
            raise BadRequest('all is true and a region or time is given: leave out one of them')
        if not request.all and not limited:
            raise BadRequest('the request is empty: set all, a region, or since or until')
        count = self._memory.forget(region, since_ns=since_ns, until_ns=until_ns)
        response.places_forgotten = int(count)
        self._on_change()
        return f'forgot {count} places'

    def _reset(self, _request: Any, _response: Any) -> str:
        self._memory.reset()
        self._on_change()
        return 'the memory is empty'

    def _guarded(self, work: Callable[[Any, Any], str], request: Any, response: Any) -> Any:
        try:
            response.message = work(request, response)
            response.success = True
        except (SpatialTTTError, OSError) as error:
            response.success, response.message = False, str(error)
        except Exception as error:
            self._log.error(f'a service failed:\n{traceback.format_exc()}')
            response.success = False
            response.message = f"{type(error).__name__}: {error}; the node's log has the traceback"
        return response
