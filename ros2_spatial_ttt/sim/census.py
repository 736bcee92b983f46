# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""How often each category stands in simulated homes, and how large its things are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ros2_spatial_ttt.sim.home import make_home
from ros2_spatial_ttt.sim.world import CATEGORIES

__all__ = ['Row', 'census', 'table']


@dataclass(frozen=True)
class Row:
    """Statistics of a category over many homes.

    Attributes:
        category: of ``CATEGORIES``. count: things. homes: share of homes that have one.
        share: of all things. size: (3, 3) m: 5 %, 50 % and 95 % of x, y, z.
        shapes: number of different ones.
    """

    category: str
    count: int
    homes: float
    share: float
    size: np.ndarray
    shapes: int


def census(seeds: Iterable[int]) -> list[Row]:
    """Return one row per category that stands in some homes, the frequent ones first."""
    sizes: dict[str, list] = {category: [] for category in CATEGORIES}
    homes: dict[str, set] = {category: set() for category in CATEGORIES}
    shapes: dict[str, set] = {category: set() for category in CATEGORIES}
    seeds = list(seeds)
    for seed in seeds:
        for thing in make_home(seed).things:
            sizes[thing.category].append(thing.size)
            homes[thing.category].add(seed)
            shapes[thing.category].add(thing.shape)
    total = sum(map(len, sizes.values()))
    rows = [
        Row(
            c,
            len(sizes[c]),
            len(homes[c]) / len(seeds),
            len(sizes[c]) / total,
            np.quantile(sizes[c], (0.05, 0.5, 0.95), axis=0),
            len(shapes[c]),
        )
        for c in CATEGORIES
        if sizes[c]
    ]
    return sorted(rows, key=lambda row: (-row.count, row.category))


def table(rows: list[Row]) -> str:
    """Return the rows as a Markdown table; sizes are medians with 5..95 % in brackets, m."""
    lines = [
        '| category | things | share | homes | shapes | x | y | z |',
        '|---|--:|--:|--:|--:|--:|--:|--:|',
    ]
    for row in rows:
        edges = ' | '.join(f'{b:.2f} ({a:.2f}–{c:.2f})' for a, b, c in np.transpose(row.size))
        lines.append(
            f'| {row.category} | {row.count} | {100 * row.share:.1f} % | {100 * row.homes:.0f} % '
            f'| {row.shapes} | {edges} |'
        )
    return '\n'.join(lines)
