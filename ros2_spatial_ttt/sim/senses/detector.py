# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A detector without pixels: what it misses, mistakes and makes up of the things in sight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.sim.catalogue import model
from ros2_spatial_ttt.sim.world import CATEGORIES, Thing

__all__ = ['NOISY', 'PERFECT', 'Detections', 'Detector', 'DetectorNoise', 'ordered_box']

Array = NDArray[np.float64]

_STREAM = 31
# Categories that are taken for each other; one without a group is taken for any other.
LOOKALIKES = (
    ('chair', 'armchair', 'stool', 'sofa'),
    ('table', 'desk', 'coffee table', 'nightstand'),
    ('wardrobe', 'cabinet', 'shelf', 'dresser', 'nightstand', 'door'),
    ('fridge', 'oven', 'washing machine', 'cabinet'),
    ('sink', 'toilet', 'bathtub'),
    ('tv', 'monitor', 'laptop', 'picture', 'mirror'),
    ('bin', 'box', 'basket', 'backpack'),
    ('bottle', 'vase', 'mug', 'lamp', 'plant'),
    ('book', 'laptop', 'box'),
    ('ball', 'vase', 'basket'),
    ('bed', 'sofa', 'bathtub'),
)
# How the score of a true thing falls with distance and with what hides it.
FAR_M, FAR_SCORE, HIDDEN_SCORE = 8.0, 0.45, 0.35
SCORE_SPREAD = 0.12
# How many true things are detected per frame and unit of the score, at these scores; counted on
# the train seeds 200 to 211, 2 Hz. It makes weights the chance that a detection is right.
SCORES = np.linspace(0.05, 0.95, 10)
TRUE_THINGS = np.array([0.001, 0.005, 0.05, 0.33, 1.15, 3.0, 5.7, 8.0, 6.2, 2.6])
# Mistakes last: a view of about this long has the same ones.
LASTS_S = 1.0
SHAPES = 12


@dataclass(frozen=True)
class DetectorNoise:
    """How much a detector errs; 0 everywhere is a perfect one.

    Attributes:
        miss: share of the things in sight that it overlooks when near and whole; the share grows
            to ``miss_far`` for far or nearly hidden ones.
        false_positive: things it makes up, per frame.
        confusion: share of wrong labels among the doubtful ones; hardly any among sure ones.
        centre_m: standard deviation of the centre at 1 m, m, per axis; grows with distance.
        size_share: standard deviation of the size, as a share of it.
        yaw: standard deviation of the yaw, rad.
    """

    miss: float = 0.0
    miss_far: float = 0.0
    false_positive: float = 0.0
    confusion: float = 0.0
    centre_m: float = 0.0
    size_share: float = 0.0
    yaw: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value, most = getattr(self, field.name), _MOST.get(field.name, 1.0)
            if not 0.0 <= value <= most:
                raise ConfigError(f'noise.{field.name}: expected 0..{most:g}, got {value}')

    @property
    def perfect(self) -> bool:
        """True when nothing is ever wrong."""
        return not any(getattr(self, field.name) for field in fields(self))


_MOST = {'false_positive': 20.0, 'yaw': 3.2}
PERFECT = DetectorNoise()
NOISY = DetectorNoise(
    miss=0.1,
    miss_far=0.6,
    false_positive=0.35,
    confusion=0.5,
    centre_m=0.035,
    size_share=0.12,
    yaw=0.12,
)


@dataclass(frozen=True)
class Detections:
    """What was detected in a frame, map frame.

    Attributes:
        labels: n names. centre: (n, 3) m. size: (n, 3) longer and shorter edge and height, m.
        yaw: (n,) rad of the longer edge. weight: (n,) chance that it is right, 0..1.
        truth: (n,) id of the thing, 0 where it is made up.
    """

    labels: tuple[str, ...]
    centre: Array
    size: Array
    yaw: Array
    weight: Array
    truth: NDArray[np.int64]


def ordered_box(size: Array, yaw: Array) -> tuple[Array, Array]:
    """Return sizes (n, 3) with the longer edge first, and its yaw (n,) modulo pi."""
    turned = size[:, 1] > size[:, 0]
    ordered = np.where(turned[:, None], size[:, [1, 0, 2]], size)
    return ordered, (yaw + np.where(turned, np.pi / 2, 0.0)) % np.pi


