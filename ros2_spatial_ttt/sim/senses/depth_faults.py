# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What a real sensor does to a perfect depth picture: noise, steps, range, holes."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.sim.sensor import SensorConfig
from ros2_spatial_ttt.types import Intrinsics

__all__ = ['measure_depth', 'quantised', 'ray_depth']

Array = NDArray[np.float64]
Depth = NDArray[np.float32]
Colour = NDArray[np.uint8]

_STREAM = 40
# Neighbouring pixels that differ by this share of the distance are an edge.
EDGE_SHARE = 0.06
# Longest half axis of a hole, as a share of the width of the picture.
BLOB_SHARE = 0.05


def quantised(depth_m: NDArray, steps: float) -> NDArray:
    """Return depth (...) in steps as disparity gives it: ``steps`` of them lie beyond 1 m.

    Disparity comes in even steps, so those of depth grow with the distance squared.
    """
    return steps / np.round(steps / depth_m)


def ray_depth(config: SensorConfig, depth_m: Array, rng: np.random.Generator | None) -> Array:
    """Return depth (n,) as measured, 0 where it is not; ``inf`` is nothing there.

    Args:
        config: noise, steps and range are used.
        depth_m: (n,) along the optical axis.
        rng: for the noise.
    """
    usable = np.isfinite(depth_m) & (depth_m > 0)
    depth = np.where(usable, depth_m, 1.0)
    if config.noisy_depth:
        depth = depth + config.depth_noise * depth**2 * rng.standard_normal(depth.shape)
        depth = np.maximum(depth, 1e-3)
    usable &= (depth >= config.least_m) & (depth <= config.most_m)
    if config.depth_step:
        # Beyond the last step disparity is zero: no measurement.
        usable &= depth < 1.5 / config.depth_step
        depth = quantised(np.where(usable, depth, 1.0), 1.0 / config.depth_step)
    return np.where(usable, depth, 0.0)


def measure_depth(
    config: SensorConfig,
    depth_m: Depth,
    colour: Colour,
    camera: Intrinsics,
    key: tuple[int, int, int],
) -> Depth:
    """Return the depth picture (H, W) float32 m that a sensor gives; 0 is no measurement.

    Args:
        config: of the sensor.
        depth_m: (H, W) true depth along the optical axis, 0 where nothing is.
        colour: (H, W, 3) uint8, the picture of the same moment.
        camera: its intrinsics.
        key: seed, number of the camera and of the frame.
    """
    rng = np.random.default_rng([key[0], _STREAM, *key[1:]])
    true = depth_m.astype(np.float64)
    measured = ray_depth(config, np.where(true > 0, true, np.inf), rng).astype(np.float32)
    measured[_lost(config, depth_m, colour, camera)] = 0.0
    for _ in range(int(rng.poisson(config.holes_blobs)) if config.holes_blobs else 0):
        _punch(measured, rng)
    return measured


def _lost(
    config: SensorConfig, depth_m: Depth, colour: Colour, camera: Intrinsics
) -> NDArray[np.bool_]:
    """Return where depth is lost to edges, slant, darkness and shine, (H, W)."""
    lost = np.zeros(depth_m.shape, np.bool_)
    if config.holes_dark > 0 or config.holes_shiny < 255:
        grey = cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY)
        lost |= (grey < config.holes_dark) | (grey > config.holes_shiny)
    if config.holes_edge_px:
        lost |= _near_edges(depth_m, config.holes_edge_px)
    if config.holes_grazing:
        lost |= _slant(depth_m, camera) < config.holes_grazing
    return lost


def _near_edges(depth_m: Depth, reach_px: int) -> NDArray[np.bool_]:
    core = np.ones((3, 3), np.uint8)
    jump = cv2.dilate(depth_m, core) - cv2.erode(depth_m, core)
    edge = (jump > EDGE_SHARE * np.maximum(depth_m, 0.1)).astype(np.uint8)
    wide = np.ones((2 * reach_px - 1,) * 2, np.uint8)
    return cv2.dilate(edge, wide).astype(np.bool_)


def _slant(depth_m: Depth, camera: Intrinsics) -> Depth:
    """Return the cosine between rays and surface normals, (H, W); 1 where nothing is.

    On a plane 1 / depth is linear in the pixels; its gradient is the normal up to a factor.
    """
    there = depth_m > 0
    inverse = np.where(there, 1.0 / np.where(there, depth_m, 1.0), 0.0).astype(np.float32)
    height, width = depth_m.shape
    x = ((np.arange(width) - camera.cx) / camera.fx).astype(np.float32)[None, :]
    y = ((np.arange(height) - camera.cy) / camera.fy).astype(np.float32)[:, None]
    a = cv2.Sobel(inverse, cv2.CV_32F, 1, 0, scale=1 / 8) * np.float32(camera.fx)
    b = cv2.Sobel(inverse, cv2.CV_32F, 0, 1, scale=1 / 8) * np.float32(camera.fy)
    c = inverse - a * x - b * y
    length = np.sqrt(a * a + b * b + c * c) * np.sqrt(x * x + y * y + 1)
    return np.where(there, inverse / np.maximum(length, 1e-9), 1.0).astype(np.float32)


def _punch(depth_m: Depth, rng: np.random.Generator) -> None:
    """Lose an ellipse of depth, in place."""
    height, width = depth_m.shape
    centre = rng.uniform((0, 0), (width, height))
    axes = np.maximum(rng.uniform(0.2, 1.0, 2) * BLOB_SHARE * width, 1.0)
    at, by = (tuple(int(round(v)) for v in pair) for pair in (centre, axes))
    cv2.ellipse(depth_m, at, by, float(rng.uniform(0, 180)), 0, 360, 0.0, -1)
