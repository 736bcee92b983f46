# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""From a name to the things of that name: peaks of the vote field, and what was said in words.

What a place says loudest is a thing. Where another name is louder there may be a thing of this
name all the same, as names are mistaken for each other: such places are *guesses*, unsure things
for those who take for granted that there is one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.memory.reader import Beliefs
from ros2_spatial_ttt.memory.votes import GUESSED, NAMES, PRESENT, SIZE, TURN
from ros2_spatial_ttt.query.search import Peak
from ros2_spatial_ttt.query.usual import Usual, usual_constants, usual_of

__all__ = ['Named', 'Reading', 'named_things', 'score_features', 'singular', 'things_by_name']

# Scores below these are no things, and no guesses: a name reads as its mean worth, and looks are
# often poor. And how many guesses a name has at most.
LEAST, LEAST_GUESS = 0.03, 0.01
MOST_GUESSES = 3
# A thing so near to a surer one of its name is likely the same, seen from elsewhere.
_BESIDE_M = 0.8
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
# From this share of predicted depth on a thing counts as seen without depth.
_MOSTLY = 0.5
_PREFIX, _NAME, _APART = 'read.', 'read.name.', 'guessed.'


@dataclass(frozen=True)
class Reading:
    """From what is read to confidence and to standard deviations; fitted to a perception.

    Attributes:
        bias, score, edge, beside, names: the log-odds that a thing is there are bias + score times
            the log-odds of its read score + edge times the logarithm of its longest edge in m +
            beside times how near a surer thing of its name is, 0..1, + what its name adds, by its
            number; () = nothing.
        apart_m: two things are at least so far apart.
        error_m, error_share: standard deviation of a centre per axis: m, and share of that edge.
        size_error: standard deviation of the logarithm of a measured edge of what is there.
        size_stretch: by how much errors of sizes exceed what follows from that and the usual.
        usual: what things of each name usually are, by its number; () = not known.
        guessed: the same for things that were seen without depth, as predicted depth errs in other
            ways; None = the same numbers. Its ``apart_m`` and ``usual`` are not used.
    """

    bias: float = 1.7
    score: float = 5.0
    edge: float = 0.0
    beside: float = 0.0
    apart_m: float = 0.3
    error_m: float = 0.025
    error_share: float = 0.0
    size_error: float = 0.15
    size_stretch: float = 1.0
    names: tuple[float, ...] = ()
    usual: tuple[Usual, ...] = ()
    guessed: Reading | None = None

    @staticmethod
    def from_manifest(values: Mapping[str, float], labels: Sequence[str] = ()) -> Reading:
        """Return the reading of ``Manifest.detector``; what is not there keeps its default."""
        plain: dict[str, Any] = {
            name: values[_PREFIX + name] for name in _PLAIN if _PREFIX + name in values
        }
        names = tuple(values.get(f'{_NAME}{label}', 0.0) for label in labels)
        own = Reading(**plain, names=names, usual=usual_of(values, labels))
        apart = {k.removeprefix(_APART): v for k, v in values.items() if k.startswith(_APART)}
        if f'{_PREFIX}bias' not in apart:
            return own
        return own.with_guessed(Reading.from_manifest(apart, labels))

    def to_manifest(self, labels: Sequence[str] = ()) -> dict[str, float]:
        """Return the numbers as ``Manifest.detector`` holds them."""
        plain = {f'{_PREFIX}{name}': float(getattr(self, name)) for name in _PLAIN}
        names = zip(labels, self.names, strict=False)
        added = {f'{_NAME}{label}': float(value) for label, value in names}
        own = plain | added | usual_constants(self.usual, labels)
        if self.guessed is None:
            return own
        apart = replace(self.guessed, usual=()).to_manifest(labels)
        return own | {f'{_APART}{key}': value for key, value in apart.items()}

    def with_guessed(self, guessed: Reading) -> Reading:
        """Return this reading with another one for things that were seen without depth."""
        return replace(self, guessed=replace(guessed, apart_m=self.apart_m, usual=self.usual))

    def suited(self, guessed: float) -> Reading:
        """Return the reading for a thing of which this share was seen without depth."""
        return self.guessed if self.guessed is not None and guessed > _MOSTLY else self

    def confidence(self, label: Any, features: NDArray[Any]) -> NDArray[np.float64]:
        """Return how likely things (n,) of these names and ``score_features`` (n, 4) are there."""
        logit = self._log_odds(label, features)
        if self.guessed is not None:
            apart = features[..., 3] > _MOSTLY
            logit = np.where(apart, self.guessed._log_odds(label, features), logit)
        return np.asarray(1.0 / (1.0 + np.exp(-logit)))

    def _log_odds(self, label: Any, features: NDArray[Any]) -> NDArray[np.float64]:
        logit = self.bias + features[..., :3] @ np.array([self.score, self.edge, self.beside])
        return np.asarray(logit + np.asarray(self.names)[label] if self.names else logit)

    def weighed(
        self, label: int, measured: NDArray[np.float64], confidence: float
    ) -> tuple[NDArray[np.float64], float]:
        """Return the likely size (3,) m of a thing and its ``Instance.size_error``."""
        if not self.usual:
            return measured, 0.0
        usual = self.usual[label]
        size, error = usual.weighed(measured, confidence, error=self.size_error)
        return size, self.size_stretch * error

    def deviation(self, edge: float) -> float:
        """Return the standard deviation of the centre of a thing of this edge, m per axis."""
        return float(np.hypot(self.error_m, self.error_share * edge))


