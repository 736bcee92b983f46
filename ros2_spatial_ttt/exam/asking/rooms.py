# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Parts of a home's floor: which were seen whole, and which never, by a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.exam.asking.evidence import Evidence
from ros2_spatial_ttt.sim.world import Room

__all__ = ['Area', 'Box', 'Floors', 'polygon_area']

Box = tuple[tuple[float, float, float], tuple[float, float, float]]

STEP_M = 0.75  # of points that must be seen
HEIGHTS_M = (0.2, 1.2)
FINE_M = 0.5  # of points that must not be seen
FINE_HEIGHTS_M = (0.1, 0.7, 1.3, 1.9)
REACH_M = 5.0  # farther than this a part does not count as seen
FAR_M = 20.0  # nearer than this, a part may have been seen
SEEN_FRAMES = 2
WHOLE_SHARE = 0.9
# How far, at most, a box about a room reaches past it.
PAST_ROOM_M = 2.0
AWAY_M = 0.6  # from the outer walls to a region that is no part of the home
BORDER_M = 0.1  # a region reaches this far into the walls, for what hangs on them
TOP_M = 2.0  # regions end here: nobody looks at ceilings
RECTANGLE_SHARE = 0.98
HALVES_FROM_M = 3.0  # rooms longer than this are also asked about by halves


@dataclass(frozen=True)
class Area:
    """A part of the floor to ask about.

    Attributes:
        words: what it is called. box: its region, None for the whole home.
        square_m: of its floor. seen_ns: when it was last known to be in view.
    """

    words: str
    box: Box | None
    square_m: float
    seen_ns: int


@dataclass(frozen=True)
class _Part:
    """A part of a floor; when each of its points was seen well, and when anything of it at all."""

    box: Box
    room: int
    is_room: bool
    well_ns: NDArray[np.int64]
    ever_ns: int

    def seen(self, ask_ns: int) -> float:
        """Return the share of it that was seen well."""
        return float(np.mean(self.well_ns <= ask_ns))

    def never(self, ask_ns: int) -> bool:
        """Return whether nothing of it could be seen."""
        return self.ever_ns > ask_ns


class Floors:
    """Rooms and halves of rooms, with what was seen of them.

    Args:
        evidence: of the tour.
    """

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._rooms = evidence.home.rooms

    def whole(self, ask_ns: int, rng: np.random.Generator) -> list[Area]:
        """Return floors seen whole: of boxes about rooms, and of the home if none is half seen.

        A box reaches past its room by a random bit on every side, over walls, neighbours and what
        lies outside: its numbers alone do not tell how much floor is in it.
        """
        rooms = [part for part in self._parts if part.is_room]
        seen = [part for part in rooms if part.seen(ask_ns) >= WHOLE_SHARE]
        areas = []
        for part in seen:
            low, high = np.array(_bounds(self._rooms[part.room], 0.0))
            low[:2] -= rng.uniform(0.0, PAST_ROOM_M, 2)
            high[:2] += rng.uniform(0.0, PAST_ROOM_M, 2)
            box = _as_box(low, high)
            inside = [p for p in rooms if self._floor_in(p, box) > 0.0]
            if all(p in seen and _is_rectangle(self._rooms[p.room].polygon) for p in inside):
                floor = sum(self._floor_in(p, box) for p in inside)
                when = min(int(p.well_ns[p.well_ns <= ask_ns].max()) for p in inside)
                words = f'the part of the home {_extent_words(box)}'
                areas.append(Area(words, box, round(floor, 2), when))
        open_ = [part for part in rooms if part not in seen and not part.never(ask_ns)]
        if len(seen) >= 2 and not open_:
            total = sum(polygon_area(self._rooms[part.room].polygon) for part in seen)
            when = min(int(part.well_ns[part.well_ns <= ask_ns].max()) for part in seen)
            areas.append(Area('the combined space of all rooms', None, round(total, 2), when))
        return areas

    def _floor_in(self, part: _Part, box: Box) -> float:
        """Return the floor of a room, taken as a rectangle, inside a box, m²."""
        low, high = np.array(_bounds(self._rooms[part.room], 0.0))
        sides = np.minimum(high, box[1])[:2] - np.maximum(low, box[0])[:2]
        return float(np.prod(np.maximum(sides, 0.0)))

    def looked(self, ask_ns: int) -> list[Box]:
        """Return regions that were looked at whole."""
        return [p.box for p in self._regions if p.seen(ask_ns) >= WHOLE_SHARE]

    def never(self, ask_ns: int) -> list[Box]:
        """Return regions of which nothing can have been seen: of rooms, and outside the home."""
        inside = [part.box for part in self._regions if part.never(ask_ns)]
        return inside + [part.box for part in self._outside if part.never(ask_ns)]

    def seen_ns(self, box: Box, ask_ns: int) -> int:
        """Return when a region that was looked at was first seen whole."""
        part = next(p for p in self._regions if p.box == box)
        return int(part.well_ns[part.well_ns <= ask_ns].max())

    @cached_property
    def _parts(self) -> list[_Part]:
        """Every room with its own polygon, then rectangles within rooms."""
        whole = [(_bounds(room), room, True) for room in self._rooms]
        halves = [
            (half, room, False)
            for room in self._rooms
            if _is_rectangle(room.polygon)
            for half in _halves(_bounds(room))
        ]
        return self._look([*whole, *halves])

    @cached_property
    def _regions(self) -> list[_Part]:
        return [p for p in self._parts if _is_rectangle(self._rooms[p.room].polygon)]

    @cached_property
    def _outside(self) -> list[_Part]:
        """Return copies of rooms and halves right beyond their outer walls."""
        taken = np.array([_bounds(room) for room in self._rooms])
        moved = []
        for room in self._rooms:
            whole = _bounds(room)
            for number, box in enumerate([whole, *_halves(whole)]):
                away = _beyond(np.array(box), np.array(whole), (room.index + number) % 4)
                if not any(_overlap(away, other) for other in taken):
                    moved.append((_as_box(*away), room, False))
        return self._look(moved) if moved else []

    def _look(self, areas: Sequence[tuple[Box, Room, bool]]) -> list[_Part]:
        """Return the parts with what was seen of each."""
        shapes = [(box, room.polygon if is_room else None) for box, room, is_room in areas]
        coarse = [_grid(box, polygon, STEP_M, HEIGHTS_M) for box, polygon in shapes]
        fine = [_grid(box, polygon, FINE_M, FINE_HEIGHTS_M) for box, polygon in shapes]
        groups = np.repeat(np.arange(len(areas)), [len(points) for points in fine])
        view = self._evidence.view
        well = view.seen_at(np.concatenate(coarse), frames=SEEN_FRAMES, most_m=REACH_M)
        ever = view.first_seen(np.concatenate(fine), groups, most_m=FAR_M, widen=1.1)
        cuts = np.cumsum([len(points) for points in coarse])[:-1]
        return [
            _Part(box, room.index, is_room, points, int(first))
            for (box, room, is_room), points, first in zip(
                areas, np.split(well, cuts), ever, strict=True
            )
        ]


