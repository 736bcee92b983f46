# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What is at a point or in a box, in numbers and words."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.memory.places import CELL_M
from ros2_spatial_ttt.memory.reader import FieldPoints
from ros2_spatial_ttt.query.search import Peak
from ros2_spatial_ttt.types import Region

__all__ = ['around', 'confidence', 'lattice', 'place', 'share_interval', 'surface_sentence']

_NEAR_M = 0.25
_MOST_POINTS = 2048
_COLOURS = {
    'black': (20, 20, 20),
    'white': (235, 235, 235),
    'grey': (128, 128, 128),
    'red': (190, 40, 40),
    'orange': (225, 130, 40),
    'yellow': (220, 210, 60),
    'green': (50, 150, 60),
    'cyan': (60, 190, 200),
    'blue': (45, 75, 180),
    'purple': (130, 60, 160),
    'pink': (230, 140, 180),
    'brown': (115, 75, 45),
    'beige': (205, 185, 150),
}


def lattice(region: Region) -> NDArray[np.float64]:
    """Return points (n, 3) spread evenly through a box: 0.25 m apart, wider in large boxes."""
    low, high = np.asarray(region.minimum, float), np.asarray(region.maximum, float)
    size = high - low
    step = max(
        0.25, float(np.cbrt(max(float(np.prod(np.maximum(size, 0.25))), 1e-9) / _MOST_POINTS))
    )
    # A long thin box would still give too many points along its length.
    counts = np.minimum(np.floor(size / step).astype(int) + 1, _MOST_POINTS)
    axes = [
        a + (np.arange(n) + 0.5) * (b - a) / n for a, b, n in zip(low, high, counts, strict=True)
    ]
    return np.stack(np.meshgrid(*axes, indexing='ij'), axis=-1).reshape(-1, 3)


def confidence(value: float, threshold: float) -> float:
    """Return how sure a value is to be on its side of a threshold, 0.5..1."""
    distance = min(abs(value - threshold) / max(threshold, 1.0 - threshold), 1.0)
    return 0.5 + 0.5 * distance


def share_interval(share: float, samples: int) -> tuple[float, float]:
    """Return the 90 % Wilson interval of a share of ``samples`` points."""
    z = 1.6449
    centre = (share + z * z / (2 * samples)) / (1 + z * z / samples)
    spread = share * (1 - share) / samples + z * z / (4 * samples * samples)
    half = z * math.sqrt(spread) / (1 + z * z / samples)
    # Rounding must not put the share outside of its own interval.
    return min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half))


def place(places: FieldPoints, row: int) -> Peak:
    """Return one place as a peak."""
    cell = np.eye(3) * CELL_M**2 / 12.0
    return Peak(
        position=places.points[row].astype(np.float64),
        covariance=cell + 0.03**2 * np.eye(3),
        size=np.full(3, CELL_M),
        score=float(places.occupied[row]),
        first_seen_ns=int(places.first_seen_ns[row]),
        last_seen_ns=int(places.last_seen_ns[row]),
        count=int(places.count[row]),
    )


def around(places: FieldPoints, point: NDArray[np.float64], here: FieldPoints) -> Peak:
    """Return the surface at a point with the stamps and counts of the places around it."""
    near = np.linalg.norm(places.points - point, axis=1) <= _NEAR_M
    seen = bool(near.any())
    return Peak(
        position=point,
        covariance=np.eye(3) * CELL_M**2 / 12.0,
        size=np.zeros(3),
        score=float(here.occupied[0]),
        first_seen_ns=int(places.first_seen_ns[near].min()) if seen else 0,
        last_seen_ns=int(places.last_seen_ns[near].max()) if seen else 0,
        count=int(places.count[near].sum()) if seen else 0,
    )


def surface_sentence(here: FieldPoints, peak: Peak) -> str:
    """Return a sentence about the surface at the one point of ``here``."""
    colour = here.colour[0].astype(float)
    name = min(_COLOURS, key=lambda key: float(np.linalg.norm(colour - _COLOURS[key])))
    seen = f', sampled {peak.count} times' if peak.count else ''
    return f'There is a {name} surface{seen}.'
