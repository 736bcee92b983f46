# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Fast weights of named things: a linear field of votes keyed at the centres of things.

A vote says what a detector saw at a centre; a doubt says that the place was looked at and nothing
was there. Both are samples of one regression, so what is read near a centre is the share of looks
that found the thing: it does not grow with revisits, and it falls when the thing is gone.

For its name a vote says, instead of 1, what it is worth. So what is read of a name is the share of
looks times their mean worth, by which they are weighed: however often poor looks say something, it
never reads better than a poor look, while with a value of 1 it would pass for sure after hours.

Rules (``votes.rule``), with phi the Fourier key, v the value and w the weight of a sample:

- *curvature*: ridge regression with A and B kept (video-SALMONN S), and *directional forgetting*
  (Kulhavy & Karny 1984; Cao & Schwartz 2000): before a sample is added, the share
  rho = 1 - (1 - 1/M)^w of the information in the direction of its key is removed::

      A <- A - rho A phi phi^T A / (phi^T A phi)     B <- B - rho A phi (phi^T B) / (phi^T A phi)
      A <- A + w phi phi^T    B <- B + w phi v^T     W = (A + lambda I)^-1 B

  Only what is looked at again fades, M looks deep; the rest of the tile keeps its memory.
- *gd*: the delta rule W <- W + w/2 phi (v - phi^T W), one explicit step per sample.
- *hebbian*: W <- W + w phi v^T.
- *muon*: the published rule (TTT, post-norm): the chunk's gradient of -<W^T phi, v>, momentum 0.5,
  five Newton-Schulz steps, a step of 1, rows renormalised.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.config import VoteConfig
from ros2_spatial_ttt.memory.field import FieldState
from ros2_spatial_ttt.memory.oracle import fourier_features

__all__ = [
    'GUESSED',
    'NAMES',
    'PRESENT',
    'SIZE',
    'TURN',
    'Votes',
    'empty_votes',
    'evidence',
    'update_votes',
    'vote_channels',
    'vote_frequencies',
    'vote_values',
]

# Columns of the vote field.
PRESENT = 0  # 1 for a vote, 0 for a doubt
SIZE = slice(1, 4)  # longer and shorter horizontal edge, height, m
TURN = slice(4, 6)  # cos and sin of twice the yaw of the longer edge
GUESSED = 6  # share of what was detected whose depth was predicted, not measured
NAMES = slice(7, None)  # at the label what the vote is worth

# Information below this in a direction is nothing to forget.
_NOTHING = 1e-6
_MOMENTUM = 0.5
# Coefficients of five Newton-Schulz steps as published with LaCT (TTT_LAYER, Muon).
_NEWTON_SCHULZ = (
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
)

Array = NDArray[Any]


@dataclass(frozen=True)
class Votes:
    """Samples of the vote field in the order of time.

    Attributes:
        points: (n, 3) float64 m in the map. values: (n, C) float32. weights: (n,) float64.
        stamp_ns: (n,) int64.
    """

    points: NDArray[np.float64]
    values: NDArray[np.float32]
    weights: NDArray[np.float64]
    stamp_ns: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.points)

    def kept(self, rows: NDArray) -> Votes:
        """Return the samples of these rows."""
        return Votes(**{name: array[rows] for name, array in vars(self).items()})

    @staticmethod
    def none(channels: int) -> Votes:
        """Return no samples."""
        return Votes(
            np.zeros((0, 3)),
            np.zeros((0, channels), np.float32),
            np.zeros(0),
            np.zeros(0, np.int64),
        )


def vote_channels(labels: int) -> int:
    """Return the columns of a vote field that knows this many names."""
    return NAMES.start + labels


def vote_values(
    label: Array, size: Array, yaw: Array, worth: Array, guessed: Array, *, labels: int
) -> NDArray[np.float32]:
    """Return the values (n, C) of votes.

    Args:
        label: (n,) int number of the name.
        size: (n, 3) m.
        yaw: (n,) rad.
        worth: (n,) of each vote, 0..1.
        guessed: (n,) share of each thing whose depth was predicted, 0..1.
        labels: how many names there are.
    """
    out = np.zeros((len(label), vote_channels(labels)), np.float32)
    out[:, PRESENT] = 1.0
    out[:, SIZE] = size
    out[:, TURN] = np.stack([np.cos(2 * yaw), np.sin(2 * yaw)], axis=1)
    out[:, GUESSED] = guessed
    out[np.arange(len(label)), NAMES.start + label] = worth
    return out


def evidence(worth: Array) -> NDArray[np.float64]:
    """Return the weight of votes (n,) that are worth so much: no vote counts more than a look."""
    return np.asarray(np.clip(worth, 0.0, 1.0), np.float64)


