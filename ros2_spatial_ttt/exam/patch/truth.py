# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What posed depth images say about space: surfaces, seen free space, space never seen.

The truth of the exam comes from depth and poses alone and shares no code with the memory.
N points, all in the map frame, metres.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ros2_spatial_ttt.geometry import invert_transform, transform_points
from ros2_spatial_ttt.types import Frame, Intrinsics

__all__ = ['DEPTH_MAX_M', 'ObservedSpace', 'depth_metres', 'project', 'unproject']

DEPTH_MAX_M = 8.0  # measurements beyond are not truth
FREE_MARGIN_M = 0.3
HIDDEN_MARGIN_M = 0.5
FREE_FRAMES = 3
SURFACE_STRIDE_PX = 4
RAY_STRIDE_PX = 16
RAY_STEP_M = 0.1
SURFACE_VOXEL_M = 0.02
RAY_VOXEL_M = 0.05
NEAR_M = 0.1  # nothing is asked nearer to a camera

# OpenCV's default of five iterations is off by pixels for wide lenses. Version 4 takes the
# criteria in a function of its own, which version 5 no longer has.
_CRITERIA = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 50, 1e-9)
_undistort = getattr(cv2, 'undistortPointsIter', cv2.undistortPoints)


def depth_metres(depth: NDArray) -> NDArray[np.float32]:
    """Return (H, W) float32 metres of a depth image in mm (uint16) or m; 0 = no measurement."""
    metres = depth.astype(np.float32) * (1e-3 if depth.dtype == np.uint16 else 1.0)
    usable = np.isfinite(metres) & (metres > 0) & (metres <= DEPTH_MAX_M)
    return np.where(usable, metres, np.float32(0))


def _matrix(intrinsics: Intrinsics) -> NDArray[np.float64]:
    return np.array(
        [[intrinsics.fx, 0, intrinsics.cx], [0, intrinsics.fy, intrinsics.cy], [0, 0, 1.0]]
    )


def unproject(intrinsics: Intrinsics, pixels: NDArray, depth_m: NDArray) -> NDArray[np.float64]:
    """Return (N, 3) points in the optical frame of pixels (N, 2) at depths (N,) along z."""
    if not len(pixels):
        return np.zeros((0, 3))
    raw = np.ascontiguousarray(pixels, dtype=np.float64).reshape(-1, 1, 2)
    distortion = np.asarray(intrinsics.distortion, dtype=np.float64)
    if intrinsics.model == 'equidistant':
        flat = cv2.fisheye.undistortPoints(raw, _matrix(intrinsics), distortion)
    else:
        flat = _undistort(
            raw, _matrix(intrinsics), distortion, R=np.eye(3), P=np.eye(3), criteria=_CRITERIA
        )
    rays = np.concatenate([flat.reshape(-1, 2), np.ones((len(raw), 1))], axis=1)
    return rays * np.asarray(depth_m, dtype=np.float64)[:, None]


def project(intrinsics: Intrinsics, points: NDArray) -> NDArray[np.float64]:
    """Return (N, 2) pixels of points (N, 3) in the optical frame; NaN behind the camera.

    Lens models are polynomials that fold back far outside the image, so a pixel counts only
    when it maps back to the direction of its point.
    """
    pixels = np.full((len(points), 2), np.nan)
    front = np.flatnonzero(points[:, 2] > NEAR_M)
    if not front.size:
        return pixels
    ahead = np.ascontiguousarray(points[front], dtype=np.float64)
    distortion = np.asarray(intrinsics.distortion, dtype=np.float64)
    lens = cv2.fisheye if intrinsics.model == 'equidistant' else cv2
    zero = np.zeros(3)
    found = lens.projectPoints(
        ahead.reshape(-1, 1, 3), zero, zero, _matrix(intrinsics), distortion
    )
    pixels[front] = found[0].reshape(-1, 2)
    if np.any(distortion):
        back = unproject(intrinsics, pixels[front], ahead[:, 2])
        folded = np.linalg.norm(back - ahead, axis=1) > 0.02 * ahead[:, 2]
        pixels[front[folded]] = np.nan
    return pixels


def _thin(points: NDArray, voxel_m: float) -> NDArray[np.float64]:
    """Return the first point of each occupied voxel."""
    cells = np.floor(points / voxel_m).astype(np.int64)
    return points[np.unique(cells, axis=0, return_index=True)[1]]


@dataclass(frozen=True)
class _View:
    depth_m: NDArray[np.float32]  # every SURFACE_STRIDE_PX-th pixel of the image
    intrinsics: Intrinsics
    camera_T_map: NDArray[np.float64]


