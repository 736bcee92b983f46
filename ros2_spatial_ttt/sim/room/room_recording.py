# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Writes posed RGB-D frames as a rosbag2, and the truth of a box room beside it.

``map`` → ``camera_link`` on /tf, ``camera_link`` → ``camera_color_optical_frame`` on /tf_static;
/odom is the pose of the optical frame in ``map``. The messages of one frame share one stamp, which
is also the log time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.geometry import invert_transform, matrix_from_quaternion
from ros2_spatial_ttt.sim import ros_messages
from ros2_spatial_ttt.sim.room import boxes
from ros2_spatial_ttt.sim.ros_messages import BagWriter, staged
from ros2_spatial_ttt.sim.senses.depth_faults import quantised
from ros2_spatial_ttt.types import Frame

__all__ = ['TOPICS', 'sensor_depth', 'simulate', 'truth_of', 'write_recording']

TOPICS = {
    'tf_static': ('/tf_static', 'tf2_msgs/msg/TFMessage'),
    'tf': ('/tf', 'tf2_msgs/msg/TFMessage'),
    'odom': ('/odom', 'nav_msgs/msg/Odometry'),
    'info': ('/camera/color/camera_info', 'sensor_msgs/msg/CameraInfo'),
    'depth': ('/camera/aligned_depth_to_color/image_raw', 'sensor_msgs/msg/Image'),
    'colour': ('/camera/color/image_raw/compressed', 'sensor_msgs/msg/CompressedImage'),
}
MAP, BODY, OPTICAL = 'map', 'camera_link', 'camera_color_optical_frame'
# Stereo base times the steps per pixel of a structured-light camera; sets how coarse far depth is.
BASELINE_M, STEPS_PER_PIXEL = 0.075, 16
DEPTH_RANGE_M = (0.4, 8.0)

_BODY_T_OPTICAL = np.eye(4)
_BODY_T_OPTICAL[:3, :3] = matrix_from_quaternion((-0.5, 0.5, -0.5, 0.5))


def simulate(
    out: Path,
    *,
    seed: int,
    count: int,
    width: int = 640,
    rate_hz: float = 2.0,
    storage: str = 'mcap',
    jpeg_quality: int = 80,
) -> float:
    """Write the recording of one tour with its truth.json; return the size in MB."""
    scene = boxes.make_scene(seed)
    stream = boxes.frames(
        seed, count, width=width, height=width * 3 // 4, rate_hz=rate_hz, scene=scene
    )
    with staged(out) as folder:
        _write(folder, stream, storage, jpeg_quality)
        text = json.dumps(truth_of(scene), indent=1) + '\n'
        (folder / 'truth.json').write_text(text, encoding='utf-8')
    return sum(path.stat().st_size for path in out.iterdir()) / 1e6


def truth_of(scene: boxes.Scene) -> dict[str, Any]:
    """Return seed, room size and boxes (name, centre, size, yaw); m, rad, map frame."""
    things = [asdict(box) for box in scene.boxes]
    for thing in things:
        del thing['texture']
        thing.update({key: np.round(thing[key], 4).tolist() for key in ('centre', 'size', 'yaw')})
    return {'seed': scene.seed, 'room': np.round(scene.size, 4).tolist(), 'boxes': things}


def sensor_depth(depth_m: NDArray[np.float32], focal_px: float) -> NDArray[np.uint16]:
    """Return depth (H, W) in whole millimetres as a structured-light camera gives it.

    Disparity comes in steps, so the error grows with the distance squared; out of range is 0.
    """
    usable = (depth_m >= DEPTH_RANGE_M[0]) & (depth_m <= DEPTH_RANGE_M[1])
    stepped = quantised(np.where(usable, depth_m, 1.0), BASELINE_M * focal_px * STEPS_PER_PIXEL)
    return np.where(usable, np.round(1000.0 * stepped), 0).astype(np.uint16)


def write_recording(
    out: Path, frames: Iterable[Frame], *, storage: str = 'mcap', jpeg_quality: int = 80
) -> None:
    """Write frames as a rosbag2 folder; an older one there is replaced by the complete new one.

    Raises:
        RecordingError: the disk is full, or the folder cannot be written.
    """
    with staged(out) as folder:
        _write(folder, frames, storage, jpeg_quality)


def _write(folder: Path, frames: Iterable[Frame], storage: str, jpeg_quality: int) -> None:
    with BagWriter(folder, storage) as bag:
        for topic, kind in TOPICS.values():
            bag.declare(topic, kind)
        for index, frame in enumerate(frames):
            for key, message in _messages(frame, first=index == 0, jpeg_quality=jpeg_quality):
                bag.write(TOPICS[key][0], message, frame.stamp_ns)


def _messages(frame: Frame, *, first: bool, jpeg_quality: int) -> list[tuple[str, Any]]:
    if frame.depth is None:
        raise ConfigError('a recording needs frames with depth')
    depth, lens, pose = frame.depth, frame.intrinsics, frame.map_T_camera
    depth_mm = depth if depth.dtype == np.uint16 else sensor_depth(depth, lens.fx)
    map_T_body, stamp_ns = pose @ invert_transform(_BODY_T_OPTICAL), frame.stamp_ns
    fixed = ros_messages.tf(stamp_ns, [(BODY, OPTICAL, _BODY_T_OPTICAL)])
    messages = [
        ('tf', ros_messages.tf(stamp_ns, [(MAP, BODY, map_T_body)])),
        ('odom', ros_messages.odometry(stamp_ns, MAP, OPTICAL, pose)),
        ('info', ros_messages.camera_info(stamp_ns, OPTICAL, lens)),
        ('depth', ros_messages.depth_image(stamp_ns, OPTICAL, depth_mm)),
        ('colour', ros_messages.jpeg_image(stamp_ns, OPTICAL, frame.colour, jpeg_quality)),
    ]
    return ([('tf_static', fixed)] if first else []) + messages
