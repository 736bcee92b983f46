# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""From camera topics to frames: callbacks convert, pair and enqueue, nothing more."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from ros2_spatial_ttt.errors import FrameRefused, Refusal
from ros2_spatial_ttt.ros import conversions
from ros2_spatial_ttt.ros.frames import plain_name
from ros2_spatial_ttt.ros.pose_source import PoseSource
from ros2_spatial_ttt.ros.qos import OVERRIDABLE, SENSOR
from ros2_spatial_ttt.ros.refusals import Refusals
from ros2_spatial_ttt.ros.settings import Settings
from ros2_spatial_ttt.ros.sync import FrameAssembler
from ros2_spatial_ttt.types import Frame, Intrinsics

__all__ = ['Intake']


class _Camera:
    """One camera while the node is configured."""

    def __init__(
        self, name: str, settings: Settings, *, poses: PoseSource, refusals: Refusals
    ) -> None:
        self.name = name
        self.config = settings.cameras[name]
        self.optical_frame = plain_name(self.config.frame_id)
        self._poses = poses
        self.assembler = FrameAssembler(
            name,
            tolerance_s=settings.node.sync.tolerance_s,
            wait_s=settings.node.sync.wait_s,
            use_depth=bool(self.config.depth_topic),
            pose_at=self._pose_at,
            refuse=refusals,
        )

    def newest_pose(self) -> tuple[NDArray[np.float64], float] | None:
        """Return the newest (4, 4) map_T_camera and its age in seconds, or None."""
        return self._poses.newest(self.config, self.optical_frame)

    def _pose_at(self, stamp_ns: int) -> NDArray[np.float64] | None:
        return self._poses.at(self.config, self.optical_frame, stamp_ns)


