# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A result comes back from JSON as it was."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from ros2_spatial_ttt.exam.codec import (
    HomeResult,
    Plan,
    SystemResult,
    home_from_json,
    home_to_json,
)
from ros2_spatial_ttt.exam.question import Question, Response
from ros2_spatial_ttt.types import ResultCode

QUESTIONS = (
    Question('1/object_count/000', 'vsi', 'object_count', 5, 'how many?', number=3.0, unit='1'),
    Question(
        '1/locate/000',
        'locate',
        'locate',
        7,
        'where is the “vase”?',
        labels=('vase',),
        places=((1.0, 2.0, 0.5),),
        place_ids=(4,),
        region=((0.0, 0.0, 0.0), (1.0, 2.0, 3.0)),
        viewpoint=tuple(map(tuple, np.eye(4).tolist())),
        picture=(3, (1, 2, 30, 40)),
    ),
)
RESPONSES = (
    Response(number=2.0, low=1.0, high=math.inf, confidence=0.5),
    Response(
        places=np.array([[1.0, 2.0, 0.5]]),
        sureness=np.array([0.75]),
        verdict=ResultCode.OK,
        seconds=0.25,
    ),
)


def result() -> HomeResult:
    plan = Plan((('hall', ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))),), ((1, 'vase') + (0.1,) * 5,), ())
    systems = {'memory': SystemResult(RESPONSES, 99, {'observe_s': 0.5})}
    return HomeResult(1, 'abc', 120, 10, QUESTIONS, systems, plan, 1.5)


def test_result_comes_back_through_strict_json() -> None:
    text = json.dumps(home_to_json(result()), allow_nan=False)
    got = home_from_json(json.loads(text))
    assert home_to_json(got) == home_to_json(result())
    assert dataclasses.replace(got.questions[1], number=0.0) == dataclasses.replace(
        QUESTIONS[1], number=0.0
    )
    assert math.isnan(got.questions[1].number) and got.questions[0].verdict is ResultCode.OK
    number, place = got.systems['memory'].responses
    assert (number.number, number.low, number.high) == (2.0, 1.0, math.inf)
    assert number.places is None
    np.testing.assert_array_equal(place.places, RESPONSES[1].places)
    assert place.sureness.dtype == np.float64 and place.verdict is ResultCode.OK
    assert got.plan == result().plan


@pytest.mark.parametrize(
    'damage',
    [
        lambda raw: raw.pop('systems'),
        lambda raw: raw['systems']['memory']['responses'].pop(),
        lambda raw: raw['questions'][0].update(surprise=1),
        lambda raw: raw['questions'][0].update(verdict=99),
        lambda raw: raw.update(seed='x'),
    ],
)
def test_what_is_no_result_is_refused(damage) -> None:
    raw = home_to_json(result())
    damage(raw)
    with pytest.raises((KeyError, TypeError, ValueError)):
        home_from_json(raw)
