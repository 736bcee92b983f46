# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Things that belong together: bed and nightstands, desk and chair, sofa and tv, kitchen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ros2_spatial_ttt.sim.catalogue import Model
from ros2_spatial_ttt.sim.plans.arrange import Arranger
from ros2_spatial_ttt.sim.plans.spaces import Space
from ros2_spatial_ttt.sim.world import Thing

__all__ = [
    'bed_group',
    'clutter_on',
    'desk_group',
    'dining_group',
    'fill_shelf',
    'hang',
    'kitchen_row',
    'sofa_group',
    'stand_at_wall',
    'wash_group',
]

_ON_TOP = ('mug', 'bottle', 'book', 'vase', 'laptop', 'plant', 'lamp')
_COUNTER_M = 1.1
_NARROW_BED_M = 1.3
_SMALL_BEDROOM_M2 = 11.0
_SPOTS = 12
# How deep a chair is pushed under a table, tried in this order, m.
_TUCKED = (0.28, 0.2, 0.12, 0.05, -0.02, -0.1)


def clutter_on(a: Arranger, space: Space, support: Thing | None, most: int) -> None:
    """Put up to ``most`` small things on a piece of furniture."""
    if support is None:
        return
    for _ in range(int(a.rng.binomial(most, 0.4))):
        a.on_top(space, str(a.rng.choice(_ON_TOP)), support)


def stand_at_wall(
    a: Arranger, space: Space, category: str, *, front: float = 0.3, snug: float = 0.4
) -> Thing | None:
    """Stand a piece of furniture at a wall; a second, other shape is tried if it does not fit."""
    for _ in range(2):
        thing = a.at_wall(space, a.pick(category, 'floor'), front=front, snug=snug)
        if thing is not None:
            return thing
    return None


def hang(a: Arranger, space: Space, category: str) -> Thing | None:
    """Hang a picture or mirror on a free wall at the height of eyes."""
    kind = a.pick(category, 'wall')
    if kind is None:
        return None
    bottom = a.rng.uniform(1.4, 1.65) - kind.size[2] / 2.0
    return a.at_wall(space, kind, bottom=max(bottom, 0.3), snug=0.0, any_front=True)


def fill_shelf(a: Arranger, space: Space, shelf: Thing | None) -> None:
    """Put books and a few other things on the boards of a shelf."""
    if shelf is None:
        return
    for _ in range(int(a.rng.integers(1, 5))):
        category = str(a.rng.choice(['book', 'book', 'book', 'vase', 'plant', 'bottle']))
        a.on_top(space, category, shelf, turn=0.0 if category == 'book' else None)


def bed_group(a: Arranger, space: Space) -> None:
    """Put a bed with its head to a wall, nightstands beside it and things on these."""
    narrow = a.pick('bed', fits=lambda size: size[1] < _NARROW_BED_M, tries=12)
    wide = None if space.area < _SMALL_BEDROOM_M2 else a.pick('bed')
    bed = a.at_wall(space, wide, snug=0.35) or a.at_wall(space, narrow, snug=0.35)
    if bed is None:
        return
    twin = a.pick('nightstand')
    for side in (1.0, -1.0):
        stand = a.beside(space, twin, bed, side) if a.chance(0.75) else None
        if stand is None:
            continue
        if a.chance(0.6):
            a.on_top(space, 'lamp', stand, turn=0.0)
        if a.chance(0.4):
            a.on_top(space, str(a.rng.choice(['book', 'mug', 'bottle'])), stand)
    if a.chance(0.4):
        a.over(space, a.pick('picture'), bed, bed.size[2] + a.rng.uniform(0.15, 0.3))


def desk_group(a: Arranger, space: Space) -> None:
    """Put a desk at a wall, a chair before it and a screen on it."""
    desk = stand_at_wall(a, space, 'desk', front=0.55)
    if desk is None:
        return
    seat = a.pick('chair' if a.chance(0.85) else 'stool')
    _seat(a, space, seat, desk, 0.0, a.rng.uniform(-0.1, 0.1))
    screen = a.chance(0.65)
    if screen:
        a.on_top(space, 'monitor', desk, back=True, turn=0.0)
    if not screen or a.chance(0.3):
        a.on_top(space, 'laptop', desk, turn=float(a.rng.normal(0.0, 0.15)))
    if a.chance(0.35):
        a.on_top(space, 'lamp', desk, back=True, turn=0.0)
    clutter_on(a, space, desk, 2)
    if a.chance(0.35):
        a.beside(space, a.pick('bin'), desk, float(a.rng.choice([-1.0, 1.0])), gap=0.08)


