# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Waiting for other processes: long enough for a machine that does much else at the same time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ['WAIT_S', 'until']

T = TypeVar('T')

# Only a failure takes that long; a wait ends with what it waits for.
WAIT_S = 100.0


def until(
    condition: Callable[[], T], *, what: str = '', progress: Callable[[], object] = lambda: None
) -> T:
    """Wait for a condition and return what it returned.

    Args:
        condition: asked again and again.
        what: is waited for, for the error.
        progress: the wait begins anew whenever this changes: what gets on is slow, not broken.
    """
    since_s, last = time.monotonic(), progress()
    while not (found := condition()):
        if (now := progress()) != last:
            since_s, last = time.monotonic(), now
        if time.monotonic() > since_s + WAIT_S:
            raise AssertionError(f'did not happen within {WAIT_S:g} s: {what or condition}')
        time.sleep(0.01)
    return found