class ObservedSpace:
    """The space that a stream of posed depth frames measured, and points sampled from it."""

    def __init__(self) -> None:
        self._views: list[_View] = []
        self._surface: list[NDArray] = []
        self._rays: list[NDArray] = []

    def add(self, frame: Frame) -> None:
        """Take in one frame with depth."""
        if frame.depth is None:
            raise ValueError('the exam takes its truth from depth; this frame has none')
        stride = SURFACE_STRIDE_PX
        depth_m = depth_metres(frame.depth)
        view = _View(
            depth_m[::stride, ::stride].copy(),
            frame.intrinsics,
            invert_transform(frame.map_T_camera),
        )
        self._views.append(view)
        self._surface.append(_thin(self._unproject(frame, depth_m, stride), SURFACE_VOXEL_M))
        ends = self._unproject(frame, depth_m, RAY_STRIDE_PX)
        self._rays.append(_thin(_along(frame.map_T_camera[:3, 3], ends), RAY_VOXEL_M))

    @staticmethod
    def _unproject(frame: Frame, depth_m: NDArray, stride: int) -> NDArray[np.float64]:
        rows, columns = np.nonzero(depth_m[::stride, ::stride])
        pixels = np.stack([columns, rows], axis=1) * stride
        measured = depth_m[pixels[:, 1], pixels[:, 0]]
        points = unproject(frame.intrinsics, pixels, measured)
        return transform_points(frame.map_T_camera, points)

    def surface(self) -> NDArray[np.float64]:
        """Return (N, 3) measured surface points, one per 2 cm voxel and frame."""
        return np.concatenate(self._surface) if self._surface else np.zeros((0, 3))

    def measured(self, points: NDArray, *, tolerance_m: float = 0.1) -> NDArray[np.bool_]:
        """Return for points (N, 3) whether a frame measured a surface that close to them, (N,)."""
        distance, _ = cKDTree(self.surface()).query(points, distance_upper_bound=tolerance_m)
        return np.isfinite(distance)

    def sample(self, count: int, *, seed: int) -> dict[str, NDArray[np.float64]]:
        """Return up to ``count`` points (N, 3) of each of 'surface', 'free' and 'never'.

        free: at least 3 frames measured a depth 0.3 m or more behind the point, and no frame
        measured a surface within 0.3 m of it.
        never: within the box around all measured surfaces, rays and cameras, grown by 1 m; in
        each frame outside the image, or 0.5 m or more behind the measured depth (a pixel
        without a measurement rules the point out); and 0.5 m or more away from every measured
        surface and every point on a ray to one.
        surface: a measured point, drawn evenly over the 2 cm voxels that hold one.
        """
        if not self._views:
            raise ValueError('no frame was added, so there is nothing to sample from')
        rng = np.random.default_rng(seed)
        surface = _thin(self.surface(), SURFACE_VOXEL_M)
        rays = _thin(np.concatenate(self._rays), RAY_VOXEL_M)
        trees = cKDTree(surface), cKDTree(rays)
        cameras = np.array([invert_transform(v.camera_T_map)[:3, 3] for v in self._views])
        seen = np.concatenate([surface, rays, cameras])
        lower, upper = seen.min(axis=0) - 1.0, seen.max(axis=0) + 1.0
        found: dict[str, list[NDArray]] = {'free': [], 'never': []}
        for _ in range(50):
            candidates = rng.uniform(lower, upper, size=(2000, 3))
            for kind, keep in zip(found, self._judge(candidates, *trees), strict=True):
                found[kind].append(candidates[keep])
            if all(sum(map(len, parts)) >= count for parts in found.values()):
                break
        chosen = {kind: np.concatenate(parts)[:count] for kind, parts in found.items()}
        picked = rng.choice(len(surface), size=min(count, len(surface)), replace=False)
        return {'surface': surface[picked], **chosen}

    def _judge(
        self, points: NDArray, surface: cKDTree, rays: cKDTree
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return (is free (N,), was never seen (N,))."""
        in_front = np.zeros(len(points), dtype=np.int64)
        maybe_seen = np.zeros(len(points), dtype=bool)
        for view in self._views:
            inside, gap_m = _gap(view, points)
            in_front += gap_m >= FREE_MARGIN_M
            maybe_seen |= inside & ~(gap_m <= -HIDDEN_MARGIN_M)
        to_surface, to_ray = surface.query(points)[0], rays.query(points)[0]
        free = (in_front >= FREE_FRAMES) & (to_surface >= FREE_MARGIN_M)
        far = np.minimum(to_surface, to_ray) >= HIDDEN_MARGIN_M
        return free, ~maybe_seen & far


def _along(origin: NDArray, ends: NDArray) -> NDArray[np.float64]:
    """Return points every RAY_STEP_M on the rays from ``origin`` (3,) to ``ends`` (N, 3)."""
    offsets = ends - origin
    lengths = np.linalg.norm(offsets, axis=1)
    steps = np.arange(0.0, lengths.max(initial=0.0), RAY_STEP_M)
    ray, step = np.nonzero(steps[None, :] < lengths[:, None])
    return origin + offsets[ray] * (steps[step] / lengths[ray])[:, None]


def _gap(view: _View, points: NDArray) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return (point is in the image (N,), measured depth minus its depth (N,); NaN if none)."""
    local = transform_points(view.camera_T_map, points)
    pixels = project(view.intrinsics, local)
    size = (view.intrinsics.width, view.intrinsics.height)
    inside = np.all((pixels >= 0) & (pixels <= np.array(size) - 1), axis=1)
    cells = (pixels[inside] / SURFACE_STRIDE_PX).astype(np.int64)
    measured = view.depth_m[cells[:, 1], cells[:, 0]].astype(np.float64)
    gap_m = np.full(len(points), np.nan)
    gap_m[inside] = np.where(measured > 0, measured - local[inside, 2], np.nan)
    return inside, gap_m
