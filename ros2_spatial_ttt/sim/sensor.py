# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""How far a real camera on a robot is from a perfect one: configuration and presets.

Every fault is off by default. What is drawn depends on the seed of the home and the number of the
frame only, so a frame looks the same whether or not others were made before it. The faults
themselves are in ``depth_faults``, ``colour_faults`` and ``drift``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

from ros2_spatial_ttt.errors import ConfigError

__all__ = ['CLEAN', 'PRESETS', 'REALISTIC', 'SensorConfig', 'keeps_frame']

_STREAM = 42


@dataclass(frozen=True)
class SensorConfig:
    """Faults of camera and localisation; the defaults are a perfect one.

    Attributes:
        depth_noise: standard deviation of depth at 1 m, m; grows with the distance squared.
        depth_step: step between depths that can be told apart at 1 m, m; grows likewise.
        least_m, most_m: depth nearer or farther is no measurement, m.
        holes_edge_px: depth is lost this close to edges, px.
        holes_grazing: depth is lost where the cosine of the slant is smaller, 0..1.
        holes_dark, holes_shiny: depth is lost where the picture is darker or brighter, 0..255.
        holes_blobs: round holes in depth per frame, on average.
        shutter_s: time the picture is exposed, s; motion in it blurs the picture.
        exposure_drift: standard deviation of a slow change of brightness, stops (factors of 2).
        auto_exposure: share of the way to medium brightness that each picture is brought, 0..1.
        colour_noise: standard deviation of medium grey, of 0..255; less in the dark.
        jpeg_quality: 1..100; 0 does not compress.
        dropped: share of frames that never arrive, 0..1.
        pose_noise_m, pose_noise_rad: standard deviation of each pose, per axis, m and rad.
        drift_m, drift_rad: standard deviation of a random walk of the pose after one minute,
            along x and y, m, and of the heading, rad.
        drift_settle_min: minutes after which relocalisation has pulled two thirds of the drift
            back; it keeps the walk within bounds.
        odometry_share: error of the odometry as a share of the way and of the turns.
    """

    depth_noise: float = 0.0
    depth_step: float = 0.0
    least_m: float = 0.0
    most_m: float = math.inf
    holes_edge_px: int = 0
    holes_grazing: float = 0.0
    holes_dark: float = 0.0
    holes_shiny: float = 255.0
    holes_blobs: float = 0.0
    shutter_s: float = 0.0
    exposure_drift: float = 0.0
    auto_exposure: float = 0.0
    colour_noise: float = 0.0
    jpeg_quality: int = 0
    dropped: float = 0.0
    pose_noise_m: float = 0.0
    pose_noise_rad: float = 0.0
    drift_m: float = 0.0
    drift_rad: float = 0.0
    drift_settle_min: float = 5.0
    odometry_share: float = 0.0

    def __post_init__(self) -> None:
        wrong = [
            f'{field.name}: expected {low:g}..{high:g}, got {value}'
            for field in fields(self)
            for low, high in [_LIMITS[field.name]]
            if not low <= (value := getattr(self, field.name)) <= high
        ]
        if self.least_m >= self.most_m:
            wrong.append(f'least_m {self.least_m} must be below most_m {self.most_m}')
        if wrong:
            raise ConfigError('sensor: ' + '; '.join(wrong))

    @property
    def noisy_depth(self) -> bool:
        """Whether depth is random."""
        return self.depth_noise > 0.0


_LIMITS = {
    'depth_noise': (0.0, 0.1),
    'depth_step': (0.0, 0.1),
    'least_m': (0.0, 5.0),
    'most_m': (0.1, math.inf),
    'holes_edge_px': (0, 20),
    'holes_grazing': (0.0, 1.0),
    'holes_dark': (0.0, 255.0),
    'holes_shiny': (0.0, 255.0),
    'holes_blobs': (0.0, 100.0),
    'shutter_s': (0.0, 0.5),
    'exposure_drift': (0.0, 3.0),
    'auto_exposure': (0.0, 1.0),
    'colour_noise': (0.0, 100.0),
    'jpeg_quality': (0, 100),
    'dropped': (0.0, 0.95),
    'pose_noise_m': (0.0, 1.0),
    'pose_noise_rad': (0.0, 0.5),
    'drift_m': (0.0, 2.0),
    'drift_rad': (0.0, 0.5),
    'drift_settle_min': (0.01, 1e6),
    'odometry_share': (0.0, 0.5),
}

CLEAN = SensorConfig()
REALISTIC = SensorConfig(
    depth_noise=0.0015,
    depth_step=0.0016,
    least_m=0.3,
    most_m=8.0,
    holes_edge_px=1,
    holes_grazing=0.12,
    holes_dark=10.0,
    holes_shiny=252.0,
    holes_blobs=2.0,
    shutter_s=0.015,
    exposure_drift=0.25,
    auto_exposure=0.5,
    colour_noise=3.0,
    jpeg_quality=85,
    dropped=0.02,
    pose_noise_m=0.005,
    pose_noise_rad=0.004,
    drift_m=0.03,
    drift_rad=0.008,
    odometry_share=0.02,
)
PRESETS = {'clean': CLEAN, 'realistic': REALISTIC}


def keeps_frame(config: SensorConfig, seed: int, camera: int, frame: int) -> bool:
    """Tell whether a frame arrives."""
    if not config.dropped:
        return True
    return bool(np.random.default_rng([seed, _STREAM, camera, frame]).random() >= config.dropped)
