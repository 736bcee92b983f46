# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Questions about things, answered in plain code from instances; an interval for every number.

Whoever can list the instances of a thing (``ThingSource``) answers the same way: the memory from
its fast weights, and every baseline of the exam from its store. A thing is given by a *term*: a
name, '#ID' of an object in an earlier answer, or '@i' for the i-th example picture of the query.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.errors import BadRequest
from ros2_spatial_ttt.geometry import box_distance, invert_transform, transform_points
from ros2_spatial_ttt.types import Answer, Instance, Query, QueryType, ResultCode

__all__ = ['DEFAULT_RESULTS', 'Z90', 'ThingSource', 'answer', 'distance_to', 'not_found', 'terms']

Z90 = 1.6449  # half width of the 90 % interval of a normal distribution, in standard deviations
DEFAULT_RESULTS = 10
# Relative error (one sigma) of an edge of a box as it is remembered.
_EDGE_SHARE = 0.08
_EDGE_M = 0.03


class ThingSource(Protocol):
    """What can be asked for things.

    Attributes:
        found_threshold: confidence from which an instance counts as there.
    """

    found_threshold: float

    def instances(self, term: str, query: Query) -> list[Instance]:
        """Return all instances of a term within the query's region and time, best first.

        Unsure ones (below ``found_threshold``) may be among them.

        Raises:
            BadRequest: the term means nothing here.
        """
        ...

    def unseen(self, query: Query) -> str:
        """Return why the asked region counts as never observed, or ''."""
        ...

    def floor_area(self, query: Query) -> tuple[float, float, float]:
        """Return the observed floor area within the region, m², with its 90 % interval."""
        ...


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

    Raises:
        BadRequest: too few or unknown things, or no viewpoint where one is needed.
    """
    return _HANDLERS[query.type](source, query)


def terms(query: Query) -> tuple[str, ...]:
    """Return the things a question is about: its labels, then '@i' for each example."""
    return (*query.labels, *(f'@{number}' for number in range(len(query.examples))))


def not_found(source: ThingSource, query: Query, guesses: Sequence[Instance] = ()) -> Answer:
    """Return the verdict on something that was not found: absent, or never observed."""
    unseen = source.unseen(query)
    if unseen:
        return Answer(
            code=ResultCode.NEVER_OBSERVED,
            message=unseen,
            sentence='I have never looked there.',
            unit='1',
            confidence=1.0,
        )
    message = (
        'nothing there is enough like it; objects lists the best guesses'
        if guesses
        else 'nothing like it was seen within this region and time'
    )
    return Answer(
        code=ResultCode.NOT_FOUND,
        message=message,
        instances=tuple(guesses[: query.max_results or DEFAULT_RESULTS]),
        value=0.0,
        value_low=0.0,
        value_high=float(bool(guesses)),
        unit='1',
        sentence='I looked and did not find it.',
        confidence=1.0 - guesses[0].confidence if guesses else 1.0,
    )


def distance_to(instance: Instance, observer: NDArray[np.float64]) -> Answer:
    """Return how far an instance is from a point (3,) m."""
    apart = instance.position - observer
    metres = float(np.linalg.norm(apart))
    along = apart / max(metres, 1e-9)
    deviation = math.sqrt(float(along @ instance.covariance @ along))
    low, high = _around(metres, deviation, least=0.0)
    return Answer(
        code=ResultCode.OK,
        instances=(instance,),
        value=metres,
        value_low=low,
        value_high=high,
        unit='m',
        sentence=f'It is {metres:.2f} m away ({low:.2f} to {high:.2f} m).',
        confidence=instance.confidence,
    )


# Kinds of question.


def _locate(source: ThingSource, query: Query) -> Answer:
    found = source.instances(_one(query), query)
    sure = _sure(source, found)
    if not sure:
        return not_found(source, query, found)
    shown = found[: query.max_results or DEFAULT_RESULTS]
    x, y, z = sure[0].position
    count, low, high = _number_of(found, sure)
    return Answer(
        code=ResultCode.OK,
        instances=tuple(shown),
        value=count,
        value_low=low,
        value_high=high,
        unit='1',
        sentence=f'It is at ({x:.2f}, {y:.2f}, {z:.2f}) m, '
        f'give or take {_radius90(sure[0]):.2f} m.',
        confidence=sure[0].confidence,
    )


def _count(source: ThingSource, query: Query) -> Answer:
    term = _one(query)
    found = source.instances(term, query)
    sure = _sure(source, found)
    if not sure:
        return not_found(source, query, found)
    # How sure one is of the number: of every instance being what it is, and none missed.
    count, low, high = _number_of(found, sure)
    doubt = [min(i.confidence, 1.0) if i in sure else 1.0 - i.confidence for i in found]
    return Answer(
        code=ResultCode.OK,
        instances=tuple(sure[: query.max_results or DEFAULT_RESULTS]),
        value=count,
        value_low=low,
        value_high=high,
        unit='1',
        sentence=f'I know of {len(sure)}.',
        confidence=float(np.prod(doubt)),
    )


def _exists(source: ThingSource, query: Query) -> Answer:
    found = source.instances(_one(query), query)
    sure = _sure(source, found)
    if not sure:
        absent = not_found(source, query, found)
        if absent.code == ResultCode.NOT_FOUND:
            high = float(bool(found) and found[0].confidence > 0.05)
            absent = replace(
                absent, value_high=high, sentence='No, nothing like it was seen there.'
            )
        return absent
    confidence = sure[0].confidence
    return Answer(
        code=ResultCode.OK,
        instances=tuple(found[: query.max_results or DEFAULT_RESULTS]),
        value=1.0,
        value_low=float(confidence >= 0.95),
        value_high=1.0,
        unit='1',
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
        found = source.instances(name, query)
        sure = _sure(source, found)
        if not sure:
            return not_found(source, query, found)
        # A name means any of its things, a picture the one it shows.
        ends.append(sure[:1] if name.startswith('@') else sure)
    a, b = min(
        ((a, b) for a in ends[0] for b in ends[1] if a.id != b.id or names[0] == names[1]),
        key=lambda pair: _gap(*pair),
        default=(ends[0][0], ends[1][0]),
    )
    metres = _gap(a, b)
    low, high = _around(metres, _gap_deviation(a, b), least=0.0)
    return Answer(
        code=ResultCode.OK,
        instances=(a, b),
        value=metres,
        value_low=low,
        value_high=high,
        unit='m',
        sentence=f'They are {metres:.2f} m apart ({low:.2f} to {high:.2f} m).',
        confidence=min(a.confidence, b.confidence),
    )


def _direction(source: ThingSource, query: Query) -> Answer:
    viewpoint = _viewpoint(query)
    found = source.instances(_one(query), query)
    sure = _by_distance(_sure(source, found), viewpoint[:3, 3])
    if not sure:
        return not_found(source, query, found)
    first = sure[0]
    x, y, _ = transform_points(invert_transform(viewpoint), first.position)
    bearing, metres = math.atan2(y, x), max(math.hypot(x, y), 0.05)
    deviation = math.sqrt(float(np.trace(first.covariance[:2, :2])) / 2.0) / metres
    low, high = _around(bearing, min(deviation, math.pi / Z90))
    return Answer(
        code=ResultCode.OK,
        instances=tuple(sure[: query.max_results or DEFAULT_RESULTS]),
        value=bearing,
        value_low=low,
        value_high=high,
        unit='rad',
        sentence=f'It is {_side(bearing)}, {metres:.2f} m away.',
        confidence=first.confidence,
    )


def _size(source: ThingSource, query: Query) -> Answer:
    found = source.instances(_one(query), query)
    sure = [i for i in _sure(source, found) if float(i.size.max()) > 0.0]
    if not sure:
        return not_found(source, query, found)
    first = sure[0]
    length, width, height = first.size
    edge = float(first.size.max())
    low, high = _around(edge, _EDGE_SHARE * edge + _EDGE_M, least=0.0)
    return Answer(
        code=ResultCode.OK,
        instances=(first,),
        value=edge,
        value_low=low,
        value_high=high,
        unit='m',
        sentence=f'It is {length:.2f} by {width:.2f} m and {height:.2f} m high.',
        confidence=first.confidence,
    )


def _order(source: ThingSource, query: Query) -> Answer:
    names = terms(query)
    if len(names) < 2:
        raise BadRequest(f'ORDER is of two things or more, got {len(names)}; name them all')
    firsts = []
    for name in names:
        found = source.instances(name, query)
        sure = _sure(source, found)
        if not sure:
            return not_found(source, query, found)
        firsts.append(min(sure, key=lambda i: i.first_seen_ns))
    firsts.sort(key=lambda i: i.first_seen_ns)
    words = ', then '.join(i.label or f'#{i.id}' for i in firsts)
    return Answer(
        code=ResultCode.OK,
        instances=tuple(firsts),
        value=float(len(firsts)),
        value_low=float(len(firsts)),
        value_high=float(len(firsts)),
        unit='1',
        sentence=f'First seen: {words}.',
        confidence=min(i.confidence for i in firsts),
    )


def _nearest(source: ThingSource, query: Query) -> Answer:
    names = terms(query)
    if len(names) < 2:
        return _nearest_to_viewpoint(source, query)
    found = source.instances(names[0], query)
    anchors = _sure(source, found)
    if not anchors:
        return not_found(source, query, found)
    anchor, ranked = anchors[0], []
    for name in names[1:]:
        sure = _sure(source, source.instances(name, query))
        if sure:
            ranked.append(min(sure, key=lambda i: _gap(anchor, i)))
    if not ranked:
        return not_found(source, query)
    ranked.sort(key=lambda i: _gap(anchor, i))
    metres = _gap(anchor, ranked[0])
    low, high = _around(metres, _gap_deviation(anchor, ranked[0]), least=0.0)
    return Answer(
        code=ResultCode.OK,
        instances=tuple(ranked),
        value=metres,
        value_low=low,
        value_high=high,
        unit='m',
        sentence=f'Nearest is the {ranked[0].label}, {metres:.2f} m away.',
        confidence=min(anchor.confidence, ranked[0].confidence),
    )


def _room_size(source: ThingSource, query: Query) -> Answer:
    area, low, high = source.floor_area(query)
    if area <= 0.0:
        return not_found(source, query)
    return Answer(
        code=ResultCode.OK,
        value=area,
        value_low=low,
        value_high=high,
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


# Parts of answers.


def _one(query: Query) -> str:
    names = terms(query)
    if len(names) != 1:
        raise BadRequest(
            f'{query.type.name} needs one name or one example image of the thing, got '
            f'{len(names)}; set roi where the thing does not fill the image'
        )
    return names[0]


def _viewpoint(query: Query) -> NDArray[np.float64]:
    if query.viewpoint is None:
        raise BadRequest(
            f'{query.type.name} needs a viewpoint: set it, or wait until the robot has a pose'
        )
    return query.viewpoint


def _sure(source: ThingSource, found: Sequence[Instance]) -> list[Instance]:
    return [i for i in found if i.confidence >= source.found_threshold]


def _by_distance(found: Sequence[Instance], point: NDArray[np.float64]) -> list[Instance]:
    return sorted(found, key=lambda i: float(np.linalg.norm(i.position - point)))


def _nearest_to_viewpoint(source: ThingSource, query: Query) -> Answer:
    observer = _viewpoint(query)[:3, 3]
    found = source.instances(_one(query), query)
    sure = _by_distance(_sure(source, found), observer)
    if not sure:
        return not_found(source, query, found)
    shown = tuple(sure[: query.max_results or DEFAULT_RESULTS])
    return replace(distance_to(sure[0], observer), instances=shown)


def _gap(a: Instance, b: Instance) -> float:
    return box_distance(a.position, _extent(a), a.yaw, b.position, _extent(b), b.yaw)


def _extent(instance: Instance) -> NDArray[np.float64]:
    """Return the box of a named thing; what was found by a picture is known as a place only."""
    return instance.size if instance.label else np.zeros(3)


def _gap_deviation(a: Instance, b: Instance) -> float:
    """Return one standard deviation of the gap: of both positions and of both extents."""
    apart = a.position - b.position
    along = apart / max(float(np.linalg.norm(apart)), 1e-9)
    extents = 0.5 * _EDGE_SHARE * np.array([_extent(a).max(), _extent(b).max()])
    return math.sqrt(
        float(along @ (a.covariance + b.covariance) @ along) + float(extents @ extents)
    )


def _number_of(found: Sequence[Instance], sure: Sequence[Instance]) -> tuple[float, float, float]:
    """Return the count of sure instances and its 90 % interval.

    Each is there with its confidence; the interval is widened to hold what was counted.
    """
    count, mean = float(len(sure)), sum(i.confidence for i in found)
    deviation = math.sqrt(sum(i.confidence * (1.0 - i.confidence) for i in found))
    low, high = _around(mean, deviation, least=0.0)
    return count, min(low, count), max(min(float(len(found)), high), count)


def _around(value: float, deviation: float, *, least: float = -math.inf) -> tuple[float, float]:
    return max(least, value - Z90 * deviation), value + Z90 * deviation


def _radius90(instance: Instance) -> float:
    return Z90 * float(np.sqrt(np.linalg.eigvalsh(instance.covariance)[-1]))


def _side(bearing: float) -> str:
    """Return a bearing in words, in quadrants and their halves."""
    degrees = math.degrees(bearing)
    names = ('ahead', 'ahead to the left', 'to the left', 'behind to the left', 'behind')
    word = names[round(abs(degrees) / 45.0)]
    return f'{word if degrees >= 0 else word.replace("left", "right")} ({degrees:+.0f}°)'
