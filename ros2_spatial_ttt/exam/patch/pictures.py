# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Questions of the patch set: which frames are held out, which pictures of them are asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.exam.patch.truth import depth_metres, unproject
from ros2_spatial_ttt.geometry import transform_points
from ros2_spatial_ttt.types import Frame

__all__ = ['HELD_OUT_EVERY', 'PATCH_PX', 'Patch', 'cut_patches', 'role']

HELD_OUT_EVERY = 5
PATCH_PX = 96
MIN_VALID_SHARE = 0.5


@dataclass(frozen=True)
class Patch:
    """One question of the set.

    Attributes:
        picture: (96, 96, 3) uint8 RGB, cut from the held-out frame at its own resolution.
        point: (3,) true place in the map frame of the pixel in the middle.
        frame_index: place of the held-out frame in the recording, from 0.
        corner: (x, y) of the upper left pixel.
    """

    picture: NDArray[np.uint8]
    point: NDArray[np.float64]
    frame_index: int
    corner: tuple[int, int]


def role(index: int) -> str:
    """Return what becomes of the frame at ``index`` of a recording, counted from 0.

    Frame 0 is 'left_out' (the first pose of a recording is often its worst); 5, 10, 15, …
    are 'held_out' and only asked about; all others are 'fed' to the memory, in order.
    """
    if index == 0:
        return 'left_out'
    return 'held_out' if index % HELD_OUT_EVERY == 0 else 'fed'


def cut_patches(frame: Frame, index: int, *, count: int, seed: int) -> list[Patch]:
    """Return up to ``count`` patches of a held-out frame.

    The image is cut into a grid of non-overlapping 96×96 px squares, shifted as a whole by a
    seeded offset. A square may be asked for when its middle pixel has a depth (which is the
    truth) and at least half of its pixels have one. Among these ``count`` are drawn by seed.
    Nothing else selects: plain floors and blank walls are asked for as often as they are seen,
    and a place that no fed frame saw is asked for too.
    """
    if frame.depth is None:
        return []
    rng = np.random.default_rng([seed, index])
    depth_m = depth_metres(frame.depth)
    corners = _corners(depth_m.shape, rng)
    usable = [corner for corner in corners if _has_depth(depth_m, corner)]
    chosen = sorted(rng.permutation(len(usable))[:count])
    return [_cut(frame, depth_m, index, usable[i]) for i in chosen]


def _corners(shape: tuple[int, ...], rng: np.random.Generator) -> list[tuple[int, int]]:
    height, width = shape
    offset_x = int(rng.integers(0, width % PATCH_PX + 1))
    offset_y = int(rng.integers(0, height % PATCH_PX + 1))
    columns, rows = width // PATCH_PX, height // PATCH_PX
    return [
        (offset_x + column * PATCH_PX, offset_y + row * PATCH_PX)
        for row in range(rows)
        for column in range(columns)
    ]


def _has_depth(depth_m: NDArray, corner: tuple[int, int]) -> bool:
    x, y = corner
    square = depth_m[y : y + PATCH_PX, x : x + PATCH_PX] > 0
    return bool(square[PATCH_PX // 2, PATCH_PX // 2]) and square.mean() >= MIN_VALID_SHARE


def _cut(frame: Frame, depth_m: NDArray, index: int, corner: tuple[int, int]) -> Patch:
    x, y = corner
    middle = np.array([[x + PATCH_PX // 2, y + PATCH_PX // 2]])
    local = unproject(frame.intrinsics, middle, depth_m[middle[:, 1], middle[:, 0]])
    picture = np.ascontiguousarray(frame.colour[y : y + PATCH_PX, x : x + PATCH_PX])
    return Patch(picture, transform_points(frame.map_T_camera, local)[0], index, corner)