def vote_frequencies(features: int, scale_m: float) -> NDArray[np.float32]:
    """Return key frequencies (features/2, 3) in rad/m of a Gaussian kernel of this length scale.

    Directions on a Fibonacci half sphere with radii at the quantiles of their distribution (chi
    with 3 degrees of freedom): the kernel's error is an eighth below that of random draws.
    """
    count = features // 2
    number = np.arange(count) + 0.5
    height = number / count
    angle = np.pi * (1.0 + np.sqrt(5.0)) * number
    flat = np.sqrt(1.0 - height**2)
    direction = np.stack([flat * np.cos(angle), flat * np.sin(angle), height], axis=1)
    radius = np.linspace(0.0, 6.0, 4001)
    density = radius**2 * np.exp(-(radius**2) / 2.0)
    share = np.cumsum(density) / density.sum()
    order = np.random.default_rng(7).permutation(count)
    quantile = np.interp((order + 0.5) / count, share, radius)
    return np.asarray(direction * quantile[:, None] / scale_m, np.float32)


def empty_votes(config: VoteConfig) -> FieldState:
    """Return a field without votes; 'curvature' alone keeps A, 'gd' and 'hebbian' W only."""
    features, channels = config.features, vote_channels(len(config.names))
    curved = features if config.rule == 'curvature' else 0
    target = features if config.rule in ('curvature', 'muon') else 0
    return FieldState(
        curvature=np.zeros((curved, curved), np.float32),
        target=np.zeros((target, channels), np.float32),
        weight=np.zeros((features, channels), np.float32),
    )


def update_votes(
    state: FieldState,
    points: Array,
    values: Array,
    weights: Array,
    omega: Array,
    config: VoteConfig,
) -> FieldState:
    """Return the field after samples; see the module for the maths.

    Args:
        state: before; not changed.
        points: (n, 3) m in the tile.
        values: (n, C).
        weights: (n,) at least 0.
        omega: (D/2, 3) rad/m.
        config: rule and its constants.
    """
    if not len(points):
        return state
    key = fourier_features(points, omega)
    parts = [tensor.astype(np.float64) for tensor in state.tensors().values()]
    new = _RULES[config.rule](parts, key, values.astype(np.float64), weights, config)
    return FieldState(*(tensor.astype(np.float32) for tensor in new))


def _curvature(
    state: list[Array], key: Array, values: Array, weights: Array, config: VoteConfig
) -> tuple[Array, Array, Array]:
    curvature, target, _ = state
    size, keep = len(curvature), 1.0 - 1.0 / config.memory_frames
    # A and B side by side change by the same two outer products.
    both, rows = np.hstack([curvature, target]), np.hstack([key, values])
    left, right = np.zeros((len(both), 2)), np.zeros((2, both.shape[1]))
    for phi, row, weight in zip(key, rows, weights, strict=True):
        image = phi @ both
        known = float(image[:size] @ phi)
        share = (1.0 - keep**weight) / known if known > _NOTHING else 0.0
        left[:, 0], right[0] = -share * image[:size], image
        left[:, 1], right[1] = weight * phi, row
        both += left @ right
    curvature, target = both[:, :size], both[:, size:]
    return curvature, target, np.linalg.solve(curvature + config.ridge * np.eye(size), target)


def _gradient_descent(
    state: list[Array], key: Array, values: Array, weights: Array, config: VoteConfig
) -> tuple[Array, Array, Array]:
    curvature, target, weight = state
    for phi, value, rate in zip(key, values, weights, strict=True):
        weight += np.outer(0.5 * min(rate, 1.0) * phi, value - phi @ weight)
    return curvature, target, weight


def _hebbian(
    state: list[Array], key: Array, values: Array, weights: Array, config: VoteConfig
) -> tuple[Array, Array, Array]:
    curvature, target, weight = state
    return curvature, target, weight + (key * weights[:, None]).T @ values


def _muon(
    state: list[Array], key: Array, values: Array, weights: Array, config: VoteConfig
) -> tuple[Array, Array, Array]:
    curvature, momentum, weight = state
    momentum = (key * weights[:, None]).T @ values + _MOMENTUM * momentum
    weight = weight + _orthogonal(momentum)
    norm = np.linalg.norm(weight, axis=1, keepdims=True)
    return curvature, momentum, weight / np.maximum(norm, 1e-12)


def _orthogonal(matrix: Array) -> Array:
    """Return the matrix with its singular values driven to about 1 by Newton-Schulz steps."""
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / (np.linalg.norm(x) + 1e-7)
    for a, b, c in _NEWTON_SCHULZ:
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if matrix.shape[0] > matrix.shape[1] else x


_RULES: dict[str, Callable[..., tuple[Array, Array, Array]]] = {
    'curvature': _curvature,
    'gd': _gradient_descent,
    'hebbian': _hebbian,
    'muon': _muon,
}
