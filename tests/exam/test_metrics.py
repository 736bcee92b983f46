# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Every expected number here was worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ros2_spatial_ttt.exam import metrics

INF = float('inf')


def test_error_is_the_distance_and_infinite_without_an_answer() -> None:
    answers = [np.array([3.0, 4.0, 0.0]), None, np.array([1.0, 1.0, 1.0])]
    truth = [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [1.0, 1.0, 0.5]]
    assert metrics.localisation_errors(answers, truth).tolist() == [5.0, INF, 0.5]


def test_answer_that_is_not_finite_counts_as_missing() -> None:
    answers = [np.array([np.nan, 0.0, 0.0])]
    assert metrics.localisation_errors(answers, [[0.0, 0.0, 0.0]]).tolist() == [INF]


def test_number_of_answers_must_be_the_number_of_questions() -> None:
    with pytest.raises(ValueError, match='1 answers to 2 questions'):
        metrics.localisation_errors([None], np.zeros((2, 3)))


def test_recall_counts_the_radius_itself_and_never_a_missing_answer() -> None:
    errors = [0.1, 0.25, 0.26, INF]
    assert metrics.recall_at(errors, 0.25) == 0.5
    assert metrics.recall_at(errors, 100.0) == 0.75
    assert metrics.recall_at([], 1.0) == 0.0


@pytest.mark.parametrize(
    ('errors', 'percent', 'expected'),
    [
        ([0.4, 0.1, 0.3], 50, 0.3),
        ([0.1, 0.3], 50, 0.2),
        ([0.1, 0.2, INF], 50, 0.2),
        ([0.1, INF], 50, INF),
        ([0.1, 0.2, INF, INF], 50, INF),
        ([0.0, 1.0, 2.0, 3.0, 4.0], 90, 3.6),
        ([0.0, 1.0, 2.0, 3.0, INF], 90, INF),
        ([], 50, INF),
    ],
)
def test_percentile_treats_a_missing_answer_as_infinitely_wrong(
    errors: list[float], percent: float, expected: float
) -> None:
    assert metrics.percentile(errors, percent) == pytest.approx(expected)


def test_verdict_scores_by_hand() -> None:
    # Class 0: 2 of 3 right, one given wrongly: F1 = 4 / (3 + 3). Class 1: 1 of 2: 2 / (2 + 2).
    # Class 2: never right. One answer is missing.
    truth = [0, 0, 0, 1, 1, 2]
    given = [0, 0, metrics.MISSING, 1, 0, 1]
    assert metrics.class_f1(truth, given, 0) == pytest.approx(2 / 3)
    assert metrics.class_f1(truth, given, 1) == pytest.approx(1 / 2)
    assert metrics.class_f1(truth, given, 2) == 0.0
    assert metrics.macro_f1(truth, given, [0, 1, 2]) == pytest.approx((2 / 3 + 1 / 2) / 3)
    assert metrics.class_share(truth, given, 0) == pytest.approx(2 / 3)
    assert metrics.class_share(truth, given, 2) == 0.0


def test_all_missing_verdicts_score_zero() -> None:
    given = [metrics.MISSING] * 3
    assert metrics.macro_f1([0, 1, 2], given, [0, 1, 2]) == 0.0


def test_interval_is_seeded_and_has_the_width_of_a_binomial() -> None:
    errors = np.array([0.1] * 50 + [1.0] * 50)
    scores = [
        metrics.bootstrap(lambda e: metrics.recall_at(e, 0.5), errors, seed=s) for s in (0, 0, 1)
    ]
    assert scores[0] == scores[1] != scores[2]
    # 1.96 * sqrt(0.25 / 100) = 0.098 either side of one half.
    assert scores[0].value == 0.5
    assert scores[0].low == pytest.approx(0.402, abs=0.025)
    assert scores[0].high == pytest.approx(0.598, abs=0.025)


def test_interval_resamples_rows_not_columns() -> None:
    # Truth equals answer in every row; a shuffle within one column would break that.
    labels = np.array([0, 1, 2] * 10)
    score = metrics.bootstrap(lambda t, g: float(np.mean(t == g)), labels, labels)
    assert (score.low, score.value, score.high) == (1.0, 1.0, 1.0)


def test_interval_of_nothing_is_the_value_itself() -> None:
    score = metrics.bootstrap(lambda e: metrics.recall_at(e, 0.5), np.zeros(0))
    assert (score.low, score.value, score.high) == (0.0, 0.0, 0.0)


def test_interval_end_is_infinite_where_missing_answers_reach_it() -> None:
    errors = np.array([0.1] * 51 + [INF] * 49)
    score = metrics.bootstrap(lambda e: metrics.percentile(e, 50), errors)
    assert (score.low, score.value, score.high) == (0.1, 0.1, INF)
