# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What stands in rooms of each kind: first what makes the room, then what people leave there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ros2_spatial_ttt.sim.plans import groups
from ros2_spatial_ttt.sim.plans.arrange import Arranger
from ros2_spatial_ttt.sim.plans.doors import hang_doors
from ros2_spatial_ttt.sim.plans.layout import Layout
from ros2_spatial_ttt.sim.plans.spaces import Space
from ros2_spatial_ttt.sim.world import Opening, Room, Thing

__all__ = ['furnish']

# Things per m² of floor, least and most; small rooms may hold more.
_DENSITY = (0.3, 0.75)
_TRIES = 60
# Found in any room, with weights; 'small' is something on furniture.
_COMMON = {
    'picture': 2.5,
    'plant': 3.0,
    'box': 2.5,
    'basket': 2.0,
    'ball': 2.0,
    'backpack': 2.0,
    'bin': 2.0,
    'stool': 1.5,
    'lamp': 1.5,
    'chair': 1.0,
    'small': 4.0,
}
# What else, or how often else, in rooms of a kind.
_EXTRA = {
    'living room': {'shelf': 3.0, 'armchair': 2.5, 'cabinet': 1.0, 'dresser': 0.7},
    'bedroom': {'shelf': 1.5, 'dresser': 2.0, 'mirror': 1.5, 'armchair': 1.0, 'tv': 0.7},
    'kitchen': {'picture': 1.0, 'lamp': 0.3, 'small': 6.0},
    'bathroom': {'picture': 0.5, 'lamp': 0.3, 'chair': 0.3, 'cabinet': 1.0},
    'office': {'shelf': 4.0, 'cabinet': 2.0, 'armchair': 1.0},
    'hall': {'mirror': 3.0, 'dresser': 1.0, 'shelf': 1.0, 'cabinet': 1.0},
    'dining room': {'cabinet': 2.0, 'dresser': 1.5, 'shelf': 1.0, 'mirror': 1.0},
    'storage room': {'box': 5.0, 'shelf': 3.0, 'cabinet': 1.5, 'washing machine': 1.0},
}
# Things that lie about anywhere: nobody knows the room from the thing.
_STRAY = ('ball', 'backpack', 'box', 'basket', 'bin', 'plant', 'stool')
_SMALL = ('mug', 'bottle', 'book', 'vase', 'laptop', 'plant', 'lamp')
_HUNG = ('picture', 'mirror')
_AT_WALL = ('cabinet', 'dresser', 'armchair', 'washing machine')


def furnish(
    rng: np.random.Generator, layout: Layout, shapes: range, door_shapes: tuple[int, int]
) -> tuple[tuple[Opening, ...], tuple[Thing, ...]]:
    """Put things into an empty home.

    Args:
        rng: random numbers.
        layout: the empty home.
        shapes: seeds of shapes to draw from.
        door_shapes: of the inner doors and of the front door.

    Returns:
        The openings (a door without room for its leaf is a passage) and the things by id.
    """
    a = Arranger(rng, shapes)
    openings, leaves = hang_doors(rng, layout.rooms, layout.openings, door_shapes, a.new_id)
    kinds = [room.kind for room in layout.rooms]
    # The closed front door stands in its wall, not in a room.
    things = [leaf for leaf in leaves if leaf.shape == door_shapes[1]]
    for room in layout.rooms:
        inside = [leaf for leaf in leaves if leaf not in things and leaf.room == room.index]
        space = Space(room, openings, inside)
        _furnish_room(a, space, room, kinds)
        things += space.things
    return tuple(openings), _numbered(things)


def _numbered(things: Sequence[Thing]) -> tuple[Thing, ...]:
    """Return things with ids 1, 2, … in the order in which they were put."""
    ordered = sorted(things, key=lambda thing: thing.id)
    name = {0: 0, **{thing.id: k for k, thing in enumerate(ordered, 1)}}
    return tuple(replace(t, id=name[t.id], support=name[t.support]) for t in ordered)


def _furnish_room(a: Arranger, space: Space, room: Room, kinds: Sequence[str]) -> None:
    for step in _plan(a, room, space.area, kinds):
        step(a, space)
    for category in a.rng.permutation(_STRAY)[: int(a.rng.integers(1, 3))]:
        _put_extra(a, space, str(category))
    target = a.rng.uniform(*_DENSITY) * space.area
    extra = {**_COMMON, **_EXTRA[room.kind]}
    names = list(extra)
    weights = np.array([extra[name] for name in names], dtype=np.float64)
    for _ in range(_TRIES):
        if len(space.things) >= target:
            break
        _put_extra(a, space, names[int(a.rng.choice(len(names), p=weights / weights.sum()))])


Step = Callable[[Arranger, Space], object]