def _seat(
    a: Arranger, space: Space, kind: Model | None, table: Thing, angle: float, left: float
) -> Thing | None:
    """Put a chair at a table's side that lies at ``angle`` from its front, facing the table."""
    if kind is None:
        return None
    side = replace(table, yaw=table.yaw + angle)
    half = table.size[0 if abs(np.cos(angle)) > 0.5 else 1] / 2.0
    tucked = _TUCKED[int(a.rng.integers(0, 4)) :]
    ahead = [half + kind.size[0] / 2.0 - depth for depth in tucked]
    return a.near(space, kind, side, ahead, left, np.pi, beside=(table,))


def dining_group(a: Arranger, space: Space, seats: int) -> None:
    """Put a table into the room or at a wall, chairs of one kind around it, things on it."""
    small = space.area < 14.0
    kind = a.pick('table', fits=lambda size: not small or size[1] < 1.4)
    table = None
    if not small or a.chance(0.3):
        table = _free_standing(a, space, kind)
    table = table or a.at_wall(space, kind, snug=0.3)
    if table is None:
        return
    rows = [0.0] if table.size[1] < 1.15 else [-0.25, 0.25]
    spots = [(angle, row * table.size[1]) for angle in (0.0, np.pi) for row in rows]
    spots += [(np.pi / 2.0, 0.0), (-np.pi / 2.0, 0.0)]
    chair = a.pick('chair')
    for k in a.rng.permutation(len(spots))[:seats]:
        _seat(a, space, chair, table, *spots[int(k)])
    clutter_on(a, space, table, 3)


def _free_standing(a: Arranger, space: Space, kind: Model | None) -> Thing | None:
    x0, y0, x1, y1 = space.limits
    spots = np.column_stack(
        [
            a.rng.uniform(x0 + 0.8, x1 - 0.8, _SPOTS),
            a.rng.uniform(y0 + 0.8, y1 - 0.8, _SPOTS),
            a.rng.integers(0, 2, _SPOTS) * np.pi / 2.0,
        ]
    )
    return a.settle(space, kind, spots)


def sofa_group(a: Arranger, space: Space) -> None:
    """Put a tv at a wall, a sofa facing it, a coffee table between, armchairs around."""
    stand = _tv(a, space)
    sofa = _sofa_facing(a, space, stand) if stand else None
    sofa = sofa or stand_at_wall(a, space, 'sofa', front=0.4, snug=0.2)
    if sofa is None:
        return
    kind = a.pick('coffee table')
    gap = float(a.rng.uniform(0.3, 0.45))
    low = None
    if kind is not None and a.chance(0.85):
        low = a.near(space, kind, sofa, [sofa.size[0] / 2.0 + gap + kind.size[0] / 2.0])
    clutter_on(a, space, low, 3)
    for side in (1.0, -1.0):
        chair = a.pick('armchair') if low and a.chance(0.4) else None
        if chair is not None:
            left = side * (low.size[1] / 2.0 + 0.35 + chair.size[0] / 2.0)
            turn = -side * (np.pi / 2.0 + a.rng.normal(0.0, 0.15))
            a.near(space, chair, low, [0.0, 0.15, -0.15], left, turn)
    if a.chance(0.5):
        lamp = a.pick('lamp', 'floor', fits=lambda size: size[0] < 0.6)
        a.beside(space, lamp, sofa, float(a.rng.choice([-1.0, 1.0])), gap=0.06)


def _tv(a: Arranger, space: Space) -> Thing | None:
    """Put a low cabinet at a wall with a tv on it or over it."""
    low = a.pick('cabinet', fits=lambda size: size[2] < 0.95 and size[1] > 0.95, tries=12)
    stand = a.at_wall(space, low, front=0.8, snug=0.1)
    if stand is None:
        return None
    if a.chance(0.35):
        a.over(space, a.pick('tv', 'wall'), stand, stand.size[2] + a.rng.uniform(0.15, 0.35))
    else:
        kind = a.pick('tv', 'surface', fits=lambda size: size[1] < stand.size[1] - 0.06)
        a.on_top(space, 'tv', stand, turn=0.0, kind=kind)
    return stand


