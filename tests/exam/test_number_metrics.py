# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Metrics of numbers, matchings, confidence and age; every expectation was worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ros2_spatial_ttt.exam import metrics

NAN = float('nan')
INF = float('inf')


@pytest.mark.parametrize(
    ('answer', 'target', 'expected'),
    [
        (10.0, 10.0, 1.0),
        # Off by 10 %: passes 1 - t >= .1, that is t = .50 … .90, nine of ten.
        (9.0, 10.0, 0.9),
        (11.0, 10.0, 0.9),
        # Off by 20 %: t = .50 … .80, seven of ten.
        (4.0, 5.0, 0.7),
        # Off by 50 %: only t = .50 (the published scorer counts "at most").
        (1.0, 2.0, 0.1),
        (0.9, 2.0, 0.0),
        # Off by 100 % and more: nothing.
        (20.0, 10.0, 0.0),
        (0.0, 10.0, 0.0),
        # A missing answer is worth nothing.
        (NAN, 10.0, 0.0),
        (INF, 10.0, 0.0),
    ],
)
def test_mean_relative_accuracy_by_hand(answer: float, target: float, expected: float) -> None:
    assert metrics.mean_relative_accuracy(answer, target) == pytest.approx(expected)


@pytest.mark.parametrize(
    ('answer', 'expected'),
    [(0.0, 1.0), (0.4, 1.0), (1.0, 0.0), (0.6, 0.0), (5.0, 0.0), (NAN, 0.0), (INF, 0.0)],
)
def test_target_of_zero_does_not_score_for_free(answer: float, expected: float) -> None:
    assert metrics.mean_relative_accuracy(answer, 0.0) == expected


def test_matching_finds_most_pairs_and_uses_each_place_once() -> None:
    # The greedy pair (1, 0) at 0.1 m would leave answer 0 without a partner; two pairs exist:
    # (0, 0) at 0.4 m and (1, 1) at 0.4 m.
    answers = [[0.0, 0, 0], [0.5, 0, 0]]
    truth = [[0.4, 0, 0], [0.9, 0, 0]]
    rows, columns = metrics.match(answers, truth, 0.5)
    assert rows.tolist() == [0, 1]
    assert columns.tolist() == [0, 1]


def test_two_answers_at_one_thing_are_one_hit() -> None:
    rows, columns = metrics.match([[0, 0, 0], [0.1, 0, 0]], [[0, 0, 0]], 0.5)
    assert rows.tolist() == [0]
    assert columns.tolist() == [0]


def test_matching_includes_the_radius_and_nothing_beyond() -> None:
    assert len(metrics.match([[0.5, 0, 0]], [[0, 0, 0]], 0.5)[0]) == 1
    assert len(metrics.match([[0.51, 0, 0]], [[0, 0, 0]], 0.5)[0]) == 0
    assert len(metrics.match([[9.0, 0, 0]], [[0, 0, 0]], INF)[0]) == 1
    assert len(metrics.match([], [[0, 0, 0]], 0.5)[0]) == 0


def test_reliability_and_calibration_error_by_hand() -> None:
    # Bin 0.9..1: confidences .9 and 1., one right: |1 - 1.9| = .9.
    # Bin 0.2..0.3: confidence .2, right: |1 - .2| = .8. Three answers: (.9 + .8) / 3.
    count, sure, right = metrics.reliability([0.9, 1.0, 0.2], [1, 0, 1])
    assert (count[9], sure[9], right[9]) == (2.0, pytest.approx(1.9), 1.0)
    assert (count[2], sure[2], right[2]) == (1.0, pytest.approx(0.2), 1.0)
    assert metrics.expected_calibration_error(count, sure, right) == pytest.approx(1.7 / 3)


def test_calibration_error_is_undefined_without_answers() -> None:
    assert np.isnan(metrics.expected_calibration_error(*metrics.reliability([], [])))


def test_interval_must_be_there_and_hold_the_target() -> None:
    low, high = [1.0, 1.0, 3.0, NAN, 0.0], [2.0, 2.0, 4.0, 2.0, INF]
    held = metrics.covered(low, high, [1.5, 2.0, 2.9, 1.0, 1.0])
    assert held.tolist() == [True, True, False, False, False]


def test_risk_of_answering_only_the_surest() -> None:
    # By confidence: right, wrong, right. Answering 1, 2, 3 of 3: wrong 0/1, 1/2, 1/3.
    coverage, risk = metrics.risk_coverage([0.2, 0.9, 0.5], [1, 1, 0])
    assert coverage == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert risk == pytest.approx([0.0, 0.5, 1 / 3])


def test_deciles_of_age_are_by_rank() -> None:
    ages = np.arange(20)[::-1] * 7
    assert metrics.age_decile(ages).tolist() == np.repeat(np.arange(10), 2)[::-1].tolist()
    assert metrics.age_decile([5]).tolist() == [0]
    assert metrics.age_decile([]).tolist() == []


def test_bootstrap_over_homes_sums_what_the_homes_add() -> None:
    # 2 of 4 right in one home, 6 of 6 in the other: 8 / 10. Drawing a home twice gives 1/2 or 1.
    def share(sums: np.ndarray) -> np.ndarray:
        return sums[..., 0] / sums[..., 1]

    score = metrics.bootstrap_homes(share, [[2, 4], [6, 6]])
    assert score.value == pytest.approx(0.8)
    assert (score.low, score.high) == (0.5, 1.0)
    assert score == metrics.bootstrap_homes(share, [[2, 4], [6, 6]])
    assert metrics.bootstrap_homes(share, [[2, 4]]) == metrics.Score(0.5, 0.5, 0.5)
