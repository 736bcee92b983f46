# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Questions about things, answered in plain code from instances; an interval for every number.

Whoever can list the instances of a thing (``ThingSource``) answers the same way: the memory from
its fast weights, and every baseline of the exam from its store.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.errors import BadRequest
from ros2_spatial_ttt.geometry import invert_transform, transform_points
from ros2_spatial_ttt.query.intervals import (
    bearing_interval,
    edge_interval,
    gap,
    gap_interval,
    number_of,
    radius90,
)
from ros2_spatial_ttt.query.things import (
    ThingSource,
    asked,
    distance_to,
    first_there,
    likeliest,
    meant,
    not_found,
    one_term,
    shown,
    terms,
    told,
    viewpoint_of,
)
from ros2_spatial_ttt.query.usual import number_chances
from ros2_spatial_ttt.types import Answer, Instance, Query, QueryType, ResultCode

__all__ = ['answer']

_FOR_GRANTED = (
    *(QueryType.DISTANCE, QueryType.DIRECTION, QueryType.SIZE),
    *(QueryType.ORDER, QueryType.NEAREST),
)
_GUESSED = 'a guess, as confidence says: no such thing is sure; look at it again from nearby'


def answer(source: ThingSource, query: Query) -> Answer:
    """Answer a question about things; ``query.type`` is set, things are ``terms(query)``.

    - LOCATE a: objects = instances, best first; value = how many are sure.
    - COUNT a: value = how many are sure.
    - EXISTS a: OK, NOT_FOUND or NEVER_OBSERVED.
    - DISTANCE a b: m between the closest points of the nearest two; of a alone: to the viewpoint.
    - DIRECTION a: bearing of the nearest from the viewpoint, rad, 0 ahead, left > 0 (REP-103).
    - SIZE a: longest edge of the surest, m; objects[0].size has all three.
    - ORDER a b …: objects = what was seen first of each, in that order.
    - NEAREST a: the nearest to the viewpoint, m. NEAREST a b c … without a viewpoint: of b, c, …,
      the nearest to a first, m.
    - ROOM_SIZE: observed floor in the region, m².

    Relations take for granted that their things are there. Where none is sure, the answer is a
    guess and its message says so.

    Raises:
        BadRequest: too few or unknown things, or no viewpoint where one is needed.
    """
    said = _HANDLERS[query.type](source, query)
    unsure = said.code == ResultCode.OK and said.confidence < source.found_threshold
    if unsure and query.type in _FOR_GRANTED:
        # Whoever reads code and value only must still be able to tell.
        return replace(said, message=_GUESSED, sentence=f'A guess: {said.sentence}')
    return said


def _locate(source: ThingSource, query: Query) -> Answer:
    found, sure = asked(source, one_term(query), query)
    if not sure:
        return not_found(source, query, found)
    x, y, z = sure[0].position
    return told(
        shown(found, query),
        number_of(found, len(sure)),
        sentence=f'It is at ({x:.2f}, {y:.2f}, {z:.2f}) m, '
        f'give or take {radius90(sure[0]):.2f} m{_witness(sure[0])}.',
        confidence=sure[0].confidence,
    )


def _witness(instance: Instance) -> str:
    return '; a keyframe confirms it' if instance.confirmed else ''


def _count(source: ThingSource, query: Query) -> Answer:
    found, sure = asked(source, one_term(query), query)
    if not sure:
        return not_found(source, query, found)
    usual = source.usual(one_term(query))
    chances = number_chances((i.confidence for i in found), usual)
    # Where nothing is known of how many are missed, those are told that are sure.
    count = len(sure) if usual is None else int(np.searchsorted(np.cumsum(chances), 0.5))
    known = f'I know of {len(sure)}'
    return told(
        shown(sure, query),
        number_of(found, count, usual),
        sentence=f'{known}.' if count == len(sure) else f'{known}, likely there are {count}.',
        confidence=float(chances[count]),
    )


def _exists(source: ThingSource, query: Query) -> Answer:
    found, sure = asked(source, one_term(query), query)
    if not sure:
        absent = not_found(source, query, found)
        if absent.code != ResultCode.NOT_FOUND:
            return absent
        high = float(bool(found) and found[0].confidence > 0.05)
        return replace(absent, value_high=high, sentence='No, nothing like it was seen there.')
    confidence = sure[0].confidence
    return told(
        shown(found, query),
        (1.0, float(confidence >= 0.95), 1.0),
        sentence='Yes, there is.',
        confidence=confidence,
    )


def _distance(source: ThingSource, query: Query) -> Answer:
    names = terms(query)
    if len(names) == 1 and query.viewpoint is not None:
        return _nearest_to_viewpoint(source, query)
    if len(names) != 2:
        raise BadRequest(
            f'DISTANCE is between two things, got {len(names)}; give two names, examples or '
            "'#ID' of objects in earlier answers, or one and a viewpoint"
        )
    ends = []
    for name in names:
        found, sure = meant(source, name, query)
        if not sure:
            return not_found(source, query, found)
        # A name means any of its things, a picture the one it shows.
        ends.append(sure[:1] if name.startswith('@') else sure)
    a, b = _nearest_pair(*ends, same=names[0] == names[1])
    metres = gap(a, b)
    low, high = gap_interval(a, b)
    return told(
        (a, b),
        (metres, low, high),
        unit='m',
        sentence=f'They are {metres:.2f} m apart ({low:.2f} to {high:.2f} m).',
        confidence=min(a.confidence, b.confidence),
    )