def polygon_area(polygon: Sequence[tuple[float, float]]) -> float:
    """Return the area within corners (x, y) in order, m² (shoelace formula)."""
    x, y = np.asarray(polygon, np.float64).T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2.0)


def _is_rectangle(polygon: Sequence[tuple[float, float]]) -> bool:
    corners = np.asarray(polygon)
    return polygon_area(polygon) >= RECTANGLE_SHARE * float(np.prod(np.ptp(corners, axis=0)))


def _bounds(room: Room, border_m: float = BORDER_M) -> Box:
    corners = np.asarray(room.polygon, np.float64)
    low, high = corners.min(axis=0) - border_m, corners.max(axis=0) + border_m
    return _as_box([*low, 0.0], [*high, min(TOP_M, room.height)])


def _beyond(box: NDArray, room: NDArray, side: int) -> NDArray[np.float64]:
    """Return a box (2, 3) moved out of its room, past one of its four sides."""
    axis = side % 2
    shift = room[1] - box[0] + AWAY_M if side < 2 else room[0] - box[1] - AWAY_M
    return box + np.where(np.arange(3) == axis, shift, 0.0)


def _overlap(a: NDArray, b: NDArray) -> bool:
    """Return whether two boxes (2, 3) overlap from above."""
    return bool(np.all(a[0, :2] < b[1, :2]) and np.all(b[0, :2] < a[1, :2]))


def _as_box(low: Sequence[float], high: Sequence[float]) -> Box:
    rounded = [tuple(float(round(v, 2)) + 0.0 for v in corner) for corner in (low, high)]
    return rounded[0], rounded[1]


def _halves(box: Box) -> list[Box]:
    """Return the two halves across the longer side, of long rooms."""
    low, high = np.array(box)
    axis = int(np.argmax((high - low)[:2]))
    if (high - low)[axis] < HALVES_FROM_M:
        return []
    middle_high, middle_low = high.copy(), low.copy()
    middle_high[axis] = middle_low[axis] = (low[axis] + high[axis]) / 2.0
    return [_as_box(low, middle_high), _as_box(middle_low, high)]


def _grid(
    box: Box,
    polygon: Sequence[tuple[float, float]] | None,
    step_m: float,
    heights_m: Sequence[float],
) -> NDArray[np.float64]:
    """Return points (P, 3) all over a rectangle, or over its part within a polygon."""
    low, high = np.array(box)[:, :2]
    low, high = low + 2 * BORDER_M, high - 2 * BORDER_M
    steps = np.maximum(2, np.ceil((high - low) / step_m).astype(np.int64) + 1)
    x, y = (np.linspace(low[i], high[i], steps[i]) for i in range(2))
    flat = np.stack(np.meshgrid(x, y, indexing='ij'), axis=-1).reshape(-1, 2)
    if polygon is not None:
        flat = flat[_within(flat, np.asarray(polygon, np.float64))]
    return np.concatenate([np.c_[flat, np.full(len(flat), z)] for z in heights_m])


def _within(points: NDArray, polygon: NDArray) -> NDArray[np.bool_]:
    """Return for points (P, 2) whether they are inside, by crossings of a ray along x."""
    inside = np.zeros(len(points), bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        crosses = (points[:, 1] < y0) != (points[:, 1] < y1)
        if y0 != y1:
            inside ^= crosses & (points[:, 0] < x0 + (points[:, 1] - y0) * (x1 - x0) / (y1 - y0))
    return inside


def _extent_words(box: Box) -> str:
    (x0, y0, _), (x1, y1, _) = box
    return f'between x = {x0:.1f} and {x1:.1f} m, y = {y0:.1f} and {y1:.1f} m'
