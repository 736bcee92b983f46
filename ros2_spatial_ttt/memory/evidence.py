# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The evidence bank: a bounded set of keyframes, chosen to look from as many poses as possible."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.config import EvidenceConfig
from ros2_spatial_ttt.geometry import invert_transform, transform_points
from ros2_spatial_ttt.memory.preprocess import PreparedFrame
from ros2_spatial_ttt.types import Intrinsics

__all__ = ['EvidenceBank', 'Keyframe', 'View', 'bank_bytes']

# Poses closer than this (metres, and radians counted as metres) show the same.
MIN_NOVELTY = 0.3
# A surface this much in front of a place hides it.
OCCLUSION_M = 0.3
_QUALITIES = (85, 70, 50, 30, 10)


@dataclass(frozen=True, eq=False)
class Keyframe:
    """One picture that is kept as evidence.

    Attributes:
        jpeg: the picture at the model's size. depth: (T,) float16 m per token, 0 = not measured.
        intrinsics: of the picture. map_T_camera: (4, 4) optical frame to map.
    """

    camera: str
    stamp_ns: int
    map_T_camera: NDArray[np.float64]
    jpeg: bytes
    depth: NDArray[np.float16]
    intrinsics: Intrinsics


@dataclass(frozen=True)
class View:
    """A keyframe that shows a place, at pixel (u, v) of its picture."""

    keyframe: Keyframe
    u: float
    v: float

    def marked(self) -> bytes:
        """Return the JPEG with a ring around the place."""
        picture = cv2.imdecode(np.frombuffer(self.keyframe.jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None  # the bank encoded it
        centre = (round(self.u), round(self.v))
        for colour, width in (((0, 0, 0), 4), ((0, 255, 255), 2)):
            cv2.circle(picture, centre, 16, colour, width, cv2.LINE_AA)
        return bytes(cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, 85])[1])


@dataclass(frozen=True)
class EvidenceBank:
    """Keyframes by age; immutable."""

    keyframes: tuple[Keyframe, ...] = ()

    @property
    def nbytes(self) -> int:
        """Size of pictures and depths in bytes."""
        return sum(len(k.jpeg) + k.depth.nbytes for k in self.keyframes)

    def with_frame(self, frame: PreparedFrame, config: EvidenceConfig) -> EvidenceBank:
        """Return the bank after a frame: unchanged unless the frame shows the world anew.

        When the bank is full the keyframe nearest to another goes.
        """
        if self.keyframes:
            poses = np.stack([k.map_T_camera for k in self.keyframes])
            if _novelty(poses, frame.map_T_camera).min() < MIN_NOVELTY:
                return self
        jpeg = _encoded(frame.image, config.keyframe_bytes)
        if jpeg is None:
            return self
        keyframe = Keyframe(
            camera=frame.camera,
            stamp_ns=frame.stamp_ns,
            map_T_camera=frame.map_T_camera,
            jpeg=jpeg,
            depth=frame.depth.astype(np.float16),
            intrinsics=frame.intrinsics,
        )
        keyframes = (*self.keyframes, keyframe)
        if len(keyframes) > config.keyframes:
            redundant = _most_redundant(keyframes)
            keyframes = keyframes[:redundant] + keyframes[redundant + 1 :]
        return EvidenceBank(keyframes)

    def without(self, unwanted: Callable[[Keyframe], bool]) -> EvidenceBank:
        """Return the bank without the keyframes that ``unwanted`` names."""
        return EvidenceBank(tuple(k for k in self.keyframes if not unwanted(k)))

    def best_view(self, point: NDArray[np.float64], grid: tuple[int, int]) -> View | None:
        """Return the keyframe that shows a map point (3,) best: near, central and unhidden."""
        best, best_score = None, 0.0
        for keyframe in self.keyframes:
            score, view = _visibility(keyframe, point, grid)
            if score > best_score:
                best, best_score = view, score
        return best


def bank_bytes(config: EvidenceConfig, tokens: int) -> int:
    """Return the size of a full bank."""
    return config.keyframes * (config.keyframe_bytes + 2 * tokens)


def _novelty(poses: NDArray[np.float64], pose: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return metres plus radians between poses (n, 4, 4) and one (4, 4), (n,)."""
    distance = np.linalg.norm(poses[:, :3, 3] - pose[:3, 3], axis=1)
    trace = np.einsum('nij,ij->n', poses[:, :3, :3], pose[:3, :3])
    return distance + np.arccos(np.clip((trace - 1.0) / 2.0, -1.0, 1.0))


def _most_redundant(keyframes: tuple[Keyframe, ...]) -> int:
    poses = np.stack([k.map_T_camera for k in keyframes])
    between = np.stack([_novelty(poses, pose) for pose in poses])
    np.fill_diagonal(between, np.inf)
    return int(between.min(axis=1).argmin())


def _encoded(image: NDArray[np.uint8], limit: int) -> bytes | None:
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    for quality in _QUALITIES:
        data = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        if len(data) <= limit:
            return bytes(data)
    return None


def _visibility(
    keyframe: Keyframe, point: NDArray[np.float64], grid: tuple[int, int]
) -> tuple[float, View | None]:
    k = keyframe.intrinsics
    x, y, z = transform_points(invert_transform(keyframe.map_T_camera), point)
    if z < 0.1:
        return 0.0, None
    u, v = k.fx * x / z + k.cx, k.fy * y / z + k.cy
    if not (0 <= u < k.width and 0 <= v < k.height):
        return 0.0, None
    row, column = int(v * grid[0] / k.height), int(u * grid[1] / k.width)
    measured = float(keyframe.depth[row * grid[1] + column])
    if measured <= 0.0 or z > measured + OCCLUSION_M:
        return 0.0, None
    centred = 1.0 - max(abs(u / k.width - 0.5), abs(v / k.height - 0.5))
    agrees = 1.0 if abs(z - measured) < OCCLUSION_M else 0.3
    return agrees * centred / max(z, 0.7), View(keyframe, u, v)
