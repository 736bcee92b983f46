# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Long-horizon recall: where an everyday small thing was, asked long after (VSR).

After Cambrian-S (Yang et al., arXiv:2511.04670), whose VSI-Super Recall asks in which order an odd
thing appeared at four places. Here it is things of one kind beside four (or three) landmarks.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import numpy as np

from ros2_spatial_ttt.exam.asking.evidence import Known, gap
from ros2_spatial_ttt.exam.asking.phrasing import listed, plural
from ros2_spatial_ttt.exam.asking.priors import fair_wrong
from ros2_spatial_ttt.exam.asking.setting import CLEAR_NS, Setting, choose, with_choices
from ros2_spatial_ttt.exam.question import Question
from ros2_spatial_ttt.sim.world import Thing

__all__ = ['ODD', 'landmark_beside', 'landmarks', 'odd_things', 'recalls']

# Things that may be anywhere in a home, so that their name does not tell their place.
ODD = (
    'stool',
    'lamp',
    'laptop',
    'plant',
    'bin',
    'box',
    'basket',
    'ball',
    'bottle',
    'mug',
    'book',
    'vase',
    'picture',
    'mirror',
    'backpack',
)
BESIDE_M = 2.0
CLEARLY_M = 0.7  # nearer to its landmark than to any other, and than any other thing of its kind
MOST_PLACES = 4


def recalls(setting: Setting) -> Iterator[Question]:
    """Yield recall_room and recall_place at all ask times."""
    most = max(2, setting.per_kind // 2)
    for ask_ns in setting.times():
        known = setting.known(ask_ns)
        yield from _recall_room(setting, known, most)
        yield from _recall_place(setting, known, most)


def landmarks(known: Known, singles: frozenset[str]) -> list[Thing]:
    """Return the things that others are asked to be beside of: the home has one of each."""
    return [t for name, t in known.unique.items() if name in singles and name not in ODD]


def odd_things(known: Known, singles: frozenset[str]) -> list[Thing]:
    """Return the things that may be anywhere and of which the home has one each."""
    found = known.by_category.items()
    return [things[0] for name, things in found if name in ODD and name in singles]


def landmark_beside(thing: Thing, marks: list[Thing]) -> Thing | None:
    """Return the nearest landmark of the thing's room, if it is beside it."""
    near = sorted((gap(thing, mark), mark.id, mark) for mark in marks if mark.room == thing.room)
    return near[0][2] if near and near[0][0] <= BESIDE_M else None


def _recall_room(setting: Setting, known: Known, most: int) -> Iterator[Question]:
    rng = setting.rng('recall_room', known.ask_ns)
    marks = landmarks(known, setting.evidence.singles)
    asked = 0
    odd = odd_things(known, setting.evidence.singles)
    for thing in choose(rng, odd, len(odd)):
        picked = _beside(setting, rng, thing, marks)
        if picked is None:
            continue
        right, *wrong = picked
        names = choose(rng, [mark.category for mark in picked], len(picked))
        question = setting.question(
            'vsr',
            'recall_room',
            known,
            rng,
            {'a': thing.category, 'options': listed(names)},
            labels=(thing.category, *names),
            evidence_ns=known.seen_last((thing, right)),
        )
        yield with_choices(question, rng, (right.category,), [(m.category,) for m in wrong])
        asked += 1
        if asked == most:
            return


def _beside(
    setting: Setting, rng: np.random.Generator, thing: Thing, marks: list[Thing]
) -> list[Thing] | None:
    """Return the landmark beside a thing, then three that are clearly farther from it."""
    right = landmark_beside(thing, marks)
    if right is None:
        return None
    near = gap(thing, right) + CLEARLY_M
    far = [mark for mark in marks if gap(thing, mark) >= near]
    wrong = fair_wrong(
        rng, right, far, lambda mark: setting.priors.beside(thing.category, mark.category)
    )
    return None if wrong is None else [right, *wrong]


def _recall_place(setting: Setting, known: Known, most: int) -> Iterator[Question]:
    rng = setting.rng('recall_place', known.ask_ns)
    marks = landmarks(known, setting.evidence.singles)
    names = [
        name
        for name, things in known.by_category.items()
        if len(things) >= 3 and name not in known.moved
    ]
    asked = 0
    for name in choose(rng, names, len(names)):
        pairs = _in_order(setting, known, _paired(known, name, marks))
        if len(pairs) < 3:
            continue
        picked = choose(rng, pairs, MOST_PLACES)
        order = tuple(mark.category for _, mark, _ in sorted(picked, key=lambda pair: pair[2]))
        shown = choose(rng, sorted(order), len(order))
        question = setting.question(
            'vsr',
            'recall_place',
            known,
            rng,
            {'things': plural(name), 'options': listed([f'the {mark}' for mark in shown])},
            labels=(name, *shown),
            evidence_ns=known.seen_last([t for thing, mark, _ in picked for t in (thing, mark)]),
        )
        others = [p for p in permutations(sorted(order)) if p != order]
        yield with_choices(question, rng, order, choose(rng, others, 3))
        asked += 1
        if asked == most:
            return


def _paired(known: Known, name: str, marks: list[Thing]) -> list[tuple[Thing, Thing]]:
    """Return things of a category, each with the one landmark that is clearly beside it."""
    things = known.by_category[name]
    pairs = []
    for mark in marks:
        if mark.category == name:
            continue
        apart = np.array([gap(thing, mark) for thing in things])
        order = np.argsort(apart)
        if apart[order[0]] <= BESIDE_M and apart[order[1]] - apart[order[0]] >= CLEARLY_M:
            pairs.append((apart[order[0]], things[order[0]], mark))
    nearest: dict[int, tuple[float, Thing, Thing]] = {}
    for metres, thing, mark in pairs:
        if thing.id not in nearest or metres < nearest[thing.id][0]:
            nearest[thing.id] = (metres, thing, mark)
    return [(thing, mark) for _, thing, mark in nearest.values()]


def _in_order(
    setting: Setting, known: Known, pairs: list[tuple[Thing, Thing]]
) -> list[tuple[Thing, Thing, int]]:
    """Return the pairs whose things came into view one clearly after the other, with the stamp."""
    dated = sorted(
        (setting.evidence.places_of(thing.id)[0].glimpsed_ns, known.first_ns[thing.id], i)
        for i, (thing, _) in enumerate(pairs)
    )
    kept: list[tuple[Thing, Thing, int]] = []
    for glimpsed, first, i in dated:
        if not kept or glimpsed - kept[-1][2] >= CLEAR_NS:
            kept.append((*pairs[i], _enough(setting, pairs[i][0], first)))
    return kept


def _enough(setting: Setting, thing: Thing, first: int) -> int:
    """Return when the thing counted as seen."""
    seen = setting.evidence.places_of(thing.id)[0].seen_ns
    return int(seen[2]) if len(seen) > 2 else first
