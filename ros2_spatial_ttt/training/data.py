# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""From stored clips to training samples: token geometry, targets of every head, augmentation.

Letters: F frames of a clip, h×w tokens at stride 8 (row-major, T = h w), k things.
Level frame: at the camera, x along its heading, y to the left, z up.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.geometry import level_T_camera
from ros2_spatial_ttt.training.augment import ClipLook, faulty_colour, faulty_depth
from ros2_spatial_ttt.training.scenes import ClipFile

__all__ = ['UNKNOWN', 'Clip', 'ClipOptions', 'make_clip']

STRIDE = 8
UNKNOWN = -1  # label of a token that nobody named
# Rotation of a level camera: ahead, left and up out of right, down and ahead.
ASSUMED_LEVEL = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]], np.float32)


@dataclass(frozen=True)
class ClipOptions:
    """How clips become samples.

    Attributes:
        width, height: px of the model's pictures.
        strength: of the augmentation, 0..1. without_depth: share of clips without depth.
        without_heights: share of clips whose height above the floor is not known.
        without_pose: share of clips that a level camera is assumed for, of unknown height.
        zoom: share of clips that are cut out of the picture and enlarged.
        mirror: share of clips that are mirrored.
        least_zoom: smallest share of the picture's width that is cut out.
    """

    width: int = 320
    height: int = 240
    strength: float = 1.0
    without_depth: float = 0.3
    without_heights: float = 0.15
    without_pose: float = 0.0
    zoom: float = 0.5
    mirror: float = 0.5
    least_zoom: float = 0.5

    @property
    def grid(self) -> tuple[int, int]:
        """Token rows and columns at stride 8."""
        return self.height // STRIDE, self.width // STRIDE


@dataclass(frozen=True)
class Clip:
    """F frames of one camera with their targets; float32 unless said. -1 in ``label``: ignore.

    Attributes:
        image: (F, H, W, 3) uint8 RGB. depth: (F, T) m as measured, 0 = not.
        ray: (T, 3) in the optical frame, z = 1. level_T_camera: (F, 3, 3) rotation.
        map_T_level: (F, 4, 4). room: (F,) int64 number in ``ROOM_KINDS``, -1 = not known.
        camera_height: (F,) m above the floor. heights: () 1 = the model may know that height.
        true_depth: (F, T) m, 0 = sky. label: (F, T) int64, 0 = background, 1 + category.
        centre: (F, T, 3) m, of the token's thing in the level frame. size: (F, T, 3) m.
        turn: (F, T, 2) cos and sin of twice the yaw of the longer edge in the level frame.
        thing: (F, T) int64, number that tells things apart in the clip, 0 = background.
        point: (F, T, 3) m in the map; the same for a place in all frames of a clip.
    """

    image: NDArray[np.uint8]
    depth: NDArray[np.float32]
    ray: NDArray[np.float32]
    level_T_camera: NDArray[np.float32]
    map_T_level: NDArray[np.float32]
    room: NDArray[np.int64]
    camera_height: NDArray[np.float32]
    heights: NDArray[np.float32]
    true_depth: NDArray[np.float32]
    label: NDArray[np.int64]
    centre: NDArray[np.float32]
    size: NDArray[np.float32]
    turn: NDArray[np.float32]
    thing: NDArray[np.int64]
    point: NDArray[np.float32]

    @staticmethod
    def names() -> tuple[str, ...]:
        """Return the names of the arrays."""
        return tuple(field.name for field in fields(Clip))


def make_clip(
    home: ClipFile, rows: NDArray[np.int64], options: ClipOptions, rng: np.random.Generator
) -> Clip:
    """Return the frames ``rows`` of a home as one sample.

    Args:
        home: stored clips.
        rows: (F,) of one clip, in order of time.
        options: augmentation.
        rng: source of chance; the same state gives the same sample.
    """
    look = ClipLook.draw(rng, strength=options.strength, without_depth=options.without_depth)
    cut = _Cut.draw(rng, options, home.focal)
    mirror = bool(rng.random() < options.mirror)
    frames = [_frame(home, int(row), options, look, cut, rng) for row in rows]
    parts = {name: np.stack([frame[name] for frame in frames]) for name in frames[0]}
    clip = Clip(
        **parts,
        ray=cut.rays(options).astype(np.float32),
        heights=np.float32(rng.random() >= options.without_heights and home.labelled),
    )
    # Drawn only where asked for: other runs keep their samples.
    if options.without_pose and rng.random() < options.without_pose:
        clip = _without_pose(clip)
    return _mirrored(clip, options) if mirror else clip


