# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""From a name to the things of that name: peaks of the vote field, and what was said in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.memory.reader import Beliefs
from ros2_spatial_ttt.memory.votes import NAMES, PRESENT, SIZE, TURN
from ros2_spatial_ttt.query.search import Peak

__all__ = ['Named', 'named_things', 'singular']

# Read score of a name at which a thing is as likely there as not, and how fast that changes.
HALF, SLOPE = 0.45, 12.0
# Scores below this are no candidates.
LEAST = 0.15
# Two things of one name are no nearer than this share of their shorter edge, within these bounds.
_APART_SHARE, _APART_M = 0.6, (0.25, 0.8)
_SUPPORT_M = 0.35
_POSITION_M = 0.03


@dataclass(frozen=True)
class Named:
    """A thing of a name: its place and score, its orientation (rad) and confidence 0..1."""

    peak: Peak
    yaw: float
    confidence: float


def singular(word: str, names: tuple[str, ...]) -> str | None:
    """Return the name that a word means: itself, in the plural or in capitals; None = unknown."""
    word = ' '.join(word.lower().split())
    endings = (('', ''), ('s', ''), ('es', ''), ('ves', 'f'), ('ies', 'y'))
    for ending, instead in endings:
        if word.endswith(ending):
            stem = word[: len(word) - len(ending)] + instead
            if stem in names:
                return stem
    return None


def named_things(beliefs: Beliefs, label: int, *, scale: float) -> list[Named]:
    """Return the things of a name, surest first.

    The best place is a thing; places too near to it to be another one support it; and so on.

    Args:
        beliefs: what the vote field says at its places.
        label: number of the name.
        scale: read score that stands for certainty.
    """
    names = beliefs.values[:, NAMES]
    score = names[:, label] / scale
    # A place speaks for the name that it says loudest: a confusion is no second thing.
    rows = np.flatnonzero((score > LEAST) & (names.argmax(axis=1) == label))
    order = rows[np.argsort(-score[rows], kind='stable')]
    size = beliefs.values[:, SIZE] / np.maximum(beliefs.values[:, PRESENT], 1e-3)[:, None]
    tops: list[int] = []
    for row in order:
        apart = float(np.clip(_APART_SHARE * size[row, :2].min(), *_APART_M))
        if all(np.linalg.norm(beliefs.points[row] - beliefs.points[t]) >= apart for t in tops):
            tops.append(int(row))
    if not tops:
        return []
    distance = np.linalg.norm(beliefs.points[rows, None] - beliefs.points[None, tops], axis=2)
    owner, near = distance.argmin(axis=1), distance.min(axis=1) <= _SUPPORT_M
    return [
        _named(beliefs, score, rows[near & (owner == number)], top)
        for number, top in enumerate(tops)
    ]


def _named(beliefs: Beliefs, score: NDArray, support: NDArray, top: int) -> Named:
    weight = score[support] * np.minimum(beliefs.count[support], 16)
    weight = weight / weight.sum()
    points = beliefs.points[support]
    mean = weight @ points
    spread = points - mean
    votes = float(beliefs.count[support].sum())
    covariance = (spread * weight[:, None]).T @ spread / max(np.sqrt(votes), 1.0)
    value = weight @ beliefs.values[support]
    peak = Peak(
        position=mean,
        covariance=covariance + _POSITION_M**2 * np.eye(3),
        size=np.maximum(value[SIZE] / max(value[PRESENT], 1e-3), 0.0).astype(np.float64),
        score=float(score[top]),
        first_seen_ns=int(beliefs.first_seen_ns[support].min()),
        last_seen_ns=int(beliefs.last_seen_ns[support].max()),
        count=int(votes),
    )
    cos, sin = value[TURN]
    return Named(
        peak=peak,
        yaw=float(np.arctan2(sin, cos)) / 2.0,
        confidence=float(1.0 / (1.0 + np.exp(-SLOPE * (peak.score - HALF)))),
    )