class Detector:
    """A detector on one tour with one camera.

    Args:
        noise: how it errs. seed: of its errors. camera: index, so that two do not err alike.
    """

    def __init__(self, noise: DetectorNoise, seed: int, camera: int = 0) -> None:
        self._noise, self._key = noise, (seed, _STREAM, camera)

    def detect(
        self,
        frame: int,
        begin_s: float,
        things: Sequence[Thing],
        share: Array,
        distance: Array,
        surface: Array,
    ) -> Detections:
        """Return the detections of a frame.

        Args:
            frame: index.
            begin_s: seconds since the begin of the tour.
            things: n of them, in sight.
            share: (n,) of each that is not hidden.
            distance: (n,) m.
            surface: (m, 3) points in the map, where things may be made up.
        """
        centre = np.array([thing.centre for thing in things]).reshape(-1, 3)
        size = np.array([thing.size for thing in things]).reshape(-1, 3)
        size, yaw = ordered_box(size, np.array([thing.yaw for thing in things]))
        labels = [thing.category for thing in things]
        ids = np.array([thing.id for thing in things], np.int64)
        true = Detections(tuple(labels), centre, size, yaw, np.ones(len(ids)), ids)
        if self._noise.perfect:
            return true
        return self._erring(frame, begin_s, true, share, distance, surface)

    def _erring(
        self,
        frame: int,
        begin_s: float,
        true: Detections,
        share: Array,
        distance: Array,
        surface: Array,
    ) -> Detections:
        """Return the detections with misses, wrong names, noise and things made up."""
        noise, rng = self._noise, np.random.default_rng([*self._key, 0, frame])
        luck = [self._luck(int(number), begin_s) for number in true.truth]
        chance, tilt, slip, pick = np.array(luck).reshape(-1, 4).T
        doubt = FAR_SCORE * np.minimum(distance / FAR_M, 1.0) + HIDDEN_SCORE * (1.0 - share)
        kept = chance >= noise.miss + (noise.miss_far - noise.miss) * doubt
        score = np.clip(1.0 - doubt + SCORE_SPREAD * (2.0 * tilt - 1.0), 0.02, 0.98)
        wrong = slip < noise.confusion * (1.0 - score)
        labels = tuple(
            _lookalike(label, pick[row]) if wrong[row] else label
            for row, label in enumerate(true.labels)
            if kept[row]
        )
        spread = noise.centre_m * (0.5 + 0.5 * distance)[:, None]
        found = Detections(
            labels,
            (true.centre + spread * rng.standard_normal(true.centre.shape))[kept],
            (true.size * np.exp(noise.size_share * rng.standard_normal(true.size.shape)))[kept],
            (true.yaw + noise.yaw * rng.standard_normal(len(true.yaw)))[kept],
            self._weight(score[kept]),
            true.truth[kept],
        )
        return _joined(found, self._ghosts(rng, surface))

    def _luck(self, thing: int, begin_s: float) -> Array:
        """Return four numbers 0..1 that stay the same for a thing for a while."""
        # Each thing's view changes at a moment of its own.
        view = int(begin_s / LASTS_S + 0.618034 * thing)
        return np.random.default_rng([*self._key, 1, thing, view]).random(4)

    def _ghosts(self, rng: np.random.Generator, surface: Array) -> Detections:
        """Return things that are not there, somewhere on what is."""
        count = int(rng.poisson(self._noise.false_positive)) if len(surface) else 0
        labels = tuple(CATEGORIES[i] for i in rng.integers(0, len(CATEGORIES), count))
        shapes = rng.integers(0, SHAPES, count)
        size = np.array([model(n, int(s)).size for n, s in zip(labels, shapes, strict=True)])
        # The density of their scores falls linearly from 0 to 1.
        score = 1.0 - np.sqrt(1.0 - rng.random(count))
        return Detections(
            labels,
            surface[rng.integers(0, max(len(surface), 1), count)].reshape(-1, 3),
            size.reshape(-1, 3),
            rng.uniform(0.0, np.pi, count),
            self._weight(score),
            np.zeros(count, np.int64),
        )

    def _weight(self, score: Array) -> Array:
        """Return the chance that a detection of that score is a true thing with its own name."""
        real = np.interp(score, SCORES, TRUE_THINGS)
        made_up = self._noise.false_positive * 2.0 * (1.0 - score)
        named = 1.0 - self._noise.confusion * (1.0 - score)
        return np.round(named * real / np.maximum(real + made_up, 1e-9), 4)


def _joined(first: Detections, second: Detections) -> Detections:
    """Return two sets as one, boxes with their longer edge first."""
    size, yaw = ordered_box(
        np.concatenate([first.size, second.size]), np.concatenate([first.yaw, second.yaw])
    )
    return Detections(
        first.labels + second.labels,
        np.concatenate([first.centre, second.centre]),
        size,
        yaw,
        np.concatenate([first.weight, second.weight]),
        np.concatenate([first.truth, second.truth]),
    )


@lru_cache(maxsize=64)
def _others(label: str) -> tuple[str, ...]:
    near = sorted({n for group in LOOKALIKES if label in group for n in group if n != label})
    return tuple(near) or tuple(name for name in CATEGORIES if name != label)


def _lookalike(label: str, pick: float) -> str:
    others = _others(label)
    return others[int(pick * len(others))]
