# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""From rooms on the ground to walls: where they run, free floors, and pieces around openings.

Everything here is in whole centimetres, so that shared edges are equal, not nearly equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.sim.plans.cells import Cells
from ros2_spatial_ttt.sim.world import Opening, Wall

__all__ = ['Run', 'free_floors', 'runs', 'wall_pieces']


@dataclass(frozen=True)
class Run:
    """A straight piece of wall between the same two rooms; cm.

    Attributes:
        along: 0 = it runs along x, 1 = along y.
        line: the other coordinate, middle of the wall. start, end: along it, of its solid.
        free: (start, end) of the part that both sides can see, without corners.
        rooms: index on the low and on the high side; -1 is outside.
        caps: room that sees its start and its end face; -1 none.
    """

    along: int
    line: int
    start: int
    end: int
    free: tuple[int, int]
    rooms: tuple[int, int]
    caps: tuple[int, int]


def _owners(cells: Cells) -> tuple[list[int], list[int], NDArray[np.int64]]:
    """Return grid lines x, y and the room of every cell between them, -1 outside, padded."""
    rects = [rect for rects in cells for rect in rects]
    xs = sorted({x for r in rects for x in (r[0], r[2])})
    ys = sorted({y for r in rects for y in (r[1], r[3])})
    owner = np.full((len(xs) + 1, len(ys) + 1), -1, dtype=np.int64)
    for room, mine in enumerate(cells):
        for x0, y0, x1, y1 in mine:
            owner[xs.index(x0) + 1 : xs.index(x1) + 1, ys.index(y0) + 1 : ys.index(y1) + 1] = room
    return xs, ys, owner


def runs(cells: Cells, wall_cm: int) -> list[Run]:
    """Return all walls of a home. Walls along y fill the corners, those along x end there."""
    xs, ys, owner = _owners(cells)
    half = wall_cm // 2
    out = []
    for i, x in enumerate(xs):
        out += _line_runs(owner[i], owner[i + 1], ys, 1, x, half)
    for j, y in enumerate(ys):
        out += _line_runs(owner[:, j], owner[:, j + 1], xs, 0, y, half)
    return out


def _line_runs(
    low: NDArray[np.int64],
    high: NDArray[np.int64],
    ticks: list[int],
    along: int,
    line: int,
    half: int,
) -> list[Run]:
    """Return the walls on one grid line between the rooms ``low`` and ``high`` of it."""
    out = []
    pairs = [(int(a), int(b)) for a, b in zip(low, high, strict=True)]
    k = 1
    while k < len(pairs) - 1:
        pair, first = pairs[k], k
        while pairs[k] == pair and k < len(pairs) - 1:
            k += 1
        if pair[0] == pair[1]:
            continue
        before, after = pairs[first - 1], pairs[k]
        start, end = ticks[first - 1], ticks[k - 1]
        free = (start + half, end - half)
        if along == 0:
            out.append(Run(along, line, *free, free, pair, (-1, -1)))
            continue
        # Along y: fill the corner unless another wall of this line goes on there.
        caps = tuple(p[0] if p[0] == p[1] else -1 for p in (before, after))
        start -= half if before[0] == before[1] else 0
        end += half if after[0] == after[1] else 0
        out.append(Run(along, line, start, end, free, pair, caps))
    return out


def free_floors(cells: Cells, wall_cm: int) -> list[tuple[tuple[float, float], ...]]:
    """Return each room's polygon of free floor in metres, counter-clockwise."""
    return [_inset(_outline(rects), wall_cm / 2.0) for rects in cells]


