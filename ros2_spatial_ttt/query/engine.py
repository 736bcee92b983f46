# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Questions to answers. Reads one immutable state; every number comes with its interval."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from ros2_spatial_ttt.config import MemoryConfig
from ros2_spatial_ttt.errors import BadRequest
from ros2_spatial_ttt.memory.reader import Reader
from ros2_spatial_ttt.memory.state import MemoryState
from ros2_spatial_ttt.query import describe, relations, spots, things
from ros2_spatial_ttt.query.describer import Describer
from ros2_spatial_ttt.query.language import parse
from ros2_spatial_ttt.query.names import Reading
from ros2_spatial_ttt.query.objects import ObjectRegistry
from ros2_spatial_ttt.query.relocalize import Relocalizer
from ros2_spatial_ttt.query.source import MOST_RESULTS, MemorySource
from ros2_spatial_ttt.runtime.base import Runtime
from ros2_spatial_ttt.types import Answer, Query, QueryType, ResultCode

__all__ = ['MOST_RESULTS', 'QueryEngine']

_LOG = logging.getLogger(__name__)


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
        self._describer = Describer(config, reader)
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
            return self._describer.answer(source, state, query)
        if query.type == QueryType.RELOCALIZE:
            return self._relocalizer.answer(source, state, query)
        if query.type == QueryType.NEAREST and not things.terms(query):
            return self._nearest_surface(source, query)
        if spots.is_asked(query):
            place = replace(query, type=QueryType.DESCRIBE)
            return spots.answer(
                source, query, lambda: self._describer.answer(source, state, place)
            )
        if query.type == QueryType.SIZE:
            return spots.size(source, query)
        spots.check(source, query)
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
    if any(label.startswith('@') for label in query.labels):
        raise BadRequest(
            f'labels {list(query.labels)}: no name begins with @; set image, or region'
        )
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
