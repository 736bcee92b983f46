# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Questions to answers. Reads one immutable state; every number comes with its interval."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.config import MemoryConfig
from ros2_spatial_ttt.errors import BadRequest
from ros2_spatial_ttt.memory.reader import Reader
from ros2_spatial_ttt.memory.state import MemoryState
from ros2_spatial_ttt.query import describe, relations, things
from ros2_spatial_ttt.query.language import parse
from ros2_spatial_ttt.query.names import Reading
from ros2_spatial_ttt.query.objects import ObjectRegistry
from ros2_spatial_ttt.query.relocalize import Relocalizer
from ros2_spatial_ttt.query.source import MOST_RESULTS, MemorySource
from ros2_spatial_ttt.runtime.base import Runtime
from ros2_spatial_ttt.types import Answer, Query, QueryType, ResultCode

__all__ = ['MOST_RESULTS', 'QueryEngine']

_LOG = logging.getLogger(__name__)

# What a picture cannot stand for: look-alikes are not one kind of thing.
_NEEDS_NAMES = (QueryType.COUNT, QueryType.SIZE, QueryType.ORDER)


class QueryEngine:
    """Answers questions about a state; keeps only the objects it named, for '#ID'.

    ``reading`` says what the scores of names are worth.
    """

    def __init__(
        self, config: MemoryConfig, runtime: Runtime, reader: Reader, reading: Reading
    ) -> None:
        self._config = config
        self._reading = reading
        self._runtime = runtime
        self._reader = reader
        self._objects = ObjectRegistry()
        self._relocalizer = Relocalizer(runtime, reader, self._objects)

    def answer(self, state: MemoryState, query: Query) -> Answer:
        """Return the answer; what is wrong with a question is in its code and message."""
        try:
            query = _understood(query)
            _check(query)
            source = MemorySource(
                self._config, self._runtime, self._reader, self._reading, self._objects, state
            )
            return replace(self._answer(state, source, query), valid_at_ns=state.newest_ns)
        except BadRequest as error:
            return Answer(code=ResultCode.BAD_REQUEST, message=str(error))
        except Exception as error:
            _LOG.exception('question %s failed', query.type)
            message = f'{type(error).__name__}: {error}; this is a defect, please report the log'
            return Answer(code=ResultCode.INTERNAL, message=message)

    def _answer(self, state: MemoryState, source: MemorySource, query: Query) -> Answer:
        if query.type == QueryType.DESCRIBE:
            return self._describe(state, source, query)
        if query.type == QueryType.RELOCALIZE:
            return self._relocalizer.answer(source, state, query)
        if query.type in _NEEDS_NAMES and not (query.labels and source.names):
            raise BadRequest(source.needs_names(f'{query.type.name} questions need'))
        if query.type == QueryType.NEAREST and not things.terms(query):
            return self._nearest_surface(source, query)
        return relations.answer(source, query)

    def _nearest_surface(self, source: MemorySource, query: Query) -> Answer:
        if query.viewpoint is None:
            raise BadRequest(
                'NEAREST needs a viewpoint: set it, or wait until the robot has a pose'
            )
        observer = query.viewpoint[:3, 3]
        places = source.surfaces(query)
        if not len(places):
            return things.not_found(source, query)
        row = int(np.linalg.norm(places.points - observer, axis=1).argmin())
        peak = describe.place(places, row)
        confidence = float(np.clip(places.occupied[row], 0, 1))
        instance = source.instance(peak, confidence, label='surface', pictured=True)
        return things.distance_to(instance, observer, sure=1.0)

    def _describe(self, state: MemoryState, source: MemorySource, query: Query) -> Answer:
        if query.region is None:
            raise BadRequest(
                'DESCRIBE needs a region: min equal to max for a point, or a box; with a frame_id'
            )
        if query.region.is_point:
            return self._describe_point(state, source, np.asarray(query.region.minimum))
        return self._describe_box(state, source, query)

    def _describe_point(
        self, state: MemoryState, source: MemorySource, point: NDArray[np.float64]
    ) -> Answer:
        here = self._reader.at(state, point[None])
        observed, occupied = float(here.observed[0]), float(here.occupied[0])
        if observed <= self._config.read.observed_threshold:
            return Answer(
                code=ResultCode.NEVER_OBSERVED,
                message='this point was never observed; go and look there',
                sentence='I have never looked there.',
                value=observed,
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

    def _describe_box(self, state: MemoryState, source: MemorySource, query: Query) -> Answer:
        assert query.region is not None
        points = self._reader.at(state, describe.lattice(query.region))
        observed = points.observed > self._config.read.observed_threshold
        share = float(observed.mean())
        places = source.surfaces(query)
        if share < 0.5 and not len(places):
            return things.not_found(source, query)
        filled = float((source.is_surface(points) & observed).sum() / max(observed.sum(), 1))
        low, high = describe.share_interval(share, len(points))
        sentence = (
            f'{share:.0%} of it was observed, {filled:.0%} of that is occupied; '
            f'{len(places)} surface places.'
        )
        code = ResultCode.OK if len(places) else ResultCode.NOT_FOUND
        return Answer(
            code=code,
            message='' if len(places) else 'this region was seen and is free',
            value=share,
            value_low=low,
            value_high=high,
            unit='1',
            sentence=sentence,
            confidence=describe.confidence(share, 0.5),
        )


def _check(query: Query) -> None:
    """Raise BadRequest where a question is wrong whatever the memory holds."""
    region = query.region
    if region is not None:
        if not np.isfinite([*region.minimum, *region.maximum]).all():
            raise BadRequest('region: a corner is not finite; give metres in the map frame')
        if any(a > b for a, b in zip(region.minimum, region.maximum, strict=True)):
            raise BadRequest(
                f'region: min {region.minimum} is greater than max {region.maximum} on an '
                'axis; swap them'
            )
    if query.viewpoint is not None and not np.isfinite(query.viewpoint).all():
        raise BadRequest('viewpoint: not finite; give a pose or none')
    if query.since_ns and query.until_ns and query.until_ns < query.since_ns:
        raise BadRequest('until is before since; swap them or leave one at 0')
    if query.max_results < 0:
        raise BadRequest(f'max_results is {query.max_results}; give 0 for the default or more')


def _understood(query: Query) -> Query:
    """Return the question with its type and labels taken from the text where they are not set."""
    if query.type != QueryType.AUTO:
        return query
    if not query.text.strip():
        raise BadRequest('empty question: set a type, or ask in plain words in text')
    kind, labels = parse(query.text)
    # With a picture or an object at hand, 'it' and names stand for what that is.
    given = bool(query.examples or query.labels)
    return replace(query, type=kind, labels=query.labels if given else labels)