_PLAIN = tuple(f.name for f in fields(Reading) if f.name not in ('names', 'usual', 'guessed'))


def score_features(
    score: float, edge: float, surer_m: float, guessed: float
) -> tuple[float, float, float, float]:
    """Return the log-odds of a read score, the logarithm of an edge in m, a nearness and a share.

    Args:
        score: that was read.
        edge: longest, m.
        surer_m: distance to the nearest surer thing of the name; infinite where there is none.
        guessed: share of it that was seen without depth, 0..1.
    """
    sure = min(max(score, _SURE), 1.0 - _SURE)
    beside = np.exp(-((surer_m / _BESIDE_M) ** 2))
    logit = float(np.log(sure / (1.0 - sure)))
    return logit, float(np.log(max(edge, _LEAST_EDGE_M))), float(beside), guessed


@dataclass(frozen=True)
class Named:
    """A thing of a name: its place and score, its orientation (rad) and confidence 0..1.

    ``features`` are those of ``score_features``, ``measured`` (3,) m is the size that was read.
    With ``Reading.usual`` that of the peak is weighed against the usual one; ``size_error``: see
    ``Instance``.
    """

    peak: Peak
    yaw: float
    confidence: float
    features: tuple[float, float, float, float]
    measured: NDArray[np.float64]
    size_error: float = 0.0


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
    """Return the things of a name and guesses at more, surest first.

    Args:
        beliefs: what the vote field says at its places.
        label: number of the name.
        scale: read score that stands for certainty.
        reading: of scores; None = the default.
    """
    places, reading = _Places.of(beliefs, scale), reading or Reading()
    found = [seen for seen in _things(places, reading.apart_m) if places.label[seen.top] == label]
    return _of_name(beliefs, places, label, found, reading)


def things_by_name(
    beliefs: Beliefs, reading: Reading, *, scale: float = 1.0
) -> dict[int, list[Named]]:
    """Return the things of every name and guesses at more, by its number; see ``named_things``."""
    places = _Places.of(beliefs, scale)
    found: dict[int, list[_Seen]] = {label: [] for label in range(places.scores.shape[1])}
    for seen in _things(places, reading.apart_m):
        found[int(places.label[seen.top])].append(seen)
    return {label: _of_name(beliefs, places, label, own, reading) for label, own in found.items()}


class _Seen(NamedTuple):
    """The best place of a thing and all that tell where it is, as rows."""

    top: int
    support: NDArray[np.int64]


@dataclass(frozen=True)
class _Places:
    """What n places of a field say; the name that a place says loudest is what it speaks for.

    Attributes:
        points: (n, 3) m. scores: (n, K) of all names. label: (n,). score: (n,) of that name.
        size: (n, 3) m. yaw: (n,).
    """

    points: NDArray[np.float64]
    scores: NDArray[np.float64]
    label: NDArray[np.int64]
    score: NDArray[np.float64]
    size: NDArray[np.float64]
    yaw: NDArray[np.float64]

    @staticmethod
    def of(beliefs: Beliefs, scale: float) -> _Places:
        """Return what is believed at each place."""
        names, present = beliefs.values[:, NAMES], beliefs.values[:, PRESENT]
        scores = names / scale
        label = scores.argmax(axis=1)
        cos, sin = beliefs.values[:, TURN].T
        return _Places(
            points=beliefs.points,
            scores=scores,
            label=label,
            score=scores[np.arange(len(scores)), label],
            size=np.maximum(beliefs.values[:, SIZE] / np.maximum(present, 1e-3)[:, None], 0.02),
            yaw=0.5 * np.arctan2(sin, cos),
        )


