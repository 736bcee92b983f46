# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Choices among things of the home: which is nearest, and what came first.

Choices look alike to whoever knows homes but has not seen this one; see ``priors``.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import numpy as np

from ros2_spatial_ttt.exam.asking.evidence import Known, gap
from ros2_spatial_ttt.exam.asking.phrasing import listed
from ros2_spatial_ttt.exam.asking.priors import fair_wrong
from ros2_spatial_ttt.exam.asking.setting import CLEAR_NS, Setting, choose, with_choices
from ros2_spatial_ttt.exam.question import Question
from ros2_spatial_ttt.sim.world import Thing

__all__ = ['choices', 'first_sights']

# As published, 0.15 to 0.3 m; the larger one, for homes are larger than rooms.
MARGIN_M = 0.3
TRIES = 60  # per question


def choices(setting: Setting) -> Iterator[Question]:
    """Yield relative_distance and appearance_order at the marked minutes."""
    for ask_ns in setting.marks():
        known = setting.known(ask_ns)
        yield from _relative_distance(setting, known)
        yield from _appearance_order(setting, known)


def _relative_distance(setting: Setting, known: Known) -> Iterator[Question]:
    """Options are all in the anchor's room, or all in other rooms, so that rooms tell nothing."""
    rng = setting.rng('relative_distance', known.ask_ns)
    asked: set[tuple[str, str]] = set()
    things = list(known.unique.values())
    for _ in range(TRIES * setting.per_kind):
        if len(asked) == setting.per_kind or len(things) < 5:
            break
        picked = _options(setting, rng, things)
        if picked is None or (picked[0].category, picked[1].category) in asked:
            continue
        anchor, right, *wrong = picked
        asked.add((anchor.category, right.category))
        names = choose(rng, [option.category for option in (right, *wrong)], 4)
        question = setting.question(
            'vsi',
            'relative_distance',
            known,
            rng,
            {'a': anchor.category, 'options': listed(names)},
            labels=(anchor.category, *names),
            evidence_ns=known.seen_last(picked),
        )
        yield with_choices(question, rng, (right.category,), [(o.category,) for o in wrong])


def _options(
    setting: Setting, rng: np.random.Generator, things: list[Thing]
) -> list[Thing] | None:
    """Return an anchor, the nearest of four others, and the three; all in its room, or none.

    Dropped as often as the nearest looks likelier than the others, by what homes are like.
    """
    anchor = things[int(rng.integers(len(things)))]
    others = [thing for thing in things if thing is not anchor]
    same = [thing for thing in others if thing.room == anchor.room]
    apart = [thing for thing in others if thing.room != anchor.room]
    pools = [pool for pool in (same, apart) if len(pool) >= 4]
    if not pools:
        return None
    options = choose(rng, pools[int(rng.integers(len(pools)))], 4)
    options.sort(key=lambda option: gap(anchor, option))
    if gap(anchor, options[1]) - gap(anchor, options[0]) < MARGIN_M:
        return None
    likely = [
        setting.priors.near(anchor.category, option.category, option.room == anchor.room)
        for option in options
    ]
    if rng.random() * likely[0] > min(likely):
        return None
    return [anchor, *options]


def _appearance_order(setting: Setting, known: Known) -> Iterator[Question]:
    """Of categories, by the first thing of each; what lies apart in time by a clear gap."""
    rng = setting.rng('appearance_order', known.ask_ns)
    spans = first_sights(setting, known)
    asked: set[frozenset[str]] = set()
    for _ in range(TRIES * setting.per_kind):
        if len(asked) == setting.per_kind or len(spans) < 4:
            break
        names = choose(rng, list(spans), 4)
        order = sorted(names, key=lambda name: spans[name][1])
        if frozenset(names) in asked or not _clearly_apart([spans[name] for name in order]):
            continue
        right = tuple(order)
        others = [p for p in permutations(sorted(right)) if p != right]
        wrong = fair_wrong(rng, right, others, setting.priors.order)
        if wrong is None:
            continue
        asked.add(frozenset(names))
        things = [thing for name in names for thing in known.by_category[name]]
        question = setting.question(
            'vsi',
            'appearance_order',
            known,
            rng,
            {'options': listed(names)},
            labels=tuple(names),
            evidence_ns=known.seen_last(things),
        )
        yield with_choices(question, rng, right, wrong)


def first_sights(setting: Setting, known: Known) -> dict[str, tuple[int, int]]:
    """Return when each category first came into view, and when it counted as seen, by name."""
    spans = {
        name: _first_sight(setting, known, name)
        for name in known.by_category
        if name not in known.moved
    }
    return {name: span for name, span in spans.items() if span is not None}


def _first_sight(setting: Setting, known: Known, name: str) -> tuple[int, int] | None:
    """Return when anything of a category was first in view, and when it counted as seen."""
    places = [setting.evidence.places_of(thing.id)[0] for thing in known.by_category[name]]
    enough = [place.seen_ns[2] for place in places if len(place.seen_ns) > 2]
    if not enough:
        return None
    return min(place.glimpsed_ns for place in places), int(min(enough))


def _clearly_apart(spans: list[tuple[int, int]]) -> bool:
    return all(
        later[0] - earlier[1] >= CLEAR_NS
        for earlier, later in zip(spans[:-1], spans[1:], strict=True)
    )
