# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Plays a recording over DDS with /clock: ``spatial-ttt replay --bag DIR --publish``."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import sys
import time
from collections.abc import Callable, Collection
from typing import Any

import rclpy
from rclpy.duration import Duration
from rclpy.qos import (
    QoSDurabilityPolicy,
    QoSHistoryPolicy,
    QoSProfile,
    QoSReliabilityPolicy,
)
from rosbags.interfaces import Connection, QosDurability, QosReliability
from rosgraph_msgs.msg import Clock
from tqdm import tqdm

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.replay import options
from ros2_spatial_ttt.replay.bag import Bag, BagError
from ros2_spatial_ttt.ros.conversions import ns_to_sec_nanosec

__all__ = ['Player', 'run']

# Enough for the frames that a slow reader has not yet taken; a bag's own depth may be smaller.
LEAST_DEPTH = 50
CLOCK_PERIOD_S = 0.02
SETTLE_S = 0.5
ACKNOWLEDGE_S = 10.0


class Player:
    """Publishes the messages of a recording in their order and at their pace.

    Args:
        bag: an open recording.
        node: ROS node that owns the publishers.
        warn: told once which topics cannot be played.
    """

    def __init__(self, bag: Bag, node: Any, *, warn: Callable[[str], None]) -> None:
        self._bag, self._node = bag, node
        self._clock = node.create_publisher(Clock, '/clock', 10)
        self._publishers: dict[str, Any] = {}
        self._clock_ns = 0
        skipped = []
        for connection in bag.connections:
            kind = _message_class(connection.msgtype)
            if kind is None:
                skipped.append(f'{connection.topic} ({connection.msgtype})')
            elif connection.topic not in self._publishers:
                publisher = node.create_publisher(kind, connection.topic, _offered_qos(connection))
                self._publishers[connection.topic] = publisher
        if skipped:
            warn(f'not played, their message packages are not installed: {", ".join(skipped)}')
        if not self._publishers:
            raise BagError(f'{bag.path}: no message type of this recording is installed')

    def wait_for_subscribers(self, timeout_s: float, *, topics: Collection[str] = ()) -> bool:
        """Return whether every topic of ``topics`` (or any at all) is subscribed in time.

        Without names it also waits until no subscription was added for a while, so that a node
        that subscribes several topics has them all.
        """
        deadline = time.monotonic() + timeout_s
        known, since = -1, time.monotonic()
        while time.monotonic() < deadline:
            counts = {topic: p.get_subscription_count() for topic, p in self._publishers.items()}
            if topics and all(counts.get(topic, 0) for topic in topics):
                return True
            total = sum(counts.values())
            if total != known:
                known, since = total, time.monotonic()
            if not topics and known and time.monotonic() - since > SETTLE_S:
                return True
            time.sleep(0.02)
        return False

    def play(self, *, rate: float = 1.0, progress: bool = True) -> int:
        """Publish everything once; return the number of messages.

        Args:
            rate: 2 is twice as fast as recorded.
            progress: show a bar.
        """
        topics = set(self._publishers)
        total = sum(c.msgcount for c in self._bag.connections if c.topic in topics)
        first_ns, start, count = None, time.monotonic(), 0
        with tqdm(
            total=total, unit='msg', desc='playing', disable=None if progress else True
        ) as bar:
            for connection, log_ns, data in self._bag.raw_messages(topics):
                if first_ns is None:
                    first_ns = log_ns
                self._run_clock(first_ns, log_ns, start, rate)
                self._publishers[connection.topic].publish(bytes(data))
                count += 1
                bar.update()
        for publisher in self._publishers.values():
            publisher.wait_for_all_acked(Duration(seconds=ACKNOWLEDGE_S))
        return count

    def _run_clock(self, first_ns: int, until_ns: int, start: float, rate: float) -> None:
        """Publish /clock until recorded time ``until_ns`` is due."""
        while True:
            now_ns = first_ns + int((time.monotonic() - start) * rate * 1e9)
            reached = now_ns >= until_ns
            self._publish_clock(min(now_ns, until_ns))
            if reached:
                return
            time.sleep(min(CLOCK_PERIOD_S, (until_ns - now_ns) / rate / 1e9))

    def run_clock(self, reached: Callable[[], bool], *, rate: float, timeout_s: float) -> bool:
        """Let /clock run on, ``rate`` times as fast as time, until ``reached`` or out of time."""
        first_ns, start = self._clock_ns, time.monotonic()
        while not (done := reached()) and time.monotonic() < start + timeout_s:
            time.sleep(CLOCK_PERIOD_S)
            self._publish_clock(first_ns + int((time.monotonic() - start) * rate * 1e9))
        return done

    def _publish_clock(self, stamp_ns: int) -> None:
        self._clock_ns = stamp_ns
        message = Clock()
        message.clock.sec, message.clock.nanosec = ns_to_sec_nanosec(stamp_ns)
        self._clock.publish(message)


def run(args: argparse.Namespace) -> int:
    """Carry out ``spatial-ttt replay --publish``."""
    if args.rate <= 0:
        raise ConfigError(f'--rate: expected more than 0, got {args.rate}')
    settings = options.settings(args)
    with (
        Bag(args.bag, options.bag_options(args, settings)) as bag,
        contextlib.ExitStack() as stack,
    ):
        rclpy.init()
        stack.callback(rclpy.try_shutdown)
        node = rclpy.create_node('spatial_ttt_player')
        stack.callback(node.destroy_node)
        player = Player(bag, node, warn=_warn)
        if not player.wait_for_subscribers(args.wait):
            _warn(f'nobody subscribed within {args.wait:g} s; playing all the same')
        for _ in range(args.loop):
            count = player.play(rate=args.rate)
    print(f'played {count} messages of {args.bag}, {args.loop} time(s), at {args.rate:g} × speed')
    return 0


def _warn(sentence: str) -> None:
    print(f'spatial-ttt replay: {sentence}', file=sys.stderr)


def _message_class(msgtype: str) -> Any:
    """Return the class of 'package/msg/Name', or None where its package is not installed."""
    package, _, name = msgtype.partition('/msg/')
    try:
        return getattr(importlib.import_module(f'{package}.msg'), name)
    except (ImportError, AttributeError):
        return None


def _offered_qos(connection: Connection) -> QoSProfile:
    """Return the QoS that the recorded publisher offered; reliable where the bag does not say."""
    profiles = getattr(connection.ext, 'offered_qos_profiles', [])
    best_effort = any(p.reliability == QosReliability.BEST_EFFORT for p in profiles)
    latched = any(p.durability == QosDurability.TRANSIENT_LOCAL for p in profiles)
    return QoSProfile(
        history=QoSHistoryPolicy.KEEP_LAST,
        depth=max([LEAST_DEPTH, *(int(p.depth) for p in profiles)]),
        reliability=QoSReliabilityPolicy.BEST_EFFORT
        if best_effort
        else QoSReliabilityPolicy.RELIABLE,
        durability=QoSDurabilityPolicy.TRANSIENT_LOCAL
        if latched
        else QoSDurabilityPolicy.VOLATILE,
    )
