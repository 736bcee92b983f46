# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""From a name to the things of that name: peaks of the vote field, and what was said in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.memory.reader import Beliefs
from ros2_spatial_ttt.memory.votes import NAMES, PRESENT, SIZE, TURN
from ros2_spatial_ttt.query.search import Peak

__all__ = ['Named', 'Reading', 'named_things', 'score_features', 'singular', 'things_by_name']

# Scores below this are no candidates: a name reads as its mean worth, and looks are often poor.
LEAST = 0.03
# Things of one name do not stand in each other, and a place of another name with a box of that
# shape is the same thing mistaken: in shares of the edges of a box.
_SAME, _OTHER = 1.0, 0.5
_SHAPE = 0.5  # mean difference of log sizes up to which two boxes have the same shape
# Places within this share of a thing's longer edge, or so near, tell where it is.
_SUPPORT, _SUPPORT_M = 0.4, 0.35
# Scores are kept this far from 0 and 1; smaller things than this are read as of this edge.
_SURE, _LEAST_EDGE_M = 0.02, 0.05
# Votes beyond this many make a place no surer.
_MOST_COUNT = 16
_PREFIX, _NAME = 'read.', 'read.name.'


@dataclass(frozen=True)
class Reading:
    """From what is read to confidence and to standard deviations; fitted to a perception.

    Attributes:
        bias, score, edge, names: the log-odds that a thing is there are bias + score times the
            log-odds of its read score + edge times the logarithm of its longest edge in m + what
            its name adds, by its number; () = nothing.
        apart_m: two things are at least so far apart.
        error_m, error_share: standard deviation of a centre per axis: m, and share of that edge.
    """

    bias: float = 1.7
    score: float = 5.0
    edge: float = 0.0
    apart_m: float = 0.3
    error_m: float = 0.025
    error_share: float = 0.0
    names: tuple[float, ...] = ()

    @staticmethod
    def from_manifest(values: Mapping[str, float], labels: Sequence[str] = ()) -> Reading:
        """Return the reading of ``Manifest.detector``; what is not there keeps its default."""
        plain = {name: values[_PREFIX + name] for name in _PLAIN if _PREFIX + name in values}
        names = tuple(values.get(f'{_NAME}{label}', 0.0) for label in labels)
        return Reading(**plain, names=names)

    def to_manifest(self, labels: Sequence[str] = ()) -> dict[str, float]:
        """Return the numbers as ``Manifest.detector`` holds them."""
        plain = {f'{_PREFIX}{name}': float(getattr(self, name)) for name in _PLAIN}
        names = zip(labels, self.names, strict=False)
        return plain | {f'{_NAME}{label}': float(value) for label, value in names}

    def confidence(self, label: Any, features: NDArray[Any]) -> NDArray[np.float64]:
        """Return how likely things (n,) of these names and ``score_features`` (n, 2) are there."""
        logit = self.bias + features @ np.array([self.score, self.edge])
        if self.names:
            logit = logit + np.asarray(self.names)[label]
        return np.asarray(1.0 / (1.0 + np.exp(-logit)))

    def deviation(self, edge: float) -> float:
        """Return the standard deviation of the centre of a thing of this edge, m per axis."""
        return float(np.hypot(self.error_m, self.error_share * edge))


_PLAIN = tuple(f.name for f in fields(Reading) if f.name != 'names')


def score_features(score: float, edge: float) -> tuple[float, float]:
    """Return the log-odds of a read score and the logarithm of an edge in m."""
    sure = min(max(score, _SURE), 1.0 - _SURE)
    return float(np.log(sure / (1.0 - sure))), float(np.log(max(edge, _LEAST_EDGE_M)))


@dataclass(frozen=True)
class Named:
    """A thing of a name: its place and score, its orientation (rad) and confidence 0..1."""

    peak: Peak
    yaw: float
    confidence: float


def singular(word: str, names: tuple[str, ...]) -> str | None:
    """Return the name that a word means: itself, in the plural or in capitals; None = unknown."""
    word = ' '.join(word.lower().split())
    endings = (('', ''), ('s', ''), ('es', ''), ('ves', 'f'), ('ies', 'y'))
    for ending, instead in endings:
        if word.endswith(ending):
            stem = word[: len(word) - len(ending)] + instead
            if stem in names:
                return stem
    return None


def named_things(
    beliefs: Beliefs, label: int, *, scale: float = 1.0, reading: Reading | None = None
) -> list[Named]:
    """Return the things of a name, surest first.

    Args:
        beliefs: what the vote field says at its places.
        label: number of the name.
        scale: read score that stands for certainty.
        reading: of scores; None = the default.
    """
    places, reading = _Places.of(beliefs, scale), reading or Reading()
    return [
        _named(beliefs, places, support, top, reading)
        for top, support in _things(places, reading.apart_m)
        if places.label[top] == label
    ]


