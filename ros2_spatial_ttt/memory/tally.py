# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What a memory counts about itself; any thread may count."""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import Any

import numpy as np

__all__ = ['Tally']

# So many of the last times are kept.
_TIMES = 256


class Tally:
    """Frames, refusals, questions and times."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._update_ms: deque[float] = deque(maxlen=_TIMES)
        self._query_ms: deque[float] = deque(maxlen=_TIMES)

    def count(self, name: str) -> None:
        """Count one of 'received' or 'accepted'."""
        with self._lock:
            self._counts[name] += 1

    def refuse(self, reason: str, frames: int = 1) -> None:
        """Count frames that were refused for a reason."""
        with self._lock:
            self._refused[reason] += frames

    def updated(self, milliseconds: float) -> None:
        """Note the time of an update."""
        with self._lock:
            self._update_ms.append(milliseconds)

    def asked(self, milliseconds: float) -> None:
        """Count a question and note its time."""
        with self._lock:
            self._counts['queries'] += 1
            self._query_ms.append(milliseconds)

    def entries(self) -> dict[str, Any]:
        """Return the fields of ``MemoryStatus`` that are counted."""
        with self._lock:
            counts, refused = Counter(self._counts), dict(sorted(self._refused.items()))
            update_ms, query_ms = list(self._update_ms), list(self._query_ms)
        return {
            'frames_received': counts['received'],
            'frames_accepted': counts['accepted'],
            'refused': refused,
            'queries': counts['queries'],
            'update_p50_ms': _percentile(update_ms, 50),
            'update_p95_ms': _percentile(update_ms, 95),
            'query_p50_ms': _percentile(query_ms, 50),
            'query_p95_ms': _percentile(query_ms, 95),
        }


def _percentile(values: list[float], percent: float) -> float:
    return float(np.percentile(values, percent)) if values else 0.0
