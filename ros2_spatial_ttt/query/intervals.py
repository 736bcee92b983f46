# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""How sure a number is that is made from instances: 90 % intervals. Metres and map axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.geometry import box_distance
from ros2_spatial_ttt.query.usual import Usual, number_chances
from ros2_spatial_ttt.types import Instance

__all__ = [
    'Z90',
    'around',
    'ball90',
    'bearing_interval',
    'edge_interval',
    'gap',
    'gap_interval',
    'number_of',
    'radius90',
    'range_interval',
]

Z90 = 1.6449  # half width of the 90 % interval of a normal distribution, in standard deviations
_Z90_ABOVE = 1.2816  # standard deviations that 90 % lie below
# Standard deviation of an edge of a box in those of its position: who sees a thing badly, sees its
# size badly. Counted with a noisy detector and with a trained one on the training homes 0 to 3.
_EDGE = 2.5
# Where another thing was taken for the one asked for: deviation of a distance, m, of an edge, as a
# share of it, and of a bearing that may be any, rad.
_OTHER_M, _OTHER_EDGE, _OTHER_RAD = 4.0, 1.0, math.pi / math.sqrt(3.0)


def around(
    value: float,
    deviation: float,
    *,
    least: float = -math.inf,
    sure: float = 1.0,
    otherwise: float = 0.0,
) -> tuple[float, float]:
    """Return the interval of a value; it ends at ``least``.

    Args:
        value: in the middle.
        deviation: standard deviation of its error.
        least: smallest value that can be.
        sure: probability that it is of the right things at all.
        otherwise: standard deviation where it is not.
    """
    half = Z90 * deviation
    if sure < 1.0 and otherwise > deviation:
        half = _half_width(max(deviation, 1e-6), sure, otherwise)
    return max(least, value - half), value + half


def _half_width(deviation: float, sure: float, otherwise: float) -> float:
    """Return the half width that holds 90 % of a mixture of two normal distributions."""
    low, high = Z90 * deviation, Z90 * otherwise
    for _ in range(40):
        half = 0.5 * (low + high)
        inside = sure * math.erf(half / deviation / math.sqrt(2.0))
        inside += (1.0 - sure) * math.erf(half / otherwise / math.sqrt(2.0))
        low, high = (half, high) if inside < 0.9 else (low, half)
    return high


def radius90(instance: Instance) -> float:
    """Return the half width of the interval of a position along its least sure axis."""
    return Z90 * float(np.sqrt(np.linalg.eigvalsh(instance.covariance)[-1]))


def ball90(covariance: NDArray[np.float64]) -> float:
    """Return the radius of the ball that holds 90 % of the errors of a covariance (3, 3).

    Their squared length has about the distribution of a scaled chi-square (Satterthwaite), whose
    quantile follows from Wilson and Hilferty's cube root.
    """
    trace, squares = float(np.trace(covariance)), float((covariance**2).sum())
    part = 2.0 * squares / (9.0 * trace**2)
    return math.sqrt(trace * (1.0 - part + _Z90_ABOVE * math.sqrt(part)) ** 3)


def edge_interval(instance: Instance) -> tuple[float, float]:
    """Return the interval of the longest edge of a thing."""
    edge = float(instance.size.max())
    if instance.size_error:
        # That it may be another thing is in that error.
        half = math.exp(Z90 * instance.size_error)
        return edge / half, edge * half
    sure, otherwise = instance.confidence, _OTHER_EDGE * edge
    return around(edge, _edge_deviation(instance), least=0.0, sure=sure, otherwise=otherwise)


def range_interval(
    instance: Instance, observer: NDArray[np.float64], *, sure: float
) -> tuple[float, float]:
    """Return the interval of the distance of a thing from a point (3,) m.

    ``sure`` is the probability that it is the right thing.
    """
    apart = instance.position - observer
    metres = float(np.linalg.norm(apart))
    along = apart / max(metres, 1e-9)
    deviation = math.sqrt(float(along @ instance.covariance @ along))
    return around(metres, deviation, least=0.0, sure=sure, otherwise=_OTHER_M)


def bearing_interval(instance: Instance, bearing: float, metres: float) -> tuple[float, float]:
    """Return the interval of the bearing, rad, of a thing so far away in the plane."""
    deviation = math.sqrt(float(np.trace(instance.covariance[:2, :2])) / 2.0) / metres
    low, high = around(bearing, deviation, sure=instance.confidence, otherwise=_OTHER_RAD)
    # No bearing is further off than behind.
    return max(low, bearing - math.pi), min(high, bearing + math.pi)


def gap(a: Instance, b: Instance) -> float:
    """Return the distance between the closest points of two things."""
    return box_distance(a.position, _extent(a), a.yaw, b.position, _extent(b), b.yaw)


def gap_interval(a: Instance, b: Instance) -> tuple[float, float]:
    """Return the interval of the gap; both positions and both extents are unsure."""
    apart = a.position - b.position
    along = apart / max(float(np.linalg.norm(apart)), 1e-9)
    deviation = math.hypot(_side_deviation(a, along), _side_deviation(b, along))
    sure = a.confidence * b.confidence
    return around(gap(a, b), deviation, least=0.0, sure=sure, otherwise=_OTHER_M)


def number_of(
    found: Sequence[Instance], count: int, usual: Usual | None = None
) -> tuple[float, float, float]:
    """Return a count and its interval, which is widened to hold it.

    Args:
        found: all instances, unsure ones too.
        count: that is told.
        usual: what is usual of the name; None = not known.
    """
    below = np.cumsum(number_chances((i.confidence for i in found), usual))
    low, high = (float(np.searchsorted(below, end)) for end in (0.05, 0.95))
    return float(count), min(low, float(count)), max(high, float(count))


def _side_deviation(instance: Instance, along: NDArray[np.float64]) -> float:
    """Return the standard deviation of where a thing ends along a direction (3,).

    Half of an edge lies between a centre and its side. Who saw but a part of a thing errs in both
    the same way, so the errors add up.
    """
    centre = math.sqrt(max(float(along @ instance.covariance @ along), 0.0))
    return centre + (0.5 * _edge_deviation(instance) if _extent(instance).any() else 0.0)


def _edge_deviation(instance: Instance) -> float:
    if instance.size_error:
        return instance.size_error * float(instance.size.max())
    return _EDGE * math.sqrt(float(np.trace(instance.covariance)) / 3.0)


def _extent(instance: Instance) -> NDArray[np.float64]:
    """Return the box of a named thing; what was found by a picture is known as a place only."""
    return instance.size if instance.label else np.zeros(3)
