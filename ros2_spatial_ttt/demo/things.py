# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What to ask about a recording: pictures of things in it, and points that are free or unseen.

Where the answer must lie comes from the depth and the poses of the recording itself.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.geometry import invert_transform, transform_points
from ros2_spatial_ttt.sim.room import boxes
from ros2_spatial_ttt.sim.room.furniture import Box
from ros2_spatial_ttt.types import Frame

__all__ = [
    'Thing',
    'absent_thing',
    'choose_things',
    'depth_metres',
    'free_point',
    'read_truth',
    'unseen_point',
]

Array = NDArray[np.float64]

PATCH_PX = 96
ROI_PX = (56, 210)
DEPTH_M = (0.7, 4.5)
# Larger boxes are walls, floors and rugs; thinner ones show nothing.
SIZE_M = (0.15, 1.9)
SURFACE_STEP_PX = 16
BEYOND_M = 1.2
# Seed of a room that is in no recording.
ELSEWHERE, ELSEWHERE_FRAMES = 90_001, 10


@dataclass(frozen=True)
class Thing:
    """A picture of something in the recording.

    Attributes:
        name: what it is, or where the picture comes from.
        frame: the frame that shows it.
        roi: (x, y, width, height) in pixels of that frame.
        point: (3,) place that the middle of the picture shows, metres, map frame.
    """

    name: str
    frame: Frame
    roi: tuple[int, int, int, int]
    point: Array

    @property
    def picture(self) -> NDArray[np.uint8]:
        """The part of the frame inside the roi, (h, w, 3) uint8 RGB."""
        x, y, width, height = self.roi
        return np.ascontiguousarray(self.frame.colour[y : y + height, x : x + width])


def read_truth(bag: Path) -> list[Box]:
    """Return the boxes of a generated recording's truth.json; none where there is no such file."""
    path = bag / 'truth.json'
    if not path.is_file():
        return []
    entries: list[dict[str, Any]] = json.loads(path.read_text(encoding='utf-8'))['boxes']
    return [
        Box(item['name'], tuple(item['centre']), tuple(item['size']), item['yaw'], '')
        for item in entries
    ]


def choose_things(frames: list[Frame], known: list[Box], *, count: int) -> list[Thing]:
    """Return up to ``count`` things that are far from each other, from the best frames of each.

    Args:
        frames: with depth.
        known: what is where; with none, textured places of the frames are taken.
        count: how many.
    """
    if known:
        views = [_best_view(box, frames) for box in known if _is_thing(box)]
        found = sorted((v for v in views if v is not None), key=lambda v: -v[0])
        candidates = [thing for _, thing in found[: max(4 * count, 8)]]
    else:
        chosen = np.unique(np.linspace(0, len(frames) - 1, 4 * count).astype(int))
        patches = [_best_patch(frames[i], f'place in frame {i}') for i in chosen]
        candidates = [thing for thing in patches if thing is not None]
    return _far_apart(candidates, count)


