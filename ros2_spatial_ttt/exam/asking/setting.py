# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What all kinds of questions share: when they are asked, with which dice, how they are built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ros2_spatial_ttt.exam.asking.evidence import Evidence, Known
from ros2_spatial_ttt.exam.asking.phrasing import phrase
from ros2_spatial_ttt.exam.asking.priors import Priors, neutral
from ros2_spatial_ttt.exam.question import KINDS, Question

__all__ = ['NS', 'CLEAR_NS', 'Setting', 'choose', 'with_choices']

NS = 1_000_000_000
# First sights closer together than this have no clear order.
CLEAR_NS = 4 * NS
SHARES = (0.25, 0.5, 0.75, 1.0)  # of a tour
MINUTES = (10, 30, 60, 120, 180)
STREAM = 71  # keeps these dice apart from those of homes and tours


@dataclass(frozen=True)
class Setting:
    """The tour that questions are asked about.

    Args:
        evidence: what it shows.
        per_kind: most questions of a kind at one time; kinds asked at many times get half.
        priors: of homes, against which choices are made fair.
    """

    evidence: Evidence
    per_kind: int
    priors: Priors = field(default_factory=neutral)

    def known(self, ask_ns: int) -> Known:
        """Return what had been shown by a time."""
        return self.evidence.at(ask_ns)

    def rng(self, kind: str, ask_ns: int) -> np.random.Generator:
        """Return the dice for the questions of a kind at a time."""
        tour = self.evidence.tour
        since = (ask_ns - self.evidence.begin_ns) // 1000
        seeds = [self.evidence.home.seed, tour.seed, STREAM, list(KINDS).index(kind), since]
        return np.random.default_rng(seeds)

    def end(self) -> int:
        """Return the stamp of the last frame."""
        return int(self.evidence.tour.stamps_ns[-1])

    def marks(self) -> list[int]:
        """Return the ask times of everything: the marked minutes within the tour, and its end."""
        begin, end = self.evidence.begin_ns, self.end()
        inside = [begin + m * 60 * NS for m in MINUTES if m * 60 * NS < 0.99 * (end - begin)]
        return [self._frame_at(stamp) for stamp in inside] + [end]

    def times(self, shares: Sequence[float] = SHARES) -> list[int]:
        """Return the ask times of now-questions: shares of the tour, and the marked minutes."""
        begin, end = self.evidence.begin_ns, self.end()
        stamps = [self._frame_at(begin + round(s * (end - begin))) for s in shares]
        return sorted({*stamps, *self.marks()})

    def _frame_at(self, stamp_ns: int) -> int:
        """Return the stamp of the last frame up to a time."""
        stamps = self.evidence.tour.stamps_ns
        return int(stamps[max(0, int(np.searchsorted(stamps, stamp_ns, side='right')) - 1)])

    def question(
        self,
        set_: str,
        kind: str,
        known: Known,
        rng: np.random.Generator,
        words: dict[str, str],
        *,
        phrasing: str = '',
        **fields: object,
    ) -> Question:
        """Return a question in words; its id is given once all questions are there."""
        text = phrase(phrasing or kind, rng, **words)
        return Question(id='', set=set_, kind=kind, ask_ns=known.ask_ns, text=text, **fields)


def choose(rng: np.random.Generator, items: Sequence, most: int) -> list:
    """Return up to so many different items, in random order."""
    count = min(most, len(items))
    return [items[i] for i in rng.choice(len(items), size=count, replace=False)] if count else []


def with_choices(
    question: Question,
    rng: np.random.Generator,
    right: tuple[str, ...],
    wrong: Sequence[tuple[str, ...]],
) -> Question:
    """Return the question with its choices in random order."""
    choices = [right, *wrong]
    order = rng.permutation(len(choices))
    labels = tuple(choices[i] for i in order)
    return replace(
        question,
        choices=tuple(', '.join(label) for label in labels),
        choice_labels=labels,
        choice=int(np.flatnonzero(order == 0)[0]),
    )