def _without_pose(clip: Clip) -> Clip:
    """Return the clip as told by a camera that takes itself for level, at no known height."""
    assumed_T_level = ASSUMED_LEVEL @ clip.level_T_camera.transpose(0, 2, 1)
    map_T_level = clip.map_T_level.copy()
    map_T_level[:, :3, :3] = map_T_level[:, :3, :3] @ assumed_T_level.transpose(0, 2, 1)
    return replace(
        clip,
        level_T_camera=np.broadcast_to(ASSUMED_LEVEL, clip.level_T_camera.shape),
        map_T_level=map_T_level,
        heights=np.float32(0.0),
        centre=clip.centre @ assumed_T_level.transpose(0, 2, 1),
    )


@dataclass(frozen=True)
class _Cut:
    """The part of the stored picture that is used: corner and width, px, and its pinhole."""

    left: float
    top: float
    width: float
    focal: float

    @staticmethod
    def draw(rng: np.random.Generator, options: ClipOptions, focal: float) -> _Cut:
        if rng.random() >= options.zoom:
            return _Cut(0.0, 0.0, options.width, focal)
        share = float(rng.uniform(options.least_zoom, 1.0))
        left = rng.uniform(0.0, (1.0 - share) * options.width)
        top = rng.uniform(0.0, (1.0 - share) * options.height)
        return _Cut(round(float(left)), round(float(top)), round(share * options.width), focal)

    def tokens(self, options: ClipOptions) -> tuple[NDArray, NDArray]:
        """Return u (w,) and v (h,) of token centres in the stored picture, px."""
        rows, columns = options.grid
        step = self.width / columns
        u = self.left + (np.arange(columns) + 0.5) * step - 0.5
        return u, self.top + (np.arange(rows) + 0.5) * step - 0.5

    def rays(self, options: ClipOptions) -> NDArray[np.float64]:
        u, v = self.tokens(options)
        x = (u - (options.width - 1) / 2) / self.focal
        y = (v - (options.height - 1) / 2) / self.focal
        x, y = np.meshgrid(x, y)
        return np.stack([x.ravel(), y.ravel(), np.ones(x.size)], axis=1)

    def picture(self, image: NDArray[np.uint8], options: ClipOptions) -> NDArray[np.uint8]:
        left, top, width = int(self.left), int(self.top), int(self.width)
        height = round(width * options.height / options.width)
        part = image[top : top + height, left : left + width]
        if part.shape[:2] == (options.height, options.width):
            return part
        size = (options.width, options.height)
        return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def _frame(
    home: ClipFile,
    row: int,
    options: ClipOptions,
    look: ClipLook,
    cut: _Cut,
    rng: np.random.Generator,
) -> dict[str, NDArray]:
    image = _image(home.jpeg[row], options)
    u, v = cut.tokens(options)
    # Depth and ids have half the resolution; their pixel i lies at 2 i + 1.
    pixel = np.ix_(_nearest(v, options.height), _nearest(u, options.width))
    depth = _decoded(home.depth_png[row], cv2.IMREAD_UNCHANGED)[pixel] * np.float32(0.001)
    ids = _decoded(home.ids_png[row], cv2.IMREAD_UNCHANGED)[pixel].ravel()
    pose = home.map_T_camera[row]
    rotation, heading = level_T_camera(pose)
    true = depth.ravel()
    point = (cut.rays(options) * true[:, None]) @ pose[:3, :3].T + pose[:3, 3]
    return {
        'image': faulty_colour(cut.picture(image, options), look, rng),
        'depth': faulty_depth(depth, look, rng).ravel(),
        'level_T_camera': rotation.astype(np.float32),
        'map_T_level': _map_T_level(pose, rotation),
        'room': home.room[row],
        'camera_height': np.float32(pose[2, 3]),
        'true_depth': true,
        'point': point.astype(np.float32),
        **_targets(home, row, ids, pose, heading),
    }