def free_point(frames: list[Frame]) -> Array | None:
    """Return the point (3,) that most frames look through and that is far from every surface."""
    surface = _surface(frames)
    best, most = None, 0
    for frame in frames[:: max(1, len(frames) // 12)]:
        depth_m = depth_metres(frame)
        height, width = depth_m.shape
        z = float(depth_m[height // 2, width // 2])
        if not z > 1.6:
            continue
        for share in (0.4, 0.55, 0.7):
            point = _back_project(frame, width // 2, height // 2, share * z)
            if np.linalg.norm(surface - point, axis=1).min() < 0.5:
                continue
            through = sum(_looks_through(other, point) for other in frames)
            if through > most:
                best, most = point, through
    return best


def unseen_point(frames: list[Frame]) -> Array:
    """Return a point (3,) well beyond everything that was seen."""
    surface = _surface(frames)
    middle = np.median(surface, axis=0)
    return np.array([surface[:, 0].max() + BEYOND_M, middle[1], middle[2]])


def absent_thing(like: Frame) -> Thing | None:
    """Return a picture from a generated room that nobody has been in, by a camera like that."""
    scene = boxes.make_scene(ELSEWHERE)
    camera = replace(like.intrinsics, distortion=(), model='plumb_bob')
    frames = []
    for map_T_camera in boxes.make_tour(scene, ELSEWHERE_FRAMES, ELSEWHERE):
        colour, depth_m, _ = boxes.render(scene, camera, map_T_camera)
        frames.append(Frame('elsewhere', 0, colour, depth_m, camera, map_T_camera))
    found = choose_things(frames, list(scene.boxes), count=1)
    return replace(found[0], name=f'{found[0].name} of another room') if found else None


def depth_metres(frame: Frame) -> NDArray[np.float32]:
    """Return the depth (H, W) float32 of a frame in metres; 0 where nothing was measured."""
    if frame.depth is None:
        return np.zeros(frame.colour.shape[:2], np.float32)
    if frame.depth.dtype == np.uint16:
        return frame.depth.astype(np.float32) / 1000.0
    return np.nan_to_num(frame.depth, nan=0.0, posinf=0.0, neginf=0.0)


def _back_project(frame: Frame, u: Any, v: Any, z: Any) -> Array:
    camera, u, v, z = frame.intrinsics, np.asarray(u), np.asarray(v), np.asarray(z, np.float64)
    x, y = (u - camera.cx) / camera.fx * z, (v - camera.cy) / camera.fy * z
    return transform_points(frame.map_T_camera, np.stack([x, y, z], axis=-1))


def _project(frame: Frame, points: Array) -> Array:
    """Return (..., 3): u, v in pixels and depth z in metres of points in the map."""
    local = transform_points(invert_transform(frame.map_T_camera), points)
    z = np.where(np.abs(local[..., 2]) < 1e-6, 1e-6, local[..., 2])
    u = local[..., 0] / z * frame.intrinsics.fx + frame.intrinsics.cx
    v = local[..., 1] / z * frame.intrinsics.fy + frame.intrinsics.cy
    return np.stack([u, v, local[..., 2]], axis=-1)


def _is_thing(box: Box) -> bool:
    return max(box.size) <= SIZE_M[1] and sorted(box.size)[1] >= SIZE_M[0]


def _best_view(box: Box, frames: list[Frame]) -> tuple[float, Thing] | None:
    """Return the score and picture of the frame that shows a box largest and least hidden."""
    best: tuple[float, Thing] | None = None
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / 2.0
    corners = transform_points(box.pose(), corners * box.size)
    for frame in frames:
        seen = _project(frame, corners)
        if seen[:, 2].min() < DEPTH_M[0] or seen[:, 2].max() > DEPTH_M[1]:
            continue
        low, high = np.floor(seen[:, :2].min(axis=0)), np.ceil(seen[:, :2].max(axis=0))
        size = high - low
        inside = (low >= 4).all() and (high < np.array(frame.colour.shape[1::-1]) - 4).all()
        if not inside or size.min() < ROI_PX[0] or size.max() > ROI_PX[1]:
            continue
        roi = (int(low[0]), int(low[1]), int(size[0]), int(size[1]))
        share, point = _visible(box, frame, roi)
        score = share * float(np.sqrt(size.prod()))
        if share > 0.6 and point is not None and (best is None or score > best[0]):
            best = score, Thing(box.name, frame, roi, point)
    return best


def _visible(box: Box, frame: Frame, roi: tuple[int, int, int, int]) -> tuple[float, Array | None]:
    """Return the share of the roi that shows the box, and its point (3,) nearest the middle."""
    x, y, width, height = roi
    v, u = np.mgrid[y : y + height : 4, x : x + width : 4].reshape(2, -1)
    z = depth_metres(frame)[v, u]
    points = _back_project(frame, u, v, z)
    local = transform_points(invert_transform(box.pose()), points)
    on_box = (z > 0) & (np.abs(local) <= np.asarray(box.size) / 2 + 0.05).all(axis=1)
    if not on_box.any():
        return 0.0, None
    away = np.hypot(u - (x + width / 2), v - (y + height / 2)) + 1e6 * ~on_box
    return float(on_box.mean()), points[np.argmin(away)]


def _best_patch(frame: Frame, name: str) -> Thing | None:
    """Return the most textured square of a frame on a smooth, near surface."""
    grey = cv2.cvtColor(np.ascontiguousarray(frame.colour), cv2.COLOR_RGB2GRAY)
    texture = np.abs(cv2.Laplacian(grey, cv2.CV_32F))
    depth_m = depth_metres(frame)
    height, width = depth_m.shape
    best, most = None, 0.0
    for y in range(PATCH_PX // 2, height - 3 * PATCH_PX // 2, PATCH_PX // 4):
        for x in range(PATCH_PX // 2, width - 3 * PATCH_PX // 2, PATCH_PX // 4):
            part = depth_m[y : y + PATCH_PX, x : x + PATCH_PX]
            z = float(part[PATCH_PX // 2, PATCH_PX // 2])
            known = part[part > 0]
            if not DEPTH_M[0] < z < DEPTH_M[1] or known.size < 0.85 * part.size:
                continue
            score = float(texture[y : y + PATCH_PX, x : x + PATCH_PX].mean())
            if known.std() < 0.2 and score > most:
                point = _back_project(frame, x + PATCH_PX // 2, y + PATCH_PX // 2, z)
                best, most = Thing(name, frame, (x, y, PATCH_PX, PATCH_PX), point), score
    return best


def _far_apart(candidates: list[Thing], count: int) -> list[Thing]:
    """Return the first candidate and then, again and again, the one furthest from those chosen."""
    chosen = candidates[:1]
    while candidates and len(chosen) < min(count, len(candidates)):
        gaps = [
            min(float(np.linalg.norm(thing.point - other.point)) for other in chosen)
            for thing in candidates
        ]
        chosen.append(candidates[int(np.argmax(gaps))])
    return chosen


def _surface(frames: list[Frame]) -> Array:
    """Return a sparse sample (N, 3) of everything the frames measured, metres, map frame."""
    parts = []
    for frame in frames:
        depth_m = depth_metres(frame)[::SURFACE_STEP_PX, ::SURFACE_STEP_PX]
        v, u = np.nonzero(depth_m)
        parts.append(_back_project(frame, u * SURFACE_STEP_PX, v * SURFACE_STEP_PX, depth_m[v, u]))
    return np.concatenate(parts)


def _looks_through(frame: Frame, point: Array) -> bool:
    """Return whether a frame measured something behind the point."""
    u, v, z = _project(frame, point)
    height, width = frame.colour.shape[:2]
    if z < 0.3 or not (0 <= u < width - 1 and 0 <= v < height - 1):
        return False
    return bool(depth_metres(frame)[round(float(v)), round(float(u))] > z + 0.3)
