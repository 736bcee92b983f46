# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What one could guess about a home without seeing it, and choices that make guessing worthless.

``priors.json`` holds statistics of homes of the training seeds: beside what things stand, how far
apart, and what comes into view first. Wrong choices are drawn by how likely they look, and a
question is dropped as often as its right choice looks likelier than the others. So, given the four
choices and these statistics, each is right equally often.

Run ``python -m ros2_spatial_ttt.exam.asking.learn`` after a change of the homes or tours.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from importlib import resources
from itertools import combinations, permutations
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ['Priors', 'fair_wrong', 'neutral', 'priors']

Item = TypeVar('Item', bound=Hashable)

FILE = 'priors.json'
PSEUDO = 1.0  # count of what was never met
DOUBT = 4.0  # homes that a share is drawn towards the usual one by
USUAL = 0.1  # share of landmarks that a thing is beside
TRUST = 0.75  # exponent of pairwise odds in the odds of an order; its pairs are not independent
REACH_M = 1.2  # gaps are compared on this scale
UNKNOWN_M = {True: 1.5, False: 5.0}  # gap of what was never met, in the same room or another


class Priors:
    """Statistics of homes.

    Args:
        tables: 'beside': {thing: {landmark: (times beside, times both are there)}},
            'first': {a: {b: times a came first}},
            'gap': {'same room' or 'other room': {a: {b: mean gap, m}}}.
    """

    def __init__(self, tables: dict) -> None:
        self._tables = tables

    def beside(self, thing: str, landmark: str) -> float:
        """Return how likely a thing is beside a landmark that is there; any scale."""
        times, of = self._tables['beside'].get(thing, {}).get(landmark, (0, 0))
        return (times + DOUBT * USUAL) / (of + DOUBT)

    def order(self, names: Sequence[str]) -> float:
        """Return how likely things come into view in this order; any scale."""
        first, odds = self._tables['first'], 1.0
        for a, b in combinations(names, 2):
            ahead = first.get(a, {}).get(b, 0) + PSEUDO
            odds *= (ahead / (ahead + first.get(b, {}).get(a, 0) + PSEUDO)) ** TRUST
        return odds

    def near(self, anchor: str, thing: str, same_room: bool) -> float:
        """Return how likely a thing is the nearest to an anchor; any scale."""
        table = self._tables['gap'].get('same room' if same_room else 'other room', {})
        metres = table.get(anchor, {}).get(thing, UNKNOWN_M[same_room])
        return float(np.exp(-metres / REACH_M))


def neutral() -> Priors:
    """Return priors that tell nothing."""
    return Priors({'beside': {}, 'first': {}, 'gap': {}})


@lru_cache(maxsize=1)
def priors() -> Priors:
    """Return the statistics of the training seeds."""
    text = resources.files(__package__).joinpath(FILE).read_text(encoding='utf-8')
    return Priors(json.loads(text))


def fair_wrong(
    rng: np.random.Generator,
    right: Item,
    others: Sequence[Item],
    likely: Callable[[Item], float],
    count: int = 3,
) -> list[Item] | None:
    """Return wrong choices that look as likely as the right one, or None to drop the question.

    With p the likelihoods, the right choice a comes with the set S with probability p(a) P(S - a
    drawn from the rest by p). This is made equal for all a in S by keeping only the fitting share.
    """
    if len(others) < count:
        return None
    items = [right, *others]
    weights = np.array([likely(item) for item in items])
    weights /= weights.sum()
    drawn = 1 + rng.choice(
        len(others), size=count, replace=False, p=weights[1:] / weights[1:].sum()
    )
    chosen = weights[[0, *drawn]]
    joint = [_joint(chosen, first) for first in range(count + 1)]
    if rng.random() * joint[0] > min(joint):
        return None
    return [items[i] for i in drawn]


def _joint(weights: NDArray[np.float64], first: int) -> float:
    """Return the probability that one is drawn first and the others next, in any order."""
    rest = np.delete(weights, first)
    total = 0.0
    for order in permutations(rest):
        left, chance = 1.0 - weights[first], weights[first]
        for weight in order:
            chance *= weight / max(left, 1e-12)
            left -= weight
        total += chance
    return float(total)
