# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A real memory node in a process of its own, and a client that drives and asks it over DDS."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
import yaml
from geometry_msgs.msg import PoseStamped
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSDurabilityPolicy, QoSProfile

from ros2_spatial_ttt.errors import SpatialTTTError
from ros2_spatial_ttt.ros.conversions import stamp_to_ns, transform_from_pose
from ros2_spatial_ttt.ros.frame_messages import image_message
from ros2_spatial_ttt.ros.messages import pose_message, time_message
from ros2_spatial_ttt.types import Answer, Instance, Query, ResultCode
from spatial_ttt.msg import MemoryStatus
from spatial_ttt.srv import LoadMemory, SaveMemory, SpatialQuery

__all__ = [
    'NODE',
    'NodeSession',
    'SessionError',
    'answer_from_response',
    'request_from_query',
]

NODE = '/spatial_memory'
START_S, ANSWER_S, STOP_S = 30.0, 10.0, 5.0
SETTLE_S = 0.2
LOG_TAIL = 2000


class SessionError(SpatialTTTError):
    """The node did not start, answer or end as it should; holds the end of its log."""


class NodeSession:
    """Starts the node, brings it to active, asks it, and ends it. A context manager.

    Args:
        folder: where the parameter file and the log of the node go.
        parameters: of the node, nested as in YAML.
        options: more words for the node after ``--ros-args``.
        namespace: of the node; two nodes at a time need two.

    Attributes:
        node: ROS node of this side, for publishers beside the client.
    """

    def __init__(
        self,
        folder: Path,
        parameters: dict[str, Any],
        *,
        options: Sequence[str] = (),
        namespace: str = '',
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._name = f'/{namespace}{NODE}' if namespace else NODE
        self._namespace = namespace
        self._log_path = folder / 'node.log'
        self._stack = contextlib.ExitStack()
        self._statuses: list[MemoryStatus] = []
        self._settled: set[Any] = set()
        try:
            self._enter(folder, parameters, list(options))
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> NodeSession:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def status(self) -> MemoryStatus | None:
        """The newest ~/status; None before the first one."""
        return self._statuses[-1] if self._statuses else None

    def bring_up(self) -> None:
        """Configure and activate the node through its lifecycle services."""
        for name, number, goal in (
            ('configure', Transition.TRANSITION_CONFIGURE, State.PRIMARY_STATE_INACTIVE),
            ('activate', Transition.TRANSITION_ACTIVATE, State.PRIMARY_STATE_ACTIVE),
        ):
            request = ChangeState.Request()
            request.transition.id = number
            response = self._call(self._change, request, START_S)
            # A response may get lost while both sides still discover each other.
            done = self._state_id() == goal if response is None else response.success
            if not done:
                raise SessionError(f'{self._name} did not {name}. {self._log_end()}')

    def ask(self, query: Query) -> tuple[Answer, float]:
        """Return the answer to a question over ~/query and the round trip in milliseconds."""
        request = request_from_query(query)
        start = time.perf_counter()
        response = self._answer(self._query, request)
        return answer_from_response(response), 1e3 * (time.perf_counter() - start)

    def save(self, name: str) -> Path:
        """Have the node write a snapshot and return its file."""
        response = self._answer(self._save, SaveMemory.Request(name=name))
        if not response.success:
            raise SessionError(f'{self._name}/save: {response.message}')
        return Path(response.path)

    def load(self, name: str) -> None:
        """Have the node replace its memory by a snapshot of its folder."""
        response = self._answer(self._load, LoadMemory.Request(name=name))
        if not response.success:
            raise SessionError(f'{self._name}/load: {response.message}')

    def wait_until(self, reached: Callable[[MemoryStatus], bool], *, timeout_s: float) -> bool:
        """Return whether a status that ``reached`` accepts came in time."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            status = self.status
            if status is not None and reached(status):
                return True
            self._check_alive()
            time.sleep(0.05)
        return False

    def stop(self) -> int:
        """End the node as Ctrl-C does and return the exit code of its process."""
        self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            raise SessionError(
                f'{self._name} ignored SIGINT for {STOP_S:g} s. {self._log_end()}'
            ) from None

    def _enter(self, folder: Path, parameters: dict[str, Any], options: list[str]) -> None:
        params_path = folder / 'node.yaml'
        text = yaml.safe_dump({'/**': {'ros__parameters': parameters}}, sort_keys=False)
        params_path.write_text(text, encoding='utf-8')
        log = self._stack.enter_context(self._log_path.open('w', encoding='utf-8'))
        command = [sys.executable, '-m', 'ros2_spatial_ttt.ros.node']
        command += ['--ros-args', '--params-file', str(params_path), *options]
        if self._namespace:
            command += ['-r', f'__ns:=/{self._namespace}']
        self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        self._stack.callback(self._kill)
        rclpy.init()
        self._stack.callback(rclpy.try_shutdown)
        self.node = rclpy.create_node('spatial_ttt_client')
        self._stack.callback(self.node.destroy_node)
        self._change = self.node.create_client(ChangeState, f'{self._name}/change_state')
        self._get_state = self.node.create_client(GetState, f'{self._name}/get_state')
        self._query = self.node.create_client(SpatialQuery, f'{self._name}/query')
        self._save = self.node.create_client(SaveMemory, f'{self._name}/save')
        self._load = self.node.create_client(LoadMemory, f'{self._name}/load')
        latched = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
        self.node.create_subscription(
            MemoryStatus, f'{self._name}/status', self._statuses.append, latched
        )
        executor = SingleThreadedExecutor()
        executor.add_node(self.node)
        spinner = threading.Thread(target=executor.spin, name='client')
        spinner.start()
        # A thread that still spins when the interpreter ends would abort the process.
        self._stack.callback(spinner.join)
        self._stack.callback(executor.shutdown)

    def _call(self, client: Any, request: Any, timeout_s: float) -> Any:
        """Return the response of a service, or None when none came in time."""
        deadline = time.monotonic() + timeout_s
        while not client.service_is_ready():
            self._check_alive()
            if time.monotonic() > deadline:
                raise SessionError(f'no service {client.srv_name}. {self._log_end()}')
            time.sleep(0.05)
        if client not in self._settled:
            # The node may not know this client yet although the client knows the node.
            time.sleep(SETTLE_S)
            self._settled.add(client)
        future, done = client.call_async(request), threading.Event()
        future.add_done_callback(lambda _: done.set())
        while not done.wait(0.1):
            self._check_alive()
            if time.monotonic() > deadline:
                return None
        return future.result()

    def _answer(self, client: Any, request: Any) -> Any:
        """Return the response of a service that may be called twice."""
        for _ in range(2):
            response = self._call(client, request, ANSWER_S)
            if response is not None:
                return response
        raise SessionError(f'{client.srv_name} gave no answer. {self._log_end()}')

    def _state_id(self) -> int:
        response = self._answer(self._get_state, GetState.Request())
        return int(response.current_state.id)

    def _check_alive(self) -> None:
        if self._process.poll() is not None:
            raise SessionError(f'{self._name} ended. {self._log_end()}')

    def _log_end(self) -> str:
        code = self._process.poll()
        tail = self._log_path.read_text(encoding='utf-8', errors='replace')[-LOG_TAIL:].strip()
        state = 'still runs' if code is None else f'ended with code {code}'
        return f'Its process {state}; the end of {self._log_path}:\n{tail or "(nothing)"}'

    def _kill(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def request_from_query(query: Query) -> SpatialQuery.Request:
    """Return the service request of a question with at most one example, in the map frame."""
    request = SpatialQuery.Request(
        type=int(query.type),
        text=query.text,
        labels=list(query.labels),
        since=time_message(query.since_ns),
        until=time_message(query.until_ns),
        max_results=query.max_results,
    )
    if query.examples:
        example = query.examples[0]
        request.image = image_message(example.image, 'rgb8')
        if example.roi is not None:
            x, y, width, height = example.roi
            request.roi.x_offset, request.roi.y_offset = x, y
            request.roi.width, request.roi.height = width, height
    if query.viewpoint is not None:
        request.viewpoint = PoseStamped(pose=pose_message(query.viewpoint))
        request.viewpoint.header.frame_id = 'map'
    if query.region is not None:
        request.region.header.frame_id = 'map'
        for corner, values in (('min', query.region.minimum), ('max', query.region.maximum)):
            point = getattr(request.region, corner)
            point.x, point.y, point.z = (float(value) for value in values)
    return request


def answer_from_response(response: Any) -> Answer:
    """Return the answer that a service response in the map frame holds."""
    return Answer(
        code=ResultCode(response.result_code),
        message=response.message,
        instances=tuple(_instance(item) for item in response.objects),
        value=response.value,
        value_low=response.value_low,
        value_high=response.value_high,
        unit=response.unit,
        sentence=response.answer,
        confidence=response.confidence,
        valid_at_ns=stamp_to_ns(response.valid_at),
        latency_ms=response.latency_ms,
    )


def _instance(item: Any) -> Instance:
    jpeg = bytes(item.evidence.data)
    map_T_box = transform_from_pose(item.pose.pose)
    covariance = np.asarray(item.pose.covariance).reshape(6, 6)
    # Turns are estimated for cameras only.
    camera = bool(covariance[3:, 3:].any())
    return Instance(
        id=item.id,
        label=item.label,
        position=map_T_box[:3, 3],
        covariance=covariance[:3, :3],
        size=np.array([item.size.x, item.size.y, item.size.z]),
        yaw=0.0 if camera else float(np.arctan2(map_T_box[1, 0], map_T_box[0, 0])),
        map_T_camera=map_T_box if camera else None,
        pose_covariance=covariance if camera else None,
        confidence=item.confidence,
        first_seen_ns=stamp_to_ns(item.first_seen),
        last_seen_ns=stamp_to_ns(item.last_seen),
        observations=item.observations,
        evidence_jpeg=jpeg,
        evidence_map_T_camera=transform_from_pose(item.evidence_view) if jpeg else None,
        evidence_stamp_ns=stamp_to_ns(item.evidence.header.stamp),
    )
