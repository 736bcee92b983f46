# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Learn ``priors.json`` from training homes and tours of them; see ``priors``."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ros2_spatial_ttt.exam.asking.choices import first_sights
from ros2_spatial_ttt.exam.asking.evidence import Evidence, Known, Place, Shown, gap
from ros2_spatial_ttt.exam.asking.priors import FILE
from ros2_spatial_ttt.exam.asking.recall import landmark_beside, landmarks, odd_things
from ros2_spatial_ttt.exam.asking.setting import CLEAR_NS, Setting
from ros2_spatial_ttt.exam.asking.view import NEVER
from ros2_spatial_ttt.sim.world import Home, Thing

__all__ = ['tables']

HOMES = range(50_000, 51_000)
TOURS = range(50_000, 50_150)


def tables(homes: Iterable[Home], episodes: Iterable[Shown]) -> dict:
    """Return the tables of ``Priors``: places from whole homes, order of sight from tours."""
    beside: dict = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    gaps: dict = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for home in homes:
        known = _everything(home)
        _add_beside(beside, known)
        _add_gaps(gaps, known)
    first: dict = defaultdict(lambda: defaultdict(int))
    for episode in episodes:
        _add_first(first, Setting(Evidence(episode), per_kind=1))
    means = {
        where: {
            a: {b: round(float(np.mean(m)), 2) for b, m in row.items()} for a, row in t.items()
        }
        for where, t in gaps.items()
    }
    return {'beside': beside, 'first': first, 'gap': means}


def _everything(home: Home) -> Known:
    """Return a home as one knows it who has seen all of it."""
    return Known(
        ask_ns=0,
        places=tuple(_place(thing) for thing in home.things),
        first_ns={},
        last_ns={},
        vague=frozenset(),
        moved=frozenset(),
        glimpsed=frozenset(),
    )


def _place(thing: Thing) -> Place:
    return Place(thing, 0, NEVER, np.zeros(0, np.int64), 0, NEVER, NEVER, None)


def _add_beside(beside: dict, known: Known) -> None:
    singles = frozenset(name for name, things in known.by_category.items() if len(things) == 1)
    marks = landmarks(known, singles)
    for thing in odd_things(known, singles):
        right = landmark_beside(thing, marks)
        for mark in marks if right is not None else ():
            times = beside[thing.category][mark.category]
            times[0] += mark is right
            times[1] += 1


def _add_gaps(gaps: dict, known: Known) -> None:
    for a, b in combinations(known.unique.values(), 2):
        table = gaps['same room' if a.room == b.room else 'other room']
        metres = gap(a, b)
        table[a.category][b.category].append(metres)
        table[b.category][a.category].append(metres)


def _add_first(first: dict, setting: Setting) -> None:
    sights = first_sights(setting, setting.known(setting.end()))
    order = sorted((span[1], name) for name, span in sights.items())
    for (earlier, a), (later, b) in combinations(order, 2):
        if later - earlier >= CLEAR_NS:
            first[a][b] += 1


def main() -> None:
    """Write the tables of the training seeds beside this module."""
    from ros2_spatial_ttt.sim.episode import make_episode  # needs MuJoCo
    from ros2_spatial_ttt.sim.home import make_home

    found = tables(
        (make_home(seed) for seed in tqdm(HOMES, 'homes')),
        (make_episode(seed) for seed in tqdm(TOURS, 'tours')),
    )
    text = json.dumps(found, sort_keys=True, separators=(',', ':'))
    Path(__file__).with_name(FILE).write_text(text + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
