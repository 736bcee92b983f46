# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""From an example picture to the places that look like it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.errors import BadRequest
from ros2_spatial_ttt.memory.reader import FieldPoints
from ros2_spatial_ttt.runtime.base import Manifest
from ros2_spatial_ttt.types import Example

__all__ = ['Cut', 'Peak', 'checked_roi', 'example_windows', 'middle_cut', 'peaks']

# Places within this share of the separation belong to a peak and refine its position.
_SUPPORT = 0.5
# Score differences of this size count as one e-fold when places are averaged.
_TEMPERATURE = 0.06
# Windows that a large example is cut into, per side.
_MOST_WINDOWS = 3
_SMALLEST_ROI_PX = 8


@dataclass(frozen=True)
class Peak:
    """One place that looks like the example.

    Attributes:
        position: (3,) m in the map. covariance: (3, 3) m². size: (3,) m extent of its support.
        score: cosine between the place and the example, -1..1.
        first_seen_ns, last_seen_ns, count: over the support.
    """

    position: NDArray[np.float64]
    covariance: NDArray[np.float64]
    size: NDArray[np.float64]
    score: float
    first_seen_ns: int
    last_seen_ns: int
    count: int


@dataclass(frozen=True)
class Cut:
    """One window around the middle of an example.

    Attributes:
        window: (window, window, 3) uint8 RGB at the model's scale.
        middle: pixel (x, y) of the window where the middle of the example is.
    """

    window: NDArray[np.uint8]
    middle: tuple[float, float]


def example_windows(example: Example, manifest: Manifest, camera_width: int) -> NDArray[np.uint8]:
    """Return the example at the model's scale, cut into windows (n, window, window, 3) RGB.

    Args:
        example: picture at the resolution of the memory's camera.
        manifest: gives the model's scale and window.
        camera_width: pixels of the camera's image; 0 = unknown, then twice the model's.

    Raises:
        BadRequest: the picture or its roi cannot be used.
    """
    image = example.image
    x, y, width, height = checked_roi(example)
    centre, reach = np.array([x + width / 2, y + height / 2]), _reach(manifest, camera_width)
    columns, rows = (_window_count(side, reach) for side in (width, height))
    offsets_x = _window_offsets(width, reach, columns)
    offsets_y = _window_offsets(height, reach, rows)
    return np.stack(
        [
            _cut(image, centre + (dx, dy), reach, manifest.window)
            for dy in offsets_y
            for dx in offsets_x
        ]
    )


def middle_cut(example: Example, manifest: Manifest, camera_width: int) -> Cut:
    """Return the window around the middle of an example that ``example_windows`` took.

    The window lies inside the image where that is possible, so the middle may be off its centre.
    """
    x, y, width, height = checked_roi(example)
    centre, reach = np.array([x + width / 2, y + height / 2]), _reach(manifest, camera_width)
    size = round(reach)
    corner = _corner(example.image, centre, size)
    missing = np.maximum(corner + size - np.array(example.image.shape[1::-1]), 0)
    u, v = (centre - corner + missing // 2) * manifest.window / size - 0.5
    return Cut(_cut(example.image, centre, reach, manifest.window), (float(u), float(v)))


def _reach(manifest: Manifest, camera_width: int) -> float:
    """Return how many camera pixels one window covers."""
    return manifest.window * (camera_width or 2 * manifest.image_width) / manifest.image_width


def checked_roi(example: Example) -> tuple[int, int, int, int]:
    """Return x, y, width and height of what an example shows, in its pixels.

    Raises:
        BadRequest: the picture or its roi cannot be used.
    """
    image = example.image
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise BadRequest(
            f'example picture: expected (H, W, 3) uint8 RGB, got {image.shape} {image.dtype}; '
            'send rgb8 or bgr8'
        )
    rows, columns = image.shape[:2]
    x, y, width, height = example.roi or (0, 0, columns, rows)
    if x < 0 or y < 0 or width <= 0 or height <= 0 or x + width > columns or y + height > rows:
        raise BadRequest(
            f'roi x={x} y={y} {width}x{height} px lies outside the {columns}x{rows} px image; '
            'give a box inside it, or none for the whole image'
        )
    if min(width, height) < _SMALLEST_ROI_PX:
        raise BadRequest(
            f'roi of {width}x{height} px is too small to tell things apart; '
            f'expected at least {_SMALLEST_ROI_PX}x{_SMALLEST_ROI_PX} px'
        )
    return x, y, width, height


def _window_count(side: float, reach: float) -> int:
    return int(np.clip(round(side / reach), 1, _MOST_WINDOWS))


def _window_offsets(side: float, reach: float, count: int) -> NDArray[Any]:
    return (np.arange(count) - (count - 1) / 2) * max(side / count, reach if count > 1 else 0.0)


def _cut(
    image: NDArray[np.uint8], centre: NDArray[np.float64], reach: float, window: int
) -> NDArray[np.uint8]:
    """Return the window around a pixel, shifted to lie inside the image where that is possible."""
    size = round(reach)
    left, top = _corner(image, centre, size)
    part: NDArray[Any] = image[top : top + size, left : left + size]
    missing_y, missing_x = size - part.shape[0], size - part.shape[1]
    if missing_x > 0 or missing_y > 0:
        borders = (missing_y // 2, missing_y - missing_y // 2)
        sides = (missing_x // 2, missing_x - missing_x // 2)
        part = cv2.copyMakeBorder(part, *borders, *sides, cv2.BORDER_REPLICATE)
    small: NDArray[Any] = cv2.resize(part, (window, window), interpolation=cv2.INTER_AREA)
    return small


def _corner(image: NDArray[np.uint8], centre: NDArray[np.float64], size: int) -> NDArray[np.int64]:
    """Return the upper left pixel (x, y) of the window around a pixel."""
    most = np.maximum(np.array(image.shape[1::-1]) - size, 0)
    return np.rint(np.clip(centre - size / 2, 0, most)).astype(np.int64)


def peaks(
    places: FieldPoints, score: NDArray[np.float32], *, separation_m: float, most: int
) -> list[Peak]:
    """Return the best separate places, best first.

    Args:
        places: candidates.
        score: (n,) how much each looks like the example.
        separation_m: least distance between two peaks.
        most: how many at most.
    """
    if not len(places):
        return []
    found: list[Peak] = []
    free = np.ones(len(places), bool)
    points = places.points.astype(np.float64)
    while len(found) < most and free.any():
        best = int(np.argmax(np.where(free, score, -np.inf)))
        distance = np.linalg.norm(points - points[best], axis=1)
        found.append(_peak(places, score, points, best, distance <= _SUPPORT * separation_m))
        free &= distance > separation_m
    return found


def _peak(
    places: FieldPoints,
    score: NDArray[np.float32],
    points: NDArray[np.float64],
    best: int,
    near: NDArray[np.bool_],
) -> Peak:
    weight = np.exp((score[near].astype(np.float64) - score[best]) / _TEMPERATURE)
    weight /= weight.sum()
    mean = weight @ points[near]
    spread = points[near] - mean
    # The scatter of what looks alike, and at least half a token at the distance things are seen.
    covariance = (spread * weight[:, None]).T @ spread + 0.05**2 * np.eye(3)
    strong = points[near][weight >= 0.2 * weight.max()]
    return Peak(
        position=mean,
        covariance=covariance,
        size=strong.max(axis=0) - strong.min(axis=0),
        score=float(score[best]),
        first_seen_ns=int(places.first_seen_ns[near].min()),
        last_seen_ns=int(places.last_seen_ns[near].max()),
        count=int(places.count[near].sum()),
    )
