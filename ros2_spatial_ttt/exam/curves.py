# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Curves for plots, as lists that fit into JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from ros2_spatial_ttt.exam import metrics
from ros2_spatial_ttt.exam.marking import STAYED, mark_all
from ros2_spatial_ttt.exam.question import KINDS
from ros2_spatial_ttt.exam.scoring import Homes

__all__ = ['curves']

NS_PER_MINUTE = 60_000_000_000
MOST_POINTS = 200  # of a curve


def curves(homes: Homes, begins_ns: Sequence[int]) -> dict[str, list]:
    """Return what the plots of the exam show.

    Args:
        homes: per home its questions and the responses to them.
        begins_ns: per home the stamp of its first frame.

    Returns:
        - score_by_minute: [minutes since the first frame, mean score, number] per ask time.
        - score_by_set: {set: the same} as [set, minutes, mean score, number].
        - recall_by_age: [age decile, mean age in minutes, recall of LOCATE, number of places].
        - score_by_age: the same over all questions, [decile, minutes, mean score, number].
        - errors_m: finite position errors of LOCATE, ascending; missing_share: [share without].
        - risk_coverage: [coverage, risk] over choices, verdicts and places named, surest first.
        - reliability: [mean confidence, share right, number] per bin of confidence.
    """
    rows = [
        (question, response, got, question.ask_ns - begin)
        for (questions, responses), begin in zip(homes, begins_ns, strict=True)
        for question, response, got in zip(
            questions, responses, mark_all(questions, responses), strict=True
        )
        if question.twin != STAYED
    ]
    return {
        'score_by_minute': _by_minute(rows),
        'score_by_set': [
            [name, *point]
            for name in sorted({question.set for question, *_ in rows})
            for point in _by_minute([row for row in rows if row[0].set == name])
        ],
        'recall_by_age': _by_age(
            [row for row in rows if row[0].kind == 'locate' and row[2].asked]
        ),
        'score_by_age': _by_age(rows),
        **_errors(rows),
        **_confidence(rows),
    }


def _by_minute(rows: Sequence[tuple]) -> list[list[float]]:
    scores = defaultdict(list)
    for _, _, got, since in rows:
        scores[round(since / NS_PER_MINUTE, 2)].append(got.score)
    return [[m, float(np.mean(s)), len(s)] for m, s in sorted(scores.items())]


def _by_age(rows: Sequence[tuple]) -> list[list[float]]:
    ages = np.array([question.ask_ns - question.evidence_ns for question, *_ in rows], np.float64)
    weights = np.array([max(got.asked, 1) for _, _, got, _ in rows], np.float64)
    scores = np.array([got.score for _, _, got, _ in rows], np.float64)
    tenths = metrics.age_decile(ages)
    out = []
    for tenth in range(10):
        own = tenths == tenth
        if own.any():
            mean = float(np.average(scores[own], weights=weights[own]))
            minutes = float(ages[own].mean() / NS_PER_MINUTE)
            out.append([tenth, minutes, mean, int(weights[own].sum())])
    return out


def _errors(rows: Sequence[tuple]) -> dict[str, list[float]]:
    errors = np.array(
        [e for question, _, got, _ in rows if question.kind == 'locate' for e in got.errors_m]
    )
    finite = np.sort(errors[np.isfinite(errors)])
    missing = [1.0 - len(finite) / len(errors)] if len(errors) else []
    return {'errors_m': _thin(finite).tolist(), 'missing_share': missing}


def _confidence(rows: Sequence[tuple]) -> dict[str, list[list[float]]]:
    sure, right = [], []
    for question, response, got, _ in rows:
        if KINDS[question.kind] == 'place' and response.sureness is not None:
            sure.extend(np.clip(response.sureness, 0.0, 1.0).tolist())
            right.extend(got.hits)
        elif KINDS[question.kind] in ('choice', 'verdict') and got.answered:
            sure.append(min(max(response.confidence, 0.0), 1.0))
            right.append(got.right)
    coverage, risk = metrics.risk_coverage(sure, right)
    count, confidence, hits = metrics.reliability(sure, right)
    return {
        'risk_coverage': _thin(np.stack([coverage, risk], axis=1)).tolist(),
        'reliability': [
            [float(c / n), float(h / n), int(n)]
            for n, c, h in zip(count, confidence, hits, strict=True)
            if n
        ],
    }


def _thin(points: np.ndarray) -> np.ndarray:
    """Return at most ``MOST_POINTS`` of them, evenly, the first and the last among them."""
    if len(points) <= MOST_POINTS:
        return points
    return points[np.round(np.linspace(0, len(points) - 1, MOST_POINTS)).astype(np.int64)]
