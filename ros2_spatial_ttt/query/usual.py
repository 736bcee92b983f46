# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What things of a name usually are: how large, how many, how many of them the memory misses.

Learned from training homes (``training/tune.py``) and kept in the model's manifest. What was
measured is weighed against it: evidence counts by how exact it is, so a thing that was seen well
is as it was seen, and one that may be another thing is as things of its name are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

__all__ = ['Usual', 'number_chances', 'usual_constants', 'usual_of']

# How the logarithm of the error of a measured edge grows with doubt. Counted with a trained
# detector on the training homes 0 to 9: 0.13 at a confidence of 0.99, 0.24 at 0.7, 0.4 at 0.3.
_DOUBT = 1.5
_LEAST_EDGE_M = 0.02
_MOST_MISSED = 12
_PREFIX = 'usual'


@dataclass(frozen=True)
class Usual:
    """What things of one name usually are.

    Attributes:
        long, wide, high: median of the longer and the shorter horizontal edge and the height, m.
        vary: standard deviation of the logarithms of edges.
        number: of such things, where there are any. held: share of them that the memory holds.
    """

    long: float
    wide: float
    high: float
    vary: float
    number: float
    held: float

    def weighed(
        self, measured: NDArray[np.float64], confidence: float, *, error: float
    ) -> tuple[NDArray[np.float64], float]:
        """Return the likely size (3,) m of a thing and the deviation of the logarithms of edges.

        It is the mean over two cases: it is the thing, then the measured size is weighed against
        the usual one; or it is not, then the right one is as things of the name are.

        Args:
            measured: (3,) m; long, wide, high.
            confidence: that it is the thing.
            error: standard deviation of the logarithm of a measured edge of a thing that is there.
        """
        usual = np.log([self.long, self.wide, self.high])
        off = np.log(np.maximum(measured, _LEAST_EDGE_M)) - usual
        noise = (error * math.exp(_DOUBT * (1.0 - confidence))) ** 2
        vary = self.vary**2
        own = off * vary / (vary + noise)
        variance = confidence * vary * noise / (vary + noise) + (1.0 - confidence) * vary
        variance += confidence * (1.0 - confidence) * float((own**2).mean())
        return np.asarray(np.exp(usual + confidence * own)), math.sqrt(variance)


def number_chances(
    confidences: Iterable[float], usual: Usual | None = None
) -> NDArray[np.float64]:
    """Return the probability of each number of things, from 0, (n,).

    Each thing held is there with its confidence (Poisson's binomial distribution); many unsure
    ones are no reason to believe in more than is usual, so that is weighed by a Poisson
    distribution of the usual number. Of that, a share is missed. What is sure stays as it is.

    Args:
        confidences: of all things held, unsure ones too.
        usual: of the name; None = any number is as likely, and nothing is missed.
    """
    seen = np.ones(1)
    for confidence in confidences:
        seen = np.convolve(seen, [1.0 - confidence, confidence])
    if usual is None:
        return seen
    seen = seen * _poisson(usual.number * usual.held, len(seen))
    missed = _poisson(usual.number * (1.0 - usual.held), _MOST_MISSED)
    out = np.convolve(seen, missed)
    return np.asarray(out / out.sum())


def _poisson(mean: float, most: int) -> NDArray[np.float64]:
    """Return the probabilities of 0, 1, … most - 1."""
    steps = np.r_[1.0, mean / np.arange(1, most)]
    return np.asarray(np.exp(-mean) * np.cumprod(steps))


_KEYS = tuple(field.name for field in fields(Usual))


def usual_of(values: Mapping[str, float], labels: Sequence[str]) -> tuple[Usual, ...]:
    """Return what is usual by ``Manifest.detector``, for each name; () where it says nothing."""
    if not labels or f'{_PREFIX}.{_KEYS[0]}.{labels[0]}' not in values:
        return ()
    return tuple(
        Usual(**{key: values[f'{_PREFIX}.{key}.{label}'] for key in _KEYS}) for label in labels
    )


def usual_constants(usual: Sequence[Usual], labels: Sequence[str]) -> dict[str, float]:
    """Return what is usual as ``Manifest.detector`` holds it."""
    return {
        f'{_PREFIX}.{key}.{label}': float(getattr(own, key))
        for label, own in zip(labels, usual, strict=False)
        for key in _KEYS
    }
