# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Questions with a number for an answer: count, distance, size, area, and counts over time.

The right counts are those of things, not of views: coming back to a room adds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from ros2_spatial_ttt.exam.asking.evidence import Known, gap
from ros2_spatial_ttt.exam.asking.phrasing import plural
from ros2_spatial_ttt.exam.asking.rooms import Floors
from ros2_spatial_ttt.exam.asking.setting import CLEAR_NS, NS, Setting, choose
from ros2_spatial_ttt.exam.question import Question
from ros2_spatial_ttt.sim.world import Thing

__all__ = ['counts_over_time', 'numbers']

LEAST_APART_M = 0.3  # relative errors of shorter distances mean little
REVISIT_NS = 30 * NS  # out of sight for so long, then seen again
LOOK_ALIKE_M = 2.0
LOOK_ALIKE_SHARE = 0.15
BACK_NS = 300 * NS


def numbers(setting: Setting, floors: Floors) -> Iterator[Question]:
    """Yield object_count, absolute_distance, object_size and room_size at the marked minutes."""
    for ask_ns in setting.marks():
        known = setting.known(ask_ns)
        yield from _object_count(setting, known)
        yield from _absolute_distance(setting, known)
        yield from _object_size(setting, known)
        yield from _room_size(setting, known, floors)


def _object_count(setting: Setting, known: Known) -> Iterator[Question]:
    """As published: only of categories with two or more."""
    rng = setting.rng('object_count', known.ask_ns)
    several = [name for name, things in known.by_category.items() if len(things) >= 2]
    for name in choose(rng, several, setting.per_kind):
        yield _count(setting, known, rng=rng, name=name, kind=('vsi', 'object_count'))


def _absolute_distance(setting: Setting, known: Known) -> Iterator[Question]:
    rng = setting.rng('absolute_distance', known.ask_ns)
    pairs = choose(rng, list(combinations(known.unique.values(), 2)), 3 * setting.per_kind)
    apart = [(a, b, round(gap(a, b), 2)) for a, b in pairs]
    for a, b, metres in [x for x in apart if x[2] >= LEAST_APART_M][: setting.per_kind]:
        yield setting.question(
            'vsi',
            'absolute_distance',
            known,
            rng,
            {'a': a.category, 'b': b.category},
            labels=(a.category, b.category),
            number=metres,
            unit='m',
            evidence_ns=known.seen_last((a, b)),
        )


def _object_size(setting: Setting, known: Known) -> Iterator[Question]:
    rng = setting.rng('object_size', known.ask_ns)
    for thing in choose(rng, list(known.unique.values()), setting.per_kind):
        yield setting.question(
            'vsi',
            'object_size',
            known,
            rng,
            {'a': thing.category},
            labels=(thing.category,),
            number=round(100.0 * max(thing.size), 1),
            unit='cm',
            evidence_ns=known.seen_last((thing,)),
        )


def _room_size(setting: Setting, known: Known, floors: Floors) -> Iterator[Question]:
    """Of parts of the home that were seen whole, and of all rooms if none is half seen."""
    rng = setting.rng('room_size', known.ask_ns)
    areas = floors.whole(known.ask_ns, rng)
    for area in choose(rng, areas, setting.per_kind):
        yield setting.question(
            'vsi',
            'room_size',
            known,
            rng,
            {'area': area.words},
            number=area.square_m,
            unit='m²',
            region=area.box,
            evidence_ns=area.seen_ns,
        )


