# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A question of the exam, its right answer, and what an examinee says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.types import Answer, Percept, Query, ResultCode

__all__ = ['KINDS', 'SETS', 'VSI_KINDS', 'Examinee', 'Question', 'Response']

SETS = ('vsi', 'vsr', 'vsc', 'locate', 'verdict', 'change')
VSI_KINDS = (
    'object_count',
    'absolute_distance',
    'object_size',
    'room_size',
    'relative_distance',
    'relative_direction',  # mean over the three difficulties
    'route_plan',
    'appearance_order',
)
# Kind of answer: 'number' (mean relative accuracy), 'choice' (accuracy), 'place' (position error,
# recall, precision), 'verdict' (macro-F1 over OK, NOT_FOUND, NEVER_OBSERVED).
KINDS = {
    'object_count': 'number',
    'absolute_distance': 'number',
    'object_size': 'number',
    'room_size': 'number',
    'relative_distance': 'choice',
    'relative_direction_easy': 'choice',
    'relative_direction_medium': 'choice',
    'relative_direction_hard': 'choice',
    'route_plan': 'choice',
    'appearance_order': 'choice',
    'recall_place': 'choice',  # VSR: where was the odd thing, in order of its places
    'recall_room': 'choice',  # VSR: in which room / next to what was it
    'streaming_count': 'number',  # VSC: how many so far, over revisits
    'locate': 'place',
    'locate_picture': 'place',
    'verdict': 'verdict',
    'change': 'place',
}


@dataclass(frozen=True)
class Question:
    """One question about a tour.

    Attributes:
        id: '<seed>/<kind>/<number>', unique within the exam of one home. set: of SETS.
        kind: of KINDS.
        ask_ns: it is asked after the frames with stamp <= ask_ns were fed, and its answer follows
            from what these could show.
        text: in words, one of several phrasings.
        labels: names of things in it, in the role order of the kind (``exam/answering.py``).
        choices: four (or two) texts; empty for other answers.
        choice_labels: {choice number: labels} that a structured request needs, as a tuple.
        number: right answer in ``unit``; NaN where none.
        unit: 'm', 'cm', 'm²' or '1'.
        choice: index of the right choice, -1 where none.
        places: (n, 3) m right places, each with ``place_ids``; empty = there is none.
        verdict: right result code of verdict and place questions.
        region: ((x, y, z), (x, y, z)) m the question is limited to, or None.
        viewpoint: (4, 4) map_T_observer as nested tuples, or None.
        until_ns: only what had been seen by then counts; 0 = everything up to ``ask_ns``.
        evidence_ns: stamp at which what it asks for was last seen (least over its things); the age
            is ask_ns - evidence_ns.
        twin: names what the question guards against ('', 'revisit', 'look-alike', 'swap');
            'stayed' is a control of kind change, see ``exam/marking.py``.
        picture: (frame index, (x, y, width, height) px) of the example, for locate_picture.
    """

    id: str
    set: str
    kind: str
    ask_ns: int
    text: str
    labels: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    choice_labels: tuple[tuple[str, ...], ...] = ()
    number: float = float('nan')
    unit: str = ''
    choice: int = -1
    places: tuple[tuple[float, float, float], ...] = ()
    place_ids: tuple[int, ...] = ()
    verdict: ResultCode = ResultCode.OK
    region: tuple[tuple[float, float, float], tuple[float, float, float]] | None = None
    viewpoint: tuple[tuple[float, ...], ...] | None = None
    until_ns: int = 0
    evidence_ns: int = 0
    twin: str = ''
    picture: tuple[int, tuple[int, int, int, int]] | None = None


@dataclass(frozen=True)
class Response:
    """What an examinee says to a question; what it cannot say stays at the default and scores 0.

    Attributes:
        number: with its 90 % interval (low, high), in the question's unit; NaN = no answer.
        choice: index, -1 = no answer.
        places: (n, 3) m, those it is sure of, best first. sureness: (n,) 0..1 of each.
        verdict: result code of verdict and place questions.
        confidence: 0..1 that the answer is right.
        seconds: time of all requests it took.
    """

    number: float = float('nan')
    low: float = float('nan')
    high: float = float('nan')
    choice: int = -1
    places: NDArray[np.float64] | None = None
    sureness: NDArray[np.float64] | None = None
    verdict: ResultCode = ResultCode.INTERNAL
    confidence: float = 0.0
    seconds: float = 0.0


class Examinee(Protocol):
    """A system under exam that learns from percepts and answers ``Query`` requests.

    Systems that answer from priors (chance, blind) implement ``respond(question)`` instead, see
    ``exam/systems.py``.
    """

    name: str

    def observe(self, percept: Percept) -> None:
        """Take in one frame; frames come in order of time."""
        ...

    def query(self, query: Query) -> Answer:
        """Answer one structured request from what was observed so far."""
        ...

    @property
    def stored_bytes(self) -> int:
        """Bytes of what answers are made from."""
        ...
