# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A second look at what was detected in a frame: picture and shape cut out at one size.

The network speaks for whole frames, 8 px at a time. Looked at one by one, small detections are
seen larger, and all of them by their shape in metres. What is cut out here goes through
``second_look.onnx`` (``training/second_look.py``), which says what it is, or that it is nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.geometry import level_T_camera
from ros2_spatial_ttt.memory.detect import FEATURES, FIRST, Detected, Detector, detections, weighed
from ros2_spatial_ttt.memory.preprocess import PreparedFrame
from ros2_spatial_ttt.runtime.base import Runtime, Tokens

__all__ = ['CROP', 'KNOWN', 'Crops', 'crops', 'seen_in']

CROP = 48  # px
# Numbers that go with a cut-out beside the shares of names: what the first look tells, logarithms
# of three edges and of the width of the cut, height above the floor and whether that is known.
KNOWN = FIRST + 6
# How much wider than its tokens a detection is cut out, and the least, px.
_MARGIN, _LEAST_PX = 1.5, 40
_REACH = 1.5  # relative places are kept within so many widths of the cut
_FAR = FEATURES.index('far')


@dataclass(frozen=True)
class Crops:
    """n detections, cut out.

    Attributes:
        picture: (n, CROP, CROP, 3) uint8 RGB.
        place: (n, CROP, CROP, 4) float16; place in the level frame relative to the centre of the
            detection, over the width of the cut in metres, and 1 where it is known.
        known: (n, KNOWN + K) float32.
    """

    picture: NDArray[np.uint8]
    place: NDArray[np.float16]
    known: NDArray[np.float32]


def seen_in(
    runtime: Runtime,
    chunk: Sequence[PreparedFrame],
    tokens: Tokens,
    origin: NDArray[np.float64],
    detector: Detector,
    *,
    floor: bool,
) -> list[Detected]:
    """Return the detections in each frame of a chunk; twice looked at if the model can.

    Args:
        runtime: of the model.
        chunk: its frames.
        tokens: what the network says of them.
        origin: (3,) m of the tokens' frame in the map.
        detector: constants.
        floor: whether z = 0 of the map is the floor.
    """
    found = [detections(tokens, number, detector) for number in range(len(chunk))]
    if not runtime.manifest.second_look or not any(map(len, found)):
        return found
    cut = [
        crops(frame, tokens.depth[number], one, origin, grid=detector.grid, floor=floor)
        for number, (frame, one) in enumerate(zip(chunk, found, strict=True))
    ]
    names = runtime.second_look(
        np.concatenate([one.picture for one in cut]),
        np.concatenate([one.place for one in cut]).astype(np.float32),
        np.concatenate([one.known for one in cut]),
    )
    ends = np.cumsum([len(one) for one in found])[:-1]
    again = zip(found, np.split(names, ends), strict=True)
    return [weighed(one.named_again(said), detector) for one, said in again]


def crops(
    frame: PreparedFrame,
    depth: NDArray[np.float32],
    found: Detected,
    origin: NDArray[np.float64],
    *,
    grid: tuple[int, int],
    floor: bool,
) -> Crops:
    """Return the detections of a frame, cut out.

    Args:
        frame: that shows them.
        depth: (T,) m, measured or predicted at its tokens.
        found: n detections.
        origin: (3,) m of their centres' frame in the map.
        grid: rows and columns of tokens.
        floor: whether z = 0 of the map is the floor.
    """
    count, (height, width) = len(found), frame.image.shape[:2]
    rotation, _ = level_T_camera(frame.map_T_camera)
    points = _points(frame, depth.reshape(grid), rotation)
    eye = frame.map_T_camera[:3, 3]
    level_T_map = rotation @ frame.map_T_camera[:3, :3].T
    centre = (found.centre + origin - eye) @ level_T_map.T
    picture = np.zeros((count, CROP, CROP, 3), np.uint8)
    place = np.zeros((count, CROP, CROP, 4), np.float16)
    metres = np.zeros(count)
    for row in range(count):
        left, top, side = _cut(found.box[row], grid, width, height)
        picture[row] = _part(frame.image, left, top, side, cv2.INTER_AREA)
        metres[row] = side * np.exp(found.features[row, _FAR]) / frame.intrinsics.fx
        local = _part(points, left // 2, top // 2, side // 2, cv2.INTER_NEAREST)
        there = local[..., 3:] > 0
        relative = (local[..., :3] - centre[row]) / metres[row]
        place[row, ..., :3] = np.where(there, np.clip(relative, -_REACH, _REACH), 0.0)
        place[row, ..., 3:] = there
    above = np.zeros((count, 2))
    if floor:
        above = np.stack([centre[:, 2] + eye[2], np.ones(count)], axis=1)
    size = np.concatenate([np.log(found.size), np.log(metres)[:, None]], axis=1)
    known = [found.features[:, :FIRST], size, above, found.shares]
    return Crops(picture, place, np.concatenate(known, axis=1).astype(np.float32))


def _points(
    frame: PreparedFrame, predicted: NDArray[np.float32], rotation: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return the surface at half the picture's resolution, in the level frame, (H/2, W/2, 4).

    The last channel is 1 where depth is known. Without a sensor it is the network's.
    """
    height, width = (side // 2 for side in frame.image.shape[:2])

    def enlarged(tokens: NDArray) -> NDArray[np.float32]:
        out = cv2.resize(tokens, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(out, np.float32)

    depth = frame.half_depth.astype(np.float32) if frame.half_depth.any() else enlarged(predicted)
    ray = enlarged(frame.ray.reshape(*predicted.shape, 3))
    point = (ray * depth[..., None]) @ rotation.T.astype(np.float32)
    return np.concatenate([point, (depth > 0)[..., None]], axis=2, dtype=np.float32)


def _cut(
    box: NDArray[np.int64], grid: tuple[int, int], width: int, height: int
) -> tuple[int, int, int]:
    """Return left, top and side, px, of a square around the tokens of a detection.

    All are even, so that pixels of half the resolution stay whole.
    """
    step_v, step_u = height / grid[0], width / grid[1]
    top, left = box[0] * step_v, box[1] * step_u
    bottom, right = (box[2] + 1) * step_v, (box[3] + 1) * step_u
    half = 2 * round(max(_MARGIN * max(bottom - top, right - left), _LEAST_PX) / 4)
    middle_u, middle_v = 2 * round((left + right) / 4), 2 * round((top + bottom) / 4)
    return middle_u - half, middle_v - half, 2 * half


def _part(array: NDArray, left: int, top: int, side: int, how: int) -> NDArray:
    """Return a square of an array (h, w, c) at CROP×CROP; 0 outside."""
    height, width = array.shape[:2]
    part = np.zeros((side, side, array.shape[2]), array.dtype)
    rows = slice(max(top, 0), min(top + side, height))
    columns = slice(max(left, 0), min(left + side, width))
    inside = array[rows, columns]
    row, column = rows.start - top, columns.start - left
    part[row : row + inside.shape[0], column : column + inside.shape[1]] = inside
    if how == cv2.INTER_AREA and side < CROP:
        how = cv2.INTER_LINEAR  # which is what area averaging means where pixels grow
    return np.asarray(cv2.resize(part, (CROP, CROP), interpolation=how))
