# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Scores with 95 % intervals. A missing answer is an infinite error and a wrong verdict.

N questions, H homes, R resamples. Every interval is a seeded percentile bootstrap: over questions
(``bootstrap``), or over homes, whose questions are not independent (``resample_homes``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

__all__ = [
    'MISSING',
    'MRA_THRESHOLDS',
    'Score',
    'age_decile',
    'bootstrap',
    'bootstrap_homes',
    'class_f1',
    'class_share',
    'covered',
    'expected_calibration_error',
    'localisation_errors',
    'macro_f1',
    'match',
    'mean_relative_accuracy',
    'percentile',
    'recall_at',
    'reliability',
    'resample_homes',
    'risk_coverage',
]

# Yang et al., Thinking in Space (2024), section 3: .50, .55, … .95.
MRA_THRESHOLDS = np.round(np.arange(0.50, 0.96, 0.05), 2)
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


def mean_relative_accuracy(answers: ArrayLike, targets: ArrayLike) -> NDArray[np.float64]:
    """Return the mean relative accuracy of each number, (N,) 0..1, as in VSI-Bench.

    It is the share of the thresholds t in .50, .55 … .95 with ``|answer - target| / target <=
    1 - t``, where the published scorer's "at most" is used; the paper writes "less than".

    That scorer divides by a target of zero, and a missing answer can come out as right. Here an
    answer that is not finite scores 0, and a target of 0 scores 1 only for an answer that rounds
    to 0, else 0.

    Args:
        answers: (N,) numbers; NaN = no answer.
        targets: (N,) right numbers, at least 0.
    """
    given, right = np.broadcast_arrays(
        np.asarray(answers, np.float64), np.asarray(targets, np.float64)
    )
    answered = np.isfinite(given) & np.isfinite(right)
    error = np.abs(np.where(answered, given - right, np.inf))
    # The slack keeps 0.1 <= 1 - 0.9 true in binary arithmetic.
    allowed = (1.0 - MRA_THRESHOLDS) * np.abs(right)[..., None] * (1.0 + 1e-9)
    share = np.mean(error[..., None] <= allowed, axis=-1)
    return np.where(right == 0.0, (np.round(error) == 0.0).astype(np.float64), share)


def match(
    answers: ArrayLike, truth: ArrayLike, radius_m: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the one-to-one matching of places: indices (m,) of answers and (m,) of truth.

    As many pairs as possible lie within ``radius_m`` of each other, and of those matchings the one
    with the least sum of distances is returned (Hungarian method, ``linear_sum_assignment``).

    Args:
        answers: (a, 3) m.
        truth: (t, 3) m.
        radius_m: most distance of a pair; may be infinite.
    """
    given = np.asarray(answers, np.float64).reshape(-1, 3)
    right = np.asarray(truth, np.float64).reshape(-1, 3)
    if not len(given) or not len(right):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    apart = np.linalg.norm(given[:, None] - right[None], axis=-1)
    near = apart <= radius_m
    # More than all distances together: one more pair within the radius always pays.
    far = 1.0 + apart[near].sum() if near.any() else 1.0
    rows, columns = linear_sum_assignment(np.where(near, apart, far))
    kept = near[rows, columns]
    return rows[kept].astype(np.int64), columns[kept].astype(np.int64)


def reliability(
    confidence: ArrayLike, right: ArrayLike, bins: int = 10
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return per bin of confidence the number of answers, and sums of confidence and of right.

    Args:
        confidence: (N,) 0..1.
        right: (N,) 0 or 1.
        bins: of equal width; the last includes 1.

    Returns:
        Three arrays (bins,): count, sum of confidences, sum of right.
    """
    sure, hit = np.asarray(confidence, np.float64), np.asarray(right, np.float64)
    index = np.clip((sure * bins).astype(np.int64), 0, bins - 1)
    return (
        np.bincount(index, minlength=bins).astype(np.float64),
        np.bincount(index, weights=sure, minlength=bins),
        np.bincount(index, weights=hit, minlength=bins),
    )


def expected_calibration_error(
    count: NDArray, confidence: NDArray, right: NDArray
) -> NDArray[np.float64]:
    """Return Σ over bins of share × |accuracy - mean confidence|, from sums of ``reliability``.

    Args:
        count: (…, bins) answers.
        confidence: (…, bins) sums of confidences.
        right: (…, bins) sums of right answers.

    Returns:
        (…) 0..1; NaN where nothing was answered.
    """
    total = count.sum(axis=-1)
    gap = np.abs(right - confidence).sum(axis=-1)
    return np.where(total > 0, gap / np.maximum(total, 1.0), np.nan)


def covered(low: ArrayLike, high: ArrayLike, targets: ArrayLike) -> NDArray[np.bool_]:
    """Return for each interval whether it holds the target, (N,); False where it is not finite."""
    lower, upper = np.asarray(low, np.float64), np.asarray(high, np.float64)
    right = np.asarray(targets, np.float64)
    slack = 1e-9 * (1.0 + np.abs(right))
    finite = np.isfinite(lower) & np.isfinite(upper)
    return finite & (lower <= right + slack) & (upper >= right - slack)


def risk_coverage(
    confidence: ArrayLike, right: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (coverage, risk), each (N,): answering only the surest k of N, the share wrong.

    Equal confidences enter in the order given.
    """
    hit = np.asarray(right, np.float64)
    order = np.argsort(-np.asarray(confidence, np.float64), kind='stable')
    answered = np.arange(1, len(hit) + 1, dtype=np.float64)
    return answered / max(len(hit), 1), np.cumsum(1.0 - hit[order]) / answered


def age_decile(ages: ArrayLike) -> NDArray[np.int64]:
    """Return the tenth each age falls in, (N,): 0 the newest … 9 the oldest, by rank."""
    values = np.asarray(ages)
    order = np.argsort(values, kind='stable')
    deciles = np.empty(len(values), np.int64)
    deciles[order] = 10 * np.arange(len(values)) // max(len(values), 1)
    return deciles


def resample_homes(homes: int, *, seed: int = 0, resamples: int = 1000) -> NDArray[np.int64]:
    """Return (R, homes) indices of homes drawn with replacement; equal seeds, equal draws."""
    return np.random.default_rng(seed).integers(0, homes, size=(resamples, homes))


def bootstrap_homes(
    statistic: Callable[[NDArray], NDArray],
    sums: ArrayLike,
    *,
    seed: int = 0,
    resamples: int = 1000,
) -> Score:
    """Return a statistic of sums over homes with its 95 % interval over resampled homes.

    Args:
        statistic: takes (…, k) sums over homes and returns (…) numbers; NaN where undefined.
        sums: (H, k) what each home adds.
        seed: of the resampling.
        resamples: number of resamples R.
    """
    added = np.asarray(sums, np.float64)
    value = float(statistic(added.sum(axis=0)))
    draws = resample_homes(len(added), seed=seed, resamples=resamples)
    times = np.zeros((resamples, len(added)))
    np.add.at(times, (np.arange(resamples)[:, None], draws), 1.0)
    values = np.asarray(statistic(times @ added))
    values = values[~np.isnan(values)]
    if not values.size:
        return Score(value, value, value)
    return Score(value, percentile(values, 2.5), percentile(values, 97.5))
