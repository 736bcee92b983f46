# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Choices about directions: which side something is on, and which turns a route takes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations, permutations

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.exam.asking.evidence import Known
from ros2_spatial_ttt.exam.asking.setting import Setting, choose, with_choices
from ros2_spatial_ttt.exam.asking.view import clear_of_walls
from ros2_spatial_ttt.exam.bearings import SIDES, TURNS, bearing_between, wrapped
from ros2_spatial_ttt.exam.question import Question
from ros2_spatial_ttt.sim.world import Thing

__all__ = ['directions', 'routes']

LEAST_APART_M = 1.0
# Largest angle from the middle of a side, degrees. Easy and medium leave out what is nearly ahead;
# sides of "medium" meet at 135 degrees, quadrants at multiples of 90.
LEVELS = {
    'easy': ({'left': 65.0, 'right': 65.0}),
    'medium': ({'left': 35.0, 'right': 35.0, 'back': 35.0}),
    'hard': ({'front-left': 33.0, 'front-right': 33.0, 'back-left': 33.0, 'back-right': 33.0}),
}
LEG_M = 1.2
LEGS = (2, 3)
TURN_OFF = math.radians(35.0)  # most that a turn may differ from 90 or 180 degrees
EYE_M = 1.2  # height at which walls stop a straight leg
MOST_THINGS = 12  # of which triples are formed


def directions(setting: Setting) -> Iterator[Question]:
    """Yield relative_direction at three levels at the marked minutes."""
    for ask_ns in setting.marks():
        known = setting.known(ask_ns)
        for level, sides in LEVELS.items():
            yield from _relative_direction(setting, known, f'relative_direction_{level}', sides)


def _relative_direction(
    setting: Setting, known: Known, kind: str, sides: dict[str, float]
) -> Iterator[Question]:
    """Every side is the right one equally often; a home that lacks one is not asked."""
    rng = setting.rng(kind, known.ask_ns)
    things = choose(rng, list(known.unique.values()), MOST_THINGS)
    by_side = defaultdict(list)
    for triple in permutations(things, 3):
        side = _side(triple, sides)
        if side:
            by_side[side].append(triple)
    if len(by_side) < len(sides):
        return
    first = int(rng.integers(len(sides)))
    for number in range(setting.per_kind):
        side = sorted(sides)[(first + number) % len(sides)]
        if not by_side[side]:
            continue
        triple = by_side[side].pop(int(rng.integers(len(by_side[side]))))
        names = tuple(thing.category for thing in triple)
        question = setting.question(
            'vsi',
            kind,
            known,
            rng,
            dict(zip('abc', names, strict=True)),
            labels=names,
            evidence_ns=known.seen_last(triple),
        )
        yield with_choices(question, rng, (side,), [(s,) for s in sides if s != side])


def _side(triple: Sequence[Thing], sides: dict[str, float]) -> str:
    """Return the side the third is on, '' where it is not clear or rooms would tell it."""
    if len({thing.room for thing in triple}) == 2:
        return ''
    at, towards, asked = (np.asarray(thing.centre) for thing in triple)
    near = min(math.dist(a[:2], b[:2]) for a, b in combinations((at, towards, asked), 2))
    if near < LEAST_APART_M:
        return ''
    bearing = bearing_between(at, towards, asked)
    for side, most in sides.items():
        if abs(wrapped(bearing - SIDES[side])) <= math.radians(most):
            return side
    return ''


def routes(setting: Setting) -> Iterator[Question]:
    """Yield route_plan at the marked minutes."""
    for ask_ns in setting.marks():
        yield from _route_plan(setting, setting.known(ask_ns))


