# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Named frames: the memory's own, and every other one through tf2 where it is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.errors import BadRequest, ConfigError
from ros2_spatial_ttt.ros.conversions import transform_from_transform

__all__ = ['Frames', 'plain_name']


def plain_name(frame_id: str) -> str:
    """Return a frame name without the leading slash of ROS 1."""
    return frame_id.lstrip('/')


class Frames:
    """Looks up transforms between named frames.

    Args:
        node: the ROS node that listens to /tf.
        map_frame: fixed frame of the memory; '' in a lookup means this one.
        follow: listen to /tf at all.
        required: raise where tf2_ros is not installed, instead of knowing the map frame only.

    Raises:
        ConfigError: tf2_ros is required and not installed.
    """

    def __init__(self, node: Any, *, map_frame: str, follow: bool, required: bool) -> None:
        self.map_frame = map_frame
        self._tf2: Any = None
        self._buffer: Any = None
        self._listener: Any = None
        self._unknown = 'tf_requests is false, so only that frame is known'
        if not (follow or required):
            return
        try:
            import tf2_ros
        except ImportError as error:
            self._unknown = 'tf2_ros is not installed, so only that frame is known'
            if required:
                raise ConfigError(
                    f"pose.source is 'tf' but tf2_ros cannot be imported ({error}); install "
                    'ros-<distro>-tf2-ros-py and source ROS, or set pose.source to '
                    "'odometry' or 'pose_stamped'"
                ) from error
            return
        self._tf2 = tf2_ros
        self._buffer = tf2_ros.Buffer()
        self._listener = tf2_ros.TransformListener(self._buffer, node)

    def close(self) -> None:
        """Stop listening to /tf."""
        if self._listener is not None:
            self._listener.unregister()
            self._listener = self._buffer = None

    def clear(self) -> None:
        """Forget every moving transform, after time went back."""
        if self._buffer is not None:
            self._buffer.clear()

    def map_T(self, frame_id: str, *, stamp_ns: int = 0) -> NDArray[np.float64]:  # noqa: N802
        """Return the (4, 4) transform of a frame to the map frame.

        Args:
            frame_id: name of the frame; '' is the map frame.
            stamp_ns: when; 0 for the newest.

        Raises:
            BadRequest: the frame is not known, or not at that time; the message says why.
        """
        name = plain_name(frame_id)
        if name in ('', plain_name(self.map_frame)):
            return np.eye(4)
        if self._buffer is None:
            raise BadRequest(
                f'frame {name!r} is not known: expected {self.map_frame!r} or an empty name; '
                f'{self._unknown}'
            )
        return transform_from_transform(self._lookup(name, stamp_ns).transform)

    def newest_ns(self, frame_id: str) -> int:
        """Return the stamp of the newest transform to the map frame; BadRequest without one."""
        if self._buffer is None:
            raise BadRequest(f'frame {frame_id!r} is not known: {self._unknown}')
        stamp = self._lookup(plain_name(frame_id), 0).header.stamp
        return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)

    def _lookup(self, name: str, stamp_ns: int) -> Any:
        from rclpy.clock import ClockType
        from rclpy.time import Time

        when = Time(nanoseconds=stamp_ns, clock_type=ClockType.ROS_TIME)
        try:
            return self._buffer.lookup_transform(plain_name(self.map_frame), name, when)
        except self._tf2.TransformException as error:
            raise BadRequest(
                f'no transform from {name!r} to {self.map_frame!r}: {error}; name a frame that '
                'is on /tf, or leave it empty'
            ) from error
