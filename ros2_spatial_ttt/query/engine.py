# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Questions to answers. Reads one immutable state; every number comes with its interval."""

from __future__ import annotations

import itertools
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.config import ReadConfig
from ros2_spatial_ttt.errors import BadRequest
from ros2_spatial_ttt.memory.reader import FieldPoints, Reader
from ros2_spatial_ttt.memory.state import MemoryState
from ros2_spatial_ttt.memory.tiles import TileGrid
from ros2_spatial_ttt.query import describe
from ros2_spatial_ttt.query.language import parse
from ros2_spatial_ttt.query.search import Peak, example_windows, peaks
from ros2_spatial_ttt.runtime.base import Runtime
from ros2_spatial_ttt.types import Answer, Example, Instance, Query, QueryType, ResultCode

__all__ = ['MOST_RESULTS', 'QueryEngine']

_LOG = logging.getLogger(__name__)

MOST_RESULTS = 1000
# Objects of answers that can still be referred to as '#ID'.
_REMEMBERED_OBJECTS = 1024
# Answers beyond this many carry no picture: they cost milliseconds each.
_MOST_PICTURES = 3
Z90 = 1.6449  # half width of the 90 % interval of a normal distribution, in standard deviations


@dataclass(frozen=True)
class _Found:
    """Outcome of a search by example: verdict, instances best first."""

    code: ResultCode
    message: str
    instances: tuple[Instance, ...]


