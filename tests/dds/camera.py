# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A camera with depth and odometry that publishes over DDS whatever a test wants it to."""

from __future__ import annotations

import array
import time

import numpy as np
from patience import until

NS = 1_000_000_000


class Camera:
    """Publishes the messages of an RGB-D camera and of its odometry, with stamps of its own."""

    def __init__(self, peer, namespace, name):
        from geometry_msgs.msg import PoseStamped
        from nav_msgs.msg import Odometry
        from rclpy.qos import QoSProfile
        from sensor_msgs.msg import CameraInfo, CompressedImage, Image

        self.optical_frame = f'{name}_optical'
        profile = QoSProfile(depth=50)

        def publish(kind, topic):
            return peer.node.create_publisher(kind, f'/{namespace}/{topic}', profile)

        self._colour = publish(Image, f'{name}/colour')
        self._compressed = publish(CompressedImage, f'{name}/colour/compressed')
        self._depth = publish(Image, f'{name}/depth')
        self._info = publish(CameraInfo, f'{name}/info')
        self._odometry = publish(Odometry, 'odom')
        self._pose = publish(PoseStamped, 'pose')

    def connected(self, *, compressed=False, pose=False, depth=True):
        """Wait until the node hears this camera."""
        heard = [self._info, self._compressed if compressed else self._colour]
        heard += [self._depth] if depth else []
        heard += [self._pose if pose else self._odometry]
        until(
            lambda: all(publisher.get_subscription_count() for publisher in heard),
            what=f'the node hears {self.optical_frame}',
        )
        # A publisher knows of a match before the subscription does.
        time.sleep(0.2)

    def header(self, stamp_ns, frame_id=None):
        from std_msgs.msg import Header

        header = Header(frame_id=self.optical_frame if frame_id is None else frame_id)
        header.stamp.sec, header.stamp.nanosec = divmod(int(stamp_ns), NS)
        return header

    def image(self, stamp_ns, pixels, encoding):
        from sensor_msgs.msg import Image

        pixels = np.ascontiguousarray(pixels)
        return Image(
            header=self.header(stamp_ns),
            height=pixels.shape[0],
            width=pixels.shape[1],
            encoding=encoding,
            step=pixels.strides[0],
            data=array.array('B', pixels.tobytes()),
        )

    def colour(self, stamp_ns, rgb):
        self._colour.publish(self.image(stamp_ns, rgb, 'rgb8'))

    def depth(self, stamp_ns, depth_m):
        self._depth.publish(self.image(stamp_ns, depth_m.astype('<f4'), '32FC1'))

    def depth_mm(self, stamp_ns, depth_m):
        self._depth.publish(self.image(stamp_ns, (depth_m * 1e3).astype('<u2'), '16UC1'))

    def compressed(self, stamp_ns, rgb=None, *, data=None):
        import cv2
        from sensor_msgs.msg import CompressedImage

        if data is None:
            data = cv2.imencode('.jpg', rgb[..., ::-1])[1].tobytes()
        message = CompressedImage(
            header=self.header(stamp_ns), format='rgb8; jpeg compressed bgr8'
        )
        message.data = array.array('B', data)
        self._compressed.publish(message)

    def info(self, stamp_ns, intrinsics, *, k=None):
        from sensor_msgs.msg import CameraInfo

        i = intrinsics
        message = CameraInfo(header=self.header(stamp_ns), width=i.width, height=i.height)
        message.distortion_model, message.d = 'plumb_bob', [0.0] * 5
        message.k = [i.fx, 0.0, i.cx, 0.0, i.fy, i.cy, 0.0, 0.0, 1.0] if k is None else k
        message.r = list(np.eye(3).ravel())
        message.p = [i.fx, 0.0, i.cx, 0.0, 0.0, i.fy, i.cy, 0.0, 0.0, 0.0, 1.0, 0.0]
        self._info.publish(message)

    def odometry(self, stamp_ns, map_T_camera, *, quaternion=None, frame_id='map', child=None):
        from nav_msgs.msg import Odometry

        message = Odometry(header=self.header(stamp_ns, frame_id))
        message.child_frame_id = self.optical_frame if child is None else child
        fill_pose(message.pose.pose, map_T_camera, quaternion)
        self._odometry.publish(message)

    def pose(self, stamp_ns, map_T_camera):
        from geometry_msgs.msg import PoseStamped

        message = PoseStamped(header=self.header(stamp_ns, 'map'))
        fill_pose(message.pose, map_T_camera, None)
        self._pose.publish(message)

    def send(self, frame, *, stamp_ns=None):
        """Publish a whole frame: odometry, calibration, 32FC1 depth and raw colour."""
        stamp_ns = frame.stamp_ns if stamp_ns is None else stamp_ns
        self.odometry(stamp_ns, frame.map_T_camera)
        self.info(stamp_ns, frame.intrinsics)
        self.depth(stamp_ns, frame.depth)
        self.colour(stamp_ns, frame.colour)


def fill_pose(pose, a_T_b, quaternion=None):
    """Write a (4, 4) transform into a geometry_msgs/Pose."""
    from ros2_spatial_ttt.geometry import quaternion_from_matrix

    q = quaternion_from_matrix(a_T_b[:3, :3]) if quaternion is None else quaternion
    pose.position.x, pose.position.y, pose.position.z = map(float, a_T_b[:3, 3])
    turn = pose.orientation
    turn.x, turn.y, turn.z, turn.w = map(float, q)
