# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Questions about what changed: asked once the stream has shown both the new and the old place.

A thing that is the only one of its kind is asked for in the whole home. Of others, the old place
is asked about (nothing of the kind is there now) and the new one. Each question whose answer is
"nothing" brings a control in the same words about a thing that stayed, see ``exam/marking.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ros2_spatial_ttt.exam.asking.evidence import Known, Place
from ros2_spatial_ttt.exam.asking.phrasing import plural, with_article
from ros2_spatial_ttt.exam.asking.rooms import Box
from ros2_spatial_ttt.exam.asking.setting import Setting, choose
from ros2_spatial_ttt.exam.marking import STAYED
from ros2_spatial_ttt.exam.question import Question
from ros2_spatial_ttt.sim.world import Thing
from ros2_spatial_ttt.types import ResultCode

__all__ = ['changes']

AROUND_M = 0.6  # of a place that is asked about
ALONE_M = 1.2  # no other of the kind so near to it
SWAP_M = 0.3


@dataclass(frozen=True)
class _Left:
    """A place that a thing has left, and where the thing is now (None: removed)."""

    old: Place
    now: Thing | None
    twin: str


def changes(setting: Setting) -> Iterator[Question]:
    """Yield change at all ask times, moved and removed things in turn."""
    most = max(2, setting.per_kind // 2)
    for ask_ns in setting.times():
        known = setting.known(ask_ns)
        rng = setting.rng('change', ask_ns)
        left = _left_places(setting, known)
        moved = choose(rng, [item for item in left if item.now is not None], most)
        removed = choose(rng, [item for item in left if item.now is None], most)
        for item in (moved + removed)[: 2 * most]:
            yield from _change(setting, known, rng, item)


def _left_places(setting: Setting, known: Known) -> list[_Left]:
    """Return changes that the stream has made plain by now."""
    now = {place.thing.id: place.thing for place in known.places}
    swapped = _swapped(setting)
    found = []
    for thing in setting.evidence.things():
        places = setting.evidence.places_of(thing)
        if places[0].thing.category in known.vague:
            continue
        past = [p for p in places if p.end_ns <= known.ask_ns and _was_known(p)]
        if past and past[-1].looked_ns <= known.ask_ns:
            there = now.get(thing)
            if there is None or there.centre != past[-1].thing.centre:
                found.append(_Left(past[-1], there, 'swap' if thing in swapped else ''))
    return found


def _was_known(place: Place) -> bool:
    return len(place.seen_ns) >= 3


def _swapped(setting: Setting) -> set[int]:
    """Return the things that took each other's places."""
    out = set()
    moves = [c for c in setting.evidence.tour.changes if c.now is not None and c.kind == 'moved']
    for a in moves:
        for b in moves:
            if a.thing != b.thing and a.stamp_ns == b.stamp_ns:
                before = _before(setting, b.thing, b.stamp_ns)
                if before is not None and _near(a.now, before):
                    out |= {a.thing, b.thing}
    return out


def _before(setting: Setting, thing: int, stamp_ns: int) -> Thing | None:
    ended = [p.thing for p in setting.evidence.places_of(thing) if p.end_ns == stamp_ns]
    return ended[0] if ended else None


def _near(a: Thing, b: Thing) -> bool:
    return float(np.linalg.norm(np.subtract(a.centre, b.centre)[:2])) <= SWAP_M


def _change(
    setting: Setting, known: Known, rng: np.random.Generator, item: _Left
) -> Iterator[Question]:
    category = item.old.thing.category
    alike = [p.thing for p in known.places if p.thing.category == category]
    alone = [thing for thing in alike if item.now is None or thing.id != item.now.id] == []
    if alone and item.now is None:
        yield from _gone(setting, known, rng, item, None)
    elif alone:
        yield _question(setting, known, rng, item, category, item.now, None)
    elif _free(item.old.thing, alike):
        yield from _gone(setting, known, rng, item, item.old.thing)
    if alone:
        return
    if item.now is not None and _free(item.now, [t for t in alike if t.id != item.now.id]):
        yield _question(setting, known, rng, item, category, item.now, item.now)


def _gone(
    setting: Setting, known: Known, rng: np.random.Generator, item: _Left, around: Thing | None
) -> Iterator[Question]:
    """Yield the question about a thing that left, and one about a thing that did not."""
    stayed = _stayed(known, rng, item, anywhere=around is None)
    if stayed is None:
        return
    yield _question(setting, known, rng, item, item.old.thing.category, None, around)
    control = replace(item, twin=STAYED)
    there = None if around is None else stayed
    yield _question(setting, known, rng, control, stayed.category, stayed, there)


def _stayed(
    known: Known, rng: np.random.Generator, item: _Left, *, anywhere: bool
) -> Thing | None:
    """Return a thing that did not move and was seen about when the other was in its old place."""
    if anywhere:
        things = list(known.unique.values())
    else:
        things = [
            thing
            for name, alike in known.by_category.items()
            if name not in known.moved
            for thing in alike
            if _free(thing, [other for other in alike if other is not thing])
        ]
    then = int(item.old.seen_ns[-1])
    things.sort(key=lambda thing: abs(known.last_ns[thing.id] - then))
    return choose(rng, things[:3], 1)[0] if things else None


def _free(place: Thing, others: list[Thing]) -> bool:
    return all(
        float(np.max(np.abs(np.subtract(place.centre, o.centre)))) > ALONE_M for o in others
    )


def _question(
    setting: Setting,
    known: Known,
    rng: np.random.Generator,
    item: _Left,
    category: str,
    right: Thing | None,
    around: Thing | None,
) -> Question:
    region = None if around is None else _around(around)
    words = {'a': category, 'things': plural(category), 'a_a': with_article(category)}
    seen = item.old.looked_ns
    if right is not None:
        seen = min(known.last_ns[right.id], known.ask_ns)
    return setting.question(
        'change',
        'change',
        known,
        rng,
        words if region is None else {**words, 'area': _area_words(region)},
        phrasing='change' if region is None else 'change_here',
        labels=(category,),
        places=() if right is None else (right.centre,),
        place_ids=() if right is None else (right.id,),
        verdict=ResultCode.NOT_FOUND if right is None else ResultCode.OK,
        region=region,
        evidence_ns=seen,
        twin=item.twin,
    )


def _around(thing: Thing) -> Box:
    low = [round(float(v) - AROUND_M, 2) for v in thing.centre]
    high = [round(float(v) + AROUND_M, 2) for v in thing.centre]
    return tuple(low), tuple(high)


def _area_words(box: Box) -> str:
    middle = np.mean(box, axis=0)
    return f'within {AROUND_M} m of x = {middle[0]:.1f} m, y = {middle[1]:.1f} m'