class QueryEngine:
    """Answers questions about a state; keeps only the objects it named, for '#ID'."""

    def __init__(
        self, config: ReadConfig, runtime: Runtime, reader: Reader, grid: TileGrid
    ) -> None:
        self._config = config
        self._runtime = runtime
        self._reader = reader
        self._grid = grid
        self._ids = itertools.count(1)
        self._objects: OrderedDict[int, Instance] = OrderedDict()
        self._lock = threading.Lock()
        self._handlers: dict[QueryType, Callable[[MemoryState, Query], Answer]] = {
            QueryType.LOCATE: self._locate,
            QueryType.EXISTS: self._exists,
            QueryType.DESCRIBE: self._describe,
            QueryType.NEAREST: self._nearest,
            QueryType.DISTANCE: self._distance,
        }

    def answer(self, state: MemoryState, query: Query) -> Answer:
        """Return the answer; what is wrong with a question is in its code and message."""
        try:
            query = _understood(query)
            self._check(query)
            handler = self._handlers.get(query.type)
            if handler is None:
                raise BadRequest(self._needs_labels(f'{query.type.name} questions need'))
            return replace(handler(state, query), valid_at_ns=state.newest_ns)
        except BadRequest as error:
            return Answer(code=ResultCode.BAD_REQUEST, message=str(error))
        except Exception as error:
            _LOG.exception('question %s failed', query.type)
            message = f'{type(error).__name__}: {error}; this is a defect, please report the log'
            return Answer(code=ResultCode.INTERNAL, message=message)

    def _check(self, query: Query) -> None:
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
        for label in query.labels:
            if not label.startswith('#'):
                raise BadRequest(self._unknown_label(label))

    # Types of question.

    def _locate(self, state: MemoryState, query: Query) -> Answer:
        found = self._search(state, query, _one_example(query))
        if found.code != ResultCode.OK:
            return self._not_found(found)
        best = found.instances[0]
        x, y, z = best.position
        count = float(sum(i.confidence >= self._config.found_threshold for i in found.instances))
        low, high = _interval(count, found.instances)
        return Answer(
            code=ResultCode.OK,
            instances=found.instances,
            value=count,
            value_low=low,
            value_high=high,
            unit='1',
            sentence=f'It is at ({x:.2f}, {y:.2f}, {z:.2f}) m, '
            f'give or take {_radius90(best):.2f} m.',
            confidence=best.confidence,
        )

    def _exists(self, state: MemoryState, query: Query) -> Answer:
        found = self._search(state, query, _one_example(query))
        if found.code == ResultCode.NEVER_OBSERVED:
            return self._not_found(found)
        yes = found.code == ResultCode.OK
        confidence = found.instances[0].confidence if found.instances else 0.0
        return Answer(
            code=found.code,
            message=found.message,
            instances=found.instances,
            value=float(yes),
            value_low=float(yes and confidence >= 0.95),
            value_high=float(yes or confidence > 0.05),
            unit='1',
            sentence='Yes, there is.' if yes else 'No, nothing like it was seen there.',
            confidence=confidence if yes else 1.0 - confidence,
        )

    def _nearest(self, state: MemoryState, query: Query) -> Answer:
        if query.viewpoint is None:
            raise BadRequest(
                'NEAREST needs a viewpoint: set it, or wait until the robot has a pose'
            )
        observer = query.viewpoint[:3, 3]
        if query.examples:
            found = self._search(state, query, _one_example(query))
            if found.code != ResultCode.OK:
                return self._not_found(found)
            threshold = self._config.found_threshold
            sure = [i for i in found.instances if i.confidence >= threshold]
            sure.sort(key=lambda i: float(np.linalg.norm(i.position - observer)))
            instances = tuple(sure)
        else:
            place = self._nearest_surface(state, query, observer)
            if place is None:
                return self._nothing_there(state, query)
            instances = (place,)
        return self._distance_answer(instances, observer, np.zeros((3, 3)), 'It is')

    def _distance(self, state: MemoryState, query: Query) -> Answer:
        ends = [self._object(label) for label in query.labels]
        for example in query.examples:
            found = self._search(state, replace(query, max_results=1), example)
            if found.code != ResultCode.OK:
                return self._not_found(found)
            ends.append(found.instances[0])
        if len(ends) == 1 and query.viewpoint is not None:
            return self._distance_answer(
                (ends[0],), query.viewpoint[:3, 3], np.zeros((3, 3)), 'It is'
            )
        if len(ends) != 2:
            raise BadRequest(
                f'DISTANCE is between two things, got {len(ends)}; give two examples, or an '
                "example and the label '#ID' of an object in an earlier answer, or one and a "
                'viewpoint'
            )
        answer = self._distance_answer(
            (ends[0],), ends[1].position, ends[1].covariance, 'They are'
        )
        confidence = min(end.confidence for end in ends)
        return replace(answer, instances=tuple(ends), confidence=confidence)

    def _describe(self, state: MemoryState, query: Query) -> Answer:
        if query.region is None:
            raise BadRequest(
                'DESCRIBE needs a region: min equal to max for a point, or a box; with a frame_id'
            )
        if query.region.is_point:
            return self._describe_point(state, np.asarray(query.region.minimum))
        return self._describe_box(state, query)

    # Parts of answers.

    def _search(self, state: MemoryState, query: Query, example: Example) -> _Found:
        windows = example_windows(example, self._runtime.manifest, state.camera_width)
        places = self._reader.places(state)
        chosen = self._chosen(places, query)
        unseen = self._unseen(state, query)
        if unseen and not chosen.any():
            return _Found(ResultCode.NEVER_OBSERVED, unseen, ())
        score = self._reader.likeness(state, self._runtime.embed(windows))
        found = peaks(
            places.kept(chosen),
            score[chosen],
            separation_m=self._config.separation_m,
            most=min(query.max_results or 10, MOST_RESULTS),
        )
        instances = self._instances(state, found)
        if instances and instances[0].confidence >= self._config.found_threshold:
            return _Found(ResultCode.OK, '', instances)
        if unseen:
            return _Found(ResultCode.NEVER_OBSERVED, unseen, ())
        message = (
            'nothing there looks enough like the example; objects lists the best guesses'
            if instances
            else 'no surface was seen within this region and time'
        )
        return _Found(ResultCode.NOT_FOUND, message, instances)

    def _candidates(self, state: MemoryState, query: Query) -> FieldPoints:
        places = self._reader.places(state)
        return places.kept(self._chosen(places, query))

    def _chosen(self, places: FieldPoints, query: Query) -> NDArray[np.bool_]:
        """Return which places are surfaces within the region and time of a question, (n,)."""
        keep = self._is_surface(places)
        if query.region is not None:
            keep &= query.region.contains(places.points)
        if query.since_ns:
            keep &= places.last_seen_ns >= query.since_ns
        if query.until_ns:
            keep &= places.first_seen_ns <= query.until_ns
        return keep

    def _is_surface(self, points: FieldPoints) -> NDArray[np.bool_]:
        observed = points.observed > self._config.observed_threshold
        occupied = points.occupied > self._config.occupied_threshold * points.observed
        return observed & occupied

    def _unseen(self, state: MemoryState, query: Query) -> str:
        """Return why the asked part of the world counts as never observed, or ''."""
        if not state.tiles:
            return 'nothing was observed yet; drive around with the cameras on'
        if query.region is None:
            return ''
        points = self._reader.at(state, describe.lattice(query.region))
        share = float((points.observed > self._config.observed_threshold).mean())
        if share < 0.5:
            return f'only {share:.0%} of the region was ever observed; go and look there'
        return ''

    def _instances(self, state: MemoryState, found: list[Peak]) -> tuple[Instance, ...]:
        half, slope = self._runtime.manifest.found_score
        out = []
        for rank, peak in enumerate(found):
            confidence = float(1.0 / (1.0 + np.exp(-slope * (peak.score - half))))
            pictured = rank < _MOST_PICTURES
            out.append(self._instance(state, peak, confidence, label='', pictured=pictured))
        return tuple(out)

    def _instance(
        self, state: MemoryState, peak: Peak, confidence: float, *, label: str, pictured: bool
    ) -> Instance:
        view = None
        if pictured:
            view = state.evidence.best_view(peak.position, self._runtime.manifest.grid)
        instance = Instance(
            id=next(self._ids),
            label=label,
            position=peak.position,
            covariance=peak.covariance,
            size=peak.size,
            confidence=confidence,
            first_seen_ns=peak.first_seen_ns,
            last_seen_ns=peak.last_seen_ns,
            observations=peak.count,
            evidence_jpeg=view.marked() if view else b'',
            evidence_map_T_camera=view.keyframe.map_T_camera if view else None,
            evidence_stamp_ns=view.keyframe.stamp_ns if view else 0,
        )
        with self._lock:
            # Without its picture: a thousand of them would be a memory of their own.
            self._objects[instance.id] = replace(instance, evidence_jpeg=b'')
            while len(self._objects) > _REMEMBERED_OBJECTS:
                self._objects.popitem(last=False)
        return instance

    def _object(self, label: str) -> Instance:
        with self._lock:
            known = self._objects.get(int(label[1:])) if label[1:].isdecimal() else None
        if known is None:
            raise BadRequest(
                f'label {label!r}: no object with this id in the last {_REMEMBERED_OBJECTS} '
                "answered; ask LOCATE first and refer to an object's id as '#ID'"
            )
        return known

    def _nearest_surface(
        self, state: MemoryState, query: Query, observer: NDArray[np.float64]
    ) -> Instance | None:
        places = self._candidates(state, query)
        if not len(places):
            return None
        row = int(np.linalg.norm(places.points - observer, axis=1).argmin())
        peak = describe.place(places, row)
        return self._instance(
            state, peak, float(np.clip(places.occupied[row], 0, 1)), label='surface', pictured=True
        )

    def _distance_answer(
        self,
        instances: tuple[Instance, ...],
        point: NDArray[np.float64],
        covariance: NDArray[np.float64],
        subject: str,
    ) -> Answer:
        first = instances[0]
        apart = first.position - point
        metres = float(np.linalg.norm(apart))
        along = apart / max(metres, 1e-9)
        deviation = float(np.sqrt(along @ (first.covariance + covariance) @ along))
        low, high = max(0.0, metres - Z90 * deviation), metres + Z90 * deviation
        return Answer(
            code=ResultCode.OK,
            instances=instances,
            value=metres,
            value_low=low,
            value_high=high,
            unit='m',
            sentence=f'{subject} {metres:.2f} m away ({low:.2f} to {high:.2f} m).'
            if subject == 'It is'
            else f'{subject} {metres:.2f} m apart ({low:.2f} to {high:.2f} m).',
            confidence=first.confidence,
        )

    def _describe_point(self, state: MemoryState, point: NDArray[np.float64]) -> Answer:
        here = self._reader.at(state, point[None])
        observed, occupied = float(here.observed[0]), float(here.occupied[0])
        if observed <= self._config.observed_threshold:
            return Answer(
                code=ResultCode.NEVER_OBSERVED,
                message='this point was never observed; go and look there',
                sentence='I have never looked there.',
                value=observed,
                value_low=0.0,
                value_high=1.0,
                unit='1',
                confidence=describe.confidence(observed, self._config.observed_threshold),
            )
        share = float(np.clip(occupied / observed, 0.0, 1.0))
        confidence = describe.confidence(share, self._config.occupied_threshold)
        verdict = Answer(
            code=ResultCode.OK,
            value=share,
            value_low=max(0.0, share - 0.5 * (1.0 - confidence)),
            value_high=min(1.0, share + 0.5 * (1.0 - confidence)),
            unit='1',
            confidence=confidence,
        )
        if share <= self._config.occupied_threshold:
            return replace(
                verdict,
                code=ResultCode.NOT_FOUND,
                message='this point was seen and is free',
                sentence='I looked there: it is free space.',
            )
        places = self._reader.places(state)
        peak = describe.around(places, point, here)
        instance = self._instance(state, peak, confidence, label='surface', pictured=True)
        return replace(
            verdict, instances=(instance,), sentence=describe.surface_sentence(here, peak)
        )

    def _describe_box(self, state: MemoryState, query: Query) -> Answer:
        assert query.region is not None
        points = self._reader.at(state, describe.lattice(query.region))
        observed = points.observed > self._config.observed_threshold
        share = float(observed.mean())
        places = self._candidates(state, query)
        if share < 0.5 and not len(places):
            return self._nothing_there(state, query)
        filled = float((self._is_surface(points) & observed).sum() / max(observed.sum(), 1))
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

    def _nothing_there(self, state: MemoryState, query: Query) -> Answer:
        unseen = self._unseen(state, query)
        if unseen:
            return self._not_found(_Found(ResultCode.NEVER_OBSERVED, unseen, ()))
        message = 'no surface was seen within this region and time'
        return self._not_found(_Found(ResultCode.NOT_FOUND, message, ()))

    def _not_found(self, found: _Found) -> Answer:
        never = found.code == ResultCode.NEVER_OBSERVED
        return Answer(
            code=found.code,
            message=found.message,
            instances=found.instances,
            value=float('nan') if never else 0.0,
            value_low=float('nan') if never else 0.0,
            value_high=float('nan') if never else float(bool(found.instances)),
            unit='1',
            sentence='I have never looked there.' if never else 'I looked and did not find it.',
            confidence=1.0 - found.instances[0].confidence if found.instances else 1.0,
        )

    def _needs_labels(self, what: str) -> str:
        name = self._runtime.manifest.name
        return (
            f'{what} a model that knows names, and {name!r} knows none; '
            'ask LOCATE, EXISTS, NEAREST or DISTANCE with an example image, or DESCRIBE a region'
        )

    def _unknown_label(self, label: str) -> str:
        labels = self._runtime.manifest.labels
        if not labels:
            return self._needs_labels(f'label {label!r} needs')
        return f'label {label!r} is unknown; this model knows {", ".join(labels)}'


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


def _one_example(query: Query) -> Example:
    if len(query.examples) != 1:
        raise BadRequest(
            f'{query.type.name} needs one example image of the thing, got {len(query.examples)}; '
            'set image, and roi where the thing does not fill it'
        )
    return query.examples[0]


def _radius90(instance: Instance) -> float:
    return Z90 * float(np.sqrt(np.linalg.eigvalsh(instance.covariance)[-1]))


def _interval(count: float, instances: tuple[Instance, ...]) -> tuple[float, float]:
    """Return a 90 % interval for the number of true places, each true with its confidence.

    It is widened to hold the number that was counted.
    """
    mean = sum(instance.confidence for instance in instances)
    deviation = np.sqrt(sum(i.confidence * (1.0 - i.confidence) for i in instances))
    low, high = mean - Z90 * float(deviation), mean + Z90 * float(deviation)
    return min(max(0.0, low), count), max(min(float(len(instances)), high), count)
