# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The test's own end of the DDS connection."""

from __future__ import annotations

import threading
import time

from patience import WAIT_S, until


class Peer:
    """The test's own ROS node, spinning in a thread."""

    def __init__(self):
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node('spatial_memory_test', context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()
        self._clients = {}

    def _spin(self):
        while not self._end.is_set():
            self.executor.spin_once(timeout_sec=0.1)

    def close(self):
        import rclpy

        self._end.set()
        self._thread.join(10.0)
        self.executor.shutdown(timeout_sec=5.0)
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    def client(self, kind, name):
        """Return the client of a service."""
        if name not in self._clients:
            self._clients[name] = self.node.create_client(kind, name)
        return self._clients[name]

    def begin(self, kind, name, request):
        """Call a service; returns a function that waits for the response."""
        done = threading.Event()
        future = self.client(kind, name).call_async(request)
        future.add_done_callback(lambda _: done.set())

        def result(timeout_s=WAIT_S):
            assert done.wait(timeout_s), f'{name} did not answer within {timeout_s} s'
            return future.result()

        return result

    def first_answer(self, kind, name, *, alive):
        """Ask again and again for the first answer of a service in a new process.

        A client knows of its server before the server knows of it, and answers get lost then.
        Clients made before this one are known when this one is.
        """
        end_s = time.monotonic() + WAIT_S
        until(lambda: self.client(kind, name).service_is_ready() or not alive(), what=f'{name}')
        while alive():
            try:
                return self.begin(kind, name, kind.Request())(timeout_s=1.0)
            except AssertionError:
                if time.monotonic() > end_s:
                    raise
        raise AssertionError(f'the process that serves {name} has ended')

    def listen(self, kind, topic, *, latched):
        """Subscribe; returns the list that fills with messages."""
        from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy

        kept = QoSDurabilityPolicy.TRANSIENT_LOCAL if latched else QoSDurabilityPolicy.VOLATILE
        profile = QoSProfile(depth=50, durability=kept, reliability=QoSReliabilityPolicy.RELIABLE)
        messages = []
        self.node.create_subscription(kind, topic, messages.append, profile)
        return messages
