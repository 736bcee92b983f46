# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Questions become requests, and answers responses; who cannot say does not guess."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hand_home import S, hand_episode
from truth_source import TruthSource

from ros2_spatial_ttt.exam.answering import respond
from ros2_spatial_ttt.exam.asking import make_questions
from ros2_spatial_ttt.exam.asking.evidence import Evidence
from ros2_spatial_ttt.exam.question import KINDS, Question, Response
from ros2_spatial_ttt.types import Answer, Instance, Query, QueryType, ResultCode

PICTURE = np.zeros((48, 64, 3), np.uint8)
NOTHING = Answer(ResultCode.NOT_FOUND, value=0.0, value_low=0.0, value_high=0.0, unit='1')
CHOICES = (('b', 'a', 'c'), ('c', 'b', 'a'), ('a', 'b', 'c'), ('c', 'a', 'b'))
DIRECTIONS = ('relative_direction_easy', 'relative_direction_medium', 'relative_direction_hard')


def ask(kind: str, *labels: str, **given: object) -> Question:
    return Question('1/x/0', 'vsi', kind, 600 * S, '?', labels=labels, **given)


def choices(*labels: tuple[str, ...]) -> dict[str, object]:
    return {'choice_labels': labels, 'choices': tuple(' '.join(label) for label in labels)}


def thing(label: str, x: float, y: float, *, seen_s: int = 1, confidence: float = 0.9) -> Instance:
    return Instance(
        id=1,
        label=label,
        position=np.array([x, y, 0.5]),
        covariance=np.zeros((3, 3)),
        size=np.array([0.2, 0.2, 0.2]),
        confidence=confidence,
        first_seen_ns=seen_s * S,
        last_seen_ns=seen_s * S,
        observations=1,
    )


def found(*things: Instance, value: float | None = None) -> Answer:
    count = float(len(things)) if value is None else value
    return Answer(ResultCode.OK, instances=things, value=count, confidence=0.8)


@pytest.mark.parametrize('kind', [k for k, what in KINDS.items() if what == 'choice'])
def test_who_finds_nothing_does_not_guess(kind: str) -> None:
    sides = choices(('left',), ('right',)) if kind in DIRECTIONS else choices(*CHOICES)
    response = respond(ask(kind, 'a', 'b', 'c', **sides), lambda query: NOTHING)
    assert response.choice == -1
    assert response.confidence == 0.0


def test_order_takes_the_choice_that_agrees_on_most_pairs() -> None:
    question = ask('appearance_order', 'a', 'b', 'c', **choices(*CHOICES))
    seen = found(thing('a', 0, 0), thing('b', 0, 0), thing('c', 0, 0))
    assert respond(question, lambda query: seen).choice == 2
    # a c b is no choice. It shares two pairs with both a b c and c a b: no answer.
    seen = found(thing('a', 0, 0), thing('c', 0, 0), thing('b', 0, 0))
    assert respond(question, lambda query: seen).choice == -1


@pytest.mark.parametrize(
    ('kind', 'sides', 'asked', 'expected'),
    [
        ('relative_direction_easy', ('left', 'right'), (3.0, 2.0), 'left'),
        ('relative_direction_easy', ('left', 'right'), (3.0, -0.1), 'right'),
        ('relative_direction_medium', ('right', 'back', 'left'), (-3.0, 1.0), 'back'),
        ('relative_direction_medium', ('right', 'back', 'left'), (-1.0, 3.0), 'left'),
        ('relative_direction_hard', ('back-left', 'front-right'), (-3.0, 1.0), 'back-left'),
    ],
)
def test_direction_is_asked_from_a_viewpoint(
    kind: str, sides: tuple[str, ...], asked: tuple[float, float], expected: str
) -> None:
    # Standing at (0, 0), facing (1, 0): the viewpoint is that of the map.
    places = {'a': thing('a', 0, 0), 'b': thing('b', 1, 0)}

    def answer(query: Query) -> Answer:
        if query.type == QueryType.LOCATE:
            return found(places[query.labels[0]])
        assert query.type == QueryType.DIRECTION
        assert np.allclose(query.viewpoint[:2, :2], np.eye(2))
        return Answer(ResultCode.OK, value=float(np.arctan2(*asked[::-1])), confidence=0.5)

    response = respond(ask(kind, 'a', 'b', 'c', **choices(*((s,) for s in sides))), answer)
    assert sides[response.choice] == expected
    # A thing that is not meant gives the right one of the choices by chance.
    assert response.confidence == pytest.approx(0.5 + 0.5 / len(sides))


def test_recall_orders_things_by_when_they_were_seen_beside_each_landmark() -> None:
    spots = {'a': 0.0, 'b': 5.0, 'c': 10.0}
    mugs = [thing('mug', 0.5, 0, seen_s=30), thing('mug', 5.5, 0, seen_s=10)]

    def source(*mugs: Instance):
        return lambda query: (
            found(*mugs)
            if query.labels == ('mug',)
            else found(thing('x', spots[query.labels[0]], 0))
        )

    question = ask('recall_place', 'mug', 'a', 'b', 'c', **choices(*CHOICES))
    third = thing('mug', 10.5, 0, seen_s=20)
    assert respond(question, source(*mugs, third)).choice == -1  # b c a: as near to two choices
    third = thing('mug', 10.5, 0, seen_s=40)
    assert respond(question, source(*mugs, third)).choice == 0
    assert respond(question, source(*mugs)).choice == -1
    # One mug is the nearest to two landmarks: it cannot be said which is beside which.
    assert respond(question, source(*mugs, thing('mug', -1.0, 0, seen_s=40))).choice == -1


