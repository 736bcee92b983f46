# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A camera as a process: publishes stored frames at a fixed rate over DDS.

python -m ros2_spatial_ttt.bench.publisher FRAMES.npz --rate 30 --seconds 30

Prints one line of JSON at the end: {"published": …, "late": …, "seconds": …}.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import Point, Pose, Quaternion
from nav_msgs.msg import Odometry
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image

from ros2_spatial_ttt.geometry import quaternion_from_matrix
from ros2_spatial_ttt.ros.frame_messages import image_message
from ros2_spatial_ttt.types import Frame

__all__ = ['TOPICS', 'main', 'store_frames']

TOPICS = {
    'colour': '/bench/color/image_raw',
    'depth': '/bench/depth/image_raw',
    'info': '/bench/color/camera_info',
    'odom': '/bench/odom',
}
OPTICAL = 'bench_optical_frame'
WAIT_S = 20.0


def store_frames(frames: list[Frame], path: Path) -> None:
    """Write frames (uint16 depth, one pinhole camera) as the .npz file that ``main`` reads."""
    camera = frames[0].intrinsics
    np.savez(
        path,
        colour=np.stack([frame.colour for frame in frames]),
        depth=np.stack([frame.depth for frame in frames]),
        map_T_camera=np.stack([frame.map_T_camera for frame in frames]),
        intrinsics=np.array([camera.fx, camera.fy, camera.cx, camera.cy]),
        distortion=np.array(camera.distortion, dtype=np.float64),
        model=np.array(camera.model),
    )


def main(argv: list[str] | None = None) -> int:
    """Publish until the time is over; 1 when nobody subscribed."""
    parser = argparse.ArgumentParser(description='publish stored frames at a fixed rate')
    parser.add_argument('frames', type=Path)
    parser.add_argument('--rate', type=float, default=30.0)
    parser.add_argument('--seconds', type=float, default=30.0)
    arguments = parser.parse_args(argv)
    messages = _load(arguments.frames)
    rclpy.init()
    node = rclpy.create_node('bench_camera')
    try:
        publishers = _publishers(node)
        if not _subscribed(publishers):
            print(f'no subscriber on {TOPICS["colour"]} within {WAIT_S:g} s', file=sys.stderr)
            return 1
        print(json.dumps(_publish(node, publishers, messages, arguments)), flush=True)
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _publishers(node: Any) -> dict[str, Any]:
    # As most camera drivers offer it; what a subscriber asks for decides.
    offered = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
    kinds = {'colour': Image, 'depth': Image, 'info': CameraInfo, 'odom': Odometry}
    return {key: node.create_publisher(kind, TOPICS[key], offered) for key, kind in kinds.items()}


def _subscribed(publishers: dict[str, Any]) -> bool:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if all(publisher.get_subscription_count() for publisher in publishers.values()):
            return True
        time.sleep(0.05)
    return False


def _publish(
    node: Any,
    publishers: dict[str, Any],
    messages: list[dict[str, Any]],
    arguments: argparse.Namespace,
) -> dict[str, float]:
    """Publish round and round; a frame whose time has passed by a whole period is late."""
    period_s = 1.0 / arguments.rate
    start = time.monotonic()
    start_ns = node.get_clock().now().nanoseconds
    count = late = 0
    while (due := start + count * period_s) < start + arguments.seconds:
        wait_s = due - time.monotonic()
        late += wait_s < -period_s
        time.sleep(max(0.0, wait_s))
        # The camera's own clock is regular, also when this process is late.
        stamp = Time(nanoseconds=start_ns + round(1e9 * count * period_s)).to_msg()
        for key, message in messages[count % len(messages)].items():
            message.header.stamp = stamp
            publishers[key].publish(message)
        count += 1
    return {'published': count, 'late': late, 'seconds': time.monotonic() - start}


def _load(path: Path) -> list[dict[str, Any]]:
    with np.load(path, allow_pickle=False) as stored:
        info = _info(stored)
        views = zip(stored['colour'], stored['depth'], stored['map_T_camera'], strict=True)
        return [
            {
                'odom': _odometry(map_T_camera),
                'info': info,
                'depth': _image(depth, '16UC1'),
                'colour': _image(colour, 'rgb8'),
            }
            for colour, depth, map_T_camera in views
        ]


def _image(pixels: np.ndarray, encoding: str) -> Image:
    message = image_message(pixels, encoding)
    message.header.frame_id = OPTICAL
    return message


def _info(stored: Any) -> CameraInfo:
    fx, fy, cx, cy = (float(value) for value in stored['intrinsics'])
    height, width = stored['depth'].shape[1:]
    message = CameraInfo(height=height, width=width, distortion_model=str(stored['model']))
    message.header.frame_id = OPTICAL
    message.d = [float(value) for value in stored['distortion']]
    message.k = [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]
    message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    message.p = [fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    return message


def _odometry(map_T_camera: np.ndarray) -> Odometry:
    x, y, z = (float(value) for value in map_T_camera[:3, 3])
    qx, qy, qz, qw = (float(value) for value in quaternion_from_matrix(map_T_camera[:3, :3]))
    message = Odometry(child_frame_id=OPTICAL)
    message.header.frame_id = 'map'
    message.pose.pose = Pose(
        position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw)
    )
    return message


if __name__ == '__main__':
    sys.exit(main())
