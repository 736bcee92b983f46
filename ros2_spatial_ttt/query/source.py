# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""One state of the memory as a source of things: by name, picture, point or '#ID'."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain

import cv2
import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.config import MemoryConfig
from ros2_spatial_ttt.errors import BadRequest
from ros2_spatial_ttt.memory.reader import Beliefs, FieldPoints, Likeness, Reader
from ros2_spatial_ttt.memory.state import MemoryState
from ros2_spatial_ttt.memory.votes import PRESENT
from ros2_spatial_ttt.query import describe
from ros2_spatial_ttt.query.confirm import (
    LOOKALIKES,
    PROPOSALS,
    Finding,
    Weighing,
    matched,
    proposed_views,
    weighed,
)
from ros2_spatial_ttt.query.inventory import all_things, holds
from ros2_spatial_ttt.query.names import Named, Reading, named_things, singular
from ros2_spatial_ttt.query.objects import ObjectRegistry
from ros2_spatial_ttt.query.search import Peak, example_windows, middle_cut, peaks
from ros2_spatial_ttt.query.things import AT_POINT, LIKE_POINT
from ros2_spatial_ttt.query.usual import Usual
from ros2_spatial_ttt.runtime.base import Runtime
from ros2_spatial_ttt.types import Example, Instance, Query, QueryType, Region

__all__ = ['MOST_RESULTS', 'MemorySource']

MOST_RESULTS = 1000
# Answers beyond this many carry no picture: they cost milliseconds each.
_MOST_PICTURES = 3
# Surfaces within this reach of a point are at it, m.
_AT_M = 0.25
# Floor: cells of this edge with a surface between these heights; small gaps are closed.
_FLOOR_CELL_M, _FLOOR_BETWEEN_M, _FLOOR_REACH = 0.2, (-0.2, 1.8), 2
# Share of what is within the outer walls that inner walls take (simulated homes for training).
_WALLS = 0.04