def counts_over_time(setting: Setting) -> Iterator[Question]:
    """Yield streaming_count: how many so far, now and some minutes back."""
    most = max(2, setting.per_kind // 2)
    for ask_ns in setting.times():
        known = setting.known(ask_ns)
        yield from _count_now(setting, known, most)
        yield from _count_back(setting, known, max(1, most // 2))


def _count_now(setting: Setting, known: Known, most: int) -> Iterator[Question]:
    rng = setting.rng('streaming_count', known.ask_ns)
    twins = {name: _twin(setting, known, rng, name) for name in known.by_category}
    several = [name for name, things in known.by_category.items() if len(things) >= 2]
    # A single thing is worth counting only where it could be counted twice.
    single = [name for name, twin in twins.items() if twin and name not in several]
    picked = choose(rng, several, max(most - len(single), (3 * most + 3) // 4))
    for name in picked + choose(rng, single, most - len(picked)):
        kind, twin = ('vsc', 'streaming_count'), twins[name]
        yield _count(setting, known, rng=rng, name=name, kind=kind, twin=twin)


def _count(
    setting: Setting,
    known: Known,
    *,
    rng: np.random.Generator,
    name: str,
    kind: tuple[str, str],
    twin: str = '',
) -> Question:
    """Return the question how many things of a name there are; ``kind`` is (set, kind)."""
    things = known.by_category[name]
    return setting.question(
        *kind,
        known,
        rng,
        {'things': plural(name)},
        labels=(name,),
        number=float(len(things)),
        unit='1',
        evidence_ns=known.seen_last(things),
        twin=twin,
    )


def _twin(setting: Setting, known: Known, rng: np.random.Generator, name: str) -> str:
    """Return which shortcut a count guards against; one of them where it guards against both."""
    things = known.by_category[name]
    twins = []
    if any(_look_alike(a, b) for a, b in combinations(things, 2)):
        twins.append('look-alike')
    if any(_seen_again(setting, known, thing) for thing in things):
        twins.append('revisit')
    return choose(rng, twins, 1)[0] if twins else ''


def _look_alike(a: Thing, b: Thing) -> bool:
    sizes = np.array([a.size, b.size])
    alike = np.all(np.abs(sizes[0] - sizes[1]) <= LOOK_ALIKE_SHARE * sizes.max(axis=0))
    return bool(alike) and gap(a, b) <= LOOK_ALIKE_M


def _seen_again(setting: Setting, known: Known, thing: Thing) -> bool:
    stamps = np.concatenate([p.seen_ns for p in setting.evidence.places_of(thing.id)])
    stamps = stamps[stamps <= known.ask_ns]
    return bool(np.any(np.diff(stamps) >= REVISIT_NS))


def _count_back(setting: Setting, known: Known, most: int) -> Iterator[Question]:
    """Of what never moved, and where the number has grown since, so that the time matters."""
    elapsed = known.ask_ns - setting.evidence.begin_ns
    back = BACK_NS if elapsed >= 2 * BACK_NS else elapsed // 2 // NS * NS
    until = known.ask_ns - back
    then = setting.known(until)
    rng = setting.rng('streaming_count', until)
    grown = [
        name
        for name, things in known.by_category.items()
        if name not in known.moved
        and 1 <= len(then.by_category.get(name, ())) < len(things)
        and _clear_at(setting, things, until)
    ]
    for name in choose(rng, grown, most):
        things = then.by_category[name]
        ago = _duration(back)
        yield setting.question(
            'vsc',
            'streaming_count',
            known,
            rng,
            {'things': plural(name), 'ago': ago, 'Ago': ago.capitalize()},
            phrasing='streaming_count_back',
            labels=(name,),
            number=float(len(things)),
            unit='1',
            until_ns=until,
            evidence_ns=known.seen_last(things),
        )


def _clear_at(setting: Setting, things: list[Thing], stamp_ns: int) -> bool:
    """Return whether none of the things came into view just around a time."""
    for thing in things:
        place = setting.evidence.places_of(thing.id)[0]
        enough = place.seen_ns[min(2, len(place.seen_ns) - 1)]
        if place.glimpsed_ns - CLEAR_NS < stamp_ns < enough + CLEAR_NS:
            return False
    return True


def _duration(nanoseconds: int) -> str:
    seconds = nanoseconds // NS
    return f'{seconds // 60} minutes' if seconds % 60 == 0 else f'{seconds} seconds'
