# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Questions by a point or a picture: what is there, how big, and what such a place cannot tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ros2_spatial_ttt.errors import BadRequest
from ros2_spatial_ttt.query import relations
from ros2_spatial_ttt.query.intervals import Z90, around, edge_interval
from ros2_spatial_ttt.query.source import MemorySource
from ros2_spatial_ttt.query.things import (
    AT_POINT,
    LIKE_POINT,
    asked,
    not_found,
    one_term,
    terms,
    told,
)
from ros2_spatial_ttt.types import Answer, Instance, Query, QueryType, ResultCode

__all__ = ['answer', 'check', 'is_asked', 'size']

# Questions that a point can stand for the thing of.
_BY_POINT = (QueryType.LOCATE, QueryType.EXISTS, QueryType.SIZE)
_NAMELESS = 'no thing of a name that this memory knows is sure to be there'


def is_asked(query: Query) -> bool:
    """Return whether a question means what is at a point: it names and shows no thing."""
    return _is_point(query) and query.type in _BY_POINT and not terms(query)


def _is_point(query: Query) -> bool:
    return query.region is not None and query.region.is_point


def answer(source: MemorySource, query: Query, described: Callable[[], Answer]) -> Answer:
    """Answer LOCATE, EXISTS or SIZE of what is at the point that the region is.

    It is the named thing whose box holds the point. Where there is none, LOCATE tells what looks
    like the surface there, and EXISTS whether there is one.

    Args:
        source: to be asked.
        query: for which ``is_asked``.
        described: returns what DESCRIBE says of the point.

    Raises:
        BadRequest: SIZE, of a memory without names.
    """
    if query.type == QueryType.SIZE and not source.names:
        raise BadRequest(source.needs_names('SIZE of what is at a point needs'))
    said = relations.answer(source, replace(query, labels=(AT_POINT,)))
    if said.code == ResultCode.OK:
        name = said.instances[0].label
        yes = query.type == QueryType.EXISTS
        words = f'Yes, the {name}.' if yes else f'That is the {name}. {said.sentence}'
        return replace(said, sentence=words)
    if query.type == QueryType.LOCATE:
        return _looking_like(source, query)
    if query.type == QueryType.EXISTS:
        bare = described()
        if bare.code == ResultCode.OK:
            return told(
                bare.instances,
                (1.0, float(bare.confidence >= 0.95), 1.0),
                sentence=f'Yes. {bare.sentence}',
                confidence=bare.confidence,
            )
    return replace(said, message=_NAMELESS) if said.code == ResultCode.NOT_FOUND else said


def _looking_like(source: MemorySource, query: Query) -> Answer:
    said = relations.answer(source, replace(query, labels=(LIKE_POINT,)))
    if said.code == ResultCode.OK:
        places = 'one place looks' if said.value == 1.0 else f'{said.value:.0f} places look'
        words = f'I know no name for it; {places} like it, itself among them.'
        return replace(said, sentence=words)
    if said.code == ResultCode.NOT_FOUND and not said.instances:
        return replace(said, message=f'{_NAMELESS}, and no surface is at that point')
    return said


def size(source: MemorySource, query: Query) -> Answer:
    """Answer SIZE of one thing. A place that a picture shows is as large as the thing there.

    Raises:
        BadRequest: it is not of one thing, or of a place in a memory without names.
    """
    if not (terms(query) or source.names):
        raise BadRequest(source.needs_names('SIZE goes by name, which needs'))
    term = one_term(query)
    if term[0] not in '@#':
        return relations.answer(source, query)
    if not source.names:
        raise BadRequest(
            source.needs_names(
                'SIZE of a picture needs, as that shows a place and not how far a thing reaches,'
            )
        )
    found, sure = asked(source, term, query)
    if not sure:
        return not_found(source, query, found)
    if sure[0].label in source.names:
        return relations.answer(source, query)
    things = source.there(sure[0].position)
    if not things:
        return replace(
            not_found(source, query, sure),
            message=f'the place was found (objects), but {_NAMELESS}, so a size is not known',
            sentence='I know the place, but not the size of what is there.',
        )
    return _size_there(sure[0], things[0])


def _size_there(place: Instance, thing: Instance) -> Answer:
    """Return the size of the thing at a place that a picture was found at."""
    low, high = edge_interval(thing)
    edge, deviation = float(thing.size.max()), (high - low) / (2.0 * Z90)
    # Another place would hold another thing, of any size.
    interval = around(edge, deviation, least=0.0, sure=place.confidence, otherwise=edge)
    length, width, height = thing.size
    return told(
        (place, thing),
        (edge, min(low, interval[0]), max(high, interval[1])),
        unit='m',
        sentence=f'It is on the {thing.label}, which is {length:.2f} by {width:.2f} m and '
        f'{height:.2f} m high.',
        confidence=place.confidence * thing.confidence,
    )


def check(source: MemorySource, query: Query) -> None:
    """Raise BadRequest where a question is of something that places do not tell."""
    if query.type == QueryType.COUNT:
        _check_count(source, query)
    if query.type == QueryType.ROOM_SIZE and (terms(query) or _is_point(query)):
        raise BadRequest(
            'ROOM_SIZE measures the floor that was seen in a box and does not know which walls '
            'make a room, so it goes by no name, picture or point: give the box of the room as '
            'region, around where LOCATE finds the thing, or none for all that was seen'
        )


def _check_count(source: MemorySource, query: Query) -> None:
    if query.examples:
        instead = 'name the things instead, or ask' if source.names else 'ask'
        raise BadRequest(
            'COUNT does not go by a picture: what looks like one is parts of surfaces, several on '
            f'one thing, and their number is not that of things; {instead} LOCATE with the '
            'picture for the places'
        )
    if query.labels:
        return
    if not source.names:
        raise BadRequest(source.needs_names('COUNT goes by name, which needs'))
    raise BadRequest(
        'COUNT needs the name of what to count, got none; this memory knows '
        f'{", ".join(source.names)}'
    )
