# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Systems for exams on pixels: features without the field, and those that cannot answer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.exam.patch.baselines import NearestNeighbourStore
from ros2_spatial_ttt.exam.systems.eyes import Looks
from ros2_spatial_ttt.exam.systems.frames import Unlimited
from ros2_spatial_ttt.exam.systems.idle import Idle
from ros2_spatial_ttt.exam.systems.store import refusal
from ros2_spatial_ttt.runtime.base import Runtime
from ros2_spatial_ttt.types import (
    Answer,
    Example,
    Instance,
    Percept,
    Query,
    QueryType,
    ResultCode,
)

__all__ = ['Abstainer', 'NamesAndPictures', 'PictureStore']

POSITION_M = 0.1  # half a token of a thing two metres away


class PictureStore:
    """Our perception with an unlimited store: every sample's embedding and point is kept.

    It answers LOCATE and EXISTS with one example picture by its nearest neighbour and is always
    sure. It knows no names.

    Args:
        runtime: of the model under exam.
    """

    name = 'unlimited'

    def __init__(self, runtime: Runtime) -> None:
        self._store = NearestNeighbourStore(runtime)
        self._first_ns = self._last_ns = 0

    def observe_looks(self, looks: Looks) -> None:
        """Take in how the surfaces of a chunk look."""
        self._store.keep(looks.points, looks.embedding)
        self._first_ns = self._first_ns or looks.stamp_ns
        self._last_ns = looks.stamp_ns

    def query(self, query: Query) -> Answer:
        """Answer LOCATE or EXISTS of one example; everything else is BAD_REQUEST."""
        if query.type not in (QueryType.LOCATE, QueryType.EXISTS) or len(query.examples) != 1:
            return refusal(f'{self.name} answers LOCATE and EXISTS of one example picture only')
        place = self._store.locate(_cut_out(query.examples[0]))
        if place is None:
            return Answer(code=ResultCode.NEVER_OBSERVED, message='nothing was observed yet')
        return Answer(
            code=ResultCode.OK,
            instances=(self._instance(place),),
            value=1.0,
            unit='1',
            confidence=0.5,
        )

    @property
    def stored_bytes(self) -> int:
        """Bytes of embeddings and points."""
        return self._store.stored_bytes

    @property
    def budget_bytes(self) -> int:
        """0: it grows."""
        return 0

    def _instance(self, place: NDArray[np.float64]) -> Instance:
        return Instance(
            id=0,
            label='',
            position=place,
            covariance=np.eye(3) * POSITION_M**2,
            size=np.zeros(3),
            confidence=0.5,
            first_seen_ns=self._first_ns,
            last_seen_ns=self._last_ns,
            observations=1,
        )


class NamesAndPictures:
    """Our perception with an unlimited store: names by percepts, examples by pictures.

    Args:
        names: keeps all percepts. pictures: keeps all samples.
    """

    name = 'unlimited'

    def __init__(self, names: Unlimited, pictures: PictureStore) -> None:
        self._names, self._pictures = names, pictures

    def observe(self, percept: Percept) -> None:
        """Take in what the model saw in one frame."""
        self._names.observe(percept)

    def observe_looks(self, looks: Looks) -> None:
        """Take in how the surfaces of a chunk look."""
        self._pictures.observe_looks(looks)

    def query(self, query: Query) -> Answer:
        """Answer by whichever store knows what the question is about."""
        return (self._pictures if query.examples else self._names).query(query)

    @property
    def stored_bytes(self) -> int:
        """Bytes of both stores."""
        return self._names.stored_bytes + self._pictures.stored_bytes

    @property
    def budget_bytes(self) -> int:
        """0: it grows."""
        return 0


class Abstainer(Idle):
    """Stands for a system that needs named detections, where the model knows no names.

    Args:
        name: of that system.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def query(self, query: Query) -> Answer:
        """Say that it cannot answer."""
        return refusal(
            f'{self.name} needs named detections; examine with oracle or noisy perception, or '
            'with a model that knows names'
        )


def _cut_out(example: Example) -> NDArray[np.uint8]:
    if example.roi is None:
        return example.image
    x, y, width, height = example.roi
    return np.ascontiguousarray(example.image[y : y + height, x : x + width])
