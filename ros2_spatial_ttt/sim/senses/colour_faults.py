# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What a real camera does to a perfect picture: motion blur, exposure, noise, compression."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.geometry import interpolate_transform, invert_transform
from ros2_spatial_ttt.sim.sensor import SensorConfig
from ros2_spatial_ttt.types import Intrinsics

__all__ = ['measure_colour', 'shutter_motion']

Array = NDArray[np.float64]
Depth = NDArray[np.float32]
Colour = NDArray[np.uint8]

_NOISE, _EXPOSURE = 41, 43
BLUR_STEPS = 7
MID_GREY = 112.0
# A point nearer than this is not followed through the picture; the sky is as far as FAR_M.
NEAR_M, FAR_M = 0.1, 20.0
# Frames that the slow waves of brightness last.
WAVES = (40, 400)


def measure_colour(
    config: SensorConfig,
    colour: Colour,
    depth_m: Depth,
    camera: Intrinsics,
    later_T_camera: Array | None,
    key: tuple[int, int, int],
) -> Colour:
    """Return the picture (H, W, 3) uint8 that a camera gives.

    Args:
        config: of the sensor.
        colour: (H, W, 3) uint8, the perfect picture.
        depth_m: (H, W) m, its true depth.
        camera: its intrinsics.
        later_T_camera: (4, 4) how the camera moves while the shutter is open: pose of the optical
            frame seen from where it is when it closes; None leaves blur out.
        key: seed, number of the camera and of the frame.
    """
    rng = np.random.default_rng([key[0], _NOISE, *key[1:]])
    if config.shutter_s and later_T_camera is not None:
        colour = _blurred(colour, depth_m, camera, later_T_camera)
    gain = _gain(config, colour, key)
    if gain != 1.0 or config.colour_noise:
        light = colour.astype(np.float32) * np.float32(gain)
        if config.colour_noise:
            # Shot noise grows with the square root of the light, over a floor of read noise.
            spread = config.colour_noise * np.sqrt(0.2 + 0.8 * light / np.float32(MID_GREY))
            light += spread * rng.standard_normal(light.shape, np.float32)
        colour = np.clip(np.round(light), 0, 255).astype(np.uint8)
    return _compressed(colour, config.jpeg_quality) if config.jpeg_quality else colour


def shutter_motion(before: Array, after: Array, share: float) -> Array:
    """Return how a camera moves while its shutter is open, as ``measure_colour`` takes it.

    Args:
        before: (4, 4) map_T_camera of a frame.
        after: (4, 4) of the next.
        share: of the time between them.
    """
    return invert_transform(interpolate_transform(before, after, share)) @ before


def _blurred(colour: Colour, depth_m: Depth, camera: Intrinsics, later_T_camera: Array) -> Colour:
    """Average the picture along the way that each pixel moves while the shutter is open."""
    height, width = depth_m.shape
    u, v = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    z = np.where(depth_m > NEAR_M, depth_m, np.float32(FAR_M))
    x, y = (u - np.float32(camera.cx)) / camera.fx * z, (v - np.float32(camera.cy)) / camera.fy * z
    turn, way = later_T_camera[:3, :3].astype(np.float32), later_T_camera[:3, 3]
    moved = [
        turn[i, 0] * x + turn[i, 1] * y + turn[i, 2] * z + np.float32(way[i]) for i in (0, 1, 2)
    ]
    ahead = np.maximum(moved[2], NEAR_M)
    du = (moved[0] / ahead * camera.fx + camera.cx - u).astype(np.float32)
    dv = (moved[1] / ahead * camera.fy + camera.cy - v).astype(np.float32)
    total = np.zeros(colour.shape, np.float32)
    for share in np.linspace(-0.5, 0.5, BLUR_STEPS, dtype=np.float32):
        total += cv2.remap(
            colour,
            u + share * du,
            v + share * dv,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
    return np.round(total / BLUR_STEPS).astype(np.uint8)


def _gain(config: SensorConfig, colour: Colour, key: tuple[int, int, int]) -> float:
    """Return the factor of brightness of a picture."""
    gain = 1.0
    if config.exposure_drift:
        # A few slow waves: smooth over frames, yet known for each without those before it.
        waves = np.random.default_rng([key[0], _EXPOSURE, key[1]])
        length, phase = waves.uniform(*WAVES, 4), waves.uniform(0, 2 * np.pi, 4)
        wave = np.sin(2 * np.pi * key[2] / length + phase).sum() / np.sqrt(2.0)
        gain *= 2.0 ** (config.exposure_drift * float(wave))
    if config.auto_exposure:
        mean = max(float(colour.mean()) * gain, 1.0)
        gain *= min(max(MID_GREY / mean, 0.25), 4.0) ** config.auto_exposure
    return round(gain, 4)


def _compressed(colour: Colour, quality: int) -> Colour:
    bgr = np.ascontiguousarray(colour[..., ::-1])
    _, data = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])
