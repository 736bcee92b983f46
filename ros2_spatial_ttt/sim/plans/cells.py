# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""How rooms share the ground of a home: rectangles in whole centimetres, wall to wall.

Two ways: cutting one rectangle again and again (slicing floor plan), or two rows of rooms along a
hall. A small room may take a corner of the living room, which then is L-shaped.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ['AREAS', 'Cells', 'Rect', 'divide', 'draw_kinds']

Rect = tuple[int, int, int, int]  # x0, y0, x1, y1 in cm, between the middles of walls
Cells = list[list[Rect]]  # of each room

# Free floor of a room, m²: least, most.
AREAS = {
    'living room': (16.0, 40.0),
    'kitchen': (7.0, 18.0),
    'bedroom': (9.0, 20.0),
    'bathroom': (4.0, 8.0),
    'office': (7.0, 15.0),
    'hall': (3.5, 13.0),
    'dining room': (9.0, 20.0),
    'storage room': (3.5, 8.0),
}
# What is common within that, m²: mean.
_COMMON = {
    'living room': 24.0,
    'kitchen': 10.5,
    'bedroom': 13.0,
    'bathroom': 5.8,
    'office': 10.0,
    'hall': 7.0,
    'dining room': 13.0,
    'storage room': 4.8,
}
# Least free width, cm, and most length over width.
_SHAPE = {
    'living room': (310, 2.0),
    'kitchen': (195, 2.3),
    'bedroom': (255, 1.9),
    'bathroom': (155, 2.3),
    'office': (215, 2.0),
    'hall': (115, 9.0),
    'dining room': (260, 1.9),
    'storage room': (140, 2.4),
}
_ROOM_COUNT_SHARE = (0.03, 0.06, 0.12, 0.18, 0.2, 0.18, 0.13, 0.1)
_BASE = ('living room', 'kitchen', 'bedroom', 'bathroom')
_EXTRA = ('bedroom', 'office', 'dining room', 'storage room', 'bathroom', 'office', 'bedroom')
_STEP_CM = 5
_ARM_CM = 170  # least width of an arm of an L


def draw_kinds(rng: np.random.Generator, count: int | None) -> list[str]:
    """Draw which rooms a home has; ``count`` of them, or a common number when None."""
    if count is None:
        count = 1 + int(rng.choice(len(_ROOM_COUNT_SHARE), p=_ROOM_COUNT_SHARE))
    if count == 1:
        return [str(rng.choice(['living room', 'bedroom', 'office'], p=[0.6, 0.25, 0.15]))]
    if count == 2:
        pairs = [('living room', 'bathroom'), ('living room', 'kitchen'), ('bedroom', 'bathroom')]
        return list(pairs[int(rng.integers(len(pairs)))])
    if count == 3:
        return ['living room', *rng.permutation([*_BASE[1:], 'office'])[:2].tolist()]
    if count == 4 and rng.random() < 0.65:
        return list(_BASE)
    kinds = ['living room', 'bedroom', 'bathroom', 'hall', 'kitchen'][:count]
    if count == 5 and rng.random() < 0.35:
        kinds.remove('hall')
    return kinds + rng.permutation(_EXTRA)[: count - len(kinds)].tolist()


def divide(rng: np.random.Generator, kinds: Sequence[str], wall_cm: int) -> Cells | None:
    """Try once to divide the ground; None when a room would get an odd shape."""
    areas = [_draw_area(rng, kind, wall_cm) for kind in kinds]
    if 'hall' in kinds and len(kinds) >= 4 and rng.random() < 0.85:
        cells = _along_hall(rng, list(kinds), areas)
    else:
        cells = _slice_all(rng, list(kinds), areas)
    if cells is None or not all(
        _believable(kind, rects, wall_cm) for kind, rects in zip(kinds, cells, strict=True)
    ):
        return None
    return _turn(rng, cells)


def _draw_area(rng: np.random.Generator, kind: str, wall_cm: int) -> float:
    """Return the area of a room with half of its walls, cm²."""
    low, high = AREAS[kind]
    free = float(np.clip(_COMMON[kind] * rng.lognormal(0.0, 0.2), low * 1.05, high * 0.95)) * 1e4
    return free + wall_cm * 2.1 * np.sqrt(free)


def _snap(value: float) -> int:
    return int(round(value / _STEP_CM)) * _STEP_CM


def _slice_all(rng: np.random.Generator, kinds: list[str], areas: list[float]) -> Cells | None:
    """Cut a rectangle into rooms; a small room may take a corner of the living room."""
    guest = _guest(rng, kinds)
    shares = list(areas)
    units = [i for i in range(len(kinds)) if i != guest]
    if guest >= 0:
        shares[kinds.index('living room')] += shares[guest]
    total = sum(shares[i] for i in units)
    width = _snap(np.sqrt(total * rng.uniform(1.0, 1.7)))
    order = [int(i) for i in rng.permutation(units)]
    places: dict[int, list[Rect]] = {}
    _slice(rng, (0, 0, width, _snap(total / width)), order, shares, places)
    if guest >= 0:
        host = kinds.index('living room')
        split = _cut_corner(rng, places[host][0], areas[guest])
        if split is None:
            return None
        places[guest], places[host] = split
    return [places[i] for i in range(len(kinds))]


