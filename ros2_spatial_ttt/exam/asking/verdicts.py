# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Verdicts on a thing in a region: it is there, it is not, or nobody ever looked.

Each name is asked about three regions at the same time, one for each verdict, so that neither the
name nor the time of asking tells the verdict.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ros2_spatial_ttt.exam.asking.evidence import Known
from ros2_spatial_ttt.exam.asking.phrasing import with_article
from ros2_spatial_ttt.exam.asking.rooms import Box, Floors
from ros2_spatial_ttt.exam.asking.setting import Setting, choose
from ros2_spatial_ttt.exam.question import Question
from ros2_spatial_ttt.sim.world import Thing
from ros2_spatial_ttt.types import ResultCode

__all__ = ['verdicts']

SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)  # early ones, when much was not looked at
INSIDE_M = 0.3  # what is there is this far within the region
LOW_M = 1.8  # and this low, for regions end above
CLEAR_M = 0.6  # what is not there is this far from it


def verdicts(setting: Setting, floors: Floors) -> Iterator[Question]:
    """Yield verdict at all ask times, three questions for each name."""
    most = max(1, setting.per_kind // 3)
    for ask_ns in setting.times(SHARES):
        known = setting.known(ask_ns)
        rng = setting.rng('verdict', ask_ns)
        looked, never = floors.looked(ask_ns), floors.never(ask_ns)
        asked = 0
        for name in choose(rng, list(known.by_category), len(known.by_category)):
            regions = _regions(setting, known, rng, name, looked, never)
            if regions is None:
                continue
            for verdict, box in regions.items():
                yield _verdict(setting, known, rng, name, verdict, box, floors)
            asked += 1
            if asked == most:
                break


def _regions(
    setting: Setting,
    known: Known,
    rng: np.random.Generator,
    name: str,
    looked: list[Box],
    never: list[Box],
) -> dict[ResultCode, Box] | None:
    """Return a region for each verdict about a name, or None where one is missing."""
    there = known.by_category[name]
    anywhere = [
        place.thing
        for thing in setting.evidence.things()
        for place in setting.evidence.places_of(thing)
        if place.thing.category == name
    ]
    by_verdict = {
        ResultCode.OK: [
            box
            for box in looked
            if any(_inside(box, t, -INSIDE_M) and t.centre[2] < LOW_M for t in there)
        ],
        ResultCode.NOT_FOUND: [
            box for box in looked if not any(_inside(box, t, CLEAR_M) for t in anywhere)
        ],
        ResultCode.NEVER_OBSERVED: [
            box for box in never if not any(_inside(box, t, CLEAR_M) for t in there)
        ],
    }
    if not all(by_verdict.values()):
        return None
    model = choose(rng, by_verdict[ResultCode.NEVER_OBSERVED], 1)[0]
    return {
        verdict: model if verdict == ResultCode.NEVER_OBSERVED else _like(rng, boxes, model)
        for verdict, boxes in by_verdict.items()
    }


def _like(rng: np.random.Generator, boxes: list[Box], model: Box) -> Box:
    """Return one of the two regions most like another in size and distance from the origin."""
    return choose(rng, sorted(boxes, key=lambda box: _unlike(box, model))[:2], 1)[0]


def _unlike(box: Box, model: Box) -> float:
    edges = [np.subtract(b[1], b[0])[:2] for b in (box, model)]
    away = [float(np.linalg.norm(np.mean(b, axis=0)[:2])) for b in (box, model)]
    return abs(float(np.log(np.prod(edges[0]) / np.prod(edges[1])))) + abs(away[0] - away[1])


def _inside(box: Box, thing: Thing, margin_m: float) -> bool:
    """Return whether the middle of a thing is within a region grown by a margin, from above."""
    low, high = np.array(box)[:, :2]
    middle = np.asarray(thing.centre)[:2]
    return bool(np.all(middle >= low - margin_m) and np.all(middle <= high + margin_m))


def _verdict(
    setting: Setting,
    known: Known,
    rng: np.random.Generator,
    name: str,
    verdict: ResultCode,
    box: Box,
    floors: Floors,
) -> Question:
    (x0, y0, _), (x1, y1, _) = box
    area = f'between x = {x0:.1f} and {x1:.1f} m, y = {y0:.1f} and {y1:.1f} m'
    if verdict == ResultCode.OK:
        seen = known.seen_last([t for t in known.by_category[name] if _inside(box, t, 0.0)])
    elif verdict == ResultCode.NOT_FOUND:
        seen = floors.seen_ns(box, known.ask_ns)
    else:
        seen = known.ask_ns
    return setting.question(
        'verdict',
        'verdict',
        known,
        rng,
        {'a_a': with_article(name), 'area': area},
        labels=(name,),
        verdict=verdict,
        region=box,
        evidence_ns=seen,
    )
