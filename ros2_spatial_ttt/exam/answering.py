# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""From a question of the exam to structured requests, and from their answers to a response.

The same for every system and every way to ask. It reads what an examinee may know: text, names,
choices, region, viewpoint and times of a question, never its right answer. Roles of
``Question.labels`` and of ``Question.choice_labels`` by kind:

- object_count, streaming_count, object_size, locate, verdict, change: (thing,).
- absolute_distance: (thing, thing). room_size, locate_picture: ().
- relative_distance: (anchor, option …); recall_room: (thing, landmark …); a choice is (name,).
- relative_direction_*: (standing by, facing, asked); a choice is (side,) of ``SIDES``.
- route_plan: (start, facing, stop …, goal); a choice holds one turn of ``TURNS`` per leg.
- appearance_order: the things; a choice is an order of them.
- recall_place: (thing, landmark …); a choice is an order of the landmarks.

Whoever cannot say abstains: nothing here guesses but what a system itself offers as a guess.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.exam.bearings import SIDES, TURNS, turns_along, wrapped
from ros2_spatial_ttt.exam.question import Question, Response
from ros2_spatial_ttt.geometry import box_distance
from ros2_spatial_ttt.types import (
    Answer,
    Example,
    Instance,
    Query,
    QueryType,
    Region,
    ResultCode,
)

__all__ = ['respond']

Ask = Callable[[Query], Answer]
Picture = Callable[[Question], NDArray[np.uint8]]

MOST_RESULTS = 200
VERDICTS = (ResultCode.OK, ResultCode.NOT_FOUND, ResultCode.NEVER_OBSERVED)


def respond(question: Question, ask: Ask, *, picture: Picture | None = None) -> Response:
    """Return what a system says to a question.

    Args:
        question: to be answered.
        ask: answers one structured request.
        picture: returns the (H, W, 3) uint8 RGB frame that ``question.picture`` names; without it
            ``locate_picture`` is not answered.
    """
    begin = time.perf_counter()
    if question.kind == 'locate_picture':
        response = _picture(question, ask, picture)
    else:
        response = _TRANSLATIONS[question.kind](question, ask)
    return replace(response, seconds=time.perf_counter() - begin)


def _request(question: Question, kind: QueryType, *labels: str) -> Query:
    """Return a request with the question's region, viewpoint and time limit."""
    return Query(
        type=kind,
        labels=labels,
        region=None if question.region is None else Region(*question.region),
        viewpoint=None if question.viewpoint is None else np.array(question.viewpoint),
        until_ns=question.until_ns,
        max_results=MOST_RESULTS,
    )


# Numbers.


def _number(kind: QueryType, scale: float = 1.0) -> Callable[[Question, Ask], Response]:
    def translate(question: Question, ask: Ask) -> Response:
        answer = ask(_request(question, kind, *question.labels))
        return Response(
            number=answer.value * scale,
            low=answer.value_low * scale,
            high=answer.value_high * scale,
            verdict=answer.code,
            confidence=answer.confidence,
        )

    return translate


# Choices.


def _pick(question: Question, wanted: Sequence[str], confidence: float) -> Response:
    """Return the choice that names exactly what is wanted, or none."""
    own = tuple(wanted)
    if own not in question.choice_labels:
        return Response()
    return _chosen(question, question.choice_labels.index(own), confidence)


def _chosen(question: Question, choice: int, sure: float) -> Response:
    """Return a choice that rests on things that are so sure; wrong ones may be right by chance."""
    return Response(choice=choice, confidence=sure + (1.0 - sure) / len(question.choice_labels))


def _nearest(question: Question, ask: Ask) -> Response:
    answer = ask(_request(question, QueryType.NEAREST, *question.labels))
    if answer.code != ResultCode.OK or not answer.instances:
        return Response()
    return _pick(question, (answer.instances[0].label,), answer.confidence)


def _order(question: Question, ask: Ask) -> Response:
    answer = ask(_request(question, QueryType.ORDER, *question.labels))
    if answer.code != ResultCode.OK:
        return Response()
    seen = [instance.label for instance in answer.instances]
    return _pick_order(question, seen, answer.confidence)


def _pick_order(question: Question, seen: Sequence[str], confidence: float) -> Response:
    """Return the choice that agrees on most pairs (Kendall); none where two agree equally."""
    agreed = [
        sum(order.index(a) < order.index(b) for a, b in combinations(seen, 2))
        for order in question.choice_labels
    ]
    best = int(np.argmax(agreed))
    if agreed.count(agreed[best]) > 1:
        return Response()
    return _chosen(question, best, confidence)


def _surest(question: Question, ask: Ask, label: str) -> tuple[Instance | None, float]:
    """Return the surest thing of a name and its confidence.

    Who asks where something lies takes for granted that there is one: as a user would, it takes
    the best guess that the system itself offers where it is not sure of any.
    """
    answer = ask(_request(question, QueryType.LOCATE, label))
    if answer.code not in (ResultCode.OK, ResultCode.NOT_FOUND) or not answer.instances:
        return None, 0.0
    return answer.instances[0], answer.instances[0].confidence


