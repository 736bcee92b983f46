# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Messages of recordings, and a writer of rosbag2 folders that never leaves half of one behind."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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

from ros2_spatial_ttt.errors import SpatialTTTError
from ros2_spatial_ttt.geometry import quaternion_from_matrix
from ros2_spatial_ttt.types import Intrinsics

__all__ = [
    'RecordingError',
    'BagWriter',
    'camera_info',
    'depth_image',
    'jpeg_image',
    'odometry',
    'staged',
    'tf',
]

Array = NDArray[np.float64]

_STORE = get_typestore(Stores.ROS2_JAZZY)
_TYPES = _STORE.types
_FOREVER = QosTime(9223372036, 854775807)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
LATCHED = '/tf_static'


class RecordingError(SpatialTTTError):
    """A recording cannot be written: disk full, no permission, a bad path."""


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """Give a path to build a folder at; it takes the place of ``out`` when all went well.

    Whatever ends the work early, ``out`` stays as it was and nothing else is left.

    Raises:
        RecordingError: the disk is full, or the folder cannot be written.
    """
    work: Path | None = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix='.recording-', dir=out.parent))
        yield work / out.name
        if out.exists():
            shutil.rmtree(out)
        os.replace(work / out.name, out)
    except OSError as error:
        if error.errno in _FULL:
            advice = 'free some space, or give fewer minutes, a lower rate or a smaller size'
            raise RecordingError(
                f'{out}: no room left for the recording ({error.strerror}); nothing was kept; '
                f'{advice}'
            ) from error
        raise RecordingError(
            f'{out}: cannot be written ({error}); nothing was kept; choose another --out'
        ) from error
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)


class BagWriter:
    """A rosbag2 being written; a context manager.

    Args:
        folder: that does not exist yet.
        storage: 'mcap' (compressed with zstd) or 'sqlite3'.
    """

    def __init__(self, folder: Path, storage: str = 'mcap') -> None:
        plugin = StoragePlugin.MCAP if storage == 'mcap' else StoragePlugin.SQLITE3
        self._writer = Writer(folder, version=9, storage_plugin=plugin)
        if storage == 'mcap':
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        self._connections: dict[str, Connection] = {}

    def __enter__(self) -> BagWriter:
        self._writer.open()
        return self

    def __exit__(self, *exception: object) -> None:
        self._writer.close()

    def write(self, topic: str, message: Any, stamp_ns: int) -> None:
        """Write a message; its topic is declared with the first one."""
        kind = message.__msgtype__
        if topic not in self._connections:
            self.declare(topic, kind)
        self._writer.write(self._connections[topic], stamp_ns, _STORE.serialize_cdr(message, kind))

    def declare(self, topic: str, kind: str) -> None:
        """Add a topic of a type, such as 'sensor_msgs/msg/Image'."""
        latched = topic == LATCHED
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
        self._connections[topic] = self._writer.add_connection(
            topic, kind, typestore=_STORE, offered_qos_profiles=[qos]
        )


def tf(stamp_ns: int, edges: Sequence[tuple[str, str, Array]]) -> Any:
    """Return a TFMessage of edges (parent, child, parent_T_child (4, 4))."""
    stamped = [
        _TYPES['geometry_msgs/msg/TransformStamped'](
            _header(stamp_ns, parent),
            child,
            _TYPES['geometry_msgs/msg/Transform'](
                _vector(parent_T_child[:3, 3]), _quaternion(parent_T_child[:3, :3])
            ),
        )
        for parent, child, parent_T_child in edges
    ]
    return _TYPES['tf2_msgs/msg/TFMessage'](stamped)


def odometry(
    stamp_ns: int,
    parent: str,
    child: str,
    parent_T_child: Array,
    *,
    variance: Sequence[float] = (1e-6,) * 6,
    twist: Sequence[float] = (0.0,) * 6,
) -> Any:
    """Return an Odometry message.

    Args:
        stamp_ns: of the pose.
        parent: fixed frame.
        child: frame of the robot.
        parent_T_child: (4, 4).
        variance: of x, y, z in m² and of the turns about them in rad².
        twist: velocity along and about the axes of the child, m/s and rad/s.
    """
    point = _TYPES['geometry_msgs/msg/Point'](*(float(v) for v in parent_T_child[:3, 3]))
    pose = _TYPES['geometry_msgs/msg/Pose'](point, _quaternion(parent_T_child[:3, :3]))
    covariance = np.diag(np.asarray(variance, np.float64)).ravel()
    return _TYPES['nav_msgs/msg/Odometry'](
        _header(stamp_ns, parent),
        child,
        _TYPES['geometry_msgs/msg/PoseWithCovariance'](pose, covariance),
        _TYPES['geometry_msgs/msg/TwistWithCovariance'](
            _TYPES['geometry_msgs/msg/Twist'](_vector(twist[:3]), _vector(twist[3:])), np.zeros(36)
        ),
    )


def camera_info(stamp_ns: int, frame_id: str, camera: Intrinsics) -> Any:
    """Return a CameraInfo message."""
    k = np.array([camera.fx, 0, camera.cx, 0, camera.fy, camera.cy, 0, 0, 1], np.float64)
    return _TYPES['sensor_msgs/msg/CameraInfo'](
        _header(stamp_ns, frame_id),
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


def depth_image(stamp_ns: int, frame_id: str, depth_mm: NDArray[np.uint16]) -> Any:
    """Return an Image '16UC1' of depth (H, W) in millimetres."""
    height, width = depth_mm.shape
    data = np.ascontiguousarray(depth_mm, '<u2').view(np.uint8).ravel()
    return _TYPES['sensor_msgs/msg/Image'](
        _header(stamp_ns, frame_id), height, width, '16UC1', 0, 2 * width, data
    )


def jpeg_image(stamp_ns: int, frame_id: str, colour: NDArray[np.uint8], quality: int) -> Any:
    """Return a CompressedImage of a picture (H, W, 3) RGB."""
    bgr = np.ascontiguousarray(colour[..., ::-1])
    _, data = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return _TYPES['sensor_msgs/msg/CompressedImage'](
        _header(stamp_ns, frame_id), 'jpeg', data.ravel()
    )


def _header(stamp_ns: int, frame_id: str) -> Any:
    stamp = _TYPES['builtin_interfaces/msg/Time'](stamp_ns // 10**9, stamp_ns % 10**9)
    return _TYPES['std_msgs/msg/Header'](stamp, frame_id)


def _vector(values: Sequence[float]) -> Any:
    return _TYPES['geometry_msgs/msg/Vector3'](*(float(v) for v in values))


def _quaternion(rotation: Array) -> Any:
    return _TYPES['geometry_msgs/msg/Quaternion'](
        *(float(v) for v in quaternion_from_matrix(rotation))
    )
