# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Doors, passages and windows: which rooms are joined, and where in the walls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ros2_spatial_ttt.sim.plans.walls import Run
from ros2_spatial_ttt.sim.world import Opening

__all__ = ['Holes', 'join_rooms']

# A leaf that opens beyond a right angle needs this much wall beside its hinge, m.
_CORNER_M = 0.22
_NEVER = 9.0
# How well a room leads to another: cost by kind of the room one comes from, then of the next.
_THROUGH = {
    'hall': {},
    'living room': {'bathroom': 2.5, 'storage room': 2.5, 'bedroom': 2.0, 'office': 2.0},
    'dining room': {'bathroom': 4.0, 'bedroom': 3.0, 'office': 3.0, 'kitchen': 0.4},
    'kitchen': {'bathroom': 5.0, 'bedroom': 6.0, 'office': 6.0, 'dining room': 0.4},
    'office': {'bathroom': 6.0, 'storage room': 4.0},
    'bedroom': {'bathroom': 3.0, 'storage room': 3.5},
    'bathroom': {},
    'storage room': {},
}
_THROUGH_ELSE = {
    'hall': 0.5,
    'living room': 1.0,
    'dining room': 1.2,
    'kitchen': 1.6,
    'office': _NEVER,
    'bedroom': _NEVER,
    'bathroom': _NEVER,
    'storage room': _NEVER,
}
_OPEN_KINDS = ('living room', 'kitchen', 'dining room', 'hall')


