# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Systems that never look: they learn every habit of the questions, and nothing of the home."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ros2_spatial_ttt.exam.question import KINDS, Question, Response
from ros2_spatial_ttt.exam.systems import SYSTEMS, SystemContext, priors
from ros2_spatial_ttt.exam.systems.blind import Blind, Chance
from ros2_spatial_ttt.types import ResultCode


def choice(number: int, right: int, kind: str = 'relative_direction_easy', **more) -> Question:
    texts = more.pop('choices', ('left', 'right', 'behind', 'ahead'))
    return Question(
        id=f'1/{kind}/{number}',
        set='vsi',
        kind=kind,
        ask_ns=10**10,
        text='which?',
        choices=texts,
        choice_labels=tuple((text,) for text in texts),
        choice=right,
        **more,
    )


def number(index: int, label: str, value: float) -> Question:
    return Question(
        id=f'1/object_count/{index}',
        set='vsi',
        kind='object_count',
        ask_ns=10**10,
        text=f'how many {label}s?',
        labels=(label,),
        number=value,
        unit='1',
    )


def placed(index: int, label: str, kind: str, verdict: ResultCode, *places) -> Question:
    return Question(
        id=f'1/{kind}/{index}',
        set='locate',
        kind=kind,
        ask_ns=10**10,
        text=f'where is the {label}?',
        labels=(label,),
        places=places,
        place_ids=tuple(range(len(places))),
        verdict=verdict,
    )


def train() -> list[Question]:
    """Return questions with habits: counts by name, sinks in the south, 'behind' mostly right."""
    rng = np.random.default_rng(5)
    out = [number(i, 'chair', 4.0 if i % 3 else 2.0) for i in range(30)]
    out += [number(i, 'bed', 1.0) for i in range(30)]
    for i in range(80):
        texts = tuple(rng.permutation(['left', 'right', 'behind', 'ahead']).tolist())
        right = texts.index('behind') if i % 5 else int(rng.integers(4))
        out.append(choice(i, right, choices=texts, labels=('sofa', 'bed', 'tv')))
    out += [placed(i, 'sink', 'locate', ResultCode.OK, (0.1 * i, -3.0, 1.0)) for i in range(9)]
    absent = ResultCode.NOT_FOUND
    out += [placed(i, 'mug', 'verdict', absent) for i in range(20)]
    out += [placed(i, 'tv', 'verdict', ResultCode.OK) for i in range(12)]
    return out


@pytest.fixture(scope='module')
def known() -> priors.Priors:
    return priors.fit(train(), homes=3)


def without_truth(question: Question) -> Question:
    return replace(
        question,
        number=float('nan'),
        choice=-1,
        places=(),
        place_ids=(),
        verdict=ResultCode.OK,
        evidence_ns=0,
        twin='',
    )


def same(a: Response, b: Response) -> bool:
    return all(
        np.array_equal(x, y, equal_nan=True) for x, y in zip(parts(a), parts(b), strict=True)
    )


def parts(response: Response) -> list:
    places = np.zeros((0, 3)) if response.places is None else response.places
    return [
        np.array([response.number, response.low, response.high, response.confidence]),
        np.array([response.choice, int(response.verdict)]),
        places,
    ]


@pytest.mark.parametrize('kind', ['blind', 'chance'])
def test_no_truth_is_read(known, kind):
    system = Blind(known) if kind == 'blind' else Chance(seed=4, known=known)
    for question in train():
        assert same(system.respond(question), system.respond(without_truth(question)))


def test_blind_learns_the_habits_of_the_questions(known):
    blind = Blind(known)
    assert blind.respond(number(99, 'chair', 0.0)).number == 4.0
    assert blind.respond(number(99, 'bed', 0.0)).number == 1.0
    assert blind.respond(number(99, 'lamp', 0.0)).number == 1.0  # unknown: best for all names
    asked = choice(99, 0, choices=('ahead', 'right', 'left', 'behind'), labels=('a', 'b', 'c'))
    response = blind.respond(asked)
    assert response.choice == 3 and 0.4 < response.confidence < 0.9
    assert (
        blind.respond(placed(9, 'mug', 'verdict', ResultCode.OK)).verdict == ResultCode.NOT_FOUND
    )
    assert blind.respond(placed(9, 'tv', 'verdict', ResultCode.OK)).verdict == ResultCode.OK
    sink = blind.respond(placed(9, 'sink', 'locate', ResultCode.OK))
    np.testing.assert_allclose(sink.places, [[0.4, -3.0, 1.0]])


def test_blind_sees_no_habit_where_there_is_none():
    rng = np.random.default_rng(8)
    even = [choice(i, int(rng.integers(4))) for i in range(400)]
    blind = Blind(priors.fit(even[:200]))
    right = np.mean([blind.respond(q).choice == q.choice for q in even[200:]])
    assert right < 0.35


def test_blind_says_nothing_about_what_it_was_never_asked():
    response = Blind(priors.Priors()).respond(number(1, 'chair', 2.0))
    assert np.isnan(response.number)


def test_chance_is_even_seeded_and_independent_of_order(known):
    asked = [choice(i, 0) for i in range(400)]
    drawn = [Chance(seed=1, known=known).respond(q).choice for q in asked]
    share = np.bincount(drawn, minlength=4) / len(drawn)
    assert np.all(np.abs(share - 0.25) < 0.08)
    system = Chance(seed=1, known=known)
    assert [system.respond(q).choice for q in reversed(asked)] == drawn[::-1]
    assert [Chance(seed=2, known=known).respond(q).choice for q in asked] != drawn
    numbers = {Chance(seed=1, known=known).respond(number(i, 'x', 0)).number for i in range(50)}
    assert numbers <= {1.0, 2.0, 4.0} and len(numbers) > 1


def test_priors_survive_the_file(known, tmp_path):
    path = tmp_path / 'priors.json'
    priors.save(known, path)
    assert priors.load(path) == known


def test_the_package_holds_priors_of_a_hundred_train_homes():
    shipped = priors.load()
    assert priors.PATH.stat().st_size < 50_000
    assert shipped.homes >= 100 and '--homes 100' in shipped.command
    asked = {k for k, sort in KINDS.items() if sort == 'choice'}
    assert set(shipped.choice) == asked
    context = SystemContext(seed=1)
    for name in ('chance', 'blind'):
        system = SYSTEMS[name](context)
        assert system.name == name and system.stored_bytes == 0
        assert system.respond(number(1, 'chair', 2.0)).number > 0
