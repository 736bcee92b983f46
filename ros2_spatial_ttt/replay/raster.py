# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Surface points as a picture from above."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ['rasterise', 'spacing', 'surface_grid']


def rasterise(
    points: NDArray, colour: NDArray, lower: NDArray, upper: NDArray, *, cell_m: float, reach: int
) -> NDArray[np.uint8]:
    """Return (rows, columns, 4) uint8 RGBA from above; row 0 is the lowest y, alpha 0 is unseen.

    The highest point of a cell is seen; slopes are lit from the upper left, low places darker.

    Args:
        points: (N, 3) metres.
        colour: (N, 3) uint8 RGB.
        lower: (2,) smallest x and y of the picture.
        upper: (2,) largest x and y.
        cell_m: edge of a pixel in metres.
        reach: each point also covers this many pixels around it.
    """
    columns, rows = (int(np.ceil(v / cell_m)) for v in upper - lower)
    shift = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 2), -1).reshape(-1, 2)
    cells = np.floor((points[:, :2] - lower) / cell_m).astype(int)[:, None] + shift
    # A point's own pixel wins over its surroundings by a hair.
    height = np.repeat(points[:, 2:3], len(shift), 1) - 1e-3 * np.abs(shift).sum(1)
    inside = ((cells >= 0) & (cells < (columns, rows))).all(-1)
    owner = np.repeat(np.arange(len(points))[:, None], len(shift), 1)[inside]
    flat, height = cells[inside] @ (1, columns), height[inside]
    order = np.argsort(height, kind='stable')
    top = np.full(rows * columns, -1)
    top[flat[order]] = owner[order]
    top = top.reshape(rows, columns)
    seen = top >= 0
    picture = np.zeros((rows, columns, 4), np.uint8)
    if seen.any():
        level = np.where(seen, points[top, 2], np.nan)
        picture[..., :3] = np.where(
            seen[..., None], np.clip(colour[top] * _light(level)[..., None], 0, 255), 0
        )
        picture[..., 3] = 255 * seen
    return picture


def _light(level: NDArray) -> NDArray:
    """Return the brightness factor of a height map (NaN = unseen)."""
    low, high = np.nanpercentile(level, [2, 98])
    height = np.clip((level - low) / max(high - low, 0.2), 0, 1)
    filled = cv2.GaussianBlur(
        np.where(np.isnan(level), low, level).astype(np.float32), (0, 0), 2.0
    )
    slope = cv2.Sobel(filled, cv2.CV_32F, 1, 0) - cv2.Sobel(filled, cv2.CV_32F, 0, 1)
    return np.nan_to_num(1.0 + 0.3 * height + np.clip(0.35 * slope, -0.2, 0.2))


def spacing(points: NDArray) -> float:
    """Return the median distance (m) from a point to its neighbour in the plane, of a sample."""
    flat = np.unique(np.round(points[:, :2], 2), axis=0)
    sample = flat[np.linspace(0, len(flat) - 1, min(len(flat), 200)).astype(int)]
    distance = np.linalg.norm(sample[:, None] - flat[None], axis=-1)
    distance[distance < 5e-3] = np.inf
    nearest = distance.min(axis=1)
    return float(np.median(nearest)) if np.isfinite(nearest).all() else 0.05


def surface_grid(points: NDArray, *, cell_m: float, reach_m: float) -> NDArray[np.float64]:
    """Return points (K, 3) on a square grid in x and y, at the height of the nearest surface.

    Args:
        points: (N, 3) metres.
        cell_m: distance of the grid's lines.
        reach_m: gaps up to twice this between points are closed.
    """
    if not len(points):
        return np.zeros((0, 3))
    margin = int(np.ceil(reach_m / cell_m)) + 1
    cells = np.floor(points[:, :2] / cell_m).astype(int)
    first = cells.min(axis=0) - margin
    columns, rows = cells.max(axis=0) + margin + 1 - first
    order = np.argsort(points[:, 2], kind='stable')
    height = np.zeros((rows, columns))
    empty = np.ones((rows, columns), np.uint8)
    x, y = (cells[order] - first).T
    height[y, x], empty[y, x] = points[order, 2], 0
    distance, label = cv2.distanceTransformWithLabels(
        empty, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    heights = np.zeros(label.max() + 1)
    heights[label[empty == 0]] = height[empty == 0]
    # Lone heights, as of table legs and single samples, would make steps where there are none.
    smooth = cv2.medianBlur(heights[label].astype(np.float32), 5)
    # Grown and shrunk again: gaps close, while walls stay as thin as they were.
    grown = np.pad((distance * cell_m <= reach_m).astype(np.uint8), 1)
    inward = cv2.distanceTransform(grown, cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.nonzero(inward * cell_m > reach_m - cell_m)
    centres = (np.stack([x, y], axis=1) + first + 0.5) * cell_m
    return np.column_stack([centres, smooth[y, x]])
