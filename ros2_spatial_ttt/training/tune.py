# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""``spatial-ttt tune``: fit what detections and read scores of a model are worth.

spatial-ttt tune --model models/nano --seeds 0:12 --minutes 5

The model watches tours of training homes as the memory would. From the truth about them come the
probability that a detection is right, the confidence of what the vote field holds, and the error
of its places. The constants go into ``detector`` of the model's manifest.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from tqdm import tqdm

from ros2_spatial_ttt.config import MemoryConfig
from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.exam import metrics
from ros2_spatial_ttt.exam.asking.evidence import Known
from ros2_spatial_ttt.memory.detect import FEATURES, Detector
from ros2_spatial_ttt.memory.pipeline import SpatialMemory
from ros2_spatial_ttt.memory.reader import Beliefs, Reader
from ros2_spatial_ttt.memory.votes import vote_frequencies
from ros2_spatial_ttt.query.intervals import Z90
from ros2_spatial_ttt.query.names import Named, Reading, score_features, things_by_name
from ros2_spatial_ttt.resources import model_directory
from ros2_spatial_ttt.runtime import open_runtime
from ros2_spatial_ttt.runtime.base import load_manifest
from ros2_spatial_ttt.sim.world import TRAIN_SEEDS, Thing
from ros2_spatial_ttt.training.watching import FOUND_M, Watched, watch

__all__ = [
    'Held',
    'add_arguments',
    'best_reading',
    'compare',
    'fit_detector',
    'fit_reading',
    'logistic',
    'run',
    'write_constants',
]

# Ridge of the logistic models: of what each name adds, and of everything else.
RIDGE, NAME_RIDGE = 1.0, 30.0
_STEPS = 30
SURE = 0.5  # confidence from which a thing is told
_SHARES = np.linspace(0.0, 0.3, 31)
# Distances that two things of a name may be asked to be apart, m.
APART_M = (0.25, 0.3, 0.4, 0.5)

