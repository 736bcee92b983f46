# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A furnished room made of textured boxes, ray-cast with numpy. Metres, z up, floor at z = 0.

Small enough for tests and exact in depth; one seed gives the room, the tour and the pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.geometry import invert_transform, transform_points
from ros2_spatial_ttt.sim.room import furniture, textures
from ros2_spatial_ttt.sim.room.furniture import Box
from ros2_spatial_ttt.types import Frame, Intrinsics

__all__ = [
    'Box',
    'Scene',
    'camera_intrinsics',
    'frames',
    'look',
    'make_scene',
    'make_tour',
    'render',
]

START_NS = 1_700_000_000_000_000_000
EYE_HEIGHT_M = 1.4
LAPS = 2
MAX_SPEED = 0.8
MAX_TEXELS = 400_000
NEAR_M = 0.05

_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / 2.0
_EDGES = np.array([(i, j) for i in range(8) for j in range(i) if bin(i ^ j).count('1') == 1])
# For a face across axis x, y or z: the axes of the box that span it.
_FACE_U, _FACE_V = np.array([1, 0, 0]), np.array([2, 2, 1])


@dataclass(frozen=True)
class Scene:
    """A room.

    Attributes:
        seed: what it was made from.
        size: (x, y, z) of the free space in metres; the room is centred on the map origin.
        boxes: ``instance`` of a rendered pixel is the index here plus 1; 0 is nothing.
    """

    seed: int
    size: tuple[float, float, float]
    boxes: tuple[Box, ...]
    skins: tuple[list[NDArray[np.float32]], ...] = field(repr=False)
    densities: tuple[float, ...] = field(repr=False)

    def box(self, name: str) -> Box:
        """Return the box of that name; KeyError where there is none."""
        for item in self.boxes:
            if item.name == name:
                return item
        raise KeyError(f'no box {name!r} in the room of seed {self.seed}')


def make_scene(seed: int) -> Scene:
    """Return a furnished room; the same seed gives the same room."""
    size, boxes = furniture.furnish(np.random.default_rng([seed, 0]))
    skins, densities = [], []
    for index, box in enumerate(boxes):
        extent = (max(box.size[0], box.size[1]), max(box.size[2], box.size[1]))
        density = min(220.0, float(np.sqrt(MAX_TEXELS / (extent[0] * extent[1]))))
        picture = textures.bake(box.texture, extent, texels_per_m=density, seed=[seed, 1, index])
        skins.append(textures.pyramid(picture))
        densities.append(density)
    return Scene(seed, size, tuple(boxes), tuple(skins), tuple(densities))


def camera_intrinsics(width: int = 640, height: int = 480) -> Intrinsics:
    """Return a pinhole camera with a horizontal field of view of about 63°."""
    focal = 525.0 * width / 640.0
    return Intrinsics(width, height, focal, focal, (width - 1) / 2.0, (height - 1) / 2.0)


