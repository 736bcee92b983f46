# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What was measured is weighed against what is usual; evidence dominates where there is any."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ros2_spatial_ttt.query.intervals import edge_interval, number_of
from ros2_spatial_ttt.query.names import Reading
from ros2_spatial_ttt.query.relations import answer
from ros2_spatial_ttt.query.things import first_there, likeliest
from ros2_spatial_ttt.query.usual import Usual, number_chances, usual_constants, usual_of
from ros2_spatial_ttt.types import Instance, Query, QueryType

CHAIR = Usual(0.5, 0.45, 0.9, vary=0.1, number=4.0, held=0.95)
LAMP = Usual(0.3, 0.3, 1.0, vary=0.5, number=1.5, held=0.6)


def thing(number, confidence, *, x=0.0, seen_s=0, label='chair', size=(0.5, 0.5, 0.9)):
    return Instance(
        id=number,
        label=label,
        position=np.array([x, 0.0, 0.5]),
        covariance=0.05**2 * np.eye(3),
        size=np.array(size),
        confidence=confidence,
        first_seen_ns=seen_s * 10**9 + 1,
        last_seen_ns=10**12,
        observations=5,
    )


class Source:
    """Things by name, and what is usual of them."""

    found_threshold = 0.4

    def __init__(self, things, usual=None):
        self._things, self._usual = things, usual or {}

    def instances(self, term, query):
        own = [one for one in self._things if one.label == term]
        return sorted(own, key=lambda one: -one.confidence)

    def usual(self, term):
        return self._usual.get(term)

    def unseen(self, query):
        return ''

    def floor_area(self, query):
        return 0.0, 0.0, 0.0


def ask(things, kind, *labels, usual=None, **parts):
    return answer(Source(things, usual), Query(kind, labels=labels, **parts))


def median(chances):
    return int(np.searchsorted(np.cumsum(chances), 0.5))


def test_seven_well_seen_chairs_are_seven_though_four_are_usual():
    chances = number_chances([0.99] * 7, CHAIR)
    assert median(chances) == 7 and chances[7] > 0.6
    seen = ask([thing(n, 0.99, x=n) for n in range(7)], QueryType.COUNT, 'chair')
    weighed = ask(
        [thing(n, 0.99, x=n) for n in range(7)], QueryType.COUNT, 'chair', usual={'chair': CHAIR}
    )
    assert seen.value == weighed.value == 7.0
    assert weighed.value_low >= 6.0 and weighed.value_high <= 8.0


def test_two_well_seen_chairs_are_two_though_four_are_usual():
    assert median(number_chances([0.99] * 2, CHAIR)) == 2


def test_many_hardly_believed_things_do_not_add_up():
    unsure = [0.99, 0.98, *[0.15] * 6]
    alone, weighed = number_chances(unsure), number_chances(unsure, replace(CHAIR, number=2.0))
    assert median(alone) == 3 and median(weighed) == 2


def test_what_is_often_missed_may_be_more_than_is_known():
    known, missed = (number_chances([0.97], replace(LAMP, held=held)) for held in (0.98, 0.3))
    assert known[1] > 0.9
    assert missed[2:].sum() > 0.5
    low, high = number_of([thing(0, 0.97, label='lamp')], 1, replace(LAMP, held=0.3))[1:]
    assert low <= 1.0 and high >= 3.0


@pytest.mark.parametrize('usual', [None, CHAIR])
def test_chances_of_numbers_are_chances(usual):
    chances = number_chances([0.9, 0.5, 0.2], usual)
    assert chances.sum() == pytest.approx(1.0) and (chances >= 0.0).all()
    assert number_chances([], usual).sum() == pytest.approx(1.0)


def test_numbers_of_independent_things_lie_in_their_interval():
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(3000):
        chance = rng.random(6)
        there = int((rng.random(6) < chance).sum())
        _, low, high = number_of([thing(n, c) for n, c in enumerate(chance)], 3)
        inside.append(low <= there <= high)
    assert np.mean(inside) >= 0.9


