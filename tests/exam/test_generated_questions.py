# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Questions about generated homes: the truth answers them all, and simple guesses do not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from truth_source import TruthSource

pytest.importorskip('mujoco', reason='tours of generated homes need MuJoCo (extra sim)')

from ros2_spatial_ttt.exam.answering import respond
from ros2_spatial_ttt.exam.asking import make_questions, questions_json
from ros2_spatial_ttt.exam.asking.evidence import Evidence
from ros2_spatial_ttt.exam.asking.priors import priors
from ros2_spatial_ttt.exam.question import KINDS, Question, Response
from ros2_spatial_ttt.exam.scoring import score
from ros2_spatial_ttt.sim.episode import Episode, make_episode

SEEDS = (21, 22, 23, 24)
# What an exam of any homes must have, however few.
ALWAYS = {'object_count', 'absolute_distance', 'object_size', 'relative_distance', 'locate'}


@pytest.fixture(scope='module')
def episodes() -> list[Episode]:
    return [make_episode(seed, minutes=4.0) for seed in SEEDS]


@pytest.fixture(scope='module')
def asked(episodes: list[Episode]) -> list[list[Question]]:
    return [make_questions(episode) for episode in episodes]


def test_truth_answers_every_question(
    episodes: list[Episode], asked: list[list[Question]]
) -> None:
    homes = []
    for episode, questions in zip(episodes, asked, strict=True):
        evidence = Evidence(episode)
        sources = {q.ask_ns: TruthSource(evidence, q.ask_ns) for q in questions}
        homes.append((questions, [respond(q, sources[q.ask_ns].ask) for q in questions]))
    found = score(homes, resamples=20)
    kinds = {q.kind for questions in asked for q in questions}
    assert kinds >= ALWAYS
    assert found['vsi.overall'] == 1.0
    assert found['locate.recall_at_0.5m'] == found['locate.precision'] == 1.0
    for key in ('vsr.accuracy', 'vsc.mra', 'verdict.macro_f1', 'change.corrected'):
        assert found.get(key, 1.0) == 1.0, key
    assert found['locate.p90_error_m'] == 0.0


def test_same_episode_same_questions(episodes: list[Episode], asked: list[list[Question]]) -> None:
    again = make_questions(Episode.from_json(episodes[0].to_json()))
    assert questions_json(again) == questions_json(asked[0])


def likeliest(question: Question) -> int:
    """Guess what homes are usually like, having seen statistics of them."""
    usual = priors()
    if question.kind == 'appearance_order':
        looks = [usual.order(labels) for labels in question.choice_labels]
    elif question.kind == 'recall_room':
        looks = [usual.beside(question.labels[0], name) for (name,) in question.choice_labels]
    elif question.kind == 'relative_distance':
        looks = [usual.near(question.labels[0], name, True) for (name,) in question.choice_labels]
    else:
        looks = [-len(text) for text in question.choices]
    return int(np.argmax(looks))


@pytest.mark.parametrize(
    'guess',
    [
        lambda question: 0,
        lambda question: len(question.choices) - 1,
        lambda question: question.choices.index(min(question.choices)),
        lambda question: int(np.argmax([len(text) for text in question.choices])),
        likeliest,
    ],
    ids=['first', 'last', 'alphabet', 'longest', 'likeliest'],
)
def test_guessing_is_at_chance(
    asked: list[list[Question]], guess: Callable[[Question], int]
) -> None:
    choices = [q for questions in asked for q in questions if KINDS[q.kind] == 'choice']
    hits = np.array([guess(q) == q.choice for q in choices], np.float64)
    chances = np.array([1.0 / len(q.choices) for q in choices])
    spread = np.sqrt(np.sum(chances * (1.0 - chances))) / len(choices)
    assert len(choices) > 50
    assert hits.mean() - chances.mean() < 0.1 + 2 * spread


def test_saying_nothing_scores_nothing(asked: list[list[Question]]) -> None:
    found = score([(questions, [Response()] * len(questions)) for questions in asked], resamples=2)
    counted = {key: value for key, value in found.items() if key.count('.') == 1}
    wanted = [k for k in counted if k.endswith(('.overall', '.accuracy', '.mra', '.macro_f1'))]
    assert len(wanted) >= 4
    assert all(counted[key] == 0.0 for key in wanted)
