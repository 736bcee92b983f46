# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""``spatial-ttt tune``: fit what detections and read scores of a model are worth.

spatial-ttt tune --model models/nano --seeds 0:12 --minutes 5

The model watches tours of training homes as the memory would. From the truth about them come the
probability that a detection is right, the confidence of what the vote field holds, the error of
its places, and what things of each name usually are (``query/usual.py``). The constants go into
``detector`` of the model's manifest. The table that is printed judges each home by constants that
were fitted on others.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import yaml
from numpy.typing import NDArray
from tqdm import tqdm

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.exam import metrics
from ros2_spatial_ttt.memory.detect import FEATURES, Detector
from ros2_spatial_ttt.query.intervals import Z90
from ros2_spatial_ttt.query.names import Reading
from ros2_spatial_ttt.resources import model_directory
from ros2_spatial_ttt.runtime import open_runtime
from ros2_spatial_ttt.runtime.base import load_manifest
from ros2_spatial_ttt.sim.world import TRAIN_SEEDS
from ros2_spatial_ttt.training.held import APART_M, Held, joined, remembered
from ros2_spatial_ttt.training.usual import USUAL_HOMES, fit_sizes, fit_usual, sizes_in
from ros2_spatial_ttt.training.watching import Watched, watch

__all__ = [
    'add_arguments',
    'best_reading',
    'both_readings',
    'fit_detector',
    'fit_reading',
    'fitted_on_others',
    'logistic',
    'run',
    'write_constants',
]

# Ridge of the logistic models: of what each name adds to a detection and to what is held, and of
# everything else.
RIDGE, NAME_RIDGE, HELD_RIDGE = 1.0, 30.0, 10.0
FOLDS = 5
_STEPS = 30
SURE = 0.5  # confidence from which a thing is told
_SHARES = np.linspace(0.0, 0.3, 31)

Array = NDArray[np.float64]
_T = TypeVar('_T')
_F = TypeVar('_F')


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
    start, labels = Detector.from_manifest(manifest), manifest.labels
    with multiprocessing.get_context('spawn').Pool(args.processes) as pool:
        jobs = [(folder, seed, args.minutes) for seed in seeds]
        homes = list(tqdm(pool.imap(_watched, jobs), total=len(jobs), unit='home'))
        detectors = fitted_on_others(homes, lambda part: fit_detector(part, start, len(labels)))
        held = [
            pool.map(remembered, [(folder, *of) for of in zip(watched, detectors, strict=True)])
            for watched in zip(*homes, strict=True)
        ]
        sizes = pool.map(sizes_in, USUAL_HOMES, chunksize=10)
    # Detectors that do not know a home are what its reading will have to do with.
    both = list(zip(*held, strict=True))
    readings = fitted_on_others(both, lambda part: both_readings(part, len(labels)))
    detector, reading = fit_detector(homes, start, len(labels)), both_readings(both, len(labels))
    measured, guessed = (_read_apart(of, reading.apart_m) for of in held)
    reading = replace(reading, usual=fit_usual(labels, sizes, measured))
    assert reading.guessed is not None
    own = fit_sizes(guessed, replace(reading.guessed, usual=reading.usual))
    reading = fit_sizes(measured, replace(reading, guessed=None)).with_guessed(own)
    write_constants(folder, detector.to_manifest(labels) | reading.to_manifest(labels))
    for title, watched, of in zip(
        ('depth', 'no depth'), zip(*homes, strict=True), held, strict=True
    ):
        print(f'{title}: {table(watched, detectors, of, readings)}')
    return 0


def fitted_on_others(homes: Sequence[_T], fit: Callable[[Sequence[_T]], _F]) -> list[_F]:
    """Return for each home what is fitted on the homes of the other folds (on it if alone)."""
    folds = [
        fit([home for number, home in enumerate(homes) if number % FOLDS != fold] or homes)
        for fold in range(min(FOLDS, len(homes)))
    ]
    return [folds[number % FOLDS] for number in range(len(homes))]


def _seeds(text: str) -> range:
    first, _, end = text.partition(':')
    seeds = range(int(first), int(end)) if first.isdecimal() and end.isdecimal() else range(0)
    if not seeds or seeds[0] not in TRAIN_SEEDS or seeds[-1] not in TRAIN_SEEDS:
        raise ConfigError(
            f'--seeds {text!r}: expected first:end within the training homes '
            f'{TRAIN_SEEDS[0]}:{TRAIN_SEEDS[-1] + 1}; the others are for exams'
        )
    return seeds


def _watched(job: tuple[Path, int, float]) -> tuple[Watched, Watched]:
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


def fit_detector(homes: Sequence[Sequence[Watched]], detector: Detector, labels: int) -> Detector:
    """Return the detector with the probabilities that its detections have in these homes.

    Args:
        homes: each watched once or more, with depth or without.
        detector: whose grouping made the detections.
        labels: how many names there are.

    Raises:
        ConfigError: there is nothing to be told apart.
    """
    features, label, right = _detections([watched for home in homes for watched in home])
    guessed = features[:, FEATURES.index('guessed')] > 0.5
    weights, names = _chance(features[~guessed], label[~guessed], right[~guessed], labels)
    fitted = replace(detector, weights=weights, names=names)
    if not guessed.any():
        return fitted
    weights, names = _chance(features[guessed], label[guessed], right[guessed], labels)
    return replace(fitted, guessed_weights=weights, guessed_names=names)


