# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Generated worlds and recordings. ``frames`` streams a simulated home; it needs MuJoCo."""

from __future__ import annotations

from typing import Any

__all__ = ['frames']


def __getattr__(name: str) -> Any:
    """Import ``frames`` when it is asked for: the package itself needs numpy only."""
    if name == 'frames':
        from ros2_spatial_ttt.sim.stream import frames

        return frames
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
