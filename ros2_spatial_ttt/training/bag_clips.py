# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Clips without labels from any posed RGB-D recording, in the files that rendered homes have.

Every camera becomes a pinhole whose axis is in the middle; depth, appearance and prediction are
what such clips teach.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.replay.bag import Bag
from ros2_spatial_ttt.training.scenes import (
    FORMAT,
    ClipFile,
    SceneOptions,
    encoded_frame,
    save_home,
)
from ros2_spatial_ttt.types import Frame, Intrinsics

__all__ = ['bag_clips', 'clips_of_frames']


def bag_clips(folder: Path, bag: Path, options: SceneOptions) -> list[Path]:
    """Return the clip files of a recording in ``folder``, written where they lack.

    Their names follow from the recording and the options: others lie beside them.

    Args:
        folder: of clips.
        bag: folder of a rosbag2 with depth, whose map has its z axis up.
        options: size, length, number per file and rate of the clips.

    Raises:
        ConfigError: the recording is too short or has no depth.
        BagError: it cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = _made(bag, options)
    digest = hashlib.sha256(json.dumps(made).encode()).hexdigest()[:8]
    name = f'bag-{bag.resolve().name}-{digest}'
    if (folder / f'{name}-0000.npz').is_file():
        return sorted(folder.glob(f'{name}-*.npz'))
    with Bag(bag) as recording:
        frames = _thinned(recording, options.rate_hz)
    most = options.clips * options.frames
    files = [frames[begin : begin + most] for begin in range(0, len(frames), most)]
    parts = [part for part in files if len(part) >= options.frames]
    if not parts:
        raise ConfigError(
            f'{bag}: expected at least {options.frames} frames with depth and pose at '
            f'{options.rate_hz:g} Hz, got {len(frames)}; record longer or lower scenes.frames'
        )
    paths = [folder / f'{name}-{number:04d}.npz' for number in range(len(parts))]
    # The first comes last: where it is, all are.
    for path, part in reversed([*zip(paths, parts, strict=True)]):
        save_home(path, clips_of_frames(part, options), made)
    return paths


def _made(bag: Path, options: SceneOptions) -> dict[str, Any]:
    """Return what clips of a recording are made by: its place and metadata, and the options."""
    metadata = bag / 'metadata.yaml'
    # Begin, length and number of messages: those of another recording differ.
    content = metadata.read_bytes() if metadata.is_file() else b''
    recording = {'place': str(bag.resolve()), 'metadata': hashlib.sha256(content).hexdigest()}
    return {'format': FORMAT, 'recording': recording, **asdict(options)}


def clips_of_frames(frames: Sequence[Frame], options: SceneOptions) -> ClipFile:
    """Return whole clips of consecutive frames; what does not fill a clip is left out."""
    frames = frames[: len(frames) // options.frames * options.frames]
    views = {frame.intrinsics: _View(frame.intrinsics, options) for frame in frames}
    packed = [views[frame.intrinsics].encoded(frame) for frame in frames]
    jpeg, depth_png, ids_png = zip(*packed, strict=True)
    stamps = np.array([frame.stamp_ns for frame in frames], np.int64)
    nothing = np.zeros(0, np.int64)
    return ClipFile(
        jpeg=jpeg,
        depth_png=depth_png,
        ids_png=ids_png,
        clip=np.arange(len(frames)) // options.frames,
        focal=views[frames[0].intrinsics].focal,
        map_T_camera=np.stack([frame.map_T_camera for frame in frames]),
        stamp_s=(stamps - stamps[0]) / 1e9,
        thing=nothing,
        label=nothing,
        centre=np.zeros((0, 3)),
        size=np.zeros((0, 3)),
        yaw=np.zeros(0),
        epoch=nothing,
        frame_epoch=np.zeros(len(frames), np.int64),
        room=np.full(len(frames), -1, np.int64),
        labelled=False,
    )


def _thinned(recording: Bag, rate_hz: float) -> list[Frame]:
    """Return the frames with depth, at most ``rate_hz`` of them a second."""
    frames: list[Frame] = []
    for frame in recording.frames():
        late = not frames or frame.stamp_ns - frames[-1].stamp_ns > 0.95e9 / rate_hz
        if frame.depth is not None and late:
            frames.append(frame)
    return frames


class _View:
    """The pinhole of clips, made of a camera with lens distortion and an axis off the middle.

    Attributes:
        focal: px of the clips' pictures; the smallest that leaves no border without distortion.
    """

    def __init__(self, camera: Intrinsics, options: SceneOptions) -> None:
        width, height = options.width, options.height
        self.focal = max(camera.fx * width / camera.width, camera.fy * height / camera.height)
        fisheye = camera.model == 'equidistant'
        make = cv2.fisheye.initUndistortRectifyMap if fisheye else cv2.initUndistortRectifyMap
        self._x, self._y = make(
            np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]]),
            np.asarray(camera.distortion or (0.0,) * 4, np.float64),
            np.eye(3),
            np.array(
                [[self.focal, 0, (width - 1) / 2], [0, self.focal, (height - 1) / 2], [0, 0, 1]]
            ),
            (width, height),
            cv2.CV_32FC1,
        )

    def encoded(
        self, frame: Frame
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
        """Return colour, depth and ids (of nothing) as ``ClipFile`` keeps them."""
        depth = np.asarray(frame.depth)
        metres = depth * np.float32(0.001) if depth.dtype == np.uint16 else depth
        metres = np.nan_to_num(metres, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32)
        near = np.asarray(cv2.remap(metres, self._x, self._y, cv2.INTER_NEAREST), np.float32)
        return encoded_frame(self._colour(frame), near, np.zeros(near.shape, np.uint16))

    def _colour(self, frame: Frame) -> NDArray[np.uint8]:
        # Averaged to about the final scale first: sampling alone would alias.
        height, width = frame.colour.shape[:2]
        factor = min(self._x.shape[1] / width, self._x.shape[0] / height, 1.0)
        size = (round(width * factor), round(height * factor))
        small = cv2.resize(frame.colour, size, interpolation=cv2.INTER_AREA)
        x, y = (self._x + 0.5) * factor - 0.5, (self._y + 0.5) * factor - 0.5
        return np.asarray(cv2.remap(small, x, y, cv2.INTER_LINEAR), np.uint8)
