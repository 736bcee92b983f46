# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A camera that publishes frames of the core and loses none, whatever the node's pace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nav_msgs.msg import Odometry
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image

from ros2_spatial_ttt.ros.conversions import stamp_to_ns
from ros2_spatial_ttt.ros.frame_messages import frame_messages
from ros2_spatial_ttt.ros.messages import time_message
from ros2_spatial_ttt.ros.session import NodeSession, SessionError
from ros2_spatial_ttt.types import Frame
from spatial_ttt.msg import MemoryStatus

__all__ = ['FrameSender', 'sender_options', 'sender_parameters']

CAMERA, MAP, OPTICAL = 'sender', 'map', 'sender_optical_frame'
KINDS = {'odometry': Odometry, 'info': CameraInfo, 'depth': Image, 'colour': Image}
# Frames that may be under way: what is more, or younger, waits until the node has taken them.
UNDER_WAY, UNDER_WAY_NS = 20, 30_000_000_000
# Messages without pictures arrive long before those with one, and must not end their chunk.
GRACE_S = 60.0
DEPTH = 100
TAKEN_S = 60.0
NS = 1_000_000_000


def sender_parameters(namespace: str) -> dict[str, Any]:
    """Return the node's parameters that fit a sender of this namespace.

    The clock of the sender stands still but to end the last chunk, so no chunk ends early
    because frames come slowly: the node makes the chunks that ``SpatialMemory`` makes of them.
    """
    topics = _topics(namespace)
    quality = {'reliability': 'reliable', 'depth': DEPTH}
    return {
        'use_sim_time': True,
        'flush.period_s': 0.05,
        'flush.grace_s': GRACE_S,
        'status.period_s': 0.1,
        'sync.wait_s': 60.0,
        'queue.length': 1000,
        'cameras': [CAMERA],
        f'camera.{CAMERA}.colour_topic': topics['colour'],
        f'camera.{CAMERA}.depth_topic': topics['depth'],
        f'camera.{CAMERA}.info_topic': topics['info'],
        'pose.source': 'odometry',
        'pose.topic': topics['odometry'],
        **{
            f'qos_overrides.{topic}.subscription.{key}': value
            for topic in topics.values()
            for key, value in quality.items()
        },
    }


def sender_options(namespace: str) -> list[str]:
    """Return the words for the node that give it the sender's clock and no other."""
    return ['-r', f'/clock:=/{namespace}/clock']


def _topics(namespace: str) -> dict[str, str]:
    return {name: f'/{namespace}/{name}' for name in KINDS}


class FrameSender:
    """Publishes frames, and waits until the node has taken them in.

    Args:
        session: with a node that has ``sender_parameters`` and ``sender_options``.
        namespace: of topics and clock.

    Raises:
        SessionError: the node does not subscribe in time; likewise from every method.
    """

    def __init__(self, session: NodeSession, namespace: str) -> None:
        self._session = session
        # A profile is reliable by default.
        self._publishers = {
            name: session.node.create_publisher(KINDS[name], topic, QoSProfile(depth=DEPTH))
            for name, topic in _topics(namespace).items()
        }
        self._clock = session.node.create_publisher(Clock, f'/{namespace}/clock', 10)
        self._clock_ns = NS
        self._sent = 0
        self._taken, self._taken_ns, self._last_ns = 0, 0, 0
        publishers = [*self._publishers.values(), self._clock]
        self._wait(
            lambda _: all(publisher.get_subscription_count() for publisher in publishers),
            'subscribe camera and clock',
        )
        self._tick()

    def send(self, frame: Frame) -> None:
        """Publish a frame; wait where the node is far behind."""
        if not self._sent:
            self._taken_ns = frame.stamp_ns
        young = frame.stamp_ns - self._taken_ns > UNDER_WAY_NS
        if young or self._sent - self._taken >= UNDER_WAY:
            self._wait_for_frames()
        self._last_ns = frame.stamp_ns
        messages = frame_messages(frame, map_frame=MAP, optical_frame=OPTICAL)
        for name, message in messages.items():
            self._publishers[name].publish(message)
        self._sent += 1

    def finish(self, newest_ns: int, *, flush_ns: int) -> None:
        """Return when the node has written every frame up to ``newest_ns``.

        Args:
            newest_ns: stamp of the last frame that is accepted.
            flush_ns: time that a chunk spans at most.
        """
        self._wait_for_frames()
        self._clock_ns += flush_ns + int(NS * GRACE_S)
        self._tick()
        self._wait(
            lambda status: stamp_to_ns(status.newest_stamp) >= newest_ns, 'write its last frames'
        )

    def _wait_for_frames(self) -> None:
        self._wait(
            lambda status: status.frames_received >= self._sent and not status.queue_length,
            f'take in {self._sent} frames',
        )
        self._taken, self._taken_ns = self._sent, self._last_ns

    def _tick(self) -> None:
        """Set the node's clock, and return when it is set.

        Else frames that follow would have arrived before the clock moved, and a chunk of them
        would end early.
        """

        def is_set(status: MemoryStatus) -> bool:
            self._clock.publish(Clock(clock=time_message(self._clock_ns)))
            return stamp_to_ns(status.header.stamp) >= self._clock_ns

        self._wait(is_set, 'set its clock')

    def _wait(self, reached: Callable[[MemoryStatus], bool], what: str) -> None:
        if not self._session.wait_until(reached, timeout_s=TAKEN_S):
            raise SessionError(
                f'the node did not {what} within {TAKEN_S:g} s; its last status: '
                f'{self._session.status}'
            )