def _sofa_facing(a: Arranger, space: Space, stand: Thing) -> Thing | None:
    """Put a sofa opposite the tv: at the far wall if that is near, else free in the room."""
    kind = a.pick('sofa')
    if kind is None:
        return None
    x0, y0, x1, y1 = space.limits
    cos, sin = np.cos(stand.yaw), np.sin(stand.yaw)
    far = (x1 if cos > 0 else x0) if abs(cos) > abs(sin) else (y1 if sin > 0 else y0)
    across = abs(far - stand.centre[0 if abs(cos) > abs(sin) else 1])
    at_wall = across - kind.size[0] / 2.0 - 0.02
    ahead = [2.0 + kind.size[0] / 2.0 + float(v) for v in a.rng.uniform(0.0, 1.2, 5)]
    if at_wall < 4.6:
        ahead.insert(0, at_wall)
    return a.near(space, kind, stand, ahead, float(a.rng.uniform(-0.2, 0.2)), np.pi)


def kitchen_row(a: Arranger, space: Space) -> None:
    """Line up fridge, cabinets, sink and oven along a wall; what is left goes to another."""
    row = ['cabinet', 'sink', 'cabinet', 'oven']
    if a.chance(0.35):
        row.insert(2, 'washing machine')
    if a.chance(0.4):
        row.append('cabinet')
    row.insert(0 if a.chance(0.5) else len(row), 'fridge')
    kinds = [_kitchen_piece(a, category) for category in row]
    sides = sorted(space.walls(), key=lambda side: -side[2])
    best: tuple[int, int] | None = None
    for index in a.rng.permutation(min(4, len(sides))):
        mark = space.mark()
        placed = len(_line_up(a, space, kinds, sides[index]))
        space.back(mark)
        if best is None or placed > best[0]:
            best = placed, int(index)
        if placed == len(kinds):
            break
    left = [kind for kind in kinds if kind is not None]
    for index in [best[1], *(i for i in range(len(sides)) if i != best[1])]:
        done = _line_up(a, space, left, sides[index])
        left = [kind for k, kind in enumerate(left) if k not in done]


def _kitchen_piece(a: Arranger, category: str) -> Model | None:
    if category == 'cabinet':
        return a.pick('cabinet', fits=lambda size: size[2] < _COUNTER_M and size[1] < 1.2)
    if category == 'sink':
        return a.pick('sink', fits=lambda size: size[0] > 0.58, tries=10)
    return a.pick(category)


def _line_up(
    a: Arranger, space: Space, kinds: Sequence[Model | None], side: tuple
) -> dict[int, Thing]:
    """Place things in turn along a side of the room, from one of its ends; return those placed."""
    start, along, length = side
    inwards = np.array([-along[1], along[0]])
    backwards = a.chance(0.5)
    at, out = 0.015, {}
    for k, kind in enumerate(kinds):
        if kind is None:
            continue
        width = kind.size[1]
        spots = []
        for slip in np.arange(at, length - width, 0.15):
            middle = slip + width / 2.0
            place = start + along * (length - middle if backwards else middle)
            place = place + inwards * (kind.size[0] / 2.0 + 0.02)
            spots.append([*place, np.arctan2(inwards[1], inwards[0])])
        thing = a.settle(space, kind, np.array(spots), front=0.45, any_front=True)
        if thing is not None:
            out[k] = thing
            reach = abs(float(np.dot(np.array(thing.centre[:2]) - start, along)))
            at = (length - reach if backwards else reach) + width / 2.0 + 0.02
    return out


def wash_group(a: Arranger, space: Space) -> None:
    """Furnish a bathroom with what it needs: toilet, sink with a mirror, bathtub."""
    tub = a.pick('bathtub')
    if space.area > 4.4 and a.chance(0.85):
        a.at_wall(space, tub, snug=0.95)
    toilet = a.pick('toilet')
    sink = a.pick('sink', fits=lambda size: size[0] < 0.57 and size[1] < 0.8, tries=10)
    for _ in range(2):
        if a.at_wall(space, toilet, front=0.35, snug=0.2):
            break
    basin = a.at_wall(space, sink, front=0.3, snug=0.2) or a.at_wall(space, sink, front=0.2)
    if basin is not None and a.chance(0.9):
        mirror = a.pick('mirror', fits=lambda size: size[2] < 1.0)
        a.over(space, mirror, basin, basin.size[2] + a.rng.uniform(0.08, 0.2))
    if a.chance(0.5):
        washer = stand_at_wall(a, space, 'washing machine', front=0.35, snug=0.7)
        clutter_on(a, space, washer, 2)
