# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The questions of the demo, their answers, and what is known about the truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.demo import things
from ros2_spatial_ttt.demo.things import Thing
from ros2_spatial_ttt.replay.cards import Shown
from ros2_spatial_ttt.sim.room.furniture import Box
from ros2_spatial_ttt.types import Answer, Example, Frame, Query, QueryType, Region, ResultCode

__all__ = ['Asked', 'interview', 'shown', 'table']

# Asks a question and returns the answer with its round trip in milliseconds.
Ask = Callable[[Query], tuple[Answer, float]]

THINGS = 6
# Half width of the interval that holds 90 % of a normal distribution, in standard deviations.
NORMAL_90 = 1.645


@dataclass(frozen=True)
class Asked:
    """A question, its answer and what is known about the truth.

    Attributes:
        expected: the result code that is right.
        place: (3,) true place in metres, map frame, or None.
        metres: true distance, or NaN.
    """

    title: str
    query: Query
    answer: Answer
    round_trip_ms: float
    expected: ResultCode
    place: NDArray[np.float64] | None = None
    metres: float = float('nan')

    @property
    def is_right(self) -> bool:
        """Whether the verdict is the right one; says nothing about the error of the place."""
        return self.answer.code == self.expected

    @property
    def error_m(self) -> float:
        """Metres between the answer and the truth; NaN where there is no answer or no truth."""
        if np.isfinite(self.metres):
            return abs(self.answer.value - self.metres)
        if self.place is None or not self.answer.instances:
            return float('nan')
        return float(np.linalg.norm(self.answer.instances[0].position - self.place))


def interview(ask: Ask, frames: list[Frame], boxes: list[Box]) -> list[Asked]:
    """Ask about things and places of a recording.

    Args:
        ask: asks the memory.
        frames: of the recording, with depth.
        boxes: what is where in it, as far as it is known.
    """
    chosen = things.choose_things(frames, boxes, count=THINGS)
    asked = [_about_thing(ask, QueryType.LOCATE, thing, 'where is {}?') for thing in chosen]
    asked += _distance(ask, chosen, asked)
    if chosen:
        asked.append(_about_thing(ask, QueryType.EXISTS, chosen[0], 'is there {}?'))
    absent = things.absent_thing(frames[0])
    if absent is not None:
        absent_too = ResultCode.NOT_FOUND
        title = 'is there {}?'
        asked.append(_about_thing(ask, QueryType.EXISTS, absent, title, expected=absent_too))
    if len(chosen) > 1:
        asked.append(_nearest(ask, chosen[1], frames[0]))
    return asked + _points(ask, frames, chosen)


def table(asked: list[Asked]) -> str:
    """Return the questions and answers as aligned columns."""
    rows = [('', 'question', 'verdict', 'answer', '90 %', 'error', 'ms')]
    for number, item in enumerate(asked, start=1):
        verdict = item.answer.code.name.lower().replace('_', ' ')
        mark = '' if item.is_right else ' (wrong)'
        error = f'{item.error_m:.2f} m' if np.isfinite(item.error_m) else ''
        trip = f'{item.round_trip_ms:.0f}'
        rows.append((str(number), item.title, verdict + mark, *_in_short(item), error, trip))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ['  '.join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return '\n'.join([lines[0], '-' * max(map(len, lines)), *lines[1:]])


def shown(item: Asked) -> Shown:
    """Return how an answer is drawn."""
    example = item.query.examples[0] if item.query.examples else None
    crop = None
    if example is not None and example.roi is not None:
        x, y, width, height = example.roi
        crop = np.ascontiguousarray(example.image[y : y + height, x : x + width])
    is_point = item.query.type == QueryType.DESCRIBE
    return Shown(
        item.title,
        item.answer,
        asked_at=item.place if is_point else None,
        truth=None if is_point else item.place,
        example=crop,
        note=f'{item.error_m:.2f} m from the truth' if np.isfinite(item.error_m) else '',
        line=item.query.type == QueryType.DISTANCE,
    )


def _about_thing(
    ask: Ask, kind: QueryType, thing: Thing, title: str, *, expected: ResultCode = ResultCode.OK
) -> Asked:
    query = _by_example(kind, thing)
    place = thing.point if expected == ResultCode.OK else None
    return Asked(title.format(thing.name), query, *ask(query), expected, place)


def _by_example(
    kind: QueryType, thing: Thing, *, viewpoint: NDArray[np.float64] | None = None
) -> Query:
    examples = (Example(thing.frame.colour, thing.roi),)
    return Query(kind, examples=examples, viewpoint=viewpoint, max_results=3)


def _distance(ask: Ask, chosen: list[Thing], located: list[Asked]) -> list[Asked]:
    """Ask how far apart two things are that were found by example, by the ids of the answers."""
    found = [index for index, item in enumerate(located) if item.answer.code == ResultCode.OK]
    if len(found) < 2:
        return []
    first, second = found[:2]
    labels = tuple(f'#{located[index].answer.instances[0].id}' for index in (first, second))
    query = Query(QueryType.DISTANCE, labels=labels)
    metres = float(np.linalg.norm(chosen[first].point - chosen[second].point))
    title = f'how far from {first + 1} to {second + 1}?'
    return [Asked(title, query, *ask(query), ResultCode.OK, metres=metres)]


def _nearest(ask: Ask, thing: Thing, start: Frame) -> Asked:
    viewpoint = np.eye(4)
    viewpoint[:3, 3] = start.map_T_camera[:3, 3]
    query = _by_example(QueryType.NEAREST, thing, viewpoint=viewpoint)
    title = f'which {thing.name} is nearest to the start?'
    return Asked(title, query, *ask(query), ResultCode.OK, thing.point)


def _points(ask: Ask, frames: list[Frame], chosen: list[Thing]) -> list[Asked]:
    """Ask what is at a point on a thing, in free space and where nobody ever looked."""
    asked = []
    for point, expected in (
        (chosen[0].point if chosen else None, ResultCode.OK),
        (things.free_point(frames), ResultCode.NOT_FOUND),
        (things.unseen_point(frames), ResultCode.NEVER_OBSERVED),
    ):
        if point is not None:
            x, y, z = (float(value) for value in point)
            query = Query(QueryType.DESCRIBE, region=Region((x, y, z), (x, y, z)))
            title = f'what is at ({x:.1f}, {y:.1f}, {z:.1f})?'
            asked.append(Asked(title, query, *ask(query), expected, point))
    return asked


def _in_short(item: Asked) -> tuple[str, str]:
    """Return the answer in a few words and its 90 % interval."""
    answer = item.answer
    if answer.unit == 'm' and np.isfinite(answer.value):
        return f'{answer.value:.2f} m', f'{answer.value_low:.2f} to {answer.value_high:.2f} m'
    if item.query.type == QueryType.DESCRIBE or not answer.instances:
        return answer.sentence or answer.message, ''
    found = answer.instances[0]
    radius_m = NORMAL_90 * float(np.sqrt(np.linalg.eigvalsh(found.covariance)[-1]))
    guess = '' if answer.code == ResultCode.OK else 'best guess '
    x, y, z = found.position
    return f'{guess}({x:.2f}, {y:.2f}, {z:.2f}) m', f'± {radius_m:.2f} m'
