# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Scores of a handful of answers, worked out by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from ros2_spatial_ttt.exam.curves import curves
from ros2_spatial_ttt.exam.marking import mark
from ros2_spatial_ttt.exam.question import Question, Response
from ros2_spatial_ttt.exam.scoring import score
from ros2_spatial_ttt.types import ResultCode

S = 1_000_000_000


def ask(set_: str, kind: str, **fields: object) -> Question:
    return Question(id=f'1/{kind}/000', set=set_, kind=kind, ask_ns=600 * S, text='?', **fields)


def count(target: float, **fields: object) -> Question:
    return ask('vsc', 'streaming_count', number=target, unit='1', **fields)


def choice(kind: str, right: int) -> Question:
    return ask('vsi', kind, choices=('a', 'b', 'c', 'd'), choice=right)


def where(kind: str, *places: tuple[float, float, float], **fields: object) -> Question:
    return ask('locate' if kind != 'change' else kind, kind, places=places, **fields)


def at(*places: tuple[float, float, float], sure: float = 1.0) -> Response:
    return Response(
        places=np.array(places, np.float64).reshape(-1, 3), sureness=np.full(len(places), sure)
    )


def test_no_answer_is_worth_nothing_in_any_kind() -> None:
    questions = [
        count(3.0),
        count(0.0),
        choice('route_plan', 0),
        where('locate', (0, 0, 0)),
        where('locate'),
        where('change'),
        ask('verdict', 'verdict', verdict=ResultCode.NOT_FOUND),
    ]
    assert [mark(question, Response()).score for question in questions] == [0.0] * 7


def test_mean_of_kinds_is_that_of_eight_with_directions_as_one() -> None:
    # Directions: easy 1, medium 0, hard 1 → 2/3. Count: 9 for 10 → .9. Route: 1 of 2.
    # Overall over the three kinds asked: (2/3 + .9 + .5) / 3.
    questions = [
        choice('relative_direction_easy', 1),
        choice('relative_direction_medium', 1),
        choice('relative_direction_hard', 1),
        ask('vsi', 'object_count', number=10.0, unit='1'),
        choice('route_plan', 0),
        choice('route_plan', 1),
    ]
    answers = [Response(choice=i) for i in (1, 0, 1)]
    answers += [Response(number=9.0), Response(choice=0), Response(choice=0)]
    found = score([(questions, answers)])
    assert found['vsi.relative_direction'] == pytest.approx(2 / 3)
    assert found['vsi.relative_direction_medium'] == 0.0
    assert found['vsi.route_plan'] == 0.5
    assert found['vsi.overall'] == pytest.approx((2 / 3 + 0.9 + 0.5) / 3)
    assert found['route_plan.n'] == 2
    assert 'vsi.room_size' not in found
    assert 'vsr.accuracy' not in found


def test_places_are_matched_one_to_one() -> None:
    # Two of three things found (0.3 m and 0 m off), four places named; the third thing gets the
    # far place 3 m off as its error. Errors 0, 0.3, 3: median 0.3.
    question = where('locate', (0, 0, 0), (5, 0, 0), (0, 5, 0))
    answer = at((0.3, 0, 0), (5, 0, 0), (0, 8, 0), (0.31, 0, 0))
    found = score([([question], [answer])])
    assert found['locate.recall_at_0.5m'] == pytest.approx(2 / 3)
    assert found['locate.precision'] == pytest.approx(2 / 4)
    assert found['locate.median_error_m'] == pytest.approx(0.3)
    # 90th percentile of 0, 0.3, 3: rank 1.8 → 0.3 + 0.8 · 2.7.
    assert found['locate.p90_error_m'] == pytest.approx(2.46)


def test_missing_place_is_an_infinite_error() -> None:
    found = score([([where('locate', (0, 0, 0))], [at()])])
    assert found['locate.median_error_m'] == float('inf')
    assert found['locate.recall_at_0.5m'] == 0.0


def test_naming_a_thing_that_is_not_there_costs_precision() -> None:
    questions = [where('locate', (0, 0, 0)), where('locate')]
    found = score([(questions, [at((0, 0, 0)), at((1, 1, 1))])])
    assert found['locate.precision'] == 0.5
    assert found['locate.recall_at_0.5m'] == 1.0
    assert mark(questions[1], at()).score == 1.0


@pytest.mark.parametrize(
    ('answer', 'corrected'),
    [
        (at((3, 0, 0)), 1.0),
        (at((0, 0, 0)), 0.0),  # still where it was
        (at((3, 0, 0), (0, 0, 0)), 0.0),  # at both places
        (at(), 0.0),
    ],
)
def test_change_is_corrected_only_without_a_ghost(answer: Response, corrected: float) -> None:
    found = score([([where('change', (3, 0, 0))], [answer])])
    assert found['change.corrected'] == corrected


