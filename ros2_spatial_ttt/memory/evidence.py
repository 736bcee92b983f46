# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The evidence bank: a bounded set of keyframes, chosen to look from as many poses as possible."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.config import EvidenceConfig
from ros2_spatial_ttt.geometry import transform_points
from ros2_spatial_ttt.memory.preprocess import PreparedFrame, rays
from ros2_spatial_ttt.types import Intrinsics

__all__ = ['LOOK_SCALE', 'EvidenceBank', 'Keyframe', 'View', 'bank_bytes']

# Poses closer than this (metres, and radians counted as metres) show the same.
MIN_NOVELTY = 0.15
# A surface this much in front of a place hides it.
OCCLUSION_M = 0.3
# Nothing is seen nearer than this.
NEAREST_M = 0.1
_QUALITIES = (85, 70, 50, 30, 10)
# Between tokens whose depths differ by more than this factor there is an edge, not a surface.
_EDGE = 1.25
# A component of a unit embedding is kept as a whole number: 1 is this much.
LOOK_SCALE = 127.0


@dataclass(frozen=True, eq=False)
class Keyframe:
    """One picture that is kept as evidence.

    Attributes:
        jpeg: the picture at the model's size. depth: (T,) float16 m per token, 0 = not measured.
        intrinsics: of the picture. map_T_camera: (4, 4) optical frame to map.
        looks: (n, E) int8, unit embedding of each of its windows (``memory/windows.py``) times
            ``LOOK_SCALE``, 0 where no depth was measured; (0, 0) where none are kept.
    """

    camera: str
    stamp_ns: int
    map_T_camera: NDArray[np.float64]
    jpeg: bytes
    depth: NDArray[np.float16]
    intrinsics: Intrinsics
    looks: NDArray[np.int8] = field(default_factory=lambda: np.zeros((0, 0), np.int8))

    @property
    def nbytes(self) -> int:
        """Size of picture, depth and looks in bytes."""
        return len(self.jpeg) + self.depth.nbytes + self.looks.nbytes

    @cached_property
    def grey(self) -> NDArray[np.uint8]:
        """The picture as (H, W) uint8; decoded once, as questions come back to it."""
        return self._decoded(cv2.IMREAD_GRAYSCALE)

    @cached_property
    def small_grey(self) -> NDArray[np.uint8]:
        """``grey`` at half its resolution, (H/2, W/2)."""
        size = self.grey.shape[1] // 2, self.grey.shape[0] // 2
        return np.asarray(cv2.resize(self.grey, size, interpolation=cv2.INTER_AREA), np.uint8)

    def picture(self) -> NDArray[np.uint8]:
        """Return the picture as (H, W, 3) uint8 BGR."""
        return self._decoded(cv2.IMREAD_COLOR)

    def point_at(self, u: float, v: float, grid: tuple[int, int]) -> NDArray[np.float64] | None:
        """Return the map point (3,) that is seen at a pixel; None where no depth was measured."""
        k = self.intrinsics
        if not (0 <= u < k.width and 0 <= v < k.height):
            return None
        row, column = int(v * grid[0] / k.height), int(u * grid[1] / k.width)
        z = float(self.depth[row * grid[1] + column])
        if z <= 0.0:
            return None
        local = np.array([(u - k.cx) / k.fx * z, (v - k.cy) / k.fy * z, z])
        return transform_points(self.map_T_camera, local)

    def points_at(
        self, pixels: NDArray[np.float64], grid: tuple[int, int]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the map points (m, 3) that are seen at some of n pixels, and which (m,).

        On a plane the inverse of depth is linear in the picture, so it is interpolated between the
        four tokens around a pixel. Where one was not measured or they lie on both sides of an
        edge, there is no point.

        Args:
            pixels: (n, 2) of the picture.
            grid: token rows and columns.
        """
        k, last = self.intrinsics, np.array(grid[::-1]) - 1
        token = (pixels + 0.5) * np.array(grid[::-1]) / (k.width, k.height) - 0.5
        token = np.clip(token, 0.0, last)
        low = np.minimum(token.astype(np.int64), last - 1)
        right, down = (token - low).T
        index = low[:, 1] * grid[1] + low[:, 0]
        depth = self.depth.astype(np.float64)
        around = np.stack([depth[index + step] for step in (0, 1, grid[1], grid[1] + 1)])
        share = np.stack([(1 - right) * (1 - down), right * (1 - down), (1 - right) * down])
        share = np.concatenate([share, (right * down)[None]])
        smooth = (around.min(axis=0) > 0.0) & (around.max(axis=0) < _EDGE * around.min(axis=0))
        rows = np.flatnonzero(smooth)
        if not len(rows):
            return np.zeros((0, 3)), rows
        z = 1.0 / (share[:, rows] / around[:, rows]).sum(axis=0)
        local = rays(pixels[rows], k).astype(np.float64) * z[:, None]
        return transform_points(self.map_T_camera, local), rows

    def _decoded(self, flag: int) -> NDArray[np.uint8]:
        picture: Any = cv2.imdecode(np.frombuffer(self.jpeg, np.uint8), flag)
        assert picture is not None  # the bank encoded it
        return np.asarray(picture, np.uint8)


@dataclass(frozen=True)
class View:
    """A keyframe that shows a place, at pixel (u, v) of its picture."""

    keyframe: Keyframe
    u: float
    v: float

    def marked(self) -> bytes:
        """Return the JPEG with a ring around the place."""
        picture = self.keyframe.picture()
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
        """Size of pictures, depths and looks in bytes."""
        return sum(keyframe.nbytes for keyframe in self.keyframes)

    def with_frame(self, frame: PreparedFrame, config: EvidenceConfig) -> EvidenceBank:
        """Return the bank after a frame: unchanged unless the frame shows the world anew.

        When the bank is full the keyframe nearest to another goes, and a frame that is nearer than
        that to one in the bank does not come in.
        """
        if self.keyframes and self._novelty_of(frame.map_T_camera) < self._least(config):
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

    def with_looks(self, look: Callable[[Keyframe], NDArray[np.int8]]) -> EvidenceBank:
        """Return the bank with looks for the keyframes that have none yet."""
        if all(keyframe.looks.size for keyframe in self.keyframes):
            return self
        return EvidenceBank(
            tuple(k if k.looks.size else replace(k, looks=look(k)) for k in self.keyframes)
        )

    def without(self, unwanted: Callable[[Keyframe], bool]) -> EvidenceBank:
        """Return the bank without the keyframes that ``unwanted`` names."""
        return EvidenceBank(tuple(k for k in self.keyframes if not unwanted(k)))

    def best_view(self, point: NDArray[np.float64], grid: tuple[int, int]) -> View | None:
        """Return the keyframe that shows a map point (3,) best: near, central and unhidden."""
        views = self.views(point, grid, most=1)
        return views[0] if views else None

    def views(
        self,
        point: NDArray[np.float64],
        grid: tuple[int, int],
        *,
        most: int,
        bearing: float | None = None,
    ) -> list[View]:
        """Return the keyframes that show a map point (3,) best, best first.

        Args:
            point: to be seen.
            grid: token rows and columns.
            most: how many at most.
            bearing: rad in the map plane, from the point to whoever saw it; keyframes from nearest
                that side come first. None = near, central and unhidden ones do.
        """
        if not self.keyframes:
            return []
        score, pixel = self._visibility(point, grid)
        rank = score
        if bearing is not None:
            away = self._poses[:, :2, 3] - point[:2]
            rank = np.cos(np.arctan2(away[:, 1], away[:, 0]) - bearing)
        order = np.argsort(-np.where(score > 0.0, rank, -np.inf), kind='stable')[:most]
        return [
            View(self.keyframes[row], float(pixel[row, 0]), float(pixel[row, 1]))
            for row in order
            if score[row] > 0.0
        ]

    @cached_property
    def _poses(self) -> NDArray[np.float64]:
        """All map_T_camera, (n, 4, 4)."""
        return np.stack([keyframe.map_T_camera for keyframe in self.keyframes])

    @cached_property
    def _cameras(self) -> NDArray[np.float64]:
        """All fx, fy, cx, cy, width, height, (n, 6)."""
        cameras = [keyframe.intrinsics for keyframe in self.keyframes]
        return np.array([(k.fx, k.fy, k.cx, k.cy, k.width, k.height) for k in cameras])

    def _novelty_of(self, pose: NDArray[np.float64]) -> float:
        return float(_novelty(self._poses, pose).min())

    def _least(self, config: EvidenceConfig) -> float:
        """Return how new a frame must be: what it would replace must be less so."""
        return self._closest if len(self.keyframes) >= config.keyframes > 1 else MIN_NOVELTY

    @cached_property
    def _closest(self) -> float:
        return max(MIN_NOVELTY, float(_spacing(self._poses).min()))

    def _visibility(
        self, point: NDArray[np.float64], grid: tuple[int, int]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return how well each keyframe shows a map point, (n,), 0 = not, and where, (n, 2) px."""
        rotation, origin = self._poses[:, :3, :3], self._poses[:, :3, 3]
        local = np.einsum('nji,nj->ni', rotation, point - origin)
        fx, fy, cx, cy, width, height = self._cameras.T
        z = local[:, 2]
        ahead = np.where(z > NEAREST_M, z, 1.0)
        u, v = fx * local[:, 0] / ahead + cx, fy * local[:, 1] / ahead + cy
        inside = (z > NEAREST_M) & (u >= 0) & (u < width) & (v >= 0) & (v < height)
        score = np.zeros(len(z))
        for row in np.flatnonzero(inside):
            token = int(v[row] * grid[0] / height[row]) * grid[1]
            token += int(u[row] * grid[1] / width[row])
            measured = float(self.keyframes[row].depth[token])
            if measured <= 0.0 or z[row] > measured + OCCLUSION_M:
                continue
            off = max(abs(u[row] / width[row] - 0.5), abs(v[row] / height[row] - 0.5))
            agrees = 1.0 if abs(z[row] - measured) < OCCLUSION_M else 0.3
            score[row] = agrees * (1.0 - off) / max(z[row], 0.7)
        return score, np.stack([u, v], axis=1)


def bank_bytes(config: EvidenceConfig, tokens: int, looks: int = 0) -> int:
    """Return the size of a full bank of keyframes with T tokens and ``looks`` = n E numbers."""
    return config.keyframes * (config.keyframe_bytes + 2 * tokens + looks)


def _novelty(poses: NDArray[np.float64], pose: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return metres plus radians between poses (…, 4, 4) and others that broadcast, (…,)."""
    distance = np.linalg.norm(poses[..., :3, 3] - pose[..., :3, 3], axis=-1)
    trace = np.einsum('...ij,...ij->...', poses[..., :3, :3], pose[..., :3, :3])
    return distance + np.arccos(np.clip((trace - 1.0) / 2.0, -1.0, 1.0))


def _spacing(poses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance of each pose (n, 4, 4) to the nearest other one, (n,)."""
    between = _novelty(poses[:, None], poses[None])
    np.fill_diagonal(between, np.inf)
    least: NDArray[np.float64] = between.min(axis=1)
    return least


def _most_redundant(keyframes: tuple[Keyframe, ...]) -> int:
    return int(_spacing(np.stack([k.map_T_camera for k in keyframes])).argmin())


def _encoded(image: NDArray[np.uint8], limit: int) -> bytes | None:
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    for quality in _QUALITIES:
        data = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        if len(data) <= limit:
            return bytes(data)
    return None
