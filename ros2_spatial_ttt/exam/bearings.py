# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Sides and turns in the plane, as questions name them; rad, 0 ahead, left positive (REP-103)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from numpy.typing import NDArray

__all__ = ['SIDES', 'TURNS', 'bearing_between', 'turns_along', 'wrapped']

# The middle of each side, from straight ahead.
SIDES = {
    'left': math.pi / 2,
    'right': -math.pi / 2,
    'back': math.pi,
    'front-left': math.pi / 4,
    'front-right': -math.pi / 4,
    'back-left': 3 * math.pi / 4,
    'back-right': -3 * math.pi / 4,
}
TURNS = {'turn left': math.pi / 2, 'turn right': -math.pi / 2, 'turn back': math.pi}


def wrapped(angle: float) -> float:
    """Return the angle within -pi..pi."""
    return math.atan2(math.sin(angle), math.cos(angle))


def bearing_between(at: NDArray, towards: NDArray, asked: NDArray) -> float:
    """Return the bearing of ``asked`` for who stands ``at`` and faces ``towards``.

    All are points (>= 2,) in m, of which x and y count.
    """
    return wrapped(_heading(at, asked) - _heading(at, towards))


def turns_along(start: NDArray, facing: NDArray, stops: Sequence[NDArray]) -> list[float]:
    """Return the turn before each straight leg of a route that begins by facing a point."""
    turns, at, heading = [], start, _heading(start, facing)
    for stop in stops:
        leg = _heading(at, stop)
        turns.append(wrapped(leg - heading))
        at, heading = stop, leg
    return turns


def _heading(at: NDArray, towards: NDArray) -> float:
    return math.atan2(towards[1] - at[1], towards[0] - at[0])