class MemorySource:
    """A ``ThingSource`` (query/things.py) on one immutable state; ``names`` are those it knows.

    Args:
        config: thresholds and names.
        runtime: embeds example pictures.
        reader: reads the fast weights.
        reading: from scores of names to confidence.
        objects: names what is found.
        state: to be asked.
    """

    def __init__(
        self,
        config: MemoryConfig,
        runtime: Runtime,
        reader: Reader,
        reading: Reading,
        objects: ObjectRegistry,
        state: MemoryState,
    ) -> None:
        self.found_threshold = config.read.found_threshold
        self._config = config
        self._runtime = runtime
        self._reader = reader
        self._reading = reading
        self._objects = objects
        self._state = state
        self._weighing = Weighing.from_manifest(runtime.manifest)
        self.names = config.votes.names or runtime.manifest.labels

    def instances(self, term: str, query: Query) -> list[Instance]:
        """See ``ThingSource.instances``."""
        if term.startswith('#'):
            return [self._objects.get(term)]
        if term == AT_POINT:
            return self.things(query)
        if term == LIKE_POINT:
            return self._like_point(query)
        if term.startswith('@'):
            return self._like(query.examples[int(term[1:])], query)
        return self._named(term, query)

    def things(self, query: Query) -> list[Instance]:
        """Return the sure things of all names within a question's limits, surest first.

        At a point the smallest is first: what stands in a shelf is meant before the shelf.
        """
        beliefs = self._reader.beliefs(self._state)
        if beliefs is None or not self.names:
            return []
        found = all_things(
            beliefs,
            scale=self._certain(beliefs),
            reading=self._reading,
            least=self.found_threshold,
        )
        within = [(self.names[label], thing) for label, thing in found if _asked(thing, query)]
        if query.region is not None and query.region.is_point:
            within.sort(key=lambda pair: float(np.prod(pair[1].peak.size)))
        return self._made(within[:MOST_RESULTS])

    def there(self, point: NDArray[np.float64]) -> list[Instance]:
        """Return the sure things whose box holds a point (3,) m, smallest first."""
        x, y, z = point.tolist()
        return self.things(Query(QueryType.LOCATE, region=Region((x, y, z), (x, y, z))))

    def usual(self, term: str) -> Usual | None:
        """See ``ThingSource.usual``."""
        name, known = singular(term, self.names), self._reading.usual
        return known[self.names.index(name)] if known and name is not None else None

    def unseen(self, query: Query) -> str:
        """Return why the asked part of the world counts as never observed, or ''."""
        if not self._state.tiles:
            return 'nothing was observed yet; drive around with the cameras on'
        if query.region is None:
            return ''
        points = self._reader.at(self._state, describe.lattice(query.region))
        share = float((points.observed > self._config.read.observed_threshold).mean())
        if share < 0.5:
            return f'only {share:.0%} of the region was ever observed; go and look there'
        return ''

    def floor_area(self, query: Query) -> tuple[float, float, float]:
        """Return the observed floor area within the region, m², with its 90 % interval.

        What stands somewhere stands on floor, so any surface up to a man's height counts.
        """
        everywhere = replace(query, region=None)
        points = self.surfaces(everywhere).points
        low, high = _FLOOR_BETWEEN_M
        points = points[(points[:, 2] > low) & (points[:, 2] < high), :2]
        floor, corner = _covered(points)
        # The outer cells are half wall.
        inner = cv2.erode(floor, np.ones((3, 3), np.uint8))
        share = (floor.astype(float) + inner) / 2.0
        if query.region is not None:
            share = share * _inside(share.shape, corner, query.region)
        area = (1.0 - _WALLS) * float(share.sum()) * _FLOOR_CELL_M**2
        border = float((share * (floor - inner)).sum()) * _FLOOR_CELL_M**2
        slack = border + 0.05 * area
        return area, max(0.0, area - slack), area + slack

    def surfaces(self, query: Query) -> FieldPoints:
        """Return the places that are surfaces within the region and time of a question."""
        places = self._reader.places(self._state)
        return places.kept(self._chosen(places, query))

    def is_surface(self, points: FieldPoints) -> NDArray[np.bool_]:
        """Return which points are observed and occupied, (n,)."""
        read = self._config.read
        observed = points.observed > read.observed_threshold
        return observed & (points.occupied > read.occupied_threshold * points.observed)

    def instance(self, peak: Peak, confidence: float, *, label: str, pictured: bool) -> Instance:
        """Return a named object at a peak, with a picture of it where a keyframe shows it."""
        view = None
        if pictured:
            grid = self._runtime.manifest.grid
            view = self._state.evidence.best_view(peak.position, grid)
        return self._objects.remember(
            Instance(
                id=self._objects.next_id(),
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
        )

    def needs_names(self, what: str) -> str:
        """Return the refusal of what a memory without names cannot do."""
        name = self._runtime.manifest.name
        return (
            f'{what} a model that knows names, and {name!r} knows none; ask LOCATE, EXISTS, '
            'NEAREST, DISTANCE or ORDER with example images, or DESCRIBE a region'
        )

    def _named(self, word: str, query: Query) -> list[Instance]:
        name = singular(word, self.names)
        if name is None:
            if not self.names:
                raise BadRequest(self.needs_names(f'label {word!r} needs'))
            raise BadRequest(
                f'label {word!r} is unknown; this memory knows {", ".join(self.names)}'
            )
        beliefs = self._reader.beliefs(self._state)
        if beliefs is None:
            return []
        found = named_things(
            beliefs,
            self.names.index(name),
            scale=self._certain(beliefs),
            reading=self._reading,
        )
        return self._made((name, thing) for thing in found if _asked(thing, query))

    def _made(self, found: Iterable[tuple[str, Named]]) -> list[Instance]:
        """Return things with their names as objects."""
        out: list[Instance] = []
        for name, thing in found:
            pictured = len(out) < _MOST_PICTURES
            made = self.instance(thing.peak, thing.confidence, label=name, pictured=pictured)
            own = replace(made, yaw=thing.yaw, size_error=thing.size_error)
            out.append(self._objects.remember(own))
        return out

    def _certain(self, beliefs: Beliefs) -> float:
        """Return the read score that stands for certainty: 1 where the rule is a regression."""
        if self._config.votes.rule in ('curvature', 'gd'):
            return 1.0
        present = beliefs.values[:, PRESENT]
        return max(float(np.percentile(present, 90)), 1e-9) if len(present) else 1.0

    def findings(self, example: Example, query: Query) -> list[Finding]:
        """Return the places that may be an example's within a question's limits, surest first."""
        state = self._state
        windows = example_windows(example, self._runtime.manifest, state.camera_width)
        places = self._reader.places(state)
        chosen = self._chosen(places, query)
        if not chosen.any():
            return []
        confirm = self._config.read.confirm and bool(state.evidence.keyframes)
        likeness = self._reader.likeness(state, self._runtime.embed(windows)).kept(chosen)
        places = places.kept(chosen)
        found = peaks(
            places,
            likeness.score,
            separation_m=self._config.read.separation_m,
            # Matches take the place of the proposals around them.
            most=_most(query) + 2 * PROPOSALS if confirm else _most(query),
        )
        if confirm:
            return self._confirmed(example, query, found, places, likeness)
        return [Finding(peak, self._weighing.of_field(peak.score)) for peak in found]

    def _like(self, example: Example, query: Query) -> list[Instance]:
        out: list[Instance] = []
        for found in self.findings(example, query)[: _most(query)]:
            pictured = len(out) < _MOST_PICTURES
            made = self.instance(found.peak, found.confidence, label='', pictured=pictured)
            out.append(self._objects.remember(replace(made, confirmed=found.confirmed)))
        return out

    def _like_point(self, query: Query) -> list[Instance]:
        """Return the places anywhere that look like the surface at the point of a question."""
        here = self.surfaces(query).points.astype(np.float64)
        if query.region is None or not len(here):
            return []
        apart = np.linalg.norm(here - np.asarray(query.region.minimum), axis=1)
        looks = self._reader.looks(self._state, here[int(apart.argmin())])
        if not len(looks):
            return []
        places = self._reader.places(self._state)
        chosen = self._chosen(places, replace(query, region=None))
        found = peaks(
            places.kept(chosen),
            self._reader.likeness(self._state, looks).kept(chosen).score,
            separation_m=self._config.read.separation_m,
            most=_most(query),
        )
        return [
            self.instance(
                peak,
                Finding(peak, self._weighing.of_field(peak.score)).confidence,
                label='',
                pictured=number < _MOST_PICTURES,
            )
            for number, peak in enumerate(found)
        ]

    def _confirmed(
        self,
        example: Example,
        query: Query,
        proposals: list[Peak],
        places: FieldPoints,
        likeness: Likeness,
    ) -> list[Finding]:
        """Return what the keyframes leave of the field's proposals, and what they add."""
        state, manifest = self._state, self._runtime.manifest
        cut = middle_cut(example, manifest, state.camera_width)
        embedding = self._runtime.embed(cut.window[None])
        views = proposed_views(state.evidence, proposals, places, likeness, manifest.grid)
        guesses = self._reader.lookalikes(state, embedding[0], most=LOOKALIKES)
        asked = state.lens.through(embedding)[0]

        def looks(windows: NDArray[np.uint8]) -> NDArray[np.float32]:
            return state.lens.through(self._runtime.embed(windows)) @ asked

        matches = matched(cut, [*chain(*views), *guesses], manifest.grid, looks)
        if query.region is not None:
            region = query.region
            matches = [match for match in matches if _reached(region, match.point[None])[0]]
        return weighed(
            proposals,
            views,
            matches,
            places,
            likeness,
            separation_m=self._config.read.separation_m,
            weighing=self._weighing,
        )

    def _chosen(self, places: FieldPoints, query: Query) -> NDArray[np.bool_]:
        keep = self.is_surface(places)
        if query.region is not None:
            keep &= _reached(query.region, places.points)
        if query.since_ns:
            keep &= places.last_seen_ns >= query.since_ns
        if query.until_ns:
            keep &= places.first_seen_ns <= query.until_ns
        return keep


def _asked(thing: Named, query: Query) -> bool:
    """Return whether a thing lies within the region and the time of a question.

    It lies in a box where its centre does, and at a point where its own box holds that.
    """
    peak, region = thing.peak, query.region
    if query.since_ns and peak.last_seen_ns < query.since_ns:
        return False
    if query.until_ns and peak.first_seen_ns > query.until_ns:
        return False
    if region is not None and region.is_point:
        point = np.asarray(region.minimum, np.float64)
        return holds(peak.position, peak.covariance, peak.size, thing.yaw, point)
    return region is None or bool(region.contains(peak.position[None])[0])


def _reached(region: Region, points: NDArray) -> NDArray[np.bool_]:
    """Return which surface points (n, 3) a region holds, or are at the point that it is, (n,)."""
    if not region.is_point:
        return region.contains(points)
    return np.asarray(np.linalg.norm(points - np.asarray(region.minimum), axis=1) <= _AT_M)


def _most(query: Query) -> int:
    return min(query.max_results or 10, MOST_RESULTS)


def _covered(points: NDArray) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return a plan (nx, ny) of the cells that points (n, 2) m cover, gaps closed, and its corner.

    Holes in it are filled: what nobody can see into is furniture.
    """
    cells = np.floor(points / _FLOOR_CELL_M).astype(np.int64)
    margin = 2 * _FLOOR_REACH
    if not len(cells):
        return np.zeros((1, 1), np.uint8), np.zeros(2, np.int64)
    corner = cells.min(axis=0) - margin
    plan = np.zeros(cells.max(axis=0) - corner + 1 + margin, np.uint8)
    plan[tuple((cells - corner).T)] = 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _FLOOR_REACH + 1,) * 2)
    closed = cv2.morphologyEx(plan, cv2.MORPH_CLOSE, disc)
    contours, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros_like(closed)
    cv2.drawContours(filled, contours, -1, 1, cv2.FILLED)
    return np.asarray(filled, np.uint8), corner


def _inside(shape: tuple[int, ...], corner: NDArray, region: Region) -> NDArray[np.float64]:
    """Return the share of each cell of a plan that lies in a region, (nx, ny)."""
    shares = []
    for axis in (0, 1):
        begin = (np.arange(shape[axis]) + corner[axis]) * _FLOOR_CELL_M
        low, high = region.minimum[axis], region.maximum[axis]
        covered = np.minimum(begin + _FLOOR_CELL_M, high) - np.maximum(begin, low)
        shares.append(np.clip(covered / _FLOOR_CELL_M, 0.0, 1.0))
    return np.outer(*shares)
