# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The empty home: rooms, walls, openings and lamps, from random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ros2_spatial_ttt.sim.paint import materials
from ros2_spatial_ttt.sim.plans.cells import Cells, divide, draw_kinds
from ros2_spatial_ttt.sim.plans.openings import Holes, join_rooms
from ros2_spatial_ttt.sim.plans.walls import Run, free_floors, runs, wall_pieces
from ros2_spatial_ttt.sim.world import Lamp, Opening, Room, Wall

__all__ = ['Layout', 'make_layout']

_TRIES = 2000
# Light from warm to cold, (r, g, b).
_LIGHT = ((1.0, 0.78, 0.55), (1.0, 0.88, 0.72), (1.0, 0.95, 0.88), (0.94, 0.97, 1.0))
_WET = ('bathroom', 'kitchen')
# Floors of rooms that are not only of wood: beginnings of their names.
_FLOOR = {
    'bathroom': ('floor.tile', 'floor.stone'),
    'kitchen': ('floor.tile', 'floor.stone', 'floor.wood'),
    'hall': ('floor.tile', 'floor.stone', 'floor.wood', 'floor.parquet'),
    'storage room': ('floor.tile', 'floor.stone', 'floor.wood'),
    'bedroom': ('floor.carpet', 'floor.wood', 'floor.parquet'),
    'living room': ('floor.carpet', 'floor.wood', 'floor.parquet'),
    'office': ('floor.carpet', 'floor.wood', 'floor.parquet'),
}


@dataclass(frozen=True)
class Layout:
    """A home without its things; see ``world.Home`` for the parts."""

    rooms: tuple[Room, ...]
    walls: tuple[Wall, ...]
    openings: tuple[Opening, ...]
    lamps: tuple[Lamp, ...]


def make_layout(rng: np.random.Generator, count: int | None, leaf: tuple[float, float]) -> Layout:
    """Draw an empty home.

    Args:
        rng: random numbers.
        count: of rooms, 1..8; None draws a common number.
        leaf: width and height of the holes that doors hang in, m.

    Returns:
        Rooms that all are reached, with the map origin inside one of them.
    """
    kinds = draw_kinds(rng, count)
    for _ in range(_TRIES):
        wall_cm = int(rng.choice([10, 12, 14]))
        cells = divide(rng, kinds, wall_cm)
        if cells is None:
            continue
        cells = _shift(rng, cells)
        walls = runs(cells, wall_cm)
        holes = join_rooms(rng, kinds, walls, wall_cm / 100.0, leaf)
        if holes is not None:
            return _finish(rng, kinds, cells, walls, holes, wall_cm)
    raise AssertionError(f'no floor plan for {kinds} in {_TRIES} tries')


def _shift(rng: np.random.Generator, cells: Cells) -> Cells:
    """Move the map origin to somewhere inside a room."""
    x0, y0, x1, y1 = cells[int(rng.integers(len(cells)))][0]
    x = int(x0 + (x1 - x0) * rng.uniform(0.3, 0.7))
    y = int(y0 + (y1 - y0) * rng.uniform(0.3, 0.7))
    return [[(a - x, b - y, c - x, d - y) for a, b, c, d in rects] for rects in cells]


def _finish(
    rng: np.random.Generator,
    kinds: list[str],
    cells: Cells,
    walls: list[Run],
    holes: Holes,
    wall_cm: int,
) -> Layout:
    height = round(float(rng.uniform(2.4, 2.8)), 2)
    floors = free_floors(cells, wall_cm)
    skins = _skins(rng, kinds)
    rooms = tuple(
        Room(index, kind, floors[index], height, *skins[index]) for index, kind in enumerate(kinds)
    )
    pieces = wall_pieces(walls, holes.found, [skin[1] for skin in skins], wall_cm, height)
    lamps = tuple(_lamp(rng, rects, height) for rects in cells)
    return Layout(rooms, tuple(pieces), holes.listed(), lamps)


def _skins(rng: np.random.Generator, kinds: list[str]) -> list[tuple[str, str, str]]:
    """Return floor, wall and ceiling material of each room; dry rooms often share a floor."""
    common = _one_of(rng, materials.FLOORS, ('floor.wood', 'floor.parquet'))
    ceiling = _one_of(rng, materials.CEILINGS, ('ceiling',))
    out = []
    for kind in kinds:
        stuffs = _FLOOR.get(kind, ('floor.wood', 'floor.parquet'))
        shared = kind not in _WET and rng.random() < 0.6
        floor = common if shared else _one_of(rng, materials.FLOORS, stuffs)
        out.append((floor, _one_of(rng, materials.WALLS, _wall_stuffs(rng, kind)), ceiling))
    return out


def _wall_stuffs(rng: np.random.Generator, kind: str) -> tuple[str, ...]:
    if kind == 'bathroom':
        return ('wall.tile',) if rng.random() < 0.75 else ('wall.paint',)
    if kind == 'kitchen':
        return ('wall.tile',) if rng.random() < 0.25 else ('wall.paint',)
    return ('wall.paint',) if rng.random() < 0.6 else ('wall.stripe', 'wall.pattern')


def _one_of(rng: np.random.Generator, names: Sequence[str], stuffs: tuple[str, ...]) -> str:
    """Draw one of the names that begin with one of ``stuffs``."""
    fitting = [name for name in names if name.startswith(stuffs)]
    return fitting[int(rng.integers(len(fitting)))]


def _lamp(rng: np.random.Generator, rects: list[tuple[int, int, int, int]], height: float) -> Lamp:
    """Hang a lamp near the middle of a room."""
    x0, y0, x1, y1 = max(rects, key=lambda r: (r[2] - r[0]) * (r[3] - r[1]))
    at = rng.uniform(0.4, 0.6, 2)
    position = (
        round(float(x0 + (x1 - x0) * at[0]) / 100.0, 4),
        round(float(y0 + (y1 - y0) * at[1]) / 100.0, 4),
        round(height - 0.25, 4),
    )
    tint = np.array(_LIGHT[int(rng.integers(len(_LIGHT)))]) * rng.uniform(0.95, 1.0, 3)
    colour = tuple(round(float(v), 4) for v in tint)
    return Lamp(position, colour, round(float(rng.uniform(0.55, 1.0)), 4))
