# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Scores of one or many homes under flat, stable keys, with 95 % intervals over homes.

Everything is a function of sums over homes, so that resampling homes is one matrix product.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.exam import metrics
from ros2_spatial_ttt.exam.marking import STAYED, Mark, mark_all
from ros2_spatial_ttt.exam.question import KINDS, VSI_KINDS, Question, Response
from ros2_spatial_ttt.types import ResultCode

__all__ = ['Homes', 'score']

# One pair per home: its questions, and the responses in the same order.
Homes = Sequence[tuple[Sequence[Question], Sequence[Response]]]
Sums = Mapping[str, NDArray[np.float64]]
Statistic = Callable[[Sums], NDArray[np.float64]]

BINS = 10
DIRECTIONS = tuple(f'relative_direction_{level}' for level in ('easy', 'medium', 'hard'))
VERDICTS = (ResultCode.OK, ResultCode.NOT_FOUND, ResultCode.NEVER_OBSERVED)


def score(homes: Homes, *, seed: int = 0, resamples: int = 1000) -> dict[str, float]:
    """Return all scores of the exam of one or many homes.

    Args:
        homes: per home its questions and the responses to them.
        seed: of the resampling of homes.
        resamples: how often homes are drawn anew for ``.low`` and ``.high``; with one home both
            equal the score.

    Returns:
        Flat keys: each score, the same with ``.low`` and ``.high`` (95 %), and ``<kind>.n``, the
        number of questions of a kind. ``vsi.overall`` is the mean over those of the eight kinds
        that were asked. What was not asked has no key. Errors in metres may be infinite.

    Raises:
        ValueError: a home has not as many responses as questions.
    """
    marks = [mark_all(questions, responses) for questions, responses in homes]
    tallies = _tally(homes, marks)
    names = sorted({name for tally in tallies for name in tally})
    sums = np.array([[tally.get(name, 0.0) for name in names] for tally in tallies])
    sums = sums.reshape(len(tallies), len(names))
    out: dict[str, float] = {}
    for key, statistic in _STATISTICS.items():
        found = metrics.bootstrap_homes(
            lambda totals, of=statistic: of(_Named(names, totals)),
            sums,
            seed=seed,
            resamples=resamples,
        )
        _put(out, key, found)
    _put_errors(out, homes, marks, seed, resamples)
    asked = Counter(q.kind for questions, _ in homes for q in questions if q.twin != STAYED)
    return out | {f'{kind}.n': float(asked[kind]) for kind in KINDS if asked[kind]}


class _Named(Mapping[str, NDArray[np.float64]]):
    """Columns of sums by name; a name that no home has is zero."""

    def __init__(self, names: Sequence[str], totals: NDArray[np.float64]) -> None:
        self._columns = {name: totals[..., i] for i, name in enumerate(names)}
        self._zero = np.zeros(totals.shape[:-1])

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        return self._columns.get(name, self._zero)

    def __iter__(self):
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


def _put(out: dict[str, float], key: str, found: metrics.Score) -> None:
    if not np.isnan(found.value):
        out |= {key: found.value, f'{key}.low': found.low, f'{key}.high': found.high}


# What each home adds to the sums.


def _tally(homes: Homes, marks: Sequence[Sequence[Mark]]) -> list[Counter[str]]:
    tallies = [Counter() for _ in homes]
    for tally, (questions, responses), of_home in zip(tallies, homes, marks, strict=True):
        for question, response, got in zip(questions, responses, of_home, strict=True):
            _add(tally, question, response, got)
    _add_ages(tallies, homes, marks)
    return tallies


def _add(tally: Counter[str], question: Question, response: Response, got: Mark) -> None:
    if question.twin == STAYED:
        return
    tally[f'{question.kind}.sum'] += got.score
    tally[f'{question.kind}.count'] += 1
    _ADDERS[KINDS[question.kind]](tally, question, response, got)


def _add_number(tally: Counter[str], question: Question, response: Response, got: Mark) -> None:
    if got.answered:
        tally['interval.count'] += 1
        tally['interval.sum'] += metrics.covered(response.low, response.high, question.number)
    if question.twin == 'revisit' and question.number > 0:
        over = (response.number - question.number) / question.number if got.answered else 0.0
        tally['inflation.sum'] += max(0.0, over)
        tally['inflation.count'] += 1


def _add_choice(tally: Counter[str], question: Question, response: Response, got: Mark) -> None:
    if got.answered:
        _add_sureness(tally, [response.confidence], [got.right])


def _add_verdict(tally: Counter[str], question: Question, response: Response, got: Mark) -> None:
    tally[f'verdict.{int(question.verdict)}.{int(response.verdict)}'] += 1
    if got.answered:
        _add_sureness(tally, [response.confidence], [got.right])


def _add_place(tally: Counter[str], question: Question, response: Response, got: Mark) -> None:
    if question.kind == 'locate':
        tally['found'] += got.found
        tally['asked'] += got.asked
        tally['named'] += got.named
    if got.named and response.sureness is not None:
        _add_sureness(tally, response.sureness, got.hits)


def _add_sureness(tally: Counter[str], sureness: Sequence[float], right: Sequence[bool]) -> None:
    columns = metrics.reliability(np.clip(sureness, 0.0, 1.0), right, BINS)
    for name, values in zip(('count', 'sure', 'right'), columns, strict=True):
        for index in np.flatnonzero(values):
            tally[f'bin.{name}.{index}'] += values[index]