def look(position: NDArray[np.float64], yaw: float, pitch: float) -> NDArray[np.float64]:
    """Return (4, 4) map_T_camera at ``position`` that looks along yaw and pitch (up > 0)."""
    forward = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    out = np.eye(4)
    out[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    out[:3, 3] = position
    return out


def make_tour(scene: Scene, frames: int, seed: int) -> list[NDArray[np.float64]]:
    """Return ``frames`` poses (4, 4) map_T_camera of a closed walk round the table in the middle.

    The gaze turns once against the walk: everything is seen across the room and from nearer.
    """
    rng = np.random.default_rng([seed, 2])
    start, sway = rng.uniform(0, 2 * np.pi, 2)
    radius = furniture.walk_radius(scene.size)
    poses = []
    for share in np.arange(frames) / frames:
        angle = start + 2 * np.pi * LAPS * share
        height = EYE_HEIGHT_M + 0.04 * np.sin(2 * np.pi * 5 * share + sway)
        position = np.array([radius[0] * np.cos(angle), radius[1] * np.sin(angle), height])
        pitch = -0.28 + 0.2 * np.sin(2 * np.pi * 7 * share + sway)
        poses.append(look(position, angle + np.pi + 2 * np.pi * share, pitch))
    return poses


def frames(
    seed: int,
    count: int = 80,
    *,
    width: int = 640,
    height: int = 480,
    rate_hz: float = 2.0,
    camera: str = 'camera',
    scene: Scene | None = None,
) -> Iterator[Frame]:
    """Yield the frames of one tour through the room of ``seed`` (or ``scene``).

    Stamps are ``1 / rate_hz`` apart, or more where the walk would be faster than a person walks.
    """
    scene = scene or make_scene(seed)
    intrinsics = camera_intrinsics(width, height)
    tour = make_tour(scene, count, seed)
    step_m = max(
        (np.linalg.norm(a[:3, 3] - b[:3, 3]) for a, b in zip(tour, tour[1:], strict=False)),
        default=0.0,
    )
    period_ns = round(1e9 * max(1.0 / rate_hz, float(step_m) / MAX_SPEED))
    for index, map_T_camera in enumerate(tour):
        colour, depth_m, _ = render(scene, intrinsics, map_T_camera)
        stamp_ns = START_NS + index * period_ns
        yield Frame(camera, stamp_ns, colour, depth_m, intrinsics, map_T_camera)


def render(
    scene: Scene, intrinsics: Intrinsics, map_T_camera: NDArray[np.float64]
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int32]]:
    """Return colour (H, W, 3) uint8 RGB, depth (H, W) float32 m and instance (H, W) int32.

    Depth and instance are 0 where there is nothing.

    Raises:
        ValueError: the camera has distortion; the pictures are of an ideal pinhole.
    """
    if any(intrinsics.distortion):
        raise ValueError('render draws ideal pinhole pictures; got a camera with distortion')
    columns = (np.arange(intrinsics.width, dtype=np.float32) - intrinsics.cx) / intrinsics.fx
    rows = (np.arange(intrinsics.height, dtype=np.float32) - intrinsics.cy) / intrinsics.fy
    shape = (intrinsics.height, intrinsics.width)
    rays = np.empty((*shape, 3), np.float32)
    rays[..., 0], rays[..., 1], rays[..., 2] = columns[None], rows[:, None], 1.0
    rays = rays @ map_T_camera[:3, :3].T.astype(np.float32)
    depth_m, instance = np.full(shape, np.inf, np.float32), np.zeros(shape, np.int32)
    views = [_view(box, intrinsics, map_T_camera) for box in scene.boxes]
    for index, (window, origin, rotation) in enumerate(views):
        if window is not None:
            _cast(
                scene.boxes[index],
                rays[window] @ rotation,
                origin,
                depth_m[window],
                instance[window],
                index + 1,
            )
    colour = np.zeros((*shape, 3), np.uint8)
    light = np.array([0.2 * scene.size[0], -0.15 * scene.size[1], scene.size[2] - 0.15])
    for index, (window, origin, rotation) in enumerate(views):
        if window is not None:
            seen = instance[window] == index + 1
            local = origin + depth_m[window][seen][:, None] * (rays[window][seen] @ rotation)
            pixel_m = depth_m[window][seen] / np.float32(intrinsics.fx)
            colour[window][seen] = _shade(scene, index, local, pixel_m, light)
    return colour, np.where(instance > 0, depth_m, 0.0).astype(np.float32), instance


def _view(
    box: Box, intrinsics: Intrinsics, map_T_camera: NDArray
) -> tuple[tuple[slice, slice] | None, NDArray[np.float32], NDArray[np.float32]]:
    """Return what a box needs to be drawn.

    That is the image window that holds it (None: out of sight), the camera in the box frame (3,)
    and the axes of the box in the map (3, 3).
    """
    map_T_box = box.pose()
    origin = transform_points(invert_transform(map_T_box), map_T_camera[:3, 3])
    corners = transform_points(invert_transform(map_T_camera) @ map_T_box, _CORNERS * box.size)
    first, second = corners[_EDGES[:, 0]], corners[_EDGES[:, 1]]
    crossing = (first[:, 2] > NEAR_M) != (second[:, 2] > NEAR_M)
    first, second = first[crossing], second[crossing]
    share = (NEAR_M - first[:, 2]) / (second[:, 2] - first[:, 2])
    points = np.concatenate(
        [corners[corners[:, 2] > NEAR_M], first + share[:, None] * (second - first)]
    )
    window = None
    if len(points):
        u = points[:, 0] / points[:, 2] * intrinsics.fx + intrinsics.cx
        v = points[:, 1] / points[:, 2] * intrinsics.fy + intrinsics.cy
        left, right = np.clip(
            [np.floor(u.min()), np.ceil(u.max()) + 1], 0, intrinsics.width
        ).astype(int)
        top, bottom = np.clip(
            [np.floor(v.min()), np.ceil(v.max()) + 1], 0, intrinsics.height
        ).astype(int)
        if left < right and top < bottom:
            window = slice(top, bottom), slice(left, right)
    return window, origin.astype(np.float32), map_T_box[:3, :3].astype(np.float32)