def things_by_name(beliefs: Beliefs, reading: Reading) -> dict[int, list[Named]]:
    """Return the things of every name that has any, by its number."""
    places = _Places.of(beliefs, 1.0)
    out: dict[int, list[Named]] = {}
    for top, support in _things(places, reading.apart_m):
        thing = _named(beliefs, places, support, top, reading)
        out.setdefault(int(places.label[top]), []).append(thing)
    return out


@dataclass(frozen=True)
class _Places:
    """What n places of a field say; the name that a place says loudest is what it speaks for.

    Attributes:
        points: (n, 3) m. label: (n,). score: (n,) of that name. size: (n, 3) m. yaw: (n,).
        weight: (n,) of a place where things are averaged.
    """

    points: NDArray[np.float64]
    label: NDArray[np.int64]
    score: NDArray[np.float64]
    size: NDArray[np.float64]
    yaw: NDArray[np.float64]
    weight: NDArray[np.float64]

    @staticmethod
    def of(beliefs: Beliefs, scale: float) -> _Places:
        """Return what is believed at each place."""
        names, present = beliefs.values[:, NAMES], beliefs.values[:, PRESENT]
        label = names.argmax(axis=1)
        score = names[np.arange(len(names)), label] / scale
        cos, sin = beliefs.values[:, TURN].T
        return _Places(
            points=beliefs.points,
            label=label,
            score=score,
            size=np.maximum(beliefs.values[:, SIZE] / np.maximum(present, 1e-3)[:, None], 0.02),
            yaw=0.5 * np.arctan2(sin, cos),
            weight=np.maximum(score, 0.0) * np.minimum(beliefs.count, _MOST_COUNT),
        )


def _things(places: _Places, apart_m: float) -> list[tuple[int, NDArray[np.int64]]]:
    """Return for each thing its best place and all rows that tell where it is, surest first.

    The best place is a thing; places that can be no other thing are taken away; and so on.
    """
    rows = np.flatnonzero(places.score > LEAST)
    rows = rows[np.argsort(-places.score[rows], kind='stable')]
    log_size = np.log(places.size)
    out = []
    while len(rows):
        top = int(rows[0])
        apart = places.points[rows] - places.points[top]
        same = places.label[rows] == places.label[top]
        alike = np.abs(log_size[rows] - log_size[top]).mean(axis=1) < _SHAPE
        share = np.where(same, _SAME, np.where(alike, _OTHER, 0.0))
        near = np.linalg.norm(apart, axis=1)
        reach = max(_SUPPORT_M, _SUPPORT * float(places.size[top, 0]))
        out.append((top, rows[same & (near < reach)]))
        least = np.where(share > 0.0, apart_m, 1e-6)
        axes = np.maximum(share[:, None] * places.size[top], least[:, None])
        taken = _within(apart, axes, float(places.yaw[top]))
        taken[0] = True
        rows = rows[~taken]
    return out


def _within(
    apart: NDArray[np.float64], axes: NDArray[np.float64], yaw: float
) -> NDArray[np.bool_]:
    """Return which offsets (n, 3) lie in the ellipsoid of their semi-axes (n, 3)."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    along = apart[:, 0] * cos + apart[:, 1] * sin
    across = apart[:, 1] * cos - apart[:, 0] * sin
    local = np.stack([along, across, apart[:, 2]], axis=1)
    return np.asarray(((local / axes) ** 2).sum(axis=1) < 1.0)


def _named(
    beliefs: Beliefs,
    places: _Places,
    support: NDArray[np.int64],
    top: int,
    reading: Reading,
) -> Named:
    weight = places.weight[support] / places.weight[support].sum()
    points = beliefs.points[support]
    mean = weight @ points
    spread = points - mean
    votes = float(beliefs.count[support].sum())
    covariance = (spread * weight[:, None]).T @ spread / max(np.sqrt(votes), 1.0)
    value = weight @ beliefs.values[support]
    size = np.maximum(value[SIZE] / max(value[PRESENT], 1e-3), 0.0).astype(np.float64)
    edge = float(size.max())
    peak = Peak(
        position=mean,
        covariance=covariance + reading.deviation(edge) ** 2 * np.eye(3),
        size=size,
        score=float(places.score[top]),
        first_seen_ns=int(beliefs.first_seen_ns[support].min()),
        last_seen_ns=int(beliefs.last_seen_ns[support].max()),
        count=int(votes),
    )
    cos, sin = value[TURN]
    features = np.array(score_features(peak.score, edge))
    return Named(
        peak=peak,
        yaw=float(np.arctan2(sin, cos)) / 2.0,
        confidence=float(reading.confidence(places.label[top], features)),
    )
