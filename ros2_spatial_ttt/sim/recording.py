# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Writes posed RGB-D frames as a rosbag2, and the truth of a generated room beside it.

``map`` → ``camera_link`` on /tf, ``camera_link`` → ``camera_color_optical_frame`` on /tf_static;
/odom is the pose of the optical frame in ``map``. The messages of one frame share one stamp, which
is also the log time.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.geometry import (
    invert_transform,
    matrix_from_quaternion,
    quaternion_from_matrix,
)
from ros2_spatial_ttt.sim import boxes
from ros2_spatial_ttt.types import Frame

__all__ = [
    'TOPICS',
    'add_arguments',
    'run',
    'sensor_depth',
    'simulate',
    'truth_of',
    'write_recording',
]

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

_STORE = get_typestore(Stores.ROS2_JAZZY)
_TYPES = _STORE.types
_FOREVER = QosTime(9223372036, 854775807)
_BODY_T_OPTICAL = np.eye(4)
_BODY_T_OPTICAL[:3, :3] = matrix_from_quaternion((-0.5, 0.5, -0.5, 0.5))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``spatial-ttt simulate``."""
    parser.add_argument('--out', type=Path, required=True, help='folder of the new rosbag2')
    parser.add_argument('--seed', type=int, default=0, help='room, tour and pictures (default 0)')
    parser.add_argument('--frames', type=int, default=80, help='number of frames (default 80)')
    parser.add_argument(
        '--width', type=int, default=640, help='pixels (default 640); the height is 3/4 of it'
    )
    parser.add_argument(
        '--rate', type=float, default=2.0, help='frames per second of the recording (default 2)'
    )
    parser.add_argument(
        '--storage', choices=('mcap', 'sqlite3'), default='mcap', help='file format (default mcap)'
    )
    parser.add_argument('--jpeg-quality', type=int, default=80, help='1..100 (default 80)')
    parser.add_argument(
        '--overwrite', action='store_true', help='replace a recording that is already there'
    )


def run(args: argparse.Namespace) -> int:
    """Carry out ``spatial-ttt simulate``."""
    if args.frames < 1 or args.width < 32 or args.rate <= 0 or not 1 <= args.jpeg_quality <= 100:
        raise ConfigError(
            'simulate: expected --frames ≥ 1, --width ≥ 32, --rate > 0 and --jpeg-quality 1..100'
        )
    if args.out.exists() and not args.overwrite:
        raise ConfigError(f'{args.out} exists; give --overwrite to replace it')
    size_mb = simulate(
        args.out,
        seed=args.seed,
        count=args.frames,
        width=args.width,
        rate_hz=args.rate,
        storage=args.storage,
        jpeg_quality=args.jpeg_quality,
    )
    print(f'{args.out}: {args.frames} frames of room {args.seed}, {size_mb:.1f} MB')
    return 0


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
    write_recording(out, stream, storage=storage, jpeg_quality=jpeg_quality)
    (out / 'truth.json').write_text(json.dumps(truth_of(scene), indent=1) + '\n', encoding='utf-8')
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
    steps = BASELINE_M * focal_px * STEPS_PER_PIXEL
    usable = (depth_m >= DEPTH_RANGE_M[0]) & (depth_m <= DEPTH_RANGE_M[1])
    disparity = np.round(steps / np.where(usable, depth_m, 1.0))
    return np.where(usable, np.round(1000.0 * steps / disparity), 0).astype(np.uint16)


def write_recording(
    out: Path, frames: Iterable[Frame], *, storage: str = 'mcap', jpeg_quality: int = 80
) -> None:
    """Write frames as a rosbag2 folder; an older one there is replaced by the complete new one."""
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix='.recording-', dir=out.parent))
    try:
        plugin = StoragePlugin.MCAP if storage == 'mcap' else StoragePlugin.SQLITE3
        writer = Writer(work / out.name, version=9, storage_plugin=plugin)
        if storage == 'mcap':
            writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        with writer:
            _write_frames(writer, frames, jpeg_quality)
        if out.exists():
            shutil.rmtree(out)
        os.replace(work / out.name, out)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _write_frames(writer: Writer, frames: Iterable[Frame], jpeg_quality: int) -> None:
    connections = {key: _connect(writer, key) for key in TOPICS}
    for index, frame in enumerate(frames):
        for key, message in _messages(frame, first=index == 0, jpeg_quality=jpeg_quality):
            kind = TOPICS[key][1]
            writer.write(connections[key], frame.stamp_ns, _STORE.serialize_cdr(message, kind))


def _connect(writer: Writer, key: str) -> Connection:
    topic, kind = TOPICS[key]
    latched = key == 'tf_static'
    qos = Qos(
        QosHistory.KEEP_LAST,
        1 if latched else 100,
        QosReliability.RELIABLE,
        QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        _FOREVER,
        _FOREVER,
        QosLiveliness.AUTOMATIC,
        _FOREVER,
        avoid_ros_namespace_conventions=False,
    )
    return writer.add_connection(topic, kind, typestore=_STORE, offered_qos_profiles=[qos])


def _messages(frame: Frame, *, first: bool, jpeg_quality: int) -> list[tuple[str, Any]]:
    stamp_ns, map_T_optical = frame.stamp_ns, frame.map_T_camera
    messages = [
        ('tf', _tf(MAP, BODY, stamp_ns, map_T_optical @ invert_transform(_BODY_T_OPTICAL))),
        ('odom', _odometry(stamp_ns, map_T_optical)),
        ('info', _camera_info(frame)),
        ('depth', _depth(frame)),
        ('colour', _colour(frame, jpeg_quality)),
    ]
    return (
        [('tf_static', _tf(BODY, OPTICAL, stamp_ns, _BODY_T_OPTICAL))] if first else []
    ) + messages


def _header(stamp_ns: int, frame_id: str) -> Any:
    stamp = _TYPES['builtin_interfaces/msg/Time'](stamp_ns // 10**9, stamp_ns % 10**9)
    return _TYPES['std_msgs/msg/Header'](stamp, frame_id)


def _quaternion(rotation: NDArray) -> Any:
    return _TYPES['geometry_msgs/msg/Quaternion'](
        *(float(v) for v in quaternion_from_matrix(rotation))
    )


def _tf(parent: str, child: str, stamp_ns: int, parent_T_child: NDArray) -> Any:
    translation = _TYPES['geometry_msgs/msg/Vector3'](*(float(v) for v in parent_T_child[:3, 3]))
    body = _TYPES['geometry_msgs/msg/Transform'](translation, _quaternion(parent_T_child[:3, :3]))
    stamped = _TYPES['geometry_msgs/msg/TransformStamped'](_header(stamp_ns, parent), child, body)
    return _TYPES['tf2_msgs/msg/TFMessage']([stamped])


def _odometry(stamp_ns: int, map_T_optical: NDArray) -> Any:
    point = _TYPES['geometry_msgs/msg/Point'](*(float(v) for v in map_T_optical[:3, 3]))
    pose = _TYPES['geometry_msgs/msg/Pose'](point, _quaternion(map_T_optical[:3, :3]))
    still = _TYPES['geometry_msgs/msg/Vector3'](0.0, 0.0, 0.0)
    return _TYPES['nav_msgs/msg/Odometry'](
        _header(stamp_ns, MAP),
        OPTICAL,
        _TYPES['geometry_msgs/msg/PoseWithCovariance'](pose, 1e-6 * np.eye(6).ravel()),
        _TYPES['geometry_msgs/msg/TwistWithCovariance'](
            _TYPES['geometry_msgs/msg/Twist'](still, still), np.zeros(36)
        ),
    )


def _camera_info(frame: Frame) -> Any:
    camera = frame.intrinsics
    k = np.array([camera.fx, 0, camera.cx, 0, camera.fy, camera.cy, 0, 0, 1], np.float64)
    return _TYPES['sensor_msgs/msg/CameraInfo'](
        _header(frame.stamp_ns, OPTICAL),
        camera.height,
        camera.width,
        camera.model,
        np.array(camera.distortion or (0.0,) * 5, np.float64),
        k,
        np.eye(3).ravel(),
        np.hstack([k.reshape(3, 3), np.zeros((3, 1))]).ravel(),
        0,
        0,
        _TYPES['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False),
    )


def _depth(frame: Frame) -> Any:
    depth = frame.depth
    if depth is None:
        raise ConfigError('a recording needs frames with depth')
    depth_mm = depth if depth.dtype == np.uint16 else sensor_depth(depth, frame.intrinsics.fx)
    height, width = depth_mm.shape
    data = np.ascontiguousarray(depth_mm, '<u2').view(np.uint8).ravel()
    header = _header(frame.stamp_ns, OPTICAL)
    return _TYPES['sensor_msgs/msg/Image'](header, height, width, '16UC1', 0, 2 * width, data)


def _colour(frame: Frame, jpeg_quality: int) -> Any:
    bgr = np.ascontiguousarray(frame.colour[..., ::-1])
    _, data = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality])
    return _TYPES['sensor_msgs/msg/CompressedImage'](
        _header(frame.stamp_ns, OPTICAL), 'jpeg', data.ravel()
    )
