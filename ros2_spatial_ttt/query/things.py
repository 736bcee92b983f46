# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What questions about things share: who can be asked, which things are meant, parts of answers.

A thing is given by a *term*: a name, '#ID' of an object in an earlier answer, '@i' for the i-th
example picture of the query, or, where the region of the query is a point, ``AT_POINT`` for the
named things there and ``LIKE_POINT`` for what looks like the surface there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.errors import BadRequest
from ros2_spatial_ttt.query.intervals import range_interval
from ros2_spatial_ttt.query.usual import Usual
from ros2_spatial_ttt.types import Answer, Instance, Query, ResultCode

__all__ = [
    'AT_POINT',
    'LIKE_POINT',
    'ThingSource',
    'asked',
    'distance_to',
    'first_there',
    'likeliest',
    'meant',
    'not_found',
    'one_term',
    'shown',
    'terms',
    'told',
    'viewpoint_of',
]

AT_POINT, LIKE_POINT = '@point', '@look'
_DEFAULT_RESULTS = 10
_GUESS = 0.02  # least confidence of what may be meant


class ThingSource(Protocol):
    """What can be asked for things.

    Attributes:
        found_threshold: confidence from which an instance counts as there.
    """

    found_threshold: float

    def instances(self, term: str, query: Query) -> list[Instance]:
        """Return all instances of a term within the query's region and time, best first.

        Unsure ones (below ``found_threshold``) may be among them.

        Raises:
            BadRequest: the term means nothing here.
        """
        ...

    def usual(self, term: str) -> Usual | None:
        """Return what things of a term usually are; None = that is not known."""
        ...

    def unseen(self, query: Query) -> str:
        """Return why the asked region counts as never observed, or ''."""
        ...

    def floor_area(self, query: Query) -> tuple[float, float, float]:
        """Return the observed floor area within the region, m², with its 90 % interval."""
        ...


def terms(query: Query) -> tuple[str, ...]:
    """Return the things a question is about: its labels, then '@i' for each example."""
    return (*query.labels, *(f'@{number}' for number in range(len(query.examples))))


def one_term(query: Query) -> str:
    """Return the one thing that a question is about; BadRequest where there is not just one."""
    names = terms(query)
    if len(names) != 1:
        raise BadRequest(
            f'{query.type.name} needs one name or one example image of the thing, got '
            f'{len(names)}; set roi where the thing does not fill the image'
        )
    return names[0]


def viewpoint_of(query: Query) -> NDArray[np.float64]:
    """Return (4, 4) map_T_observer of a question that needs it; BadRequest without."""
    if query.viewpoint is None:
        raise BadRequest(
            f'{query.type.name} needs a viewpoint: set it, or wait until the robot has a pose'
        )
    return query.viewpoint


def asked(source: ThingSource, term: str, query: Query) -> tuple[list[Instance], list[Instance]]:
    """Return all instances of a term and, of these, the sure ones."""
    found = source.instances(term, query)
    return found, _sure(source, found)


def meant(source: ThingSource, term: str, query: Query) -> tuple[list[Instance], list[Instance]]:
    """Return all instances of a term and, of these, those that a question about them may mean.

    Who asks where something named lies takes for granted that it exists: unsure things may be
    meant, too (``likeliest``), and the answer's confidence says how sure that is.
    """
    found, sure = asked(source, term, query)
    if not term.startswith('@'):
        sure = [i for i in found if i.confidence >= _GUESS]
    return found, sure


def likeliest(ranked: Sequence[Instance]) -> Instance:
    """Return the thing that is likeliest the first of those in a ranking that are there.

    It is there, and none before it is: what is nearer but hardly believed does not hide what is
    sure.
    """
    return ranked[first_there([instance.confidence for instance in ranked])]


def first_there(chances: Sequence[float]) -> int:
    """Return which of these, each there with its chance, is likeliest the first that is there."""
    none_before = np.cumprod([1.0, *(1.0 - min(chance, 1.0) for chance in chances)])[:-1]
    return int(np.argmax(none_before * np.asarray(chances)))


def _sure(source: ThingSource, found: Sequence[Instance]) -> list[Instance]:
    """Return the instances that count as there."""
    return [i for i in found if i.confidence >= source.found_threshold]


def told(
    instances: Sequence[Instance],
    number: tuple[float, float, float],
    *,
    sentence: str,
    confidence: float,
    unit: str = '1',
) -> Answer:
    """Return the answer OK with a number and its 90 % interval."""
    value, low, high = number
    return Answer(
        code=ResultCode.OK,
        instances=tuple(instances),
        value=value,
        value_low=low,
        value_high=high,
        unit=unit,
        sentence=sentence,
        confidence=confidence,
    )


def shown(found: Sequence[Instance], query: Query) -> tuple[Instance, ...]:
    """Return as many instances as a question wants."""
    return tuple(found[: query.max_results or _DEFAULT_RESULTS])


def not_found(source: ThingSource, query: Query, guesses: Sequence[Instance] = ()) -> Answer:
    """Return the verdict on something that was not found: absent, or never observed."""
    unseen = source.unseen(query)
    if unseen:
        return Answer(
            code=ResultCode.NEVER_OBSERVED,
            message=unseen,
            sentence='I have never looked there.',
            unit='1',
            confidence=1.0,
        )
    message = (
        'nothing there is enough like it; objects lists the best guesses'
        if guesses
        else 'nothing like it was seen within this region and time'
    )
    return Answer(
        code=ResultCode.NOT_FOUND,
        message=message,
        instances=shown(guesses, query),
        value=0.0,
        value_low=0.0,
        value_high=float(bool(guesses)),
        unit='1',
        sentence='I looked and did not find it.',
        confidence=1.0 - guesses[0].confidence if guesses else 1.0,
    )


def distance_to(instance: Instance, observer: NDArray[np.float64], *, sure: float) -> Answer:
    """Return how far an instance is from a point (3,) m.

    ``sure`` is the probability that it is the right one.
    """
    metres = float(np.linalg.norm(instance.position - observer))
    low, high = range_interval(instance, observer, sure=sure)
    return told(
        (instance,),
        (metres, low, high),
        unit='m',
        sentence=f'It is {metres:.2f} m away ({low:.2f} to {high:.2f} m).',
        confidence=instance.confidence,
    )
