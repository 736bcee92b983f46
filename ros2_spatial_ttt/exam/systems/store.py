# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What all stores of detections share: they answer as the memory does, from instances."""

from __future__ import annotations

from abc import ABC, abstractmethod

from numpy.typing import NDArray

from ros2_spatial_ttt.errors import BadRequest
from ros2_spatial_ttt.exam.systems import clustering
from ros2_spatial_ttt.exam.systems.clustering import Votes
from ros2_spatial_ttt.exam.systems.glimpse import Glimpse, LabelTable
from ros2_spatial_ttt.exam.systems.space import Space, floor_area, observed_share
from ros2_spatial_ttt.query import relations
from ros2_spatial_ttt.query.describe import lattice
from ros2_spatial_ttt.query.usual import Usual
from ros2_spatial_ttt.types import (
    Answer,
    Instance,
    Percept,
    Query,
    QueryType,
    Region,
    ResultCode,
)

__all__ = ['DetectionStore', 'refusal']

# Of a region that must have been observed; part of it may be inside of walls or below the floor.
SEEN_SHARE = 0.3
_IDS_PER_LABEL = 10_000
_RELATIONS = (
    QueryType.LOCATE,
    QueryType.COUNT,
    QueryType.DISTANCE,
    QueryType.DIRECTION,
    QueryType.SIZE,
    QueryType.ORDER,
    QueryType.EXISTS,
    QueryType.NEAREST,
    QueryType.ROOM_SIZE,
)


def refusal(message: str) -> Answer:
    """Return the answer of a system that cannot answer such a question."""
    return Answer(code=ResultCode.BAD_REQUEST, message=message)


class DetectionStore(ABC):
    """A system that keeps detections with names and what space it saw.

    Subclasses keep what they want in ``_keep`` and give it back by ``_votes`` and ``_space``.

    Args:
        labels: names that things can have.
    """

    name = ''
    found_threshold = 0.5

    def __init__(self, labels: tuple[str, ...]) -> None:
        self._labels = LabelTable(labels)
        self._empty = True
        self._known: dict[int, list[Instance]] = {}

    def observe(self, percept: Percept) -> None:
        """Take in one frame; frames come in order of time."""
        self._empty = False
        self._known.clear()
        self._keep(Glimpse.of(percept, self._labels))

    def query(self, query: Query) -> Answer:
        """Answer one structured question; what cannot be answered is BAD_REQUEST."""
        if query.type not in _RELATIONS:
            return refusal(f'{self.name} does not answer {query.type.name}')
        try:
            return relations.answer(self, query)
        except BadRequest as error:
            return refusal(str(error))

    def instances(self, term: str, query: Query) -> list[Instance]:
        """Return all instances of a name within the query's region and time, surest first.

        Raises:
            BadRequest: the name is unknown.
        """
        number = self._labels.number(term)
        if self._empty:
            return []
        if number not in self._known:
            votes = self._votes(number)
            found, scatter = clustering.things(votes)
            self._known[number] = clustering.instances(
                self._judged(votes, found),
                scatter,
                label=term,
                first_id=number * _IDS_PER_LABEL,
            )
        return [instance for instance in self._known[number] if _asked(instance, query)]

    def usual(self, term: str) -> Usual | None:
        """Return None: a store knows what it was shown, not what things usually are."""
        return None

    def unseen(self, query: Query) -> str:
        """Return why the asked part of the world counts as never observed, or ''."""
        if self._empty:
            return 'nothing was observed yet'
        if query.region is None:
            return ''
        share = observed_share(self._space(), lattice(query.region))
        return f'only {share:.0%} of the region was ever observed' if share < SEEN_SHARE else ''

    def floor_area(self, query: Query) -> tuple[float, float, float]:
        """Return the floor area seen within the query's region, m², with its 90 % interval."""
        if self._empty:
            return 0.0, 0.0, 0.0
        return floor_area(self._space(), query.region)

    @property
    @abstractmethod
    def stored_bytes(self) -> int:
        """Bytes of what answers are made from."""

    @property
    def budget_bytes(self) -> int:
        """Most bytes it may ever hold; 0 = it grows."""
        return 0

    @abstractmethod
    def _keep(self, glimpse: Glimpse) -> None:
        """Take in one frame."""

    @abstractmethod
    def _votes(self, label: int) -> Votes:
        """Return what is kept of a label."""

    @abstractmethod
    def _judged(self, votes: Votes, found: Votes) -> Votes:
        """Return things with the hits and misses of the newest looks at them."""

    @abstractmethod
    def _space(self) -> Space:
        """Return the observed space."""


def _asked(instance: Instance, query: Query) -> bool:
    if query.region is not None and not _inside(query.region, instance.position):
        return False
    if query.since_ns and instance.last_seen_ns < query.since_ns:
        return False
    return not query.until_ns or instance.first_seen_ns <= query.until_ns


def _inside(region: Region, point: NDArray) -> bool:
    return bool(region.contains(point[None])[0])
