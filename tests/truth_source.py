# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""An examinee that knows the truth: whatever a question asks, it must be able to answer."""

from __future__ import annotations

import numpy as np

from ros2_spatial_ttt.exam.asking.evidence import Evidence, Known
from ros2_spatial_ttt.exam.asking.rooms import polygon_area
from ros2_spatial_ttt.query.relations import answer
from ros2_spatial_ttt.sim.world import CATEGORIES, Thing
from ros2_spatial_ttt.types import Answer, Instance, Query


class TruthSource:
    """A ``ThingSource`` made of what a stream had shown by a time, without error."""

    found_threshold = 0.5

    def __init__(self, evidence: Evidence, ask_ns: int) -> None:
        self._evidence = evidence
        self._known: Known = evidence.at(ask_ns)

    def ask(self, query: Query) -> Answer:
        return answer(self, query)

    def instances(self, term: str, query: Query) -> list[Instance]:
        assert term in CATEGORIES
        found = [self._instance(p.thing) for p in self._known.places if p.thing.category == term]
        until = query.until_ns or self._known.ask_ns
        return [
            i
            for i in found
            if i.first_seen_ns <= until
            and (query.region is None or query.region.contains(i.position[None])[0])
        ]

    def usual(self, term: str) -> None:
        pass

    def unseen(self, query: Query) -> str:
        if query.region is None:
            return ''
        low, high = np.array([query.region.minimum, query.region.maximum])
        share = np.random.default_rng(0).uniform(0.1, 0.9, (40, 3))
        seen = self._evidence.view.seen_at(low + share * (high - low), most_m=20.0)
        return '' if np.any(seen <= self._known.ask_ns) else 'nobody looked there'

    def floor_area(self, query: Query) -> tuple[float, float, float]:
        area = 0.0
        for room in self._evidence.home.rooms:
            corners = np.c_[np.array(room.polygon), np.full(len(room.polygon), 1.0)]
            seen = self._evidence.view.seen_at(0.3 * corners + 0.7 * corners.mean(axis=0))
            if not np.any(seen <= self._known.ask_ns):
                continue
            if query.region is None:
                area += polygon_area(room.polygon)
                continue
            low, high = corners.min(axis=0)[:2], corners.max(axis=0)[:2]
            sides = np.minimum(high, query.region.maximum[:2]) - np.maximum(
                low, query.region.minimum[:2]
            )
            area += float(np.prod(np.maximum(sides, 0.0)))
        return area, area, area

    def _instance(self, thing: Thing) -> Instance:
        return Instance(
            id=thing.id,
            label=thing.category,
            position=np.array(thing.centre),
            covariance=np.zeros((3, 3)),
            size=np.array(thing.size),
            confidence=1.0,
            first_seen_ns=self._known.first_ns[thing.id],
            last_seen_ns=self._known.last_ns[thing.id],
            observations=1,
            yaw=thing.yaw,
        )