def _direction(question: Question, ask: Ask) -> Response:
    at, sure = _surest(question, ask, question.labels[0])
    towards, sure_too = _surest(question, ask, question.labels[1])
    if at is None or towards is None:
        return Response()
    viewpoint = _standing(at.position, towards.position)
    answer = ask(
        replace(_request(question, QueryType.DIRECTION, question.labels[2]), viewpoint=viewpoint)
    )
    if answer.code != ResultCode.OK:
        return Response()
    off = [abs(wrapped(answer.value - SIDES[side])) for (side,) in question.choice_labels]
    return _chosen(question, int(np.argmin(off)), min(sure, sure_too, answer.confidence))


def _standing(at: NDArray, towards: NDArray) -> NDArray[np.float64]:
    """Return map_T_observer (4, 4) at one place, facing another, x ahead, z up."""
    heading = math.atan2(towards[1] - at[1], towards[0] - at[0])
    cos, sin = math.cos(heading), math.sin(heading)
    pose = np.eye(4)
    pose[:2, :2] = [[cos, -sin], [sin, cos]]
    pose[:3, 3] = at
    return pose


def _route(question: Question, ask: Ask) -> Response:
    found = [_surest(question, ask, label) for label in question.labels]
    if any(instance is None for instance, _ in found):
        return Response()
    start, facing, *stops = [instance.position for instance, _ in found]
    turns = turns_along(start, facing, stops)
    misfit = [
        sum(abs(wrapped(t - TURNS[word])) for t, word in zip(turns, words, strict=True))
        for words in question.choice_labels
    ]
    return _chosen(question, int(np.argmin(misfit)), min(sure for _, sure in found))


def _recall_order(question: Question, ask: Ask) -> Response:
    """Match each landmark to the instance of the thing beside it; order these by first sight.

    The question says that there are as many, so as many are taken where fewer are sure.
    """
    thing, *names = question.labels
    answer = ask(_request(question, QueryType.LOCATE, thing))
    instances = answer.instances[: max(_sure_count(answer), len(names))]
    marks = [_surest(question, ask, name) for name in names]
    if len(instances) < len(names) or any(landmark is None for landmark, _ in marks):
        return Response()
    apart = np.array([[_gap(landmark, i) for i in instances] for landmark, _ in marks])
    beside = apart.argmin(axis=1)
    if len(set(beside.tolist())) < len(names):
        return Response()
    when = [instances[i].first_seen_ns for i in beside]
    if len(set(when)) < len(when):
        return Response()
    seen = [names[i] for i in np.argsort(when)]
    return _pick_order(question, seen, min(answer.confidence, *(sure for _, sure in marks)))


def _gap(a: Instance, b: Instance) -> float:
    return box_distance(a.position, a.size, a.yaw, b.position, b.size, b.yaw)


# Verdicts and places.


def _verdict(question: Question, ask: Ask) -> Response:
    answer = ask(_request(question, QueryType.EXISTS, *question.labels))
    given = answer.code if answer.code in VERDICTS else ResultCode.INTERNAL
    return Response(verdict=given, confidence=answer.confidence)


def _sure_count(answer: Answer) -> int:
    """Return how many of the instances are sure; they come first."""
    return round(answer.value) if answer.code == ResultCode.OK else 0


def _places(question: Question, ask: Ask) -> Response:
    return _named(ask(_request(question, QueryType.LOCATE, *question.labels)))


def _named(answer: Answer, most: int = MOST_RESULTS) -> Response:
    if answer.code not in VERDICTS:
        return Response(verdict=answer.code)
    sure = answer.instances[: min(_sure_count(answer), most)]
    return Response(
        places=np.array([i.position for i in sure], np.float64).reshape(-1, 3),
        sureness=np.array([i.confidence for i in sure], np.float64),
        verdict=answer.code,
        confidence=answer.confidence,
    )


def _picture(question: Question, ask: Ask, picture: Picture | None) -> Response:
    if picture is None or question.picture is None:
        return Response()
    example = Example(picture(question), roi=question.picture[1])
    return _named(ask(replace(_request(question, QueryType.LOCATE), examples=(example,))), most=1)


_TRANSLATIONS: dict[str, Callable[[Question, Ask], Response]] = {
    'object_count': _number(QueryType.COUNT),
    'streaming_count': _number(QueryType.COUNT),
    'absolute_distance': _number(QueryType.DISTANCE),
    'object_size': _number(QueryType.SIZE, scale=100.0),
    'room_size': _number(QueryType.ROOM_SIZE),
    'relative_distance': _nearest,
    'recall_room': _nearest,
    'relative_direction_easy': _direction,
    'relative_direction_medium': _direction,
    'relative_direction_hard': _direction,
    'route_plan': _route,
    'appearance_order': _order,
    'recall_place': _recall_order,
    'locate': _places,
    'change': _places,
    'verdict': _verdict,
}