def _chance(
    features: Array, label: NDArray[np.int64], right: NDArray[np.bool_], labels: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return weights of features and names in the log-odds that detections (n,) are right."""
    if not (right.any() and not right.all()):
        raise ConfigError(
            f'{len(right)} detections, {int(right.sum())} of them right: nothing can be fitted; '
            'train the model longer or give more homes'
        )
    ridge = np.r_[np.full(len(FEATURES), RIDGE), np.full(labels, NAME_RIDGE)]
    weights = logistic(np.hstack([features, np.eye(labels)[label]]), right, ridge).tolist()
    return tuple(weights[: len(FEATURES)]), tuple(weights[len(FEATURES) :])


def _detections(homes: Sequence[Watched]) -> tuple[Array, NDArray[np.int64], NDArray[np.bool_]]:
    """Return features, labels and whether it is right of each detection in these homes."""
    seen = [found for home in homes for found in home.seen]
    return (
        np.concatenate([found.features for found in seen]),
        np.concatenate([found.label for found in seen]),
        np.concatenate([right for home in homes for right in home.right]),
    )


def best_reading(held: Sequence[Sequence[Held]], labels: int) -> Reading:
    """Return the reading with the best average precision.

    Args:
        held: per home, with each of ``APART_M``.
        labels: how many names there are.
    """
    scored = []
    for apart, parts in zip(APART_M, zip(*held, strict=True), strict=True):
        part = joined(parts)
        reading = replace(fit_reading(part, labels), apart_m=apart)
        scored.append((_average_precision(part, reading), reading))
    return max(scored, key=lambda item: item[0])[1]


def both_readings(held: Sequence[tuple[Sequence[Held], Sequence[Held]]], labels: int) -> Reading:
    """Return the best reading of cameras with depth, with that of cameras without.

    Args:
        held: per home, with depth and without, with each of ``APART_M``.
        labels: how many names there are.
    """
    reading = best_reading([measured for measured, _ in held], labels)
    guessed = _read_apart([guessed for _, guessed in held], reading.apart_m)
    return reading.with_guessed(fit_reading(guessed, labels))


def _read_apart(held: Sequence[Sequence[Held]], apart_m: float) -> Held:
    """Return what several homes hold, read with one of ``APART_M``."""
    return joined([parts[APART_M.index(apart_m)] for parts in held])


def _average_precision(held: Held, reading: Reading) -> float:
    hit = held.hit[np.argsort(-held.confidence(reading), kind='stable')]
    precision = np.cumsum(hit) / np.arange(1, len(hit) + 1)
    return float((precision * hit).sum()) / max(int(held.asked.sum()), 1)


def fit_reading(held: Held, labels: int) -> Reading:
    """Return the reading by which confidences and errors are those of what is held."""
    names = np.eye(labels)[held.label]
    inputs = np.column_stack([np.ones(len(held.hit)), held.features[:, :3], names])
    ridge = np.r_[1e-3, RIDGE, RIDGE, RIDGE, np.full(labels, HELD_RIDGE)]
    bias, score, edge, beside, *added = logistic(inputs, held.hit, ridge).tolist()
    reading = Reading(bias=bias, score=score, edge=edge, beside=beside, names=tuple(added))
    # Intervals are told of things that are sure.
    good = held.hit & (held.confidence(reading) >= SURE)
    error_m, share = _spread(held.error[good], held.edge[good])
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
    homes: Sequence[Watched],
    detectors: Sequence[Detector],
    held: Sequence[Sequence[Held]],
    readings: Sequence[Reading],
) -> str:
    """Return how good detections and what is held are, as lines of text.

    Args:
        homes: that were watched.
        detectors: for each home, fitted on others.
        held: per home, with each of ``APART_M``.
        readings: for each home, fitted on others.
    """
    right = _detections(homes)[2]
    chance = np.concatenate([_chances(*of) for of in zip(homes, detectors, strict=True)])
    parts = [of[APART_M.index(r.apart_m)] for of, r in zip(held, readings, strict=True)]
    both, whole = list(zip(parts, readings, strict=True)), joined(parts)
    confidence = np.concatenate([part.confidence(reading) for part, reading in both])
    sure, asked = confidence >= SURE, max(int(whole.asked.sum()), 1)
    found = int(whole.hit[sure].sum())
    inside = np.concatenate([part.inside(reading) for part, reading in both])[sure & whole.hit]
    frames = sum(len(home.seen) for home in homes)
    lines = [
        f'homes {len(homes)}, frames {frames}, detections {len(right)}',
        f'detections: right {right.mean():.3f}, of the sure ones {_mean(right[chance > 0.5]):.3f}',
        f'  calibration error {_calibration(chance, right):.3f}',
        f'things held: recall {found / asked:.3f}, precision {_mean(whole.hit[sure]):.3f}',
        f'  counts {_mean(_counted(whole, sure)):.3f}',
        f'  calibration error {_calibration(confidence, whole.hit):.3f}',
        f'  coverage of the 90 % intervals of their centres {_mean(inside):.3f}',
    ]
    return '\n'.join(lines)


def _chances(home: Watched, detector: Detector) -> Array:
    features, label, _ = _detections([home])
    return detector.weight(label, features)


def _counted(held: Held, sure: NDArray[np.bool_]) -> Array:
    """Return the mean relative accuracy of each count of things that are there."""
    count = np.bincount(held.group[sure], minlength=len(held.asked))
    there = held.asked > 0
    return metrics.mean_relative_accuracy(count[there], held.asked[there])


def _calibration(chance: Array, right: NDArray) -> float:
    return float(metrics.expected_calibration_error(*metrics.reliability(chance, right)))


def _mean(values: NDArray) -> float:
    return float(values.mean()) if len(values) else float('nan')
