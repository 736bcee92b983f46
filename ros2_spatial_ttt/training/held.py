# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What the memory of a watched home holds under which name, and what of that is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.config import MemoryConfig
from ros2_spatial_ttt.exam import metrics
from ros2_spatial_ttt.exam.asking.evidence import Known
from ros2_spatial_ttt.memory.detect import Detector
from ros2_spatial_ttt.memory.pipeline import SpatialMemory
from ros2_spatial_ttt.memory.reader import Beliefs, Reader
from ros2_spatial_ttt.memory.votes import vote_frequencies
from ros2_spatial_ttt.query.intervals import Z90
from ros2_spatial_ttt.query.names import Named, Reading, things_by_name
from ros2_spatial_ttt.sim.world import Thing
from ros2_spatial_ttt.training.watching import FOUND_M, Watched

__all__ = ['APART_M', 'Held', 'compare', 'edges_of', 'joined', 'remembered']

# Distances that two things of a name may be asked to be apart, m.
APART_M = (0.25, 0.3, 0.4, 0.5)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Held:
    """n things that the memory of a home holds at one time or another, however unsure.

    Attributes:
        label: (n,) number of its name. features: (n, 4) of ``score_features``.
        hit: (n,) whether there is such a thing.
        error: (n, 3) m to it, NaN where there is none. edge: (n,) m, longest that was read.
        measured, size: (n, 3) m as it was read, and of the thing (NaN where there is none): longer
            and shorter horizontal edge, height.
        group: (n,) number of the question "which of that name are there now?".
        asked: (groups,) how many there are. named: (groups,) number of the name.
    """

    label: NDArray[np.int64]
    features: Array
    hit: NDArray[np.bool_]
    error: Array
    edge: Array
    measured: Array
    size: Array
    group: NDArray[np.int64]
    asked: NDArray[np.int64]
    named: NDArray[np.int64]

    def confidence(self, reading: Reading) -> Array:
        """Return the confidence (n,) by a reading."""
        return reading.confidence(self.label, self.features)

    def inside(self, reading: Reading) -> NDArray[np.bool_]:
        """Return which coordinates (n, 3) of things lie in their 90 % intervals."""
        suited = (reading.suited(share) for share in self.features[:, 3])
        of_each = [own.deviation(edge) for own, edge in zip(suited, self.edge, strict=True)]
        deviation = np.array(of_each).reshape(-1, 1)
        return np.asarray(np.abs(self.error) <= Z90 * deviation)


def joined(parts: Sequence[Held]) -> Held:
    """Return what several homes hold."""
    first = np.cumsum([0, *(len(part.asked) for part in parts[:-1])])
    moved = [replace(p, group=p.group + begin) for p, begin in zip(parts, first, strict=True)]
    names = vars(parts[0])
    return Held(**{name: np.concatenate([getattr(p, name) for p in moved]) for name in names})


def remembered(job: tuple[Path, Watched, Detector]) -> tuple[Held, ...]:
    """Return what the memory holds after each minute of a home, read with each of ``APART_M``."""
    folder, home, detector = job
    memory = SpatialMemory(MemoryConfig(model=str(folder), threads=1))
    labels, votes = memory.manifest.labels, memory.config.votes
    reader = Reader(memory.runtime, memory.grid, vote_frequencies(votes.features, votes.scale_m))
    beliefs: list[Beliefs | None] = []

    def until(stamp_ns: float) -> None:
        while len(beliefs) < len(home.known) and home.known[len(beliefs)].ask_ns < stamp_ns:
            memory.flush()
            beliefs.append(reader.beliefs(memory.state))

    for percept in home.percepts(detector, labels):
        until(percept.stamp_ns)
        memory.feed_percept(percept)
    until(np.inf)
    pairs = list(zip(beliefs, home.known, strict=True))
    return tuple(compare(pairs, labels, Reading(apart_m=apart)) for apart in APART_M)


def compare(
    pairs: Sequence[tuple[Beliefs | None, Known]], labels: Sequence[str], reading: Reading
) -> Held:
    """Return what is believed at several times, with the truth that was known by then."""
    rows: list[tuple[Any, ...]] = []
    asked: list[tuple[int, int]] = []
    for beliefs, known in pairs:
        found = things_by_name(beliefs, reading) if beliefs is not None else {}
        for number, name in enumerate(labels):
            things = known.by_category.get(name, [])
            if name in known.vague or (not things and name in known.glimpsed):
                continue
            compared = _compared(found.get(number, []), things)
            rows += [(number, *row, len(asked)) for row in compared]
            asked.append((len(things), number))
    columns = zip(*rows, strict=True) if rows else [()] * 8
    label, features, hit, error, edge, measured, size, group = columns
    how_many, named = np.array(asked, np.int64).reshape(-1, 2).T
    return Held(
        label=np.array(label, np.int64),
        features=np.array(features, np.float64).reshape(-1, 4),
        hit=np.array(hit, bool),
        error=np.array(error, np.float64).reshape(-1, 3),
        edge=np.array(edge, np.float64),
        measured=np.array(measured, np.float64).reshape(-1, 3),
        size=np.array(size, np.float64).reshape(-1, 3),
        group=np.array(group, np.int64),
        asked=how_many,
        named=named,
    )


def _compared(found: Sequence[Named], things: Sequence[Thing]) -> list[tuple[Any, ...]]:
    """Return features, hit, error, edge, measured and true size of each thing found."""
    centres = np.array([thing.centre for thing in things]).reshape(-1, 3)
    places = np.array([one.peak.position for one in found]).reshape(-1, 3)
    near = dict(zip(*metrics.match(places, centres, FOUND_M), strict=True))
    rows: list[tuple[Any, ...]] = []
    for row, one in enumerate(found):
        edge = float(one.measured.max())
        error = places[row] - centres[near[row]] if row in near else np.full(3, np.nan)
        size = edges_of(things[near[row]]) if row in near else (np.nan,) * 3
        rows.append((one.features, row in near, error, edge, one.measured, size))
    return rows


def edges_of(thing: Thing) -> tuple[float, float, float]:
    """Return the longer and the shorter horizontal edge and the height of a thing, m."""
    x, y, z = thing.size
    return max(x, y), min(x, y), z