class Intake:
    """Subscribes the cameras between ``start`` and ``stop`` and hands on complete frames.

    Args:
        node: the ROS node.
        settings: cameras, pairing and when a step back in time is a jump.
        poses: where the cameras are.
        refusals: counts and logs what cannot be used.
        put: takes every complete frame.
    """

    def __init__(
        self,
        node: Any,
        settings: Settings,
        *,
        poses: PoseSource,
        refusals: Refusals,
        put: Callable[[Frame], None],
    ) -> None:
        self._node = node
        self._poses = poses
        self._refusals = refusals
        self._put = put
        self._jump_ns = int(settings.node.memory.gate.time_jump_s * 1e9)
        self._subscriptions: list[Any] = []
        # Topics are converted side by side and then take turns here.
        self._lock = threading.RLock()
        self._jumped = False
        self._newest_of: dict[str, int] = {}
        self._newest_ns = 0
        self._newest_arrival_ns = 0
        self._cameras = [
            _Camera(name, settings, poses=poses, refusals=refusals) for name in settings.cameras
        ]

    def start(self) -> None:
        """Subscribe all cameras, or none where one cannot be."""
        try:
            self._subscribe_all()
        except Exception:
            self.stop()
            raise

    def stop(self) -> None:
        """Drop the subscriptions and what waits for its other half."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        with self._lock:
            for camera in self._cameras:
                camera.assembler.clear(reason=Refusal.INACTIVE)

    def clear(self) -> None:
        """Forget what waits to be paired and all poses, after time went back."""
        with self._lock:
            self._newest_of.clear()
            self._newest_ns = self._newest_arrival_ns = 0
            self._poses.clear()
            for camera in self._cameras:
                camera.assembler.clear()

    def note_jump(self) -> None:
        """Have everything cleared before the next message; safe in a clock's jump callback."""
        self._jumped = True

    def add_pose(self, msg: Any) -> None:
        """Take a pose message of a topic source; frames that waited for it are handed on."""
        with self._lock:
            self._note_time('pose', conversions.stamp_to_ns(msg.header.stamp))
            self._poses.add(msg)
            self.poll()

    def poll(self) -> None:
        """Hand on frames that became complete; called when a pose came and from a timer."""
        with self._lock:
            for camera in self._cameras:
                self._hand_on(camera)

    def now_ns(self) -> int:
        """Return the time in the stamps of the images; 0 before the first one.

        It is the newest stamp plus the ROS time since that message came, so that cameras with
        a clock of their own and recordings without /clock are flushed in time, too.
        """
        with self._lock:
            if not self._newest_ns:
                return 0
            return self._newest_ns + max(0, self._ros_now_ns() - self._newest_arrival_ns)

    def newest_pose(self) -> tuple[NDArray[np.float64], float] | None:
        """Return (4, 4) map_T_camera of the first camera now and its age in seconds, or None."""
        return self._cameras[0].newest_pose()

    def intrinsics_of(self, optical_frame: str) -> Intrinsics | None:
        """Return the newest intrinsics of the camera with an optical frame; '' = the first one."""
        for camera in self._cameras:
            if not optical_frame or camera.optical_frame == optical_frame:
                return camera.assembler.intrinsics
        return None

    def _subscribe_all(self) -> None:
        for camera in self._cameras:
            config = camera.config
            self._subscribe(camera, CameraInfo, config.info_topic, self._on_info)
            colour = (config.colour_topic, config.transport)
            self._subscribe(camera, *_image_topic(*colour), self._on_colour)
            if config.depth_topic:
                depth = (config.depth_topic, config.depth_transport)
                self._subscribe(camera, *_image_topic(*depth), self._on_depth)

    def _subscribe(self, camera: _Camera, kind: type, topic: str, take: Callable) -> None:
        self._subscriptions.append(
            self._node.create_subscription(
                kind,
                topic,
                partial(self._guarded, camera, topic, take),
                SENSOR,
                # Of its own: each topic keeps its order and none waits for another.
                callback_group=MutuallyExclusiveCallbackGroup(),
                qos_overriding_options=OVERRIDABLE,
            )
        )

    def _guarded(self, camera: _Camera, topic: str, take: Callable, msg: Any) -> None:
        stamp_ns = conversions.stamp_to_ns(msg.header.stamp)
        try:
            add = take(camera, msg, stamp_ns)
        except FrameRefused as error:
            self._refusals(error.reason, f'{camera.name}: {error}')
            return
        with self._lock:
            self._note_time(topic, stamp_ns)
            add()
            self._hand_on(camera)

    def _note_time(self, topic: str, stamp_ns: int) -> None:
        """Notice time that went back; topics may be apart, each by itself goes forward."""
        if self._jumped:
            self._jumped = False
            self.clear()
        newest_ns = self._newest_of.get(topic, stamp_ns)
        if stamp_ns < newest_ns - self._jump_ns:
            back_s = (newest_ns - stamp_ns) / 1e9
            self._node.get_logger().warning(f'stamps on {topic} went back by {back_s:.3f} s')
            self.clear()
            newest_ns = stamp_ns
        self._newest_of[topic] = max(stamp_ns, newest_ns)
        if stamp_ns > self._newest_ns:
            self._newest_ns, self._newest_arrival_ns = stamp_ns, self._ros_now_ns()

    def _on_info(self, camera: _Camera, msg: Any, _stamp_ns: int) -> Callable[[], None]:
        intrinsics = conversions.intrinsics_from_message(msg)
        return partial(camera.assembler.set_intrinsics, intrinsics)

    def _on_colour(self, camera: _Camera, msg: Any, stamp_ns: int) -> Callable[[], None]:
        if not camera.config.frame_id:
            camera.optical_frame = plain_name(msg.header.frame_id)
        rgb = conversions.colour_from_message(msg)
        return partial(camera.assembler.add_colour, stamp_ns, rgb)

    def _on_depth(self, camera: _Camera, msg: Any, stamp_ns: int) -> Callable[[], None]:
        depth = conversions.depth_from_message(msg)
        return partial(camera.assembler.add_depth, stamp_ns, depth)

    def _hand_on(self, camera: _Camera) -> None:
        for frame in camera.assembler.ready():
            self._put(frame)

    def _ros_now_ns(self) -> int:
        return self._node.get_clock().now().nanoseconds


def _image_topic(topic: str, transport: str) -> tuple[type, str]:
    """Return the message type and the topic of an image_transport."""
    return (Image, topic) if transport == 'raw' else (CompressedImage, f'{topic}/{transport}')