def _plan(a: Arranger, room: Room, area: float, kinds: Sequence[str]) -> list[Step]:
    """Return what makes a room what it is, in the order it is put there."""
    alone = len(kinds) == 1
    if room.kind == 'living room':
        return _living_plan(a, area, kinds)
    if room.kind == 'bedroom':
        steps: list[Step] = [groups.bed_group, _stand('wardrobe', 0.4)]
        if a.chance(0.5) or alone:
            steps.append(groups.desk_group)
        if a.chance(0.5):
            steps.append(_dresser)
        return steps
    if room.kind == 'kitchen':
        steps = [groups.kitchen_row, _counter]
        if area > 8.5 and 'dining room' not in kinds:
            steps.append(_dining(int(a.rng.integers(2, 5))))
        return steps
    if room.kind == 'bathroom':
        return [groups.wash_group]
    if room.kind == 'office':
        return [groups.desk_group, _shelf, *([groups.desk_group] if a.chance(0.35) else [])]
    if room.kind == 'dining room':
        return [_dining(int(a.rng.integers(3, 7))), _dresser]
    if room.kind == 'hall':
        return [_stand(str(a.rng.choice(['dresser', 'cabinet', 'shelf'])), 0.3)]
    return [_shelf, _stand('cabinet', 0.3)] if a.chance(0.6) else [_shelf]


def _living_plan(a: Arranger, area: float, kinds: Sequence[str]) -> list[Step]:
    """Return the plan of a living room; it also is what the home has no own room for."""
    steps: list[Step] = []
    if 'kitchen' not in kinds and area > 18.0:
        steps += [groups.kitchen_row, _counter]
    if 'bedroom' not in kinds and area > 20.0:
        steps += [groups.bed_group, _stand('wardrobe', 0.4)]
    steps.append(groups.sofa_group)
    if 'dining room' not in kinds and (area > 22.0 or a.chance(0.3)):
        steps.append(_dining(int(a.rng.integers(2, 7))))
    steps.append(_shelf)
    if 'office' not in kinds and a.chance(0.3):
        steps.append(groups.desk_group)
    return steps


def _stand(category: str, front: float) -> Step:
    def step(a: Arranger, space: Space) -> None:
        thing = groups.stand_at_wall(a, space, category, front=front)
        groups.clutter_on(a, space, thing, 2)

    return step


def _dining(seats: int) -> Step:
    def step(a: Arranger, space: Space) -> None:
        groups.dining_group(a, space, seats)

    return step


def _shelf(a: Arranger, space: Space) -> None:
    groups.fill_shelf(a, space, groups.stand_at_wall(a, space, 'shelf'))


def _dresser(a: Arranger, space: Space) -> None:
    """Put a dresser with a few things on it, often below a mirror or with a tv."""
    dresser = groups.stand_at_wall(a, space, 'dresser')
    if dresser is None:
        return
    if a.chance(0.4):
        kind = a.pick('mirror', fits=lambda size: size[2] < 1.0)
        a.over(space, kind, dresser, dresser.size[2] + a.rng.uniform(0.1, 0.25))
    elif a.chance(0.3):
        a.on_top(space, 'tv', dresser, turn=0.0)
    groups.clutter_on(a, space, dresser, 3)


def _counter(a: Arranger, space: Space) -> None:
    """Leave things on the kitchen's cabinets and machines."""
    for thing in list(space.things):
        if thing.category in ('cabinet', 'washing machine', 'fridge') and a.chance(0.6):
            category = str(a.rng.choice(['bottle', 'bottle', 'mug', 'mug', 'plant', 'vase']))
            a.on_top(space, category, thing)


def _put_extra(a: Arranger, space: Space, category: str) -> None:
    if category == 'small':
        _put_small(a, space)
    elif category in _HUNG:
        groups.hang(a, space, category)
    elif category == 'shelf':
        _shelf(a, space)
    elif category in _AT_WALL:
        groups.clutter_on(a, space, groups.stand_at_wall(a, space, category), 2)
    elif category in ('plant', 'lamp'):
        small = a.pick(category, 'floor', fits=lambda size: max(size[:2]) < 0.8)
        a.in_corner(space, small) or a.at_wall(space, small, snug=0.8)
    elif category == 'tv':
        hung = a.pick('tv', 'wall')
        a.at_wall(space, hung, bottom=a.rng.uniform(1.0, 1.3), snug=0.0)
    elif category == 'bin':
        a.at_wall(space, a.pick('bin'), snug=0.6)
    else:
        kind = a.pick(category)
        if a.chance(0.6):
            a.at_wall(space, kind, snug=0.4)
        else:
            a.anywhere(space, kind)


def _put_small(a: Arranger, space: Space) -> None:
    """Leave something small on a piece of furniture of the room."""
    category = str(a.rng.choice(_SMALL))
    for index in a.rng.permutation(len(space.things))[:4]:
        if a.on_top(space, category, space.things[int(index)]):
            return
