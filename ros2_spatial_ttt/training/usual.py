# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What is usual in training homes: sizes and numbers of things, and how many the memory holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.query.intervals import Z90
from ros2_spatial_ttt.query.names import Reading
from ros2_spatial_ttt.query.usual import Usual
from ros2_spatial_ttt.sim.home import make_home
from ros2_spatial_ttt.training.held import Held, edges_of

__all__ = ['USUAL_HOMES', 'fit_sizes', 'fit_usual', 'sizes_in']

USUAL_HOMES = range(1000, 1200)  # training homes of which sizes are taken
# What is known of no name in particular counts as so many things.
_SHRINK = 5.0
_LEAST_VARY = 0.02
# Errors are counted on things of this confidence; so many of them are within one deviation.
_SURE, _ONE_DEVIATION = 0.9, 0.683
_LEAST_EDGE_M = 0.02

Sizes = dict[str, list[tuple[float, float, float]]]


def sizes_in(seed: int) -> Sizes:
    """Return the sizes (longer and shorter horizontal edge, height, m) of a home's things."""
    out: Sizes = {}
    for thing in make_home(seed).things:
        out.setdefault(thing.category, []).append(edges_of(thing))
    return out


def fit_usual(labels: Sequence[str], homes: Iterable[Sizes], held: Held) -> tuple[Usual, ...]:
    """Return what is usual of each name.

    Args:
        labels: names.
        homes: sizes of things in training homes.
        held: what the memory held of homes that it saw.
    """
    sizes: Sizes = {}
    for home in homes:
        for name, own in home.items():
            sizes.setdefault(name, []).extend(own)
    everything = [size for own in sizes.values() for size in own]
    number, share = _numbers(held, len(labels))
    out = []
    for index, label in enumerate(labels):
        logs = np.log(sizes.get(label, everything))
        median = np.median(logs, axis=0)
        vary = float(np.sqrt(((logs - median) ** 2).mean()))
        long, wide, high = np.exp(median).tolist()
        out.append(
            Usual(long, wide, high, max(vary, _LEAST_VARY), float(number[index]), share[index])
        )
    return tuple(out)


def fit_sizes(held: Held, reading: Reading) -> Reading:
    """Return the reading with errors of sizes as they are: 90 % of the edges in their intervals.

    Args:
        held: what the memory held of homes that it saw.
        reading: with what is usual.
    """
    confidence = held.confidence(reading)
    good = np.flatnonzero(held.hit & (confidence >= _SURE))
    if not len(good):
        return reading
    ratio = np.log(np.maximum(held.measured[good], _LEAST_EDGE_M) / held.size[good])
    reading = replace(reading, size_error=float(np.quantile(np.abs(ratio), _ONE_DEVIATION)))
    off = []
    for row in good:
        weighed = reading.weighed(held.label[row], held.measured[row], confidence[row])
        off.append(abs(np.log(weighed[0].max() / held.size[row].max())) / weighed[1])
    return replace(reading, size_stretch=max(1.0, float(np.quantile(off, 0.9)) / Z90))


def _numbers(held: Held, labels: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return for each name how many there are where there are any, and which share is held."""
    there = held.asked > 0
    homes = np.bincount(held.named[there], minlength=labels)
    things = np.bincount(held.named, held.asked, labels)
    hits = np.bincount(held.label[held.hit], minlength=labels)
    number = (things + _SHRINK * things.sum() / max(homes.sum(), 1)) / (homes + _SHRINK)
    share = (hits + _SHRINK * hits.sum() / max(things.sum(), 1)) / (things + _SHRINK)
    return np.maximum(number, 1.0), np.clip(share, 0.05, 0.98)
