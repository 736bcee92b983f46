# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What of a home is not a thing: walls, floors, ceilings, skirting, frames, as textured boxes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.sim.catalogue.build import Build, Finish, Part
from ros2_spatial_ttt.sim.world import Home, Lamp, Opening, Room, Wall

__all__ = ['rectangles', 'shell']

WHITE = (0.93, 0.92, 0.90)
PANEL = (0.35, 0.33, 0.31)
PURE = (1.0, 1.0, 1.0)
THICK_M = 0.1
SKIRTING_M = (0.012, 0.075)
TRIM_M = (0.012, 0.06)
SKIN_M = 0.002
# Neighbours overlap by this much: pieces that only touch let the sky shine through as dots.
LAP_M = 0.0005

Rectangle = tuple[float, float, float, float]


def shell(home: Home) -> list[Part]:
    """Return all structure of a home as parts in the map frame."""
    build = Build()
    for room in home.rooms:
        _room(build, room, home.openings)
    for wall in home.walls:
        _wall(build, wall)
    for opening in home.openings:
        if opening.kind == 'window':
            _window(build, opening, home)
        else:
            _doorway(build, opening, home)
    for lamp in home.lamps:
        _ceiling_light(build, lamp, home)
    return list(build.parts)


def rectangles(polygon: tuple[tuple[float, float], ...]) -> list[Rectangle]:
    """Return disjoint rectangles (x0, y0, x1, y1) that fill an axis-aligned polygon.

    It is cut along y at its corners; in each band, the edges along y that cross it are in
    pairs the left and right ends of what is inside.
    """
    corners = np.array(polygon)
    levels = np.unique(corners[:, 1])
    out = []
    for low, high in zip(levels[:-1], levels[1:], strict=True):
        middle = (low + high) / 2
        ends = np.roll(corners, -1, axis=0)
        crossing = (corners[:, 1] > middle) != (ends[:, 1] > middle)
        xs = np.sort(corners[crossing, 0])
        out += [
            (float(a), float(low), float(b), float(high))
            for a, b in zip(xs[::2], xs[1::2], strict=True)
        ]
    return out


def _room(build: Build, room: Room, openings: tuple[Opening, ...]) -> None:
    """Add floor, ceiling and skirting."""
    floor, ceiling = Finish(room.floor, PURE, ''), Finish(room.ceiling, PURE, '')
    for x0, y0, x1, y1 in rectangles(room.polygon):
        spans = (x0 - LAP_M, x1 + LAP_M), (y0 - LAP_M, y1 + LAP_M)
        build.box(*spans, (-THICK_M, 0.0), floor, facing='z')
        build.box(*spans, (room.height, room.height + THICK_M), ceiling, facing='z')
    if not room.floor.startswith('floor.tile'):
        _skirting(build, room, openings)


def _skirting(build: Build, room: Room, openings: tuple[Opening, ...]) -> None:
    """Add a board along the foot of every wall, with gaps at doors."""
    finish, (thick, high) = Finish('paint', WHITE, ''), SKIRTING_M
    corners = np.array(room.polygon)
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        along = int(np.argmax(np.abs(end - start)))
        low, top = sorted((start[along], end[along]))
        # The polygon runs counter-clockwise: the room is to the left of an edge.
        inward = np.array([start[1] - end[1], end[0] - start[0]]) / (top - low)
        across = tuple(sorted((start[1 - along], start[1 - along] + thick * inward[1 - along])))
        for a, b in _without(low, top, _gaps(openings, along, float(start[1 - along]))):
            spans = ((a, b), across) if along == 0 else (across, (a, b))
            build.box(*spans, (0.0, high), finish)


def _gaps(openings: tuple[Opening, ...], along: int, line: float) -> list[tuple[float, float]]:
    """Return the intervals of a wall's foot at which there are doors."""
    return sorted(
        (
            o.centre[along] - o.size[along] / 2 - TRIM_M[1],
            o.centre[along] + o.size[along] / 2 + TRIM_M[1],
        )
        for o in openings
        if o.kind != 'window'
        and o.size[along] > o.size[1 - along]
        and abs(o.centre[1 - along] - line) < o.size[1 - along] + 0.02
    )


def _without(
    low: float, high: float, gaps: list[tuple[float, float]]
) -> list[tuple[float, float]]:
    out = []
    for left, right in gaps:
        if left > low and left < high:
            out.append((low, left))
        low = max(low, min(right, high)) if right > low and left < high else low
    out.append((low, high))
    return [(a, b) for a, b in out if b - a > 0.02]


