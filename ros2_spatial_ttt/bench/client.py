# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A ROS 2 client of a running memory node: transitions, questions with round trip, status."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import rclpy
from lifecycle_msgs.srv import ChangeState, GetState
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile

from ros2_spatial_ttt.ros.frame_messages import image_message
from spatial_ttt.msg import MemoryStatus
from spatial_ttt.srv import SpatialQuery

__all__ = ['MemoryClient']

ATTEMPT_S = 15.0


class MemoryClient:
    """Talks to one memory node. Call ``close`` when done.

    Attributes:
        round_trips: (result code, milliseconds from the call to the response) per question.
        statuses: (monotonic seconds of arrival, message) of ~/status.
    """

    def __init__(self, node_name: str) -> None:
        rclpy.init()
        self._node = rclpy.create_node('bench_client')
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._name = node_name
        self._change = self._node.create_client(ChangeState, f'{node_name}/change_state')
        self._get = self._node.create_client(GetState, f'{node_name}/get_state')
        self._query = self._node.create_client(SpatialQuery, f'{node_name}/query')
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._node.create_subscription(
            MemoryStatus, f'{node_name}/status', self._on_status, latched
        )
        self.round_trips: list[tuple[int, float]] = []
        self.statuses: list[tuple[float, MemoryStatus]] = []
        self.asked = 0

    def reach(self, transition_id: int, state_id: int, *, timeout_s: float) -> bool:
        """Make a lifecycle transition; return whether the node is in the state in time.

        A reply can be lost while both sides still discover each other, so the state is what
        counts, and the request is repeated while the node is not there.
        """
        deadline = time.monotonic() + timeout_s
        request = ChangeState.Request()
        request.transition.id = transition_id
        while time.monotonic() < deadline:
            changed = self._call(self._change, request, ATTEMPT_S)
            if changed is not None and not changed.success:
                return False
            found = self._call(self._get, GetState.Request(), ATTEMPT_S)
            if found is not None and found.current_state.id == state_id:
                return True
        return False

    def _call(self, client: Any, request: Any, timeout_s: float) -> Any:
        """Return the response, or None when there was none in time."""
        deadline = time.monotonic() + timeout_s
        while not client.service_is_ready() and time.monotonic() < deadline:
            self.spin(0.05)
        future = client.call_async(request)
        while not future.done() and time.monotonic() < deadline:
            self.spin(0.05)
        return future.result() if future.done() else None

    def ask(self, picture: NDArray[np.uint8]) -> None:
        """Send LOCATE with an example picture (H, W, 3) RGB; the answer is timed on arrival."""
        request = SpatialQuery.Request(type=SpatialQuery.Request.LOCATE, max_results=5)
        request.image = image_message(picture, 'rgb8')
        start = time.perf_counter()

        def answered(future: Any) -> None:
            elapsed_ms = 1e3 * (time.perf_counter() - start)
            self.round_trips.append((future.result().result_code, elapsed_ms))

        self._query.call_async(request).add_done_callback(answered)
        self.asked += 1

    def collect(self, *, timeout_s: float) -> None:
        """Wait for the answers that are still on their way."""
        deadline = time.monotonic() + timeout_s
        while len(self.round_trips) < self.asked and time.monotonic() < deadline:
            self.spin(0.05)

    def spin(self, seconds: float) -> None:
        """Handle what arrives within ``seconds``."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def close(self) -> None:
        """Leave the ROS graph."""
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def _on_status(self, message: MemoryStatus) -> None:
        self.statuses.append((time.monotonic(), message))
