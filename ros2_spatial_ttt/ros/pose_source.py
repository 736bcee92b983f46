# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Where a camera was at a stamp: from odometry, stamped poses or tf.

Both sources give ``map_T_camera``, the optical frame (x right, y down, z forward) in the map.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.errors import BadRequest, FrameRefused, Refusal
from ros2_spatial_ttt.geometry import transform
from ros2_spatial_ttt.ros.conversions import stamp_to_ns, transform_from_pose
from ros2_spatial_ttt.ros.frames import Frames, plain_name
from ros2_spatial_ttt.ros.pose import PoseBuffer
from ros2_spatial_ttt.ros.refusals import Refusals
from ros2_spatial_ttt.ros.settings import CameraConfig, PoseConfig

__all__ = ['PoseSource', 'TfPoses', 'TopicPoses']

Array = NDArray[np.float64]


class PoseSource(Protocol):
    """What the intake asks of a source of poses."""

    def at(self, camera: CameraConfig, optical_frame: str, stamp_ns: int) -> Array | None:
        """Return (4, 4) map_T_camera at a stamp; None where it is not known (yet)."""

    def newest(self, camera: CameraConfig, optical_frame: str) -> tuple[Array, float] | None:
        """Return the newest (4, 4) map_T_camera and its age in seconds; None without one."""

    def clear(self) -> None:
        """Forget all poses, after time went back."""

    def add(self, msg: Any) -> None:
        """Take a message of the source's own topic, if it has one."""


class TfPoses:
    """Poses from /tf, interpolated by tf2."""

    def __init__(self, frames: Frames, *, now_ns: Callable[[], int]) -> None:
        self._frames = frames
        self._now_ns = now_ns

    def at(self, camera: CameraConfig, optical_frame: str, stamp_ns: int) -> Array | None:
        """Return (4, 4) map_T_camera at a stamp; None where tf does not know it (yet)."""
        try:
            return self._frames.map_T(optical_frame, stamp_ns=stamp_ns)
        except BadRequest:
            return None

    def newest(self, camera: CameraConfig, optical_frame: str) -> tuple[Array, float] | None:
        """Return the newest (4, 4) map_T_camera and its age in seconds of ROS time."""
        try:
            stamp_ns = self._frames.newest_ns(optical_frame)
            return self._frames.map_T(optical_frame), (self._now_ns() - stamp_ns) / 1e9
        except BadRequest:
            return None

    def clear(self) -> None:
        """Forget all moving transforms."""
        self._frames.clear()

    def add(self, msg: Any) -> None:
        """Do nothing: tf2 listens by itself."""


class TopicPoses:
    """Poses of a body from one topic, and the fixed mounting of each camera on it.

    Args:
        config: topic, ages and whether the body is the camera itself.
        map_frame: frame the poses must be in.
        refusals: counts poses that are not poses.
        now_ns: ROS time; ages are counted from the arrival of a pose, so that recordings with
            old stamps work.
    """

    def __init__(
        self,
        config: PoseConfig,
        *,
        map_frame: str,
        refusals: Refusals,
        now_ns: Callable[[], int],
    ) -> None:
        self._config = config
        self._map_frame = plain_name(map_frame)
        self._refusals = refusals
        self._now_ns = now_ns
        self._buffer = PoseBuffer(max_gap_s=config.max_age_s, length=config.history)
        self._arrived_ns = 0
        self._body_frame = ''
        self._lock = threading.Lock()

    def add(self, msg: Any) -> None:
        """Take a nav_msgs/Odometry or geometry_msgs/PoseStamped."""
        is_odometry = hasattr(msg, 'child_frame_id')
        frame = plain_name(msg.header.frame_id)
        if frame not in ('', self._map_frame):
            self._refusals(
                Refusal.POSE_MISSING,
                f'poses on {self._config.topic} are in frame {frame!r}, expected map_frame '
                f"{self._map_frame!r}; set map_frame to it or take pose.source 'tf'",
                about='frame',
            )
            return
        try:
            map_T_body = transform_from_pose(msg.pose.pose if is_odometry else msg.pose)
        except FrameRefused as error:
            self._refusals(error.reason, str(error))
            return
        with self._lock:
            self._body_frame = plain_name(msg.child_frame_id) if is_odometry else ''
            self._buffer.add(stamp_to_ns(msg.header.stamp), map_T_body)
            self._arrived_ns = self._now_ns()

    def at(self, camera: CameraConfig, optical_frame: str, stamp_ns: int) -> Array | None:
        """Return (4, 4) map_T_camera at a stamp; None where it is not known (yet)."""
        with self._lock:
            map_T_body = self._buffer.at(stamp_ns)
        if map_T_body is None:
            return None
        if self._is_unmounted(camera, optical_frame):
            self._refusals.log(
                Refusal.POSE_MISSING.value,
                f'the pose on {self._config.topic} is of {self._body_frame!r}, the images are of '
                f'{optical_frame!r} and no extrinsic is set; set camera.<name>.extrinsic_xyz and '
                '_xyzw, or pose.child_is_camera if it is the pose of the camera',
                about='mounting',
            )
            return None
        return map_T_body @ self._mounting(camera, optical_frame)

    def newest(self, camera: CameraConfig, optical_frame: str) -> tuple[Array, float] | None:
        """Return the newest (4, 4) map_T_camera and the seconds since it arrived."""
        with self._lock:
            newest_ns = self._buffer.newest_ns
        if not newest_ns:
            return None
        pose = self.at(camera, optical_frame, newest_ns)
        return None if pose is None else (pose, (self._now_ns() - self._arrived_ns) / 1e9)

    def clear(self) -> None:
        """Forget all poses."""
        with self._lock:
            self._buffer.clear()

    def _is_unmounted(self, camera: CameraConfig, optical_frame: str) -> bool:
        """Tell whether the pose is of another body than the camera and no mounting is given."""
        return (
            not self._config.child_is_camera
            and '' not in (self._body_frame, optical_frame)
            and self._body_frame != optical_frame
            and np.allclose(_extrinsic(camera), np.eye(4))
        )

    def _mounting(self, camera: CameraConfig, optical_frame: str) -> Array:
        is_camera = self._config.child_is_camera or self._body_frame == optical_frame != ''
        return np.eye(4) if is_camera else _extrinsic(camera)


def _extrinsic(camera: CameraConfig) -> Array:
    """Return (4, 4) body_T_camera of the parameters."""
    return transform(camera.extrinsic_xyz, camera.extrinsic_xyzw)