def _things(places: _Places, apart_m: float) -> list[_Seen]:
    """Return all things, surest first.

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
        out.append(_Seen(top, rows[same & (near < reach)]))
        least = np.where(share > 0.0, apart_m, 1e-6)
        axes = np.maximum(share[:, None] * places.size[top], least[:, None])
        taken = _within(apart, axes, float(places.yaw[top]))
        taken[0] = True
        rows = rows[~taken]
    return out


def _guesses(places: _Places, label: int, found: Sequence[_Seen], apart_m: float) -> list[_Seen]:
    """Return the best places of a name where another one is louder, apart from its things."""
    score = places.scores[:, label]
    rows = np.flatnonzero((score > LEAST_GUESS) & (places.label != label))
    rows = rows[np.argsort(-score[rows], kind='stable')]
    for seen in found:
        apart = np.linalg.norm(places.points[rows] - places.points[seen.top], axis=1)
        rows = rows[apart > apart_m]
    out: list[_Seen] = []
    while len(rows) and len(out) < MOST_GUESSES:
        apart = np.linalg.norm(places.points[rows] - places.points[rows[0]], axis=1)
        out.append(_Seen(int(rows[0]), rows[apart <= apart_m]))
        rows = rows[apart > apart_m]
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


def _of_name(
    beliefs: Beliefs, places: _Places, label: int, found: Sequence[_Seen], reading: Reading
) -> list[Named]:
    """Return the things of a name that were found and guesses at more, surest first."""
    out: list[Named] = []
    for seen in [*found, *_guesses(places, label, found, reading.apart_m)]:
        peak, yaw, guessed = _peak(beliefs, places, label, seen, reading)
        surer_m = min((_apart(peak, other.peak) for other in out), default=np.inf)
        features = score_features(peak.score, float(peak.size.max()), surer_m, guessed)
        confidence = float(reading.confidence(label, np.array(features)))
        size, error = reading.suited(guessed).weighed(label, peak.size, confidence)
        own = replace(peak, size=size)
        out.append(Named(own, yaw, confidence, features, peak.size, error))
    return sorted(out, key=lambda thing: -thing.confidence)


def _apart(a: Peak, b: Peak) -> float:
    return float(np.linalg.norm(a.position - b.position))


def _peak(
    beliefs: Beliefs, places: _Places, label: int, seen: _Seen, reading: Reading
) -> tuple[Peak, float, float]:
    """Return a thing that its supporting places tell of, its yaw in rad, its share without depth.

    The share is that of what was detected whose depth was predicted, 0..1.
    """
    top, support = seen
    count = np.minimum(beliefs.count[support], _MOST_COUNT)
    weight = np.maximum(places.scores[support, label], 0.0) * count
    weight = weight / weight.sum()
    points = beliefs.points[support]
    mean = weight @ points
    spread = points - mean
    votes = float(beliefs.count[support].sum())
    covariance = (spread * weight[:, None]).T @ spread / max(np.sqrt(votes), 1.0)
    value = weight @ beliefs.values[support]
    present = max(float(value[PRESENT]), 1e-3)
    size = np.maximum(value[SIZE] / present, 0.0).astype(np.float64)
    guessed = min(max(float(value[GUESSED]) / present, 0.0), 1.0)
    deviation = reading.suited(guessed).deviation(float(size.max()))
    cos, sin = value[TURN]
    peak = Peak(
        position=mean,
        covariance=covariance + deviation**2 * np.eye(3),
        size=size,
        score=float(places.scores[top, label]),
        first_seen_ns=int(beliefs.first_seen_ns[support].min()),
        last_seen_ns=int(beliefs.last_seen_ns[support].max()),
        count=int(votes),
    )
    return peak, float(np.arctan2(sin, cos)) / 2.0, guessed
