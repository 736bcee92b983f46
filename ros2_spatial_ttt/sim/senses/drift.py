# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Where the robot believes to be: localisation with noise and drift, and odometry."""

from __future__ import annotations

from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.sim.sensor import SensorConfig

__all__ = ['believed_poses', 'heading_error', 'odometry_poses']

Array = NDArray[np.float64]

_NOISE, _DRIFT, _ODOMETRY = 44, 45, 46
NS_PER_MIN = 60e9


def believed_poses(
    config: SensorConfig, seed: int, stamps_ns: NDArray[np.int64], map_T_base: Array
) -> Array:
    """Return (n, 4, 4) map_T_base as localisation tells it.

    Args:
        config: of the sensor.
        seed: of the home.
        stamps_ns: (n,) of the frames.
        map_T_base: (n, 4, 4) true poses.
    """
    out = map_T_base.copy()
    if config.drift_m or config.drift_rad:
        walk = _walk(config, seed, stamps_ns)
        out[:, :3, :3] = _turns(np.pad(walk[:, 2:], ((0, 0), (2, 0)))) @ out[:, :3, :3]
        out[:, :2, 3] += walk[:, :2]
    if config.pose_noise_m or config.pose_noise_rad:
        noise = np.random.default_rng([seed, _NOISE]).standard_normal((len(out), 6))
        out[:, :3, :3] = _turns(config.pose_noise_rad * noise[:, 3:]) @ out[:, :3, :3]
        out[:, :3, 3] += config.pose_noise_m * noise[:, :3]
    return out


def odometry_poses(config: SensorConfig, seed: int, map_T_base: Array) -> Array:
    """Return (n, 4, 4) odom_T_base: steps and turns with errors that add up from the start."""
    if not config.odometry_share:
        return map_T_base.copy()
    noise = np.random.default_rng([seed, _ODOMETRY]).standard_normal((len(map_T_base) - 1, 2))
    factor = 1.0 + config.odometry_share * noise
    heading = np.unwrap(np.arctan2(map_T_base[:, 1, 0], map_T_base[:, 0, 0]))
    error = np.concatenate([[0.0], np.cumsum(np.diff(heading) * (factor[:, 1] - 1.0))])
    out = map_T_base.copy()
    lift = np.zeros((len(out), 3))
    lift[:, 2] = error
    turns = _turns(lift)
    out[:, :3, :3] = turns @ out[:, :3, :3]
    steps = np.diff(map_T_base[:, :3, 3], axis=0) * factor[:, :1]
    steps = np.einsum('nij,nj->ni', turns[:-1], steps)
    out[1:, :3, 3] = map_T_base[0, :3, 3] + np.cumsum(steps, axis=0)
    return out


def heading_error(believed: Array, true: Array) -> Array:
    """Return (n,) rad by which believed poses (n, 4, 4) are turned about z against true ones."""
    turn = believed[:, :3, :3] @ true[:, :3, :3].transpose(0, 2, 1)
    return np.arctan2(turn[:, 1, 0] - turn[:, 0, 1], turn[:, 0, 0] + turn[:, 1, 1])


def _walk(config: SensorConfig, seed: int, stamps_ns: NDArray[np.int64]) -> Array:
    """Return (n, 3) x, y and heading: a random walk that is pulled back (Ornstein–Uhlenbeck)."""
    minutes = np.diff(stamps_ns) / NS_PER_MIN
    keep = np.exp(-minutes / config.drift_settle_min)
    # Its variance after one minute without a pull would be that of the configuration.
    spread = np.sqrt(config.drift_settle_min / 2.0 * (1.0 - keep**2))
    noise = np.random.default_rng([seed, _DRIFT]).standard_normal((len(minutes), 3))
    kicks = spread[:, None] * noise * (config.drift_m, config.drift_m, config.drift_rad)
    columns = [
        list(accumulate(zip(keep, column, strict=True), _pulled, initial=0.0))
        for column in kicks.T
    ]
    return np.array(columns).T


def _pulled(value: float, step: tuple[float, float]) -> float:
    """Return the next value of a walk; a step is the share that is kept and the kick."""
    return step[0] * value + step[1]


def _turns(vectors: Array) -> Array:
    """Return the rotations (n, 3, 3) of rotation vectors (n, 3) rad (Rodrigues' formula)."""
    angle = np.linalg.norm(vectors, axis=1)[:, None, None]
    x, y, z = (vectors / np.maximum(angle[:, 0], 1e-12)).T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
    return np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * cross @ cross