def _add_ages(
    tallies: Sequence[Counter[str]], homes: Homes, marks: Sequence[Sequence[Mark]]
) -> None:
    """Add recall of LOCATE by tenth of the age of its evidence, over all homes together."""
    rows = [
        (tally, question.ask_ns - question.evidence_ns, got)
        for tally, (questions, _), of_home in zip(tallies, homes, marks, strict=True)
        for question, got in zip(questions, of_home, strict=True)
        if question.kind == 'locate' and got.asked
    ]
    for (tally, _, got), tenth in zip(
        rows, metrics.age_decile([age for _, age, _ in rows]), strict=True
    ):
        tally[f'age.found.{tenth}'] += got.found
        tally[f'age.asked.{tenth}'] += got.asked


_ADDERS = {
    'number': _add_number,
    'choice': _add_choice,
    'verdict': _add_verdict,
    'place': _add_place,
}


# Scores as functions of the sums.


def _ratio(above: NDArray, below: NDArray) -> NDArray[np.float64]:
    return np.where(below > 0, above / np.maximum(below, 1e-12), np.nan)


def _mean_of(*kinds: str) -> Statistic:
    """Return the mean score over all questions of the kinds."""
    return lambda s: _ratio(
        sum(s[f'{kind}.sum'] for kind in kinds), sum(s[f'{kind}.count'] for kind in kinds)
    )


def _mean_over(statistics: Sequence[Statistic]) -> Statistic:
    """Return the mean of those statistics that are defined."""

    def mean(sums: Sums) -> NDArray[np.float64]:
        values = np.array([statistic(sums) for statistic in statistics])
        known = ~np.isnan(values)
        return _ratio(np.where(known, values, 0.0).sum(axis=0), known.sum(axis=0))

    return mean


def _macro_f1(sums: Sums) -> NDArray[np.float64]:
    """Return the mean F1 of the three verdicts, from the table of true and given ones."""
    scores = []
    for label in map(int, VERDICTS):
        true = sum(v for k, v in sums.items() if k.startswith(f'verdict.{label}.'))
        given = sum(sums[f'verdict.{int(of)}.{label}'] for of in VERDICTS)
        hits = sums[f'verdict.{label}.{label}']
        scores.append(2.0 * hits / np.maximum(true + given, 1e-12))
    return np.where(sums['verdict.count'] > 0, np.mean(scores, axis=0), np.nan)


def _calibration(sums: Sums) -> NDArray[np.float64]:
    columns = [
        np.stack([sums[f'bin.{name}.{index}'] for index in range(BINS)], axis=-1)
        for name in ('count', 'sure', 'right')
    ]
    return metrics.expected_calibration_error(*columns)


def _age_gap(sums: Sums) -> NDArray[np.float64]:
    oldest = _ratio(sums['age.found.9'], sums['age.asked.9'])
    return oldest - _ratio(sums['age.found.0'], sums['age.asked.0'])


def _vsi() -> dict[str, Statistic]:
    kinds = {f'vsi.{level}': _mean_of(level) for level in DIRECTIONS}
    for kind in VSI_KINDS:
        kinds[f'vsi.{kind}'] = (
            _mean_over([_mean_of(level) for level in DIRECTIONS])
            if kind == 'relative_direction'
            else _mean_of(kind)
        )
    kinds['vsi.overall'] = _mean_over([kinds[f'vsi.{kind}'] for kind in VSI_KINDS])
    return kinds


_STATISTICS: dict[str, Statistic] = {
    **_vsi(),
    'locate.recall_at_0.5m': lambda s: _ratio(s['found'], s['asked']),
    'locate.precision': lambda s: _ratio(s['found'], s['named']),
    'locate_picture.recall_at_0.5m': _mean_of('locate_picture'),
    'count.mra': _mean_of('object_count', 'streaming_count'),
    'count.inflation': lambda s: _ratio(s['inflation.sum'], s['inflation.count']),
    'vsr.accuracy': _mean_of('recall_place', 'recall_room'),
    'vsc.mra': _mean_of('streaming_count'),
    'verdict.macro_f1': _macro_f1,
    'change.corrected': _mean_of('change'),
    'age.oldest_minus_newest': _age_gap,
    'interval.coverage': lambda s: _ratio(s['interval.sum'], s['interval.count']),
    'calibration.ece': _calibration,
}


# Percentiles are no function of sums.


def _put_errors(
    out: dict[str, float],
    homes: Homes,
    marks: Sequence[Sequence[Mark]],
    seed: int,
    resamples: int,
) -> None:
    """Add median and 90th percentile of the error over all places asked; missing is infinite."""
    errors = [
        np.array(
            [
                e
                for question, got in zip(questions, of_home, strict=True)
                if question.kind == 'locate'
                for e in got.errors_m
            ]
        )
        for (questions, _), of_home in zip(homes, marks, strict=True)
    ]
    if not sum(map(len, errors)):
        return
    draws = metrics.resample_homes(len(homes), seed=seed, resamples=resamples)
    for key, percent in (('locate.median_error_m', 50), ('locate.p90_error_m', 90)):
        values = [
            metrics.percentile(drawn, percent)
            for draw in draws
            if (drawn := np.concatenate([errors[home] for home in draw])).size
        ]
        value = metrics.percentile(np.concatenate(errors), percent)
        low, high = metrics.percentile(values, 2.5), metrics.percentile(values, 97.5)
        _put(out, key, metrics.Score(value, low, high))