def test_saying_that_a_thing_is_gone_is_worth_what_is_known_of_things_that_stayed() -> None:
    # Two are gone, said of one: 1/2. Of two that stayed one is found: each is worth half of that.
    gone, stayed = where('change'), where('change', (0, 0, 0), twin='stayed')
    answers = [at(), at((1, 0, 0)), at((0, 0, 0)), at()]
    found = score([([gone, gone, stayed, stayed], answers)])
    assert found['change.corrected'] == 0.25
    assert found['change.n'] == 2
    # Who answers "nothing" to everything is worth nothing; controls of another time do not count.
    assert score([([gone, stayed], [at()] * 2)])['change.corrected'] == 0.0
    other_time = replace(stayed, ask_ns=1)
    assert score([([gone, other_time], [at(), at((0, 0, 0))])])['change.corrected'] == 0.0


def test_counting_again_after_a_revisit_is_inflation() -> None:
    # 3 for 2: half too many. 1 for 2: none too many. Mean .25; other twins do not count.
    questions = [count(2.0, twin='revisit'), count(2.0, twin='revisit'), count(2.0)]
    answers = [Response(number=3.0), Response(number=1.0), Response(number=9.0)]
    found = score([(questions, answers)])
    assert found['count.inflation'] == pytest.approx(0.25)
    # Off by a half each: .1; 9 for 2: 0.
    assert found['vsc.mra'] == pytest.approx(0.2 / 3)


def test_macro_f1_of_verdicts() -> None:
    # True 0 0 1 2, given 0 1 1 none. F1: 2·1/(2+1), 2·1/(1+2), 0.
    true = (ResultCode.OK, ResultCode.OK, ResultCode.NOT_FOUND, ResultCode.NEVER_OBSERVED)
    given = (ResultCode.OK, ResultCode.NOT_FOUND, ResultCode.NOT_FOUND, ResultCode.INTERNAL)
    questions = [ask('verdict', 'verdict', verdict=verdict) for verdict in true]
    found = score([(questions, [Response(verdict=verdict) for verdict in given])])
    assert found['verdict.macro_f1'] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)


def test_coverage_counts_answered_numbers_and_calibration_sure_answers() -> None:
    questions = [count(2.0), count(5.0), count(5.0), choice('route_plan', 1)]
    answers = [
        Response(number=2.0, low=1.0, high=3.0),
        Response(number=2.0, low=1.0, high=3.0),
        Response(),
        Response(choice=0, confidence=0.75),
    ]
    found = score([(questions, answers)])
    assert found['interval.coverage'] == 0.5
    assert found['calibration.ece'] == pytest.approx(0.75)


def test_recall_of_the_oldest_tenth_minus_that_of_the_newest() -> None:
    # Ten ages, one question each: only the oldest is missed.
    questions = [where('locate', (0, 0, 0), evidence_ns=(600 - age) * S) for age in range(10)]
    answers = [at((0, 0, 0))] * 9 + [at((2, 0, 0))]
    assert score([(questions, answers)])['age.oldest_minus_newest'] == -1.0


def test_interval_is_over_homes() -> None:
    right, wrong = Response(choice=0), Response(choice=1)
    homes = [([choice('route_plan', 0)], [right]), ([choice('route_plan', 0)] * 3, [wrong] * 3)]
    found = score(homes)
    assert found['vsi.route_plan'] == 0.25
    assert (found['vsi.route_plan.low'], found['vsi.route_plan.high']) == (0.0, 1.0)
    assert found == score(homes)


def test_a_response_per_question_is_needed() -> None:
    with pytest.raises(ValueError, match='1 responses to 2 questions'):
        score([([count(1.0)] * 2, [Response()])])


def test_curves_fit_into_json() -> None:
    questions = [where('locate', (0, 0, 0), evidence_ns=570 * S), count(2.0)]
    answers = [at((0.1, 0, 0), sure=0.9), Response(number=2.0)]
    found = curves([(questions, answers)], [0])
    assert found['score_by_minute'] == [[10.0, 1.0, 2]]
    assert found['score_by_set'] == [['locate', 10.0, 1.0, 1], ['vsc', 10.0, 1.0, 1]]
    assert found['recall_by_age'] == [[0, 0.5, 1.0, 1]]
    assert found['errors_m'] == pytest.approx([0.1])
    assert found['risk_coverage'] == [[1.0, 0.0]]
    assert found['reliability'] == [[0.9, 1.0, 1]]
    json.dumps(found, allow_nan=False)
