# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The named things of a memory, whatever their name, and which of them hold a point."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.geometry import rotation_2d
from ros2_spatial_ttt.memory.reader import Beliefs
from ros2_spatial_ttt.query.names import Named, Reading, things_by_name

__all__ = ['all_things', 'holds', 'one_thing']

# A point belongs to a thing whose box, grown by so many deviations of its place, holds it.
_DEVIATIONS = 3.0
# Things of two names nearer than this (m), whose edges differ by a factor of less than e^0.5 in
# the mean, are one thing.
_ONE_M, _SHAPE = 0.3, 0.5
_LEAST_EDGE_M = 0.02


def all_things(
    beliefs: Beliefs, *, scale: float, reading: Reading, least: float
) -> list[tuple[int, Named]]:
    """Return the things of all names with their names' numbers, surest first.

    Where two names are said of one thing, it has the surer one.

    Args:
        beliefs: what the vote field says at its places.
        scale: read score that stands for certainty.
        reading: of scores.
        least: confidence of what counts, 0..1.
    """
    by_name = things_by_name(beliefs, reading, scale=scale)
    found = [(label, one) for label, own in by_name.items() for one in own]
    kept: list[tuple[int, Named]] = []
    for label, thing in sorted(found, key=lambda pair: -pair[1].confidence):
        if thing.confidence < least:
            break
        if not any(other != label and _one(thing, surer) for other, surer in kept):
            kept.append((label, thing))
    return kept


def holds(
    centre: NDArray[np.float64],
    covariance: NDArray[np.float64],
    size: NDArray[np.float64],
    yaw: float,
    point: NDArray[np.float64],
) -> bool:
    """Return whether a box, grown by what its place is unsure by, holds a point.

    Args:
        centre: (3,) m.
        covariance: (3, 3) m² of the centre.
        size: (3,) m along yaw, across it, up.
        yaw: rad, about z.
        point: (3,) m.
    """
    turn = np.eye(3)
    turn[:2, :2] = rotation_2d(yaw)
    deviation = np.sqrt(np.maximum(np.diag(turn.T @ covariance @ turn), 0.0))
    off = np.abs(turn.T @ (point - centre))
    return bool((off <= size / 2.0 + _DEVIATIONS * deviation).all())


def one_thing(
    place_a: NDArray[np.float64],
    size_a: NDArray[np.float64],
    place_b: NDArray[np.float64],
    size_b: NDArray[np.float64],
) -> bool:
    """Return whether two boxes, whatever they are called, stand in one place and have one shape.

    Args:
        place_a: (3,) m, middle of the first box.
        size_a: (3,) m, edges of the first box.
        place_b: likewise of the second.
        size_b: likewise.
    """
    edges = (np.log(np.maximum(size, _LEAST_EDGE_M)) for size in (size_a, size_b))
    unlike = float(np.abs(np.subtract(*edges)).mean())
    return float(np.linalg.norm(place_a - place_b)) < _ONE_M and unlike < _SHAPE


def _one(a: Named, b: Named) -> bool:
    return one_thing(a.peak.position, a.measured, b.peak.position, b.measured)