def _outline(rects: Sequence[tuple[int, int, int, int]]) -> list[tuple[int, int]]:
    """Return the corners of a union of rectangles, counter-clockwise."""
    xs, ys, owner = _owners([list(rects)])
    filled = owner >= 0
    after: dict[tuple[int, int], tuple[int, int]] = {}
    for i, j in np.argwhere(filled):
        corner = [(xs[i - 1], ys[j - 1]), (xs[i], ys[j - 1]), (xs[i], ys[j]), (xs[i - 1], ys[j])]
        open_side = (
            not filled[i, j - 1],
            not filled[i + 1, j],
            not filled[i, j + 1],
            not filled[i - 1, j],
        )
        for side in range(4):
            if open_side[side]:
                after[corner[side]] = corner[(side + 1) % 4]
    start = min(after)
    path = [start]
    while (step := after[path[-1]]) != start:
        path.append(step)
    n = len(path)
    return [
        path[k]
        for k in range(n)
        if not (
            path[k - 1][0] == path[k][0] == path[(k + 1) % n][0]
            or path[k - 1][1] == path[k][1] == path[(k + 1) % n][1]
        )
    ]


def _inset(path: list[tuple[int, int]], half: float) -> tuple[tuple[float, float], ...]:
    """Move every edge of a counter-clockwise right-angled polygon inwards; cm to m."""
    n = len(path)
    out = []
    for k in range(n):
        (px, py), (x, y), (nx, ny) = path[k - 1], path[k], path[(k + 1) % n]
        into = np.sign([x - px, y - py]), np.sign([nx - x, ny - y])
        shift = sum(np.array([-step[1], step[0]]) for step in into) * half
        out.append((float(x + shift[0]) / 100.0, float(y + shift[1]) / 100.0))
    return tuple((round(x, 4), round(y, 4)) for x, y in out)


def wall_pieces(
    walls: Sequence[Run],
    openings: Sequence[Sequence[Opening]],
    skins: Sequence[str],
    wall_cm: int,
    height: float,
) -> list[Wall]:
    """Cut walls around their openings.

    Args:
        walls: runs.
        openings: those of each run.
        skins: wall material of each room.
        wall_cm: thickness.
        height: of the rooms, m.

    Returns:
        Pieces beside, over and under the openings.
    """
    out = []
    for run, holes in zip(walls, openings, strict=True):
        at = run.start / 100.0
        for hole in sorted(holes, key=lambda h: h.centre[run.along]):
            left = hole.centre[run.along] - hole.size[run.along] / 2.0
            right = hole.centre[run.along] + hole.size[run.along] / 2.0
            low = hole.centre[2] - hole.size[2] / 2.0
            high = hole.centre[2] + hole.size[2] / 2.0
            out.append(_piece(run, at, left, 0.0, height, skins, wall_cm))
            out.append(_piece(run, left, right, 0.0, low, skins, wall_cm))
            out.append(_piece(run, left, right, high, height, skins, wall_cm))
            at = right
        out.append(_piece(run, at, run.end / 100.0, 0.0, height, skins, wall_cm))
    return [piece for piece in out if min(piece.size) > 1e-3]


def _piece(
    run: Run,
    start: float,
    end: float,
    low: float,
    high: float,
    skins: Sequence[str],
    wall_cm: int,
) -> Wall:
    def skin(room: int) -> str:
        return skins[room] if room >= 0 else ''

    middle, line, thick = (start + end) / 2.0, run.line / 100.0, wall_cm / 100.0
    sides = [skin(room) for room in run.rooms]
    # The faces of a jamb, a sill or a lintel wear what the wall beside them wears.
    ends = [
        skin(run.caps[0]) if start == run.start / 100.0 else sides[0] or sides[1],
        skin(run.caps[1]) if end == run.end / 100.0 else sides[0] or sides[1],
    ]
    z, tall = (low + high) / 2.0, high - low
    if run.along == 0:
        centre, size, materials = (middle, line, z), (end - start, thick, tall), (*ends, *sides)
    else:
        centre, size, materials = (line, middle, z), (thick, end - start, tall), (*sides, *ends)
    return Wall(
        tuple(round(float(v), 4) for v in centre),
        tuple(round(float(v), 4) for v in size),
        materials,
    )
