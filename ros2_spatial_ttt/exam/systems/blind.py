# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Systems that never look: chance, and priors of the question's words.

Neither reads the truth of a question, its place, its viewpoint or its times; ``blind`` reads kind,
names and choices.

``python -m ros2_spatial_ttt.exam.systems.blind --homes 100`` fits the priors anew.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Sequence

import numpy as np

from ros2_spatial_ttt.exam.question import KINDS, Question, Response
from ros2_spatial_ttt.exam.systems import priors
from ros2_spatial_ttt.exam.systems.idle import Idle
from ros2_spatial_ttt.types import ResultCode

__all__ = ['Blind', 'Chance', 'main']

_CODES = (ResultCode.OK, ResultCode.NOT_FOUND, ResultCode.NEVER_OBSERVED)
_STREAM = 71
_FIRST_HOME = 1000


class Chance(Idle):
    """Uniform choices and verdicts; numbers and places drawn from those of train homes.

    Args:
        seed: of the home; a question's draw depends on it and on the question's id.
        known: priors, those of the package when None.
    """

    name = 'chance'

    def __init__(self, *, seed: int, known: priors.Priors | None = None) -> None:
        self._seed = seed
        self._known = known or priors.load()

    def respond(self, question: Question) -> Response:
        """Answer at random."""
        rng = np.random.default_rng([self._seed, _STREAM, zlib.crc32(question.id.encode())])
        sort = KINDS[question.kind]
        if sort == 'choice':
            count = len(question.choices)
            return Response(choice=int(rng.integers(count)), confidence=1.0 / count)
        if sort == 'number':
            numbers = self._known.quantiles.get(question.kind, [1.0])
            return Response(
                number=numbers[rng.integers(len(numbers))], low=min(numbers), high=max(numbers)
            )
        if sort == 'verdict':
            return Response(
                verdict=_CODES[rng.integers(len(_CODES))], confidence=1.0 / len(_CODES)
            )
        place = rng.uniform(*self._known.box)
        return Response(places=place[None], sureness=np.array([0.5]), verdict=ResultCode.OK)


class Blind(Idle):
    """The best answers without looking: by kind, names and choices, fitted on train homes.

    Args:
        known: priors, those of the package when None.
    """

    name = 'blind'

    def __init__(self, known: priors.Priors | None = None) -> None:
        self._known = known or priors.load()

    def respond(self, question: Question) -> Response:
        """Answer from priors; what was never asked in train homes stays without an answer."""
        sort, labels = KINDS[question.kind], question.labels
        if sort == 'choice':
            chance = priors.choice_chances(question, self._known.choice.get(question.kind, {}))
            best = int(chance.argmax())
            return Response(choice=best, confidence=float(chance[best]))
        if sort == 'number':
            entry = self._known.looked_up(self._known.number.get(question.kind, {}), labels)
            if entry is None:
                return Response()
            return Response(number=entry[0], low=entry[1], high=entry[2], confidence=0.3)
        verdict, share = self._verdict(question)
        if sort == 'verdict' or verdict != ResultCode.OK:
            return Response(verdict=verdict, confidence=share)
        place = self._known.looked_up(self._known.place.get(question.kind, {}), labels)
        if place is None:
            return Response(verdict=verdict, confidence=share)
        return Response(
            places=np.array([place]), sureness=np.array([0.5]), verdict=verdict, confidence=0.1
        )

    def _verdict(self, question: Question) -> tuple[ResultCode, float]:
        table = self._known.verdict.get(question.kind, {})
        entry = self._known.looked_up(table, question.labels)
        return (ResultCode(int(entry[0])), float(entry[1])) if entry else (ResultCode.OK, 0.0)


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit the priors on the questions of train homes and write them into the package."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument('--homes', type=int, default=100, help='train homes 1000, 1001, …')
    parser.add_argument('--minutes', type=float, default=5.0, help='length of their tours')
    options = parser.parse_args(arguments)

    # Needs MuJoCo.
    from ros2_spatial_ttt.exam.asking import make_questions
    from ros2_spatial_ttt.sim.episode import make_episode

    questions: list[Question] = []
    for seed in range(_FIRST_HOME, _FIRST_HOME + options.homes):
        questions += make_questions(make_episode(seed, minutes=options.minutes))
    command = (
        f'python -m ros2_spatial_ttt.exam.systems.blind --homes {options.homes} '
        f'--minutes {options.minutes:g}'
    )
    priors.save(priors.fit(questions, homes=options.homes, command=command))
    print(f'{len(questions)} questions of {options.homes} homes: wrote {priors.PATH}')


if __name__ == '__main__':
    main()