def _wall(build: Build, wall: Wall) -> None:
    """Add the two halves of a wall, each with the material of its side, and its ends."""
    centre, size = np.array(wall.centre), np.array(wall.size)
    thin = int(np.argmin(size[:2]))
    names = wall.materials[2 * thin : 2 * thin + 2]
    low, high = centre - size / 2, centre + size / 2
    along = 1 - thin
    low[[along, 2]] -= LAP_M
    high[[along, 2]] += LAP_M
    for end, name in enumerate(wall.materials[2 * along : 2 * along + 2]):
        # An end whose two halves look alike needs no skin of its own.
        if name and set(names) - {'', name}:
            at = high[along] if end else low[along]
            inner = at - SKIN_M if end else at + SKIN_M
            skin = (low[thin], high[thin]), (at, inner)
            _add(build, thin, *skin, (low[2], high[2]), Finish(name, PURE, ''))
            (high if end else low)[along] = inner
    spare = next((name for name in (*names, *wall.materials) if name), '')
    for side, name in enumerate(names):
        half = (low[thin], centre[thin]) if side == 0 else (centre[thin], high[thin])
        material = name or spare
        finish = Finish(material, PURE, '') if material else Finish('paint', WHITE, '')
        across = 'xy'[thin]
        _add(
            build, thin, half, (low[along], high[along]), (low[2], high[2]), finish, facing=across
        )


def _spans(opening: Opening) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Return low and high corner of the hole and its thin axis."""
    centre, size = np.array(opening.centre), np.array(opening.size)
    return centre - size / 2, centre + size / 2, int(np.argmin(size[:2]))


def _add(
    build: Build, thin: int, across: tuple, along: tuple, z: tuple, finish: Finish, *, facing=''
) -> None:
    """Add a box given by spans across and along a wall."""
    spans = (across, along) if thin == 0 else (along, across)
    build.box(*(tuple(sorted(map(float, span))) for span in (*spans, z)), finish, facing=facing)


def _window(build: Build, opening: Opening, home: Home) -> None:
    """Add the frame and the sill of a window."""
    low, high, thin = _spans(opening)
    along, finish, rim = 1 - thin, Finish('paint', WHITE, ''), 0.05
    middle = (low[thin] + high[thin]) / 2
    deep = (middle - 0.025, middle + 0.025)
    a, b, z0, z1 = low[along], high[along], low[2], high[2]
    for span in ((a, a + rim), (b - rim, b)):
        _add(build, thin, deep, span, (z0, z1), finish)
    for span in ((z0, z0 + rim), (z1 - rim, z1)):
        _add(build, thin, deep, (a + rim, b - rim), span, finish)
    centre = (a + b) / 2
    if b - a > 0.7:
        _add(build, thin, deep, (centre - 0.02, centre + 0.02), (z0 + rim, z1 - rim), finish)
    inside = max(opening.rooms)
    sign = 1.0 if inside < 0 else _side(home.rooms[inside], thin, middle)
    inner = high[thin] if sign > 0 else low[thin]
    _add(
        build, thin, (middle + sign * 0.025, inner + sign * 0.04), (a, b), (z0, z0 + 0.02), finish
    )


def _side(room: Room, axis: int, line: float) -> float:
    """Return +1 if the room lies on the high side of a line along the other axis."""
    values = np.array(room.polygon)[:, axis]
    return 1.0 if values.mean() > line else -1.0


def _doorway(build: Build, opening: Opening, home: Home) -> None:
    """Add the floor in a hole that people walk through, and the trim of a door."""
    low, high, thin = _spans(opening)
    along, (proud, wide) = 1 - thin, TRIM_M
    a, b, z1 = low[along], high[along], high[2]
    inside = next((room for room in opening.rooms if room >= 0), 0)
    floor = Finish(home.rooms[inside].floor, PURE, '')
    _add(build, thin, (low[thin], high[thin]), (a, b), (-THICK_M, 0.0), floor)
    if opening.kind == 'passage':
        return
    if min(opening.rooms) < 0:
        # The leaf leaves gaps; outside of it, a panel keeps the sky out.
        sign = _side(home.rooms[inside], thin, (low[thin] + high[thin]) / 2)
        outer = low[thin] if sign > 0 else high[thin]
        panel = Finish('paint', PANEL, '')
        _add(build, thin, (outer, outer + sign * 0.015), (a, b), (0.0, z1), panel)
    finish = Finish('paint', WHITE, '')
    for face, sign in ((low[thin], -1), (high[thin], 1)):
        across = (face, face + sign * proud)
        for span in ((a - wide, a), (b, b + wide)):
            _add(build, thin, across, span, (0.0, z1 + wide), finish)
        _add(build, thin, across, (a, b), (z1, z1 + wide), finish)


def _ceiling_light(build: Build, lamp: Lamp, home: Home) -> None:
    """Add a flat light below the ceiling where a lamp hangs there."""
    x, y, z = lamp.position
    for room in home.rooms:
        inside = any(x0 < x < x1 and y0 < y < y1 for x0, y0, x1, y1 in rectangles(room.polygon))
        if inside and room.height - z < 0.5:
            finish = Finish('lampshade', tuple(0.5 + 0.5 * c for c in lamp.colour), '')
            build.cylinder((x, y, room.height - 0.02), 0.17, 0.04, finish)