def _cast(
    box: Box, rays: NDArray, origin: NDArray, depth_m: NDArray, instance: NDArray, number: int
) -> None:
    """Enter the box into ``depth_m`` and ``instance`` (changed in place) where it is nearest."""
    near, far = np.float32(NEAR_M), np.float32(np.inf)
    for axis in range(3):
        along = rays[..., axis]
        inverse = 1.0 / np.where(np.abs(along) < 1e-9, np.float32(1e-9), along)
        enter = (-box.size[axis] / 2 - origin[axis]) * inverse
        leave = (box.size[axis] / 2 - origin[axis]) * inverse
        near = np.maximum(near, np.minimum(enter, leave))
        far = np.minimum(far, np.maximum(enter, leave))
    hit = (near <= far) & (near > NEAR_M) & (near < depth_m)
    depth_m[hit], instance[hit] = near[hit], number


def _shade(
    scene: Scene,
    index: int,
    local: NDArray[np.float32],
    pixel_m: NDArray[np.float32],
    light: NDArray,
) -> NDArray[np.uint8]:
    """Return (N, 3) colours of points (N, 3) of a box frame, seen at ``pixel_m`` m per pixel."""
    box, half = scene.boxes[index], np.asarray(scene.boxes[index].size, np.float32) / 2
    face = np.argmax(np.abs(local) / half, axis=1)
    count = np.arange(len(local))
    side = np.sign(local[count, face])
    u = local[count, _FACE_U[face]] + half[_FACE_U[face]]
    v = local[count, _FACE_V[face]] + half[_FACE_V[face]]
    # The opposite faces of a box show different parts of its texture.
    u = u + np.where(side > 0, 0.0, 0.37) * (box.texture != 'poster')
    texel = _sample(
        scene.skins[index],
        u * scene.densities[index],
        v * scene.densities[index],
        pixel_m * scene.densities[index],
    )
    ray = transform_points(invert_transform(box.pose()), light).astype(np.float32) - local
    distance = np.linalg.norm(ray, axis=1)
    lambert = np.maximum(0.0, side * ray[count, face] / np.maximum(distance, 1e-3))
    bright = 0.5 + 0.6 * lambert / (1.0 + 0.04 * distance**2) - 0.05 * (face == 0)
    return np.clip(texel * bright[:, None], 0, 255).astype(np.uint8)


def _sample(levels: list[NDArray], u: NDArray, v: NDArray, texels: NDArray) -> NDArray[np.float32]:
    """Return (N, 3) bilinear samples of a texture pyramid; a pixel spans (N,) ``texels``."""
    level = np.clip(np.floor(np.log2(np.maximum(texels, 1.0)) + 0.5), 0, len(levels) - 1).astype(
        int
    )
    out = np.empty((len(u), 3), np.float32)
    for number in np.unique(level):
        mine, picture = level == number, levels[number]
        height, width = picture.shape[:2]
        x, y = u[mine] / 2**number - 0.5, v[mine] / 2**number - 0.5
        x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
        fx, fy = (x - x0)[:, None].astype(np.float32), (y - y0)[:, None].astype(np.float32)
        left, right, low, high = x0 % width, (x0 + 1) % width, y0 % height, (y0 + 1) % height
        lower = picture[low, left] * (1 - fx) + picture[low, right] * fx
        upper = picture[high, left] * (1 - fx) + picture[high, right] * fx
        out[mine] = lower * (1 - fy) + upper * fy
    return out