@dataclass
class Holes:
    """Openings of a home, by the run of wall they are in; m.

    Attributes:
        walls: runs. found: openings of each run.
    """

    walls: Sequence[Run]
    found: list[list[Opening]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.found = [[] for _ in self.walls]

    def listed(self) -> tuple[Opening, ...]:
        """Return all openings, in the order of the walls."""
        return tuple(hole for holes in self.found for hole in holes)

    def add(
        self,
        rng: np.random.Generator,
        run: int,
        kind: str,
        width: float,
        heights: tuple[float, float],
        wall: float,
    ) -> bool:
        """Make a hole somewhere in a run of wall where it fits; False when it does not."""
        piece = self.walls[run]
        start = piece.free[0] / 100.0 + _CORNER_M + width / 2.0
        end = piece.free[1] / 100.0 - _CORNER_M - width / 2.0
        if end < start:
            return False
        for _ in range(4):
            at = round(float(self._spot(rng, kind, start, end)), 2)
            if all(
                abs(at - hole.centre[piece.along]) > (width + hole.size[piece.along]) / 2.0 + 0.2
                for hole in self.found[run]
            ):
                self.found[run].append(_opening(piece, kind, at, width, heights, wall))
                return True
        return False

    @staticmethod
    def _spot(rng: np.random.Generator, kind: str, start: float, end: float) -> float:
        """Most doors are near a corner, which leaves long walls to stand things at."""
        if kind == 'door' and rng.random() < 0.7:
            near = min(0.3 * rng.random(), end - start)
            return start + near if rng.random() < 0.5 else end - near
        return rng.uniform(start, end)


def _opening(
    run: Run, kind: str, at: float, width: float, heights: tuple[float, float], wall: float
) -> Opening:
    z, tall = (heights[0] + heights[1]) / 2.0, heights[1] - heights[0]
    line = run.line / 100.0
    centre = (at, line, z) if run.along == 0 else (line, at, z)
    size = (width, wall, tall) if run.along == 0 else (wall, width, tall)
    return Opening(
        kind,
        run.rooms,
        tuple(round(float(v), 4) for v in centre),
        tuple(round(float(v), 4) for v in size),
    )


def join_rooms(
    rng: np.random.Generator,
    kinds: Sequence[str],
    walls: Sequence[Run],
    wall: float,
    leaf: tuple[float, float],
) -> Holes | None:
    """Make doors so that every room is reached, some more, a front door and windows.

    Args:
        rng: random numbers.
        kinds: of the rooms.
        walls: all runs.
        wall: thickness, m.
        leaf: width and height of a door's hole, m.

    Returns:
        The openings; None when a room would be reached only through a bathroom or the like.
    """
    holes = Holes(walls)
    if not _spanning(rng, kinds, holes, wall, leaf):
        return None
    _loops(rng, kinds, holes, wall, leaf)
    if not _front_door(rng, kinds, holes, wall, leaf):
        return None
    _windows(rng, kinds, holes, wall)
    return holes


def _shared(walls: Sequence[Run]) -> dict[tuple[int, int], list[int]]:
    """Return the runs between each two rooms (low index first)."""
    out: dict[tuple[int, int], list[int]] = {}
    for index, run in enumerate(walls):
        if min(run.rooms) >= 0:
            out.setdefault((min(run.rooms), max(run.rooms)), []).append(index)
    return out


def _spanning(
    rng: np.random.Generator,
    kinds: Sequence[str],
    holes: Holes,
    wall: float,
    leaf: tuple[float, float],
) -> bool:
    """Grow a tree of doors from the hall or the main room (Prim)."""
    shared = _shared(holes.walls)
    root = next(i for k in (*_OPEN_KINDS[::-1], *kinds) for i, own in enumerate(kinds) if own == k)
    joined = [root]
    while len(joined) < len(kinds):
        choices = sorted(
            (_cost(kinds[a], kinds[b]) + 0.3 * float(rng.random()), a, b)
            for a in joined
            for b in range(len(kinds))
            if b not in joined and (min(a, b), max(a, b)) in shared
        )
        for cost, a, b in choices:
            if cost >= _NEVER:
                return False
            if _join(rng, kinds, holes, shared[min(a, b), max(a, b)], wall, leaf):
                joined.append(b)
                break
        else:
            return False
    return True


def _cost(a: str, b: str) -> float:
    return _THROUGH[a].get(b, _THROUGH_ELSE[a])


def _join(
    rng: np.random.Generator,
    kinds: Sequence[str],
    holes: Holes,
    runs: Sequence[int],
    wall: float,
    leaf: tuple[float, float],
) -> bool:
    """Make a door or a passage in one of the walls between two rooms."""
    rooms = holes.walls[runs[0]].rooms
    wide = all(kinds[i] in _OPEN_KINDS for i in rooms) and rng.random() < 0.55
    for index in sorted(runs, key=lambda i: holes.walls[i].free[0] - holes.walls[i].free[1]):
        width = round(float(rng.uniform(0.95, 1.6)), 2)
        if wide and holes.add(rng, index, 'passage', width, (0.0, leaf[1]), wall):
            return True
        if holes.add(rng, index, 'door', leaf[0], (0.0, leaf[1]), wall):
            return True
    return False


def _loops(
    rng: np.random.Generator,
    kinds: Sequence[str],
    holes: Holes,
    wall: float,
    leaf: tuple[float, float],
) -> None:
    """Join some neighbours that are not joined yet, so that there are round trips."""
    joined = {tuple(sorted(hole.rooms)) for hole in holes.listed()}
    for pair, runs in _shared(holes.walls).items():
        if (
            pair not in joined
            and all(kinds[i] in _OPEN_KINDS for i in pair)
            and rng.random() < 0.4
        ):
            _join(rng, kinds, holes, runs, wall, leaf)


def _front_door(
    rng: np.random.Generator,
    kinds: Sequence[str],
    holes: Holes,
    wall: float,
    leaf: tuple[float, float],
) -> bool:
    """Make the way out of the home, from the hall if it has an outer wall."""
    outer = [i for i, run in enumerate(holes.walls) if min(run.rooms) < 0]
    order = ('hall', 'living room', 'kitchen', 'dining room', 'office', 'bedroom')
    ranked = sorted(
        (order.index(kind) if kind in order else len(order), float(rng.random()), index)
        for index in outer
        for kind in [kinds[max(holes.walls[index].rooms)]]
    )
    return any(holes.add(rng, i, 'door', leaf[0], (0.0, leaf[1]), wall) for _, _, i in ranked)


def _windows(rng: np.random.Generator, kinds: Sequence[str], holes: Holes, wall: float) -> None:
    for index, run in enumerate(holes.walls):
        length = (run.free[1] - run.free[0]) / 100.0
        kind = kinds[max(run.rooms)]
        if min(run.rooms) >= 0 or kind == 'storage room' or length < 1.2:
            continue
        if kind == 'bathroom':
            sill, width = rng.uniform(1.2, 1.4), rng.uniform(0.5, 0.8)
            count = int(rng.random() < 0.6)
        else:
            sill, width = rng.uniform(0.8, 1.05), rng.uniform(0.8, 1.8)
            count = int(rng.random() < 0.75) + int(length > 4.5 and rng.random() < 0.6)
        top = rng.uniform(1.95, 2.15)
        width = min(width, length - 0.6)
        for _ in range(count):
            heights = (round(float(sill), 2), round(float(top), 2))
            holes.add(rng, index, 'window', round(float(width), 2), heights, wall)
