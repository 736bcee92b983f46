# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What answers are worth. A wrong or missing answer is worth nothing.

Who remembers nothing would be right about every thing that is gone. So each question of kind
``change`` that asks for nothing comes with a control of twin 'stayed', about a thing that is where
it was: saying that something is gone is worth the share of these controls, asked in the same home
at the same time, that were answered right.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ros2_spatial_ttt.exam import metrics
from ros2_spatial_ttt.exam.question import KINDS, Question, Response

__all__ = ['FOUND_M', 'STAYED', 'Mark', 'mark', 'mark_all']

STAYED = 'stayed'
FOUND_M = 0.5  # a thing is found where an answer lies within this of its centre
RIGHT_SHARE = 0.9  # a number counts as right in yes-or-no statistics within 10 %


@dataclass(frozen=True)
class Mark:
    """What an answer is worth.

    Attributes:
        score: 0..1. Numbers: mean relative accuracy. Choices and verdicts: 1 if right. Places: the
            share of right places found; of kind ``change`` 1 if all are found and no other is
            named, else 0.
        answered: it is an answer, right or wrong.
        right: it counts as right where only yes or no is asked for.
        found, asked, named: right places found, right places, places named.
        errors_m: for each right place, the distance to the one named for it, infinite without.
        hits: for each place named, whether it is one of the right ones.
    """

    score: float
    answered: bool
    right: bool
    found: int = 0
    asked: int = 0
    named: int = 0
    errors_m: tuple[float, ...] = ()
    hits: tuple[bool, ...] = ()


def mark(question: Question, response: Response) -> Mark:
    """Return what a response to a question is worth."""
    return _MARKERS[KINDS[question.kind]](question, response)


def mark_all(questions: Sequence[Question], responses: Sequence[Response]) -> list[Mark]:
    """Return what the responses of one home are worth, with the controls taken into account.

    Raises:
        ValueError: there are not as many responses as questions.
    """
    if len(questions) != len(responses):
        raise ValueError(f'{len(responses)} responses to {len(questions)} questions of a home')
    marks = [mark(q, r) for q, r in zip(questions, responses, strict=True)]
    controls: dict[int, list[float]] = defaultdict(list)
    for question, got in zip(questions, marks, strict=True):
        if question.twin == STAYED:
            controls[question.ask_ns].append(got.score)
    return [
        replace(got, score=got.score * float(np.mean(controls[question.ask_ns] or [0.0])))
        if question.kind == 'change' and not question.places
        else got
        for question, got in zip(questions, marks, strict=True)
    ]


def _number(question: Question, response: Response) -> Mark:
    score = float(metrics.mean_relative_accuracy(response.number, question.number))
    # All thresholds up to .90 are passed: nine of the ten.
    return Mark(score, math.isfinite(response.number), score >= RIGHT_SHARE - 1e-9)


def _choice(question: Question, response: Response) -> Mark:
    answered = 0 <= response.choice < len(question.choices)
    right = answered and response.choice == question.choice
    return Mark(float(right), answered, right)


def _verdict(question: Question, response: Response) -> Mark:
    right = response.verdict == question.verdict
    return Mark(float(right), response.verdict <= 2, right)


def _place(question: Question, response: Response) -> Mark:
    truth = np.array(question.places, np.float64).reshape(-1, 3)
    answered = response.places is not None
    given = np.asarray(response.places, np.float64).reshape(-1, 3) if answered else truth[:0]
    near, of = metrics.match(given, truth, FOUND_M)
    hits = np.zeros(len(given), bool)
    hits[near] = True
    complete = answered and len(near) == len(truth) == len(given)
    if question.kind == 'change':
        score = float(complete)
    elif len(truth):
        score = len(near) / len(truth)
    else:
        score = float(complete)
    return Mark(
        score=score,
        answered=answered,
        right=complete,
        found=len(near),
        asked=len(truth),
        named=len(given),
        errors_m=tuple(_errors(given, truth).tolist()),
        hits=tuple(hits.tolist()),
    )


def _errors(given: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return for each right place the distance to the answer matched to it, whatever that is."""
    errors = np.full(len(truth), np.inf)
    rows, columns = metrics.match(given, truth, np.inf)
    errors[columns] = np.linalg.norm(given[rows] - truth[columns], axis=1)
    return errors


_MARKERS = {'number': _number, 'choice': _choice, 'verdict': _verdict, 'place': _place}