def _guest(rng: np.random.Generator, kinds: list[str]) -> int:
    """Return which room takes a corner of the living room, -1 for none."""
    small = [
        i for i, k in enumerate(kinds) if k in ('bathroom', 'storage room', 'hall', 'kitchen')
    ]
    if 'living room' not in kinds or not small or rng.random() > 0.4:
        return -1
    return int(rng.choice(small))


def _slice(
    rng: np.random.Generator,
    rect: Rect,
    order: list[int],
    shares: list[float],
    places: dict[int, list[Rect]],
) -> None:
    """Cut ``rect`` for the rooms in ``order`` into ``places``, by their shares of area."""
    if len(order) == 1:
        places[order[0]] = [rect]
        return
    cut = int(rng.integers(1, len(order)))
    first, second = order[:cut], order[cut:]
    part = sum(shares[i] for i in first) / sum(shares[i] for i in order)
    x0, y0, x1, y1 = rect
    if (x1 - x0 > y1 - y0) == (rng.random() < 0.9):
        x = _snap(x0 + (x1 - x0) * part)
        halves = (x0, y0, x, y1), (x, y0, x1, y1)
    else:
        y = _snap(y0 + (y1 - y0) * part)
        halves = (x0, y0, x1, y), (x0, y, x1, y1)
    _slice(rng, halves[0], first, shares, places)
    _slice(rng, halves[1], second, shares, places)


def _cut_corner(
    rng: np.random.Generator, rect: Rect, area: float
) -> tuple[list[Rect], list[Rect]] | None:
    """Return (the corner, the L that remains as two rectangles), or None if an arm is thin."""
    x0, y0, x1, y1 = rect
    width = _snap(np.sqrt(area * rng.uniform(0.6, 1.6)))
    depth = _snap(area / max(width, 1))
    if x1 - x0 - width < _ARM_CM or y1 - y0 - depth < _ARM_CM:
        return None
    left, low = rng.random() < 0.5, rng.random() < 0.5
    cx0, cx1 = (x0, x0 + width) if left else (x1 - width, x1)
    cy0, cy1 = (y0, y0 + depth) if low else (y1 - depth, y1)
    strip = (x0, cy1, x1, y1) if low else (x0, y0, x1, cy0)
    beside = (cx1, cy0, x1, cy1) if left else (x0, cy0, cx0, cy1)
    return [(cx0, cy0, cx1, cy1)], [strip, beside]


def _along_hall(rng: np.random.Generator, kinds: list[str], areas: list[float]) -> Cells | None:
    """Put rooms in two rows with the hall between; the living room may close the hall's end."""
    hall = kinds.index('hall')
    others = [int(i) for i in rng.permutation([i for i in range(len(kinds)) if i != hall])]
    cut = int(rng.integers(1, len(others)))
    top, low = others[:cut], others[cut:]
    hall_width = _snap(rng.uniform(130, 185))
    depth = _snap(rng.uniform(270, 440))
    living = kinds.index('living room')
    closing = living in low and len(low) > 1 and rng.random() < 0.65
    places: dict[int, list[Rect]] = {}
    x = 0
    for i in (j for j in low if not (closing and j == living)):
        width = _snap(areas[i] / depth)
        places[i] = [(x, -depth, x + width, 0)]
        x += width
    places[hall] = [(0, 0, x, hall_width)]
    if closing:
        width = _snap(areas[living] / (depth + hall_width))
        places[living] = [(x, -depth, x + width, hall_width)]
        x += width
    depth = _snap(sum(areas[i] for i in top) / max(x, 1))
    ragged = rng.random() < 0.4
    start = 0
    for i in top:
        end = x if i == top[-1] else start + _snap(areas[i] / max(depth, 1))
        out = _snap(depth * rng.uniform(0.88, 1.12)) if ragged else depth
        places[i] = [(start, hall_width, end, hall_width + out)]
        start = end
    return [places[i] for i in range(len(kinds))]


def _believable(kind: str, rects: list[Rect], wall_cm: int) -> bool:
    sides = [(x1 - x0, y1 - y0) for x0, y0, x1, y1 in rects]
    if min(min(side) for side in sides) <= wall_cm:
        return False
    x0, y0 = min(r[0] for r in rects), min(r[1] for r in rects)
    x1, y1 = max(r[2] for r in rects), max(r[3] for r in rects)
    short, long = sorted((x1 - x0 - wall_cm, y1 - y0 - wall_cm))
    area = sum(w * h for w, h in sides) - wall_cm * ((x1 - x0) + (y1 - y0)) + wall_cm**2
    low, high = AREAS[kind]
    least, ratio = _SHAPE[kind]
    return short >= least and long <= ratio * short and low <= area / 1e4 <= high


def _turn(rng: np.random.Generator, cells: Cells) -> Cells:
    """Mirror and turn the plan, so that no direction is special."""
    sign_x, sign_y, swap = (bool(v) for v in rng.integers(0, 2, 3))

    def turned(rect: Rect) -> Rect:
        x0, y0, x1, y1 = rect
        if sign_x:
            x0, x1 = -x1, -x0
        if sign_y:
            y0, y1 = -y1, -y0
        return (y0, x0, y1, x1) if swap else (x0, y0, x1, y1)

    return [[turned(rect) for rect in rects] for rects in cells]