def _nearest_pair(
    ends: Sequence[Instance], others: Sequence[Instance], *, same: bool
) -> tuple[Instance, Instance]:
    """Return the two that are likeliest the nearest of those that are there.

    ``same``: both have one name, and a thing may be both.
    """
    pairs = [(a, b) for a in ends for b in others if a.id != b.id or same]
    if not pairs:
        return ends[0], others[0]
    pairs.sort(key=lambda pair: gap(*pair))
    return pairs[first_there([a.confidence * b.confidence for a, b in pairs])]


def _direction(source: ThingSource, query: Query) -> Answer:
    viewpoint = viewpoint_of(query)
    found, things = meant(source, one_term(query), query)
    ranked = _by_distance(things, viewpoint[:3, 3])
    if not ranked:
        return not_found(source, query, found)
    first = ranked[0]
    x, y, _ = transform_points(invert_transform(viewpoint), first.position)
    bearing, metres = math.atan2(y, x), max(math.hypot(x, y), 0.05)
    return told(
        shown(ranked, query),
        (bearing, *bearing_interval(first, bearing, metres)),
        unit='rad',
        sentence=f'It is {_side(bearing)}, {metres:.2f} m away.',
        confidence=first.confidence,
    )


def _size(source: ThingSource, query: Query) -> Answer:
    found, things = meant(source, one_term(query), query)
    sure = [i for i in things if float(i.size.max()) > 0.0]
    if not sure:
        return not_found(source, query, found)
    first = sure[0]
    length, width, height = first.size
    edge = float(first.size.max())
    return told(
        (first,),
        (edge, *edge_interval(first)),
        unit='m',
        sentence=f'It is {length:.2f} by {width:.2f} m and {height:.2f} m high.',
        confidence=first.confidence,
    )


def _order(source: ThingSource, query: Query) -> Answer:
    names = terms(query)
    if len(names) < 2:
        raise BadRequest(
            f'ORDER is of two things or more, got {len(names)}; give all of them: names, example '
            "images or '#ID' of objects in earlier answers"
        )
    firsts = []
    for name in names:
        found, sure = meant(source, name, query)
        if not sure:
            return not_found(source, query, found)
        firsts.append(likeliest(sorted(sure, key=lambda i: i.first_seen_ns)))
    firsts.sort(key=lambda i: i.first_seen_ns)
    words = ', then '.join(i.label or f'#{i.id}' for i in firsts)
    count = float(len(firsts))
    return told(
        firsts,
        (count, count, count),
        sentence=f'First seen: {words}.',
        confidence=min(i.confidence for i in firsts),
    )


def _nearest(source: ThingSource, query: Query) -> Answer:
    names = terms(query)
    if len(names) < 2:
        return _nearest_to_viewpoint(source, query)
    found, anchors = meant(source, names[0], query)
    if not anchors:
        return not_found(source, query, found)
    anchor, ranked = anchors[0], []
    for name in names[1:]:
        _, sure = meant(source, name, query)
        if sure:
            ranked.append(likeliest(sorted(sure, key=lambda i: gap(anchor, i))))
    if not ranked:
        return not_found(source, query)
    ranked.sort(key=lambda i: gap(anchor, i))
    metres = gap(anchor, ranked[0])
    low, high = gap_interval(anchor, ranked[0])
    return told(
        ranked,
        (metres, low, high),
        unit='m',
        sentence=f'Nearest is {_called(ranked[0])}, {metres:.2f} m away.',
        confidence=min(anchor.confidence, ranked[0].confidence),
    )


def _room_size(source: ThingSource, query: Query) -> Answer:
    area, low, high = source.floor_area(query)
    if area <= 0.0:
        return not_found(source, query)
    return told(
        (),
        (area, low, high),
        unit='m²',
        sentence=f'I have seen {area:.1f} m² of floor ({low:.1f} to {high:.1f} m²).',
        confidence=0.9,
    )


_HANDLERS: dict[QueryType, Callable[[ThingSource, Query], Answer]] = {
    QueryType.LOCATE: _locate,
    QueryType.COUNT: _count,
    QueryType.DISTANCE: _distance,
    QueryType.DIRECTION: _direction,
    QueryType.SIZE: _size,
    QueryType.ORDER: _order,
    QueryType.EXISTS: _exists,
    QueryType.NEAREST: _nearest,
    QueryType.ROOM_SIZE: _room_size,
}


def _by_distance(found: Sequence[Instance], point: NDArray[np.float64]) -> list[Instance]:
    """Return things by their distance, from the one on that is likeliest the nearest."""
    ranked = sorted(found, key=lambda i: float(np.linalg.norm(i.position - point)))
    return ranked[first_there([i.confidence for i in ranked]) :] if ranked else []


def _nearest_to_viewpoint(source: ThingSource, query: Query) -> Answer:
    observer = viewpoint_of(query)[:3, 3]
    found, things = meant(source, one_term(query), query)
    ranked = _by_distance(things, observer)
    if not ranked:
        return not_found(source, query, found)
    told_of = distance_to(ranked[0], observer, sure=ranked[0].confidence)
    return replace(told_of, instances=shown(ranked, query))


def _called(instance: Instance) -> str:
    return f'the {instance.label}' if instance.label else f'#{instance.id}'


def _side(bearing: float) -> str:
    """Return a bearing in words, in quadrants and their halves."""
    degrees = math.degrees(bearing)
    names = ('ahead', 'ahead to the left', 'to the left', 'behind to the left', 'behind')
    word = names[round(abs(degrees) / 45.0)]
    return f'{word if degrees >= 0 else word.replace("left", "right")} ({degrees:+.0f}°)'
