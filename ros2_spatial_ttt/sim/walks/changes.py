# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What changes in a home while the robot is elsewhere: moved, swapped, removed and added things.

A change happens only where it cannot be seen, to a thing (or place) that was looked at before and
is looked at again later, so that a memory could know it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ros2_spatial_ttt.sim.catalogue import MOUNTINGS
from ros2_spatial_ttt.sim.plans.overlap import clash, thing_box
from ros2_spatial_ttt.sim.plans.support import lies_on
from ros2_spatial_ttt.sim.walks.script import MOVABLE, Script, Track
from ros2_spatial_ttt.sim.world import Change, Home, Thing

__all__ = ['make_changes']

_KINDS = ('moved', 'swapped', 'removed', 'added')
_SHARES = (0.45, 0.22, 0.2, 0.13)
_TRIES = 40
_LATEST = 0.79
_EARLIEST = 0.12


def make_changes(
    rng: np.random.Generator, home: Home, track: Track, count: int
) -> tuple[Change, ...]:
    """Find changes that the robot does not see happen but can notice.

    Args:
        rng: random numbers.
        home: at the begin.
        track: the robot's way.
        count: wanted number of changes; a swap counts as two.

    Returns:
        Changes in order of time, at most ``count``; fewer when there is no chance for more. The
        last one leaves more than a fifth of the tour.
    """
    script = Script(rng, home, track)
    n = len(track.stamps_ns)
    edges = np.linspace(_EARLIEST * n, _LATEST * n, count + 1).astype(int)
    out: list[Change] = []
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        if len(out) >= count:
            break
        low = max(int(low), 2, _frame_after(track, out))
        found = _find(script, low, int(high), count - len(out))
        script.apply(found)
        out += found
    return tuple(out)


def _frame_after(track: Track, changes: Sequence[Change]) -> int:
    if not changes:
        return 0
    return int(np.searchsorted(track.stamps_ns, changes[-1].stamp_ns, side='right'))


def _find(script: Script, low: int, high: int, most: int) -> list[Change]:
    """Find a change between two frames; empty when there is none."""
    if high <= low:
        return []
    for _ in range(_TRIES):
        frame = int(script.rng.integers(low, high))
        kind = _KINDS[int(script.rng.choice(len(_KINDS), p=_SHARES))]
        if kind == 'swapped' and most < 2:
            kind = 'moved'
        found = {'moved': _move, 'swapped': _swap, 'removed': _remove, 'added': _add}[kind](
            script, frame
        )
        if found:
            return found
    return []


def _hidden_and_known(script: Script, frame: int, most: int = 4) -> list[Thing]:
    """Return loose things that the robot saw before and does not see now, a few."""
    rooms = _elsewhere(script, frame)
    loose = [thing for thing in script.loose() if thing.room in rooms]
    return [
        thing
        for thing in script.rare_first(loose)[:most]
        if script.known(frame, [thing], [thing]) and script.unseen(frame, [thing])
    ]


def _elsewhere(script: Script, frame: int) -> list[int]:
    here = set(script.track.room[max(frame - 2, 0) : frame + 3].tolist())
    return [room.index for room in script.home.rooms if room.index not in here]


def _move(script: Script, frame: int) -> list[Change]:
    """Move a thing, mostly to another room."""
    rooms = _elsewhere(script, frame)
    for thing in _hidden_and_known(script, frame):
        others = [room for room in rooms if room != thing.room]
        if script.rng.random() < 0.3 or not others:
            others = [thing.room]
        room = others[int(script.rng.integers(len(others)))]
        now = script.place(thing.category, thing.shape, room, [thing.id])
        if now is None or _close(now, thing):
            continue
        now = replace(now, id=thing.id)
        if script.unseen(frame, [now]) and script.known(frame, [], [now]):
            return [Change(int(script.track.stamps_ns[frame]), 'moved', thing.id, now)]
    return []


def _close(a: Thing, b: Thing) -> bool:
    """Tell whether two places are too near to each other to be called a move."""
    return float(np.hypot(a.centre[0] - b.centre[0], a.centre[1] - b.centre[1])) < 0.8


def _swap(script: Script, frame: int) -> list[Change]:
    """Let two things of different kinds change places."""
    known = _hidden_and_known(script, frame, 12)
    for i, a in enumerate(known):
        for b in known[i + 1 :]:
            if a.category == b.category or _close(a, b):
                continue
            now_a, now_b = _at(a, b), _at(b, a)
            if _stands(script, now_a, b.id) and _stands(script, now_b, a.id):
                stamp = int(script.track.stamps_ns[frame])
                pair = sorted([(a.id, now_a), (b.id, now_b)], key=lambda entry: entry[0])
                return [Change(stamp, 'moved', name, now) for name, now in pair]
    return []


def _at(thing: Thing, place: Thing) -> Thing:
    """Return a thing where another stands."""
    bottom = place.centre[2] - place.size[2] / 2.0
    centre = (*place.centre[:2], round(bottom + thing.size[2] / 2.0, 4))
    return replace(thing, centre=centre, yaw=place.yaw, room=place.room, support=place.support)


def _stands(script: Script, thing: Thing, leaving: int) -> bool:
    """Tell whether a thing fits where another leaves."""
    mounting = MOUNTINGS[thing.category][thing.shape % len(MOUNTINGS[thing.category])]
    if (mounting == 'surface') != (thing.support > 0):
        return False
    if thing.support and not lies_on(thing, script.things[thing.support]):
        return False
    names = (thing.id, leaving, thing.support)
    others = [t for t in script.things.values() if t.room == thing.room and t.id not in names]
    row = thing_box(thing)[None]
    if others and clash(row, np.array([thing_box(t) for t in others])).any():
        return False
    if thing.support:
        return True
    space = script.space(thing.room, [thing.id, leaving])
    return (
        bool(space.fits(row, any_front=True)[0])
        and space.walkable_with(row[0])
        and script.off_the_way(thing)
    )


def _remove(script: Script, frame: int) -> list[Change]:
    for thing in _hidden_and_known(script, frame):
        return [Change(int(script.track.stamps_ns[frame]), 'removed', thing.id, None)]
    return []


def _add(script: Script, frame: int) -> list[Change]:
    rooms = _elsewhere(script, frame)
    if not rooms:
        return []
    category = str(script.rng.choice(MOVABLE))
    shape = int(script.rng.integers(script.shapes.start, script.shapes.stop))
    room = rooms[int(script.rng.integers(len(rooms)))]
    now = script.place(category, shape, room, [])
    if now is None:
        return []
    now = replace(now, id=script.next_id)
    if script.unseen(frame, [now]) and script.known(frame, [now], [now]):
        return [Change(int(script.track.stamps_ns[frame]), 'added', now.id, now)]
    return []
