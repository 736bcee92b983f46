# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Scores with 95 % intervals. A missing answer is an infinite error and a wrong verdict.

N questions, R resamples. Every interval is a percentile bootstrap over questions, seeded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    'MISSING',
    'Score',
    'bootstrap',
    'class_f1',
    'class_share',
    'localisation_errors',
    'macro_f1',
    'percentile',
    'recall_at',
]

MISSING = -1  # a verdict that was not given; equals no class


@dataclass(frozen=True)
class Score:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


def localisation_errors(
    answers: Sequence[NDArray | None], truth: ArrayLike
) -> NDArray[np.float64]:
    """Return the distance in metres of each answer to its true point, (N,); infinite where None.

    Args:
        answers: N best answers, each (3,) in the map frame, or None where there was none.
        truth: (N, 3) true points in the map frame.
    """
    points = np.asarray(truth, dtype=np.float64)
    if len(answers) != len(points):
        raise ValueError(f'{len(answers)} answers to {len(points)} questions')
    none = np.full(3, np.inf)
    given = np.array([none if a is None else a for a in answers]).reshape(-1, 3)
    errors = np.linalg.norm(given - points, axis=1)
    return np.where(np.isfinite(errors), errors, np.inf)


def recall_at(errors_m: ArrayLike, radius_m: float) -> float:
    """Return the share of errors of at most ``radius_m``; 0 when nothing was asked."""
    errors = np.asarray(errors_m, dtype=np.float64)
    return float(np.mean(errors <= radius_m)) if errors.size else 0.0


def percentile(errors_m: ArrayLike, percent: float) -> float:
    """Return the percentile, linear between neighbours; infinite as soon as it touches one.

    ``numpy.percentile`` gives NaN between a finite and an infinite error, which would hide a
    missing answer.
    """
    errors = np.sort(np.asarray(errors_m, dtype=np.float64))
    if not errors.size:
        return float('inf')
    rank = percent / 100.0 * (errors.size - 1)
    below = int(np.floor(rank))
    share = rank - below
    if share < 1e-12:
        return float(errors[below])
    if not np.isfinite(errors[below + 1]):
        return float('inf')
    return float(errors[below] * (1.0 - share) + errors[below + 1] * share)


def class_share(truth: ArrayLike, answers: ArrayLike, label: int) -> float:
    """Return the share of the questions of true class ``label`` that were answered with it."""
    of_class = np.asarray(truth) == label
    return float(np.mean(np.asarray(answers)[of_class] == label)) if of_class.any() else 0.0


def class_f1(truth: ArrayLike, answers: ArrayLike, label: int) -> float:
    """Return F1 of one class: 2TP / (2TP + FP + FN); 0 without a right answer."""
    is_true, is_given = np.asarray(truth) == label, np.asarray(answers) == label
    hits = int(np.sum(is_true & is_given))
    return 2.0 * hits / (int(is_true.sum()) + int(is_given.sum())) if hits else 0.0


def macro_f1(truth: ArrayLike, answers: ArrayLike, labels: Sequence[int]) -> float:
    """Return the mean F1 of ``labels``; an answer outside them (``MISSING``) is never right."""
    return float(np.mean([class_f1(truth, answers, label) for label in labels]))


def bootstrap(
    statistic: Callable[..., float], *columns: ArrayLike, seed: int = 0, resamples: int = 1000
) -> Score:
    """Return ``statistic(*columns)`` with its 95 % interval over resampled questions.

    Args:
        statistic: takes arrays of equal first axis N and returns a number; may be infinite.
        columns: one or more arrays with one row per question.
        seed: of the resampling; equal seeds give equal intervals.
        resamples: number of resamples R.
    """
    arrays = [np.asarray(column) for column in columns]
    count = len(arrays[0])
    value = float(statistic(*arrays))
    if not count:
        return Score(value, value, value)
    rng = np.random.default_rng(seed)
    draws = rng.integers(0, count, size=(resamples, count))
    values = np.array([statistic(*(array[draw] for array in arrays)) for draw in draws])
    return Score(value, percentile(values, 2.5), percentile(values, 97.5))