def weighed(usual, measured, confidence):
    return Reading(size_error=0.15, usual=(usual,)).weighed(0, np.array(measured), confidence)


def test_a_thing_seen_well_is_as_it_was_seen_where_its_name_says_little():
    size, error = weighed(LAMP, (0.3, 0.3, 1.8), 0.99)
    assert size[2] == pytest.approx(1.8, rel=0.1) and error < 0.2


def test_a_thing_that_may_be_another_is_as_things_of_its_name_are():
    size, error = weighed(CHAIR, (2.5, 2.5, 0.02), 0.1)
    assert size == pytest.approx((0.5, 0.45, 0.9), rel=0.1)
    assert error > weighed(CHAIR, (0.5, 0.45, 0.9), 0.99)[1]


def test_sizes_of_a_name_lie_in_their_intervals():
    """Right and wrong things mixed as their confidences say."""
    rng = np.random.default_rng(1)
    for confidence in (0.95, 0.6, 0.2):
        inside = []
        for _ in range(2000):
            true, other = np.exp(np.log(1.0) + LAMP.vary * rng.standard_normal(2))
            noise = 0.15 * np.exp(1.5 * (1.0 - confidence)) * rng.standard_normal()
            seen = true if rng.random() < confidence else other
            size, error = weighed(LAMP, (0.3, 0.3, seen * np.exp(noise)), confidence)
            low, high = edge_interval(replace(thing(0, confidence), size=size, size_error=error))
            inside.append(low <= true <= high)
        assert 0.85 <= np.mean(inside) <= 0.97, confidence


def test_without_what_is_usual_sizes_stay_as_measured():
    size, error = Reading().weighed(0, np.array([1.0, 2.0, 3.0]), 0.3)
    assert size.tolist() == [1.0, 2.0, 3.0] and error == 0.0


def test_the_manifest_keeps_what_is_usual():
    labels = ('chair', 'coffee table')
    constants = usual_constants((CHAIR, LAMP), labels)
    assert usual_of(constants, labels) == (CHAIR, LAMP)
    assert usual_of({}, labels) == () and usual_of(constants, ()) == ()
    reading = Reading(names=(0.5, -0.5), usual=(CHAIR, LAMP))
    assert Reading.from_manifest(reading.to_manifest(labels), labels) == reading


@pytest.mark.parametrize(
    ('chances', 'first'), [([0.3, 0.9], 1), ([0.6, 0.9], 0), ([1.0, 1.0], 0), ([0.02], 0)]
)
def test_what_comes_first_but_is_hardly_believed_hides_nothing(chances, first):
    assert first_there(chances) == first
    assert likeliest([thing(n, c) for n, c in enumerate(chances)]).id == first


def test_questions_mean_the_likeliest_of_the_things_of_a_name():
    here = np.eye(4)
    table = thing(9, 0.98, x=0.0, label='table')
    weak, sure = thing(1, 0.3, x=2.0, seen_s=1), thing(2, 0.95, x=5.0, seen_s=9)
    late = thing(3, 0.9, label='lamp', seen_s=5)
    everything = [table, weak, sure, late]
    assert ask(everything, QueryType.DISTANCE, 'table', 'chair').instances[1].id == 2
    assert ask(everything, QueryType.NEAREST, 'chair', viewpoint=here).instances[0].id == 2
    assert ask(everything, QueryType.DIRECTION, 'chair', viewpoint=here).instances[0].id == 2
    order = ask(everything, QueryType.ORDER, 'chair', 'lamp').instances
    assert [one.label for one in order] == ['lamp', 'chair']
    believed = [table, replace(weak, confidence=0.9), sure, late]
    assert ask(believed, QueryType.DISTANCE, 'table', 'chair').instances[1].id == 1
    assert ask(believed, QueryType.ORDER, 'chair', 'lamp').instances[0].label == 'chair'


def test_what_is_hardly_believed_is_not_meant():
    assert ask([thing(1, 0.01)], QueryType.SIZE, 'chair').code.name == 'NOT_FOUND'
    assert ask([thing(1, 0.03)], QueryType.SIZE, 'chair').confidence == 0.03