def _image(jpeg: NDArray[np.uint8], options: ClipOptions) -> NDArray[np.uint8]:
    """Return a stored picture (H, W, 3) RGB, which must have the size of the network's."""
    image = cv2.cvtColor(_decoded(jpeg, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    if image.shape[:2] != (options.height, options.width):
        raise ConfigError(
            f'clips: expected pictures of {options.width}x{options.height} px, got '
            f'{image.shape[1]}x{image.shape[0]}; choose another --clips for pictures of that size'
        )
    return np.asarray(image, np.uint8)


def _decoded(data: NDArray[np.uint8], flag: int) -> NDArray:
    image = cv2.imdecode(data, flag)
    if image is None:
        raise ConfigError('clips: a picture is damaged; choose another --clips to render anew')
    return image


def _targets(
    home: ClipFile, row: int, ids: NDArray, pose: NDArray[np.float64], heading: float
) -> dict[str, NDArray]:
    """Return what the heads should say at each token (T,) with thing ids ``ids``."""
    if not len(home.thing):
        return _no_targets(len(ids), 0 if home.labelled else UNKNOWN)
    now = np.flatnonzero(home.epoch == home.frame_epoch[row])
    table = np.zeros(int(max(home.thing.max(initial=0), ids.max(initial=0))) + 1, np.int64)
    table[home.thing[now]] = now + 1
    owner = table[ids]  # 1 + row of the thing, 0 = background
    there, thing = owner > 0, np.maximum(owner - 1, 0)
    cos, sin = np.cos(heading), np.sin(heading)
    level_T_map = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
    centre = (home.centre - pose[:3, 3]) @ level_T_map.T
    angle = 2.0 * (home.yaw - heading)
    turn = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return {
        'label': np.where(there, home.label[thing] + 1, 0),
        'centre': (centre[thing] * there[:, None]).astype(np.float32),
        'size': np.where(there[:, None], home.size[thing], 1.0).astype(np.float32),
        'turn': (turn[thing] * there[:, None]).astype(np.float32),
        'thing': np.where(there, home.thing[thing], 0),
    }


def _no_targets(tokens: int, label: int) -> dict[str, NDArray]:
    return {
        'label': np.full(tokens, label, np.int64),
        'centre': np.zeros((tokens, 3), np.float32),
        'size': np.ones((tokens, 3), np.float32),
        'turn': np.zeros((tokens, 2), np.float32),
        'thing': np.zeros(tokens, np.int64),
    }


def _map_T_level(  # noqa: N802
    map_T_camera: NDArray[np.float64], level_T_camera: NDArray[np.float64]
) -> NDArray[np.float32]:
    out = map_T_camera.astype(np.float32)
    out[:3, :3] = map_T_camera[:3, :3] @ level_T_camera.T
    return out


def _nearest(position: NDArray, size: int) -> NDArray[np.int64]:
    return np.clip(np.rint((position - 1.0) / 2.0), 0, size // 2 - 1).astype(np.int64)


def _mirrored(clip: Clip, options: ClipOptions) -> Clip:
    """Return the clip as a mirror shows it: left and right change places everywhere."""
    rows, columns = options.grid

    def flipped(array: NDArray) -> NDArray:
        grid = array.reshape(*array.shape[:-2], rows, columns, array.shape[-1])
        return grid[..., ::-1, :].reshape(array.shape)

    def flat(array: NDArray) -> NDArray:
        return flipped(array[..., None])[..., 0]

    side = np.array([1.0, -1.0, 1.0], np.float32)
    across = np.array([-1.0, 1.0, 1.0], np.float32)
    other = np.diag(np.array([1.0, -1.0, 1.0, 1.0], np.float32))
    return Clip(
        image=np.ascontiguousarray(clip.image[:, :, ::-1]),
        depth=flat(clip.depth),
        ray=flipped(clip.ray) * across,
        level_T_camera=side[:, None] * clip.level_T_camera * across,
        map_T_level=(other @ clip.map_T_level @ other).astype(np.float32),
        room=clip.room,
        camera_height=clip.camera_height,
        heights=clip.heights,
        true_depth=flat(clip.true_depth),
        label=flat(clip.label),
        centre=flipped(clip.centre) * side,
        size=flipped(clip.size),
        turn=flipped(clip.turn) * np.array([1.0, -1.0], np.float32),
        thing=flat(clip.thing),
        point=flipped(clip.point),
    )