def test_the_best_guess_of_a_system_is_where_something_is_if_none_is_sure() -> None:
    places = {'a': thing('a', 0, 0), 'b': thing('b', 1, 0, confidence=0.3)}

    def answer(query: Query) -> Answer:
        if query.type == QueryType.DIRECTION:
            return Answer(ResultCode.OK, value=0.3, confidence=0.6)
        name = query.labels[0]
        guess = replace(NOTHING, instances=(places[name], thing(name, 9, 9, confidence=0.1)))
        return found(places[name]) if name == 'a' else guess

    question = ask('relative_direction_easy', 'a', 'b', 'c', **choices(('right',), ('left',)))
    response = respond(question, answer)
    assert response.choice == 1 and response.confidence == pytest.approx(0.3 + 0.7 / 2)
    # What was never observed has no guess.
    unseen = Answer(ResultCode.NEVER_OBSERVED, instances=(places['b'],))
    assert respond(question, lambda query: unseen).choice == -1


def test_recall_takes_as_many_places_as_the_question_says_there_were() -> None:
    spots = {'a': 0.0, 'b': 5.0, 'c': 10.0}
    unsure = {'confidence': 0.2}
    mugs = [
        thing('mug', 0.5, 0, seen_s=30),
        thing('mug', 5.5, 0, seen_s=10, **unsure),
        thing('mug', 10.5, 0, seen_s=40, **unsure),
    ]

    def answer(query: Query) -> Answer:
        name = query.labels[0]
        return found(*mugs, value=1.0) if name == 'mug' else found(thing('x', spots[name], 0))

    assert (
        respond(ask('recall_place', 'mug', 'a', 'b', 'c', **choices(*CHOICES)), answer).choice == 0
    )


def test_number_is_in_the_unit_of_the_question_with_its_interval() -> None:
    answer = Answer(ResultCode.OK, value=1.2, value_low=1.0, value_high=1.5, confidence=0.7)
    response = respond(ask('object_size', 'bed', unit='cm'), lambda query: answer)
    assert (response.number, response.low, response.high) == (120.0, 100.0, 150.0)


def test_what_was_never_observed_has_no_number() -> None:
    answer = Answer(ResultCode.NEVER_OBSERVED)
    assert np.isnan(respond(ask('object_count', 'bed'), lambda query: answer).number)
    # Looked for and found none: zero of them.
    assert respond(ask('object_count', 'bed'), lambda query: NOTHING).number == 0.0


def test_only_what_is_sure_is_named() -> None:
    answer = found(thing('mug', 1, 0), thing('mug', 2, 0, confidence=0.2), value=1.0)
    response = respond(ask('locate', 'mug'), lambda query: answer)
    assert response.places.tolist() == [[1.0, 0.0, 0.5]]
    assert response.sureness.tolist() == [0.9]
    absent = respond(
        ask('locate', 'mug'), lambda query: replace(NOTHING, instances=answer.instances)
    )
    assert absent.places.shape == (0, 3)
    failed = respond(ask('locate', 'mug'), lambda query: Answer(ResultCode.TIMEOUT))
    assert failed.places is None


def test_limits_of_the_question_reach_the_request() -> None:
    asked: list[Query] = []

    def record(query: Query) -> Answer:
        asked.append(query)
        return NOTHING

    region = ((0.0, 0.0, 0.0), (1.0, 2.0, 3.0))
    respond(ask('streaming_count', 'mug', until_ns=5 * S), record)
    response = respond(ask('verdict', 'mug', region=region), record)
    assert (asked[0].type, asked[0].until_ns) == (QueryType.COUNT, 5 * S)
    assert (asked[1].type, asked[1].region.maximum) == (QueryType.EXISTS, (1.0, 2.0, 3.0))
    assert response.verdict == ResultCode.NOT_FOUND


def test_picture_is_sent_as_an_example_and_the_best_place_taken() -> None:
    asked: list[Query] = []

    def record(query: Query) -> Answer:
        asked.append(query)
        return found(thing('', 1, 0), thing('', 2, 0))

    question = ask('locate_picture', picture=(3, (1, 2, 30, 40)))
    response = respond(question, record, picture=lambda q: PICTURE + q.picture[0])
    (query,) = asked
    assert query.examples[0].roi == (1, 2, 30, 40)
    assert np.all(query.examples[0].image == 3)
    assert response.places.tolist() == [[1.0, 0.0, 0.5]]
    assert respond(question, record).places is None


def test_the_right_answer_is_never_looked_at() -> None:
    episode = hand_episode()
    evidence = Evidence(episode)
    secret = {
        'number': -7.0,
        'choice': 3,
        'places': ((9.0, 9.0, 9.0),),
        'place_ids': (99,),
        'verdict': ResultCode.BUSY,
        'evidence_ns': 1,
        'twin': 'swap',
    }
    assert set(secret) <= {field.name for field in fields(Question)}
    for question in make_questions(episode):
        source = TruthSource(evidence, question.ask_ns).ask
        open_, blind = respond(question, source), respond(replace(question, **secret), source)
        assert _same(open_, blind), question


def _same(a: Response, b: Response) -> bool:
    return all(
        np.array_equal(getattr(a, f.name), getattr(b, f.name), equal_nan=True)
        if isinstance(getattr(a, f.name), (float, np.ndarray))
        else getattr(a, f.name) == getattr(b, f.name)
        for f in fields(Response)
        if f.name != 'seconds'
    )