Array = NDArray[np.float64]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``spatial-ttt tune``."""
    parser.add_argument('--model', required=True, help='name or folder of the model')
    parser.add_argument('--seeds', default='0:12', help='training homes, first:end (0:12)')
    parser.add_argument('--minutes', type=float, default=5.0, help='length of each tour (5)')
    parser.add_argument('--processes', type=int, default=2, help='homes at a time (2)')


def run(args: argparse.Namespace) -> int:
    """Fit the constants and write them into the manifest.

    Raises:
        ConfigError: seeds of another range, a model without names, or the manifest cannot be
            written. ModelError: no such model.
    """
    seeds, folder = _seeds(args.seeds), model_directory(args.model)
    manifest = load_manifest(folder)
    if not manifest.labels:
        raise ConfigError(
            f'{folder}: model {manifest.name!r} knows no names, so it detects nothing; '
            'tune a trained model'
        )
    with multiprocessing.get_context('spawn').Pool(args.processes) as pool:
        jobs = [(folder, seed, args.minutes) for seed in seeds]
        homes = list(tqdm(pool.imap(_watched, jobs), total=len(jobs), unit='home'))
        detector = fit_detector(homes, Detector.from_manifest(manifest), len(manifest.labels))
        held = pool.map(_held, [(folder, home, detector) for home in homes])
    reading, held_so = best_reading(held)
    write_constants(folder, detector.to_manifest(manifest.labels) | reading.to_manifest())
    print(table(homes, detector, held_so, reading))
    return 0


def _seeds(text: str) -> range:
    first, _, end = text.partition(':')
    seeds = range(int(first), int(end)) if first.isdecimal() and end.isdecimal() else range(0)
    if not seeds or seeds[0] not in TRAIN_SEEDS or seeds[-1] not in TRAIN_SEEDS:
        raise ConfigError(
            f'--seeds {text!r}: expected first:end within the training homes '
            f'{TRAIN_SEEDS[0]}:{TRAIN_SEEDS[-1] + 1}; the others are for exams'
        )
    return seeds


def _watched(job: tuple[Path, int, float]) -> Watched:
    folder, seed, minutes = job
    return watch(open_runtime(str(folder), 'auto', threads=1), seed, minutes)


# Fitting.


def logistic(features: Array, right: NDArray, ridge: Array) -> Array:
    """Return the weights (k,) of a logistic model by Newton's method.

    Args:
        features: (n, k).
        right: (n,) bool.
        ridge: (k,) penalty on the square of each weight.
    """
    weights = np.zeros(features.shape[1])
    for _ in range(_STEPS):
        chance = 1.0 / (1.0 + np.exp(-np.clip(features @ weights, -30.0, 30.0)))
        slope = features.T @ (chance - right) + ridge * weights
        curve = (features * (chance * (1.0 - chance))[:, None]).T @ features + np.diag(ridge)
        weights = weights - np.linalg.solve(curve, slope)
    return weights


def fit_detector(homes: Sequence[Watched], detector: Detector, labels: int) -> Detector:
    """Return the detector with the probabilities that its detections have in these homes."""
    features, label, right = _detections(homes)
    if not (right.any() and not right.all()):
        raise ConfigError(
            f'{len(right)} detections, {int(right.sum())} of them right: nothing can be fitted; '
            'train the model longer or give more homes'
        )
    ridge = np.r_[np.full(len(FEATURES), RIDGE), np.full(labels, NAME_RIDGE)]
    weights = logistic(np.hstack([features, np.eye(labels)[label]]), right, ridge)
    own, names = weights[: len(FEATURES)], weights[len(FEATURES) :]
    return replace(detector, weights=tuple(own.tolist()), names=tuple(names.tolist()))


def _detections(homes: Sequence[Watched]) -> tuple[Array, NDArray[np.int64], NDArray[np.bool_]]:
    """Return features, labels and whether it is right of each detection in these homes."""
    seen = [found for home in homes for found in home.seen]
    return (
        np.concatenate([found.features for found in seen]),
        np.concatenate([found.label for found in seen]),
        np.concatenate([right for home in homes for right in home.right]),
    )


@dataclass(frozen=True)
class Held:
    """n things that the memory of a home holds at one time or another, however unsure.

    Attributes:
        features: (n, 2) of ``score_features``. hit: (n,) whether there is such a thing.
        error: (n, 3) m to it, NaN where there is none. edge: (n,) m, longest.
        group: (n,) number of the question "which of that name are there now?".
        asked: (groups,) how many there are.
    """

    features: Array
    hit: NDArray[np.bool_]
    error: Array
    edge: Array
    group: NDArray[np.int64]
    asked: NDArray[np.int64]

    def confidence(self, reading: Reading) -> Array:
        """Return the confidence (n,) by a reading."""
        logit = reading.bias + self.features @ np.array([reading.score, reading.edge])
        return np.asarray(1.0 / (1.0 + np.exp(-logit)))


def _held(job: tuple[Path, Watched, Detector]) -> tuple[Held, ...]:
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
    asked: list[int] = []
    for beliefs, known in pairs:
        found = things_by_name(beliefs, reading) if beliefs is not None else {}
        for number, name in enumerate(labels):
            things = known.by_category.get(name, [])
            if name in known.vague or (not things and name in known.glimpsed):
                continue
            rows += _compared(found.get(number, []), things, len(asked))
            asked.append(len(things))
    features, hit, error, edge, group = zip(*rows, strict=True) if rows else [()] * 5
    return Held(
        features=np.array(features, np.float64).reshape(-1, 2),
        hit=np.array(hit, bool),
        error=np.array(error, np.float64).reshape(-1, 3),
        edge=np.array(edge, np.float64),
        group=np.array(group, np.int64),
        asked=np.array(asked, np.int64),
    )


def _compared(
    found: Sequence[Named], things: Sequence[Thing], group: int
) -> list[tuple[Any, ...]]:
    """Return features, hit, error, edge and group of each thing found."""
    centres = np.array([thing.centre for thing in things]).reshape(-1, 3)
    places = np.array([one.peak.position for one in found]).reshape(-1, 3)
    near = dict(zip(*metrics.match(places, centres, FOUND_M), strict=True))
    rows: list[tuple[Any, ...]] = []
    for row, one in enumerate(found):
        edge = float(one.peak.size.max())
        error = places[row] - centres[near[row]] if row in near else np.full(3, np.nan)
        rows.append((score_features(one.peak.score, edge), row in near, error, edge, group))
    return rows


def best_reading(held: Sequence[Sequence[Held]]) -> tuple[Reading, list[Held]]:
    """Return the reading with the best average precision, and what is held read so.

    Args:
        held: per home, with each of ``APART_M``.
    """
    scored = []
    for apart, parts in zip(APART_M, zip(*held, strict=True), strict=True):
        reading = replace(fit_reading(parts), apart_m=apart)
        scored.append((_average_precision(parts, reading), reading, list(parts)))
    _, reading, parts_so = max(scored, key=lambda item: item[0])
    return reading, parts_so


def _average_precision(held: Sequence[Held], reading: Reading) -> float:
    order = np.argsort(-np.concatenate([part.confidence(reading) for part in held]))
    hit = np.concatenate([part.hit for part in held])[order]
    precision = np.cumsum(hit) / np.arange(1, len(hit) + 1)
    return float((precision * hit).sum()) / max(sum(int(part.asked.sum()) for part in held), 1)


def fit_reading(held: Sequence[Held]) -> Reading:
    """Return the reading by which confidences and errors are those of these homes."""
    features = np.concatenate([part.features for part in held])
    hit = np.concatenate([part.hit for part in held])
    inputs = np.column_stack([np.ones(len(hit)), features])
    bias, score, edge = logistic(inputs, hit, np.array([1e-3, RIDGE, RIDGE])).tolist()
    reading = Reading(bias=bias, score=score, edge=edge)
    # Intervals are told of things that are sure.
    good = [part.hit & (part.confidence(reading) >= SURE) for part in held]
    error_m, share = _spread(
        np.concatenate([part.error[rows] for part, rows in zip(held, good, strict=True)]),
        np.concatenate([part.edge[rows] for part, rows in zip(held, good, strict=True)]),
    )
    return replace(reading, error_m=error_m, error_share=share)


def _spread(error: Array, edge: Array) -> tuple[float, float]:
    """Return the likeliest (m, share of the edge) of errors (n, 3) with a Laplace distribution.

    They are then stretched to hold 90 % of the errors in a normal distribution's 90 % interval.
    """
    if not len(error):
        return Reading.error_m, Reading.error_share
    size = np.abs(error)
    best, chosen = np.inf, (0.03, 0.0)
    for base in np.geomspace(0.01, 0.2, 20):
        for share in _SHARES:
            scale = np.hypot(base, share * edge)[:, None]
            cost = float((size / scale + np.log(scale)).mean())
            if cost < best:
                best, chosen = cost, (float(base), float(share))
    scale = np.hypot(chosen[0], chosen[1] * edge)[:, None]
    stretch = float(np.quantile(size / scale, 0.9)) / Z90
    return chosen[0] * stretch, chosen[1] * stretch


# Results.


def write_constants(folder: Path, constants: dict[str, float]) -> None:
    """Put constants into ``detector`` of a model's manifest; other keys there stay.

    Raises:
        ConfigError: the manifest cannot be written; the old one is whole.
    """
    path = folder / 'manifest.yaml'
    manifest = yaml.safe_load(path.read_text(encoding='utf-8'))
    rounded = {name: float(f'{value:.5g}') for name, value in constants.items()}
    manifest['detector'] = {**(manifest.get('detector') or {}), **rounded}
    aside = path.with_name(f'.{path.name}.{os.getpid()}.part')
    try:
        aside.write_text(yaml.safe_dump(manifest, sort_keys=False, width=100), encoding='utf-8')
        aside.rename(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise ConfigError(
            f'{path}: cannot write the constants ({error}); copy the model to a folder that you '
            'may write to and tune it there'
        ) from error


def table(
    homes: Sequence[Watched], detector: Detector, held: Sequence[Held], reading: Reading
) -> str:
    """Return what was fitted and how well, as lines of text."""
    features, label, right = _detections(homes)
    chance = detector.weight(label, features)
    confidence = [part.confidence(reading) for part in held]
    sure = [c >= SURE for c in confidence]
    found = sum(int(part.hit[s].sum()) for part, s in zip(held, sure, strict=True))
    named, asked = sum(int(s.sum()) for s in sure), sum(int(p.asked.sum()) for p in held)
    counts = [_counted(part, s) for part, s in zip(held, sure, strict=True)]
    hit = np.concatenate([part.hit for part in held])
    frames, errors = sum(len(home.seen) for home in homes), _calibration(chance, right)
    lines = [
        f'homes {len(homes)}, frames {frames}, detections {len(right)}',
        f'detections: right {right.mean():.3f}, of the sure ones {_mean(right[chance > 0.5]):.3f}',
        f'  calibration error {errors:.3f}',
        f'things held: recall {found / max(asked, 1):.3f}, precision {found / max(named, 1):.3f}',
        f'  counts {_mean(np.concatenate(counts)):.3f}',
        f'  calibration error {_calibration(np.concatenate(confidence), hit):.3f}',
        f'error of a centre: {reading.error_m:.3f} m and {reading.error_share:.3f} of the edge',
    ]
    return '\n'.join(lines)


def _counted(held: Held, sure: NDArray[np.bool_]) -> Array:
    """Return the mean relative accuracy of each count of things that are there."""
    count = np.bincount(held.group[sure], minlength=len(held.asked))
    there = held.asked > 0
    return metrics.mean_relative_accuracy(count[there], held.asked[there])


def _calibration(chance: Array, right: NDArray) -> float:
    return float(metrics.expected_calibration_error(*metrics.reliability(chance, right)))


def _mean(values: NDArray) -> float:
    return float(values.mean()) if len(values) else float('nan')
