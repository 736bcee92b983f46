# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Answers to DESCRIBE: a thing, what is at a point, in a box, or around the observer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.config import MemoryConfig
from ros2_spatial_ttt.errors import BadRequest
from ros2_spatial_ttt.memory.reader import Reader
from ros2_spatial_ttt.memory.state import MemoryState
from ros2_spatial_ttt.query import describe
from ros2_spatial_ttt.query.intervals import gap, number_of, radius90
from ros2_spatial_ttt.query.inventory import one_thing
from ros2_spatial_ttt.query.source import MemorySource
from ros2_spatial_ttt.query.things import asked, not_found, one_term, shown, terms, told
from ros2_spatial_ttt.types import Answer, Instance, Query, QueryType, Region, ResultCode

__all__ = ['HERE_M', 'NEAR_M', 'Describer']

# 'Here' is a box that reaches so far from the observer along each axis of the map.
HERE_M = 1.5
# What is near a thing has its box within this distance of the thing's; so many are told of.
NEAR_M, _MOST_NEAR = 1.5, 5
# Half of the longest edge that a thing beside it may have.
_LARGE_M = 1.5
_NS = 1e-9


class Describer:
    """Describes things and places.

    Args:
        config: thresholds of what counts as observed and as a surface.
        reader: reads the fast weights.
    """

    def __init__(self, config: MemoryConfig, reader: Reader) -> None:
        self._config = config
        self._reader = reader

    def answer(self, source: MemorySource, state: MemoryState, query: Query) -> Answer:
        """Return what is known of the one thing asked for, or of a place.

        - A thing (name, picture, '#ID'): objects = the thing, then what is near it; value = how
          many such things are sure. The region limits where it may be.
        - A point: code, value (share of occupied evidence) and confidence are of the point itself;
          objects = the things whose box holds it, then the surface.
        - A box, or without a region the box of ``HERE_M`` around the viewpoint: value = share of
          it that was observed; objects = the things whose centre is in it, surest first.

        Raises:
            BadRequest: more than one thing, or neither thing nor place.
        """
        if terms(query):
            return self._thing(source, query)
        if query.region is None:
            query = replace(query, region=_here(query))
        assert query.region is not None
        if query.region.is_point:
            return self._point(source, state, query)
        return self._box(source, state, query)

    def _thing(self, source: MemorySource, query: Query) -> Answer:
        found, sure = asked(source, one_term(query), query)
        if not sure:
            return not_found(source, query, found)
        thing = sure[0]
        # What has no name of its own is a place; it may be on a thing that has one.
        within = [] if thing.label in source.names else source.there(thing.position)[:1]
        known = [thing, *within]
        near = _near(source, known[-1])
        several = f'I know of {len(sure)}, the surest: ' if thing.label and len(sure) > 1 else ''
        words = (
            f'{several}{_where(thing)}{_what(known[-1], within=bool(within))}; '
            f'{_when(known[-1])}.{_beside(known[-1], near)}'
        )
        return told(
            shown([*known, *near], query),
            number_of(found, len(sure)),
            sentence=words[0].upper() + words[1:],
            confidence=thing.confidence,
        )

    def _point(self, source: MemorySource, state: MemoryState, query: Query) -> Answer:
        assert query.region is not None
        bare = self._bare_point(source, state, np.asarray(query.region.minimum, np.float64))
        things = source.things(query)
        if not things:
            return bare
        words = f'{_listed(things)} {"is" if len(things) == 1 else "are"} there.'
        return replace(
            bare,
            instances=shown([*things, *bare.instances], query),
            message=bare.message and f'{bare.message}; it lies in the box of: {_listed(things)}',
            sentence=f'{words} Of the point itself: {bare.sentence}',
        )

    def _bare_point(
        self, source: MemorySource, state: MemoryState, point: NDArray[np.float64]
    ) -> Answer:
        here = self._reader.at(state, point[None])
        observed, occupied = float(here.observed[0]), float(here.occupied[0])
        if observed <= self._config.read.observed_threshold:
            return Answer(
                code=ResultCode.NEVER_OBSERVED,
                message='this point was never observed; go and look there',
                sentence='I have never looked there.',
                value=max(observed, 0.0),
                value_low=0.0,
                value_high=1.0,
                unit='1',
                confidence=describe.confidence(observed, self._config.read.observed_threshold),
            )
        share = float(np.clip(occupied / observed, 0.0, 1.0))
        confidence = describe.confidence(share, self._config.read.occupied_threshold)
        verdict = Answer(
            code=ResultCode.OK,
            value=share,
            value_low=max(0.0, share - 0.5 * (1.0 - confidence)),
            value_high=min(1.0, share + 0.5 * (1.0 - confidence)),
            unit='1',
            confidence=confidence,
        )
        if share <= self._config.read.occupied_threshold:
            return replace(
                verdict,
                code=ResultCode.NOT_FOUND,
                message='this point was seen and is free',
                sentence='I looked there: it is free space.',
            )
        places = self._reader.places(state)
        peak = describe.around(places, point, here)
        instance = source.instance(peak, confidence, label='surface', pictured=True)
        return replace(
            verdict, instances=(instance,), sentence=describe.surface_sentence(here, peak)
        )

    def _box(self, source: MemorySource, state: MemoryState, query: Query) -> Answer:
        assert query.region is not None
        points = self._reader.at(state, describe.lattice(query.region))
        observed = points.observed > self._config.read.observed_threshold
        share = float(observed.mean())
        places, things = source.surfaces(query), source.things(query)
        if share < 0.5 and not len(places) and not things:
            return not_found(source, query)
        filled = float((source.is_surface(points) & observed).sum() / max(observed.sum(), 1))
        low, high = describe.share_interval(share, len(points))
        sentence = (
            f'{share:.0%} of it was observed, {filled:.0%} of that is occupied; '
            f'{len(places)} surface places.'
        )
        something = bool(len(places) or things)
        return Answer(
            code=ResultCode.OK if something else ResultCode.NOT_FOUND,
            message='' if something else 'this region was seen and is free',
            instances=shown(things, query),
            value=share,
            value_low=low,
            value_high=high,
            unit='1',
            sentence=f'In it: {_listed(things)}. {sentence}' if things else sentence,
            confidence=describe.confidence(share, 0.5),
        )


