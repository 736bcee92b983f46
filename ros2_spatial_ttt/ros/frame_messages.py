# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""From frames of the core to the messages that a camera driver and a localiser send."""

from __future__ import annotations

import array
from typing import Any

import numpy as np
from geometry_msgs.msg import Quaternion
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image

from ros2_spatial_ttt.geometry import message_quaternion
from ros2_spatial_ttt.ros.messages import header_message, pose_message
from ros2_spatial_ttt.types import Frame, Intrinsics

__all__ = ['frame_messages', 'image_message']

PLUMB_BOB_LENGTH = 5


def image_message(pixels: NDArray[Any], encoding: str) -> Image:
    """Return (H, W) or (H, W, C) pixels as a raw image; its header is left empty."""
    flat = np.ascontiguousarray(pixels)
    data = array.array('B', flat.tobytes())
    height, width = flat.shape[:2]
    return Image(height=height, width=width, encoding=encoding, step=flat.strides[0], data=data)


def frame_messages(frame: Frame, *, map_frame: str, optical_frame: str) -> dict[str, Any]:
    """Return 'odometry', 'info', 'depth' (where there is one) and 'colour' of a frame.

    Args:
        frame: colour, depth in mm (16UC1) or m (32FC1), calibration and pose.
        map_frame: name of the frame of its pose.
        optical_frame: name of the camera's frame; the odometry is of it.
    """
    header = header_message(frame.stamp_ns, optical_frame)
    odometry = Odometry(header=header_message(frame.stamp_ns, map_frame))
    odometry.child_frame_id = optical_frame
    odometry.pose.pose = pose_message(frame.map_T_camera)
    turn = message_quaternion(frame.map_T_camera[:3, :3])
    odometry.pose.pose.orientation = Quaternion(**dict(zip('xyzw', map(float, turn), strict=True)))
    out = {'odometry': odometry, 'info': _camera_info(frame.intrinsics)}
    if frame.depth is not None:
        millimetres = frame.depth.dtype == np.uint16
        out['depth'] = image_message(frame.depth, '16UC1' if millimetres else '32FC1')
    out['colour'] = image_message(frame.colour, 'rgb8')
    for name in out.keys() - {'odometry'}:
        out[name].header = header
    return out


def _camera_info(camera: Intrinsics) -> CameraInfo:
    message = CameraInfo(height=camera.height, width=camera.width)
    message.distortion_model = camera.model
    message.d = list(camera.distortion) or [0.0] * PLUMB_BOB_LENGTH
    message.k = [camera.fx, 0.0, camera.cx, 0.0, camera.fy, camera.cy, 0.0, 0.0, 1.0]
    message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    message.p = [
        camera.fx,
        0.0,
        camera.cx,
        0.0,
        0.0,
        camera.fy,
        camera.cy,
        0.0,
        0.0,
        0.0,
        1.0,
        0.0,
    ]
    return message
