# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Refused frames: counted in the memory, logged without flooding."""

from __future__ import annotations

import threading
import time
from typing import Any

from ros2_spatial_ttt.errors import Refusal

__all__ = ['Refusals']


class Refusals:
    """Counts what never entered memory and logs one line per reason and period.

    Args:
        memory: its ``refuse`` keeps the counters.
        log: a ROS logger.
        period_s: shortest time between two lines of one reason.
    """

    def __init__(self, memory: Any, log: Any, *, period_s: float = 5.0) -> None:
        self._memory = memory
        self._log = log
        self._period_s = period_s
        self._lock = threading.Lock()
        self._silent: dict[str, tuple[float, int]] = {}

    def __call__(self, reason: Refusal, message: str, *, about: str = '') -> None:
        """Count a refusal and log it; see ``log``."""
        self._memory.refuse(reason, message)
        self.log(reason.value, message, about=about)

    def log(self, reason: str, message: str, *, about: str = '') -> None:
        """Log a refusal that the memory has counted already.

        Args:
            reason: its counter.
            message: what was wrong.
            about: keeps a message that must not be missed apart from others of its reason.
        """
        key, now_s = reason + about, time.monotonic()
        with self._lock:
            last_s, unsaid = self._silent.get(key, (float('-inf'), 0))
            if now_s - last_s < self._period_s:
                self._silent[key] = (last_s, unsaid + 1)
                return
            self._silent[key] = (now_s, 0)
        more = f' ({unsaid} more since the last line)' if unsaid else ''
        self._log.warning(f'frame refused, {reason}: {message}{more}')
