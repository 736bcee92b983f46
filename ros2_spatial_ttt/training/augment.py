# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Faults of real cameras on rendered clips: light, blur, noise, compression, holes in depth.

A clip has one light and one lens; noise and blur differ from frame to frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ['ClipLook', 'faulty_colour', 'faulty_depth']

# Range of depth sensors that robots carry, m.
LEAST_M, MOST_M = 0.3, 8.0


@dataclass(frozen=True)
class ClipLook:
    """How the camera of one clip renders light; drawn once per clip.

    Attributes:
        gain, gamma, contrast: of the grey value. balance: (3,) factor per channel.
        saturation: 0 = grey, 1 = as it is. blur_px, noise: largest of the clip.
        jpeg_quality: 0 = not compressed.
        depth: False = this camera has none. depth_noise: standard deviation at 1 m, m.
    """

    gain: float
    gamma: float
    contrast: float
    balance: NDArray[np.float32]
    saturation: float
    blur_px: float
    noise: float
    jpeg_quality: int
    depth: bool
    depth_noise: float

    @staticmethod
    def draw(rng: np.random.Generator, *, strength: float, without_depth: float) -> ClipLook:
        """Return a random look.

        Args:
            rng: source of chance.
            strength: 0 = none of the faults, 1 = all of them.
            without_depth: share of clips without depth.
        """
        plain = rng.random() < 0.3
        s = 0.0 if plain else strength
        return ClipLook(
            gain=float(2.0 ** rng.normal(0.0, 0.35 * s)),
            gamma=float(2.0 ** rng.normal(0.0, 0.25 * s)),
            contrast=float(2.0 ** rng.normal(-0.1 * s, 0.3 * s)),
            balance=np.exp(rng.normal(0.0, 0.12 * s, 3)).astype(np.float32),
            saturation=float(np.clip(rng.normal(1.0 - 0.2 * s, 0.35 * s), 0.0, 1.8)),
            blur_px=float(rng.exponential(0.5 * s)),
            noise=float(rng.exponential(5.0 * s)),
            jpeg_quality=int(rng.integers(25, 95)) if rng.random() < 0.5 * s else 0,
            depth=bool(rng.random() >= without_depth),
            depth_noise=0.0 if plain else float(rng.uniform(0.0, 0.004)),
        )


def faulty_colour(
    image: NDArray[np.uint8], look: ClipLook, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Return the picture (H, W, 3) uint8 RGB as the camera of the clip takes it."""
    if look.blur_px > 0.3:
        image = _blurred(image, look.blur_px * float(rng.uniform(0.3, 1.0)), rng)
    table = _table(look, float(np.exp(rng.normal(0.0, 0.05))))
    out = cv2.LUT(image, table)
    if abs(look.saturation - 1.0) > 0.05:
        grey = cv2.cvtColor(out, cv2.COLOR_RGB2GRAY)[..., None].repeat(3, axis=2)
        out = cv2.addWeighted(out, look.saturation, grey, 1.0 - look.saturation, 0.0)
    if look.noise > 0.5:
        grain = np.zeros(out.shape, np.int16)
        cv2.setRNGSeed(int(rng.integers(0, 2**31 - 1)))
        cv2.randn(grain, 0, look.noise)
        out = cv2.add(out, grain, dtype=cv2.CV_8U)
    if look.jpeg_quality:
        _, data = cv2.imencode('.jpg', out, [cv2.IMWRITE_JPEG_QUALITY, look.jpeg_quality])
        out = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return np.asarray(out, np.uint8)


def faulty_depth(
    depth_m: NDArray[np.float32], look: ClipLook, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return token depths (h, w) as measured, 0 = not; everything 0 for a clip without depth."""
    if not look.depth:
        return np.zeros_like(depth_m)
    spread = look.depth_noise * depth_m**2
    out = depth_m + spread * rng.standard_normal(depth_m.shape).astype(np.float32)
    lost = (depth_m < LEAST_M) | (depth_m > MOST_M)
    if look.depth_noise > 0.0:
        core = np.ones((3, 3), np.uint8)
        jump = cv2.dilate(depth_m, core) - cv2.erode(depth_m, core)
        edge = jump > 0.15 * np.maximum(depth_m, 0.1)
        lost |= edge & (rng.random(depth_m.shape) < rng.uniform(0.0, 0.5))
        lost |= rng.random(depth_m.shape) < rng.exponential(0.03)
        for _ in range(int(rng.poisson(1.0))):
            _punch(lost, rng)
    out[lost] = 0.0
    return np.asarray(out, np.float32)


def _table(look: ClipLook, flicker: float) -> NDArray[np.uint8]:
    """Return the (1, 256, 3) look-up table of gain, gamma, contrast and white balance."""
    level = np.linspace(0.0, 1.0, 256, dtype=np.float32)[:, None]
    light = np.clip(level * look.gain * flicker * look.balance, 0.0, 1.0) ** look.gamma
    light = (light - 0.5) * look.contrast + 0.5
    return np.clip(np.rint(255.0 * light), 0, 255).astype(np.uint8)[None]


def _blurred(
    image: NDArray[np.uint8], sigma: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Blur by defocus, or along a line as motion does."""
    if rng.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), max(sigma, 0.1)), np.uint8)
    size = 2 * int(np.ceil(2.0 * sigma)) + 1
    kernel = np.zeros((size, size), np.float32)
    angle, middle = rng.uniform(0.0, np.pi), size // 2
    reach = middle * np.array([np.cos(angle), np.sin(angle)])
    low, high = np.rint(middle - reach).astype(int), np.rint(middle + reach).astype(int)
    cv2.line(kernel, tuple(low.tolist()), tuple(high.tolist()), 1.0)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)


def _punch(lost: NDArray[np.bool_], rng: np.random.Generator) -> None:
    """Lose an ellipse of depth, in place."""
    rows, columns = lost.shape
    row, column = rng.uniform(0, rows), rng.uniform(0, columns)
    high, wide = rng.uniform(1.0, 0.2 * rows, 2)
    y, x = np.ogrid[:rows, :columns]
    lost |= ((y - row) / high) ** 2 + ((x - column) / wide) ** 2 < 1.0