def _here(query: Query) -> Region:
    """Return the box around the observer of a question that names no place."""
    if query.viewpoint is None:
        raise BadRequest(
            'DESCRIBE needs a thing (name, picture or #ID), a region (min equal to max for a '
            'point, or a box; with a frame_id), or a viewpoint to tell what is around it'
        )
    return _cube(query.viewpoint[:3, 3], HERE_M)


def _near(source: MemorySource, thing: Instance) -> list[Instance]:
    """Return the named things beside one, nearest first."""
    reach = NEAR_M + _LARGE_M + float(np.linalg.norm(thing.size)) / 2.0
    around = _cube(thing.position, reach)
    beside = [
        one
        for one in source.things(Query(QueryType.DESCRIBE, region=around))
        if not one_thing(one.position, one.size, thing.position, thing.size)
    ]
    ranked = sorted(beside, key=lambda one: gap(thing, one))
    return [one for one in ranked if gap(thing, one) <= NEAR_M][:_MOST_NEAR]


def _cube(middle: NDArray[np.float64], reach: float) -> Region:
    (a, b, c), (x, y, z) = (middle - reach).tolist(), (middle + reach).tolist()
    return Region((a, b, c), (x, y, z))


def _where(thing: Instance) -> str:
    x, y, z = thing.position
    name = f'the {thing.label}' if thing.label else 'it'
    seen = '; a keyframe confirms it' if thing.confirmed else ''
    return (
        f'{name} is at ({x:.2f}, {y:.2f}, {z:.2f}) m, give or take {radius90(thing):.2f} m{seen}'
    )


def _what(thing: Instance, *, within: bool) -> str:
    """Return the size of a thing with a name, which was found by its name or at a place."""
    if not thing.label or not thing.size.any():
        return ''
    length, width, height = thing.size
    edges = f'{length:.2f} by {width:.2f} m and {height:.2f} m high'
    return f', on the {thing.label} ({edges})' if within else f', {edges}'


def _when(thing: Instance) -> str:
    first, last = _NS * thing.first_seen_ns, _NS * thing.last_seen_ns
    return f'first seen at {first:.1f} s, last at {last:.1f} s'


def _beside(thing: Instance, near: Sequence[Instance]) -> str:
    if not near:
        return ''
    return f' Near it: {", ".join(f"{one.label} ({gap(thing, one):.2f} m)" for one in near)}.'


def _listed(things: Sequence[Instance]) -> str:
    """Return things in words, the surest first: how many of each name."""
    return ', '.join(
        name if number == 1 else f'{number} × {name}'
        for name, number in Counter(thing.label for thing in things).items()
    )