def _route_plan(setting: Setting, known: Known) -> Iterator[Question]:
    """Wrong choices are the turns of other routes through the same home."""
    rng = setting.rng('route_plan', known.ask_ns)
    things = choose(rng, list(known.unique.values()), MOST_THINGS)
    pools = _routes(setting, things) if len(things) > min(LEGS) + 1 else {}
    for number in range(setting.per_kind):
        pool = pools.get(LEGS[number % len(LEGS)], {})
        if len(pool) < 4:
            continue
        right, *wrong = choose(rng, sorted(pool), 4)
        ways = pool[right]
        stops = [things[i] for i in ways[int(rng.integers(len(ways)))]]
        names = tuple(thing.category for thing in stops)
        question = setting.question(
            'vsi',
            'route_plan',
            known,
            rng,
            {'a': names[0], 'b': names[1], 'goal': names[-1], 'actions': _actions(names[2:])},
            labels=names,
            evidence_ns=known.seen_last(stops),
        )
        yield with_choices(question, rng, right, wrong)


def _routes(
    setting: Setting, things: list[Thing]
) -> dict[int, dict[tuple[str, ...], NDArray[np.int64]]]:
    """Return all routes by their number of legs and by their turns.

    A route is a row of indices: start, the thing faced there, stops, goal; all different.
    """
    open_ = _open_lines(setting, things)
    spots = np.array([thing.centre[:2] for thing in things])
    apart = spots[None] - spots[:, None]
    far = np.linalg.norm(apart, axis=-1) >= LEG_M
    heading = np.arctan2(apart[..., 1], apart[..., 0])
    # Turn at i from facing j towards k, and at j when coming from i and going on to k.
    first = _turns(heading[:, None, :] - heading[:, :, None])
    later = _turns(heading[None, :, :] - heading[:, :, None])
    starts = np.argwhere((first >= 0) & far[:, :, None] & open_[:, None, :])
    turns = first[tuple(starts.T)][:, None]
    ways = starts[_all_different(starts)]
    turns = turns[_all_different(starts)]
    pools = {}
    for legs in range(2, max(LEGS) + 1):
        ways, turns = _extended(ways, turns, later, open_, legs)
        pools[legs] = {
            tuple(list(TURNS)[t] for t in row): ways[np.all(turns == row, axis=1)]
            for row in np.unique(turns, axis=0)
        }
    return pools


def _extended(
    ways: NDArray, turns: NDArray, later: NDArray, open_: NDArray, legs: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return every route with every stop that can follow."""
    behind = ways[:, 0] if legs == 2 else ways[:, -2]
    turn = later[behind, ways[:, -1]]
    row, stop = np.nonzero((turn >= 0) & open_[ways[:, -1]])
    longer = np.c_[ways[row], stop]
    kept = _all_different(longer)
    return longer[kept], np.c_[turns[row], turn[row, stop]][kept]


def _all_different(rows: NDArray) -> NDArray[np.bool_]:
    ordered = np.sort(rows, axis=1)
    return np.all(ordered[:, 1:] != ordered[:, :-1], axis=1)


def _turns(angles: NDArray) -> NDArray[np.int64]:
    """Return for each turn its index in TURNS, -1 where it is none of them clearly."""
    out = np.full(angles.shape, -1)
    for index, middle in enumerate(TURNS.values()):
        off = np.abs(np.angle(np.exp(1j * (angles - middle))))
        out[off <= TURN_OFF] = index
    return out


def _open_lines(setting: Setting, things: list[Thing]) -> np.ndarray:
    """Return (n, n): no wall is between two things, and they are a leg apart."""
    spots = np.array([[*thing.centre[:2], EYE_M] for thing in things])
    count = len(things)
    rows, columns = np.divmod(np.arange(count * count), count)
    clear = clear_of_walls(spots[rows], spots[columns], setting.evidence.home.walls)
    far = np.linalg.norm(spots[rows] - spots[columns], axis=1) >= LEG_M
    return (clear & far).reshape(count, count)


def _actions(stops: Sequence[str]) -> str:
    steps = []
    for stop in stops:
        steps += ['[please fill in]', f'Go forward until the {stop}']
    return ' '.join(f'{number}. {step}.' for number, step in enumerate(steps, 1))
