# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A real node process, a client and a camera that talk to it over DDS.

``shared`` is one node that most tests ask; a test that needs other parameters configures
``spare`` anew, or starts a process of its own with ``start_node``.
"""

from __future__ import annotations

import array
import os
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import yaml

NS = 1_000_000_000
WIDTH, HEIGHT = 160, 120
WAIT_S = 20.0

BASE_PARAMETERS = {
    'pose.source': 'odometry',
    'pose.topic': 'odom',
    'status.period_s': 0.1,
    'flush.period_s': 0.05,
    'flush.grace_s': 0.0,
    'field.period_s': 0.1,
    'watch.period_s': 0.1,
    'watch.confirm': 1,
    'queue.length': 64,
    'sync.wait_s': 1.0,
    'memory.chunk.flush_s': 0.3,
    'camera.front.colour_topic': 'front/colour',
    'camera.front.depth_topic': 'front/depth',
    'camera.front.info_topic': 'front/info',
}


def until(condition, *, timeout_s=WAIT_S, what=''):
    """Wait for a condition and return what it returned."""
    end_s = time.monotonic() + timeout_s
    while not (found := condition()):
        if time.monotonic() > end_s:
            raise AssertionError(f'did not happen within {timeout_s} s: {what or condition}')
        time.sleep(0.01)
    return found


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


class NodeProcess:
    """A running /spatial_memory process, in a namespace of its own."""

    def __init__(self, peer, parameters, folder, *, namespace):
        from spatial_ttt.msg import MemoryStatus

        self.peer = peer
        self.folder = folder
        self.name = f'/{namespace}/spatial_memory'
        self.log_path = folder / 'node.log'
        file = folder / 'parameters.yaml'
        given = {**BASE_PARAMETERS, 'snapshot.directory': str(folder / 'snapshots')}
        for topic in ('colour', 'colour/compressed', 'depth', 'info'):
            # No test may depend on what best effort loses.
            name = f'qos_overrides./{namespace}/front/{topic}.subscription'
            given |= {f'{name}.reliability': 'reliable', f'{name}.depth': 50}
        given |= parameters
        file.write_text(yaml.safe_dump({'/**': {'ros__parameters': given}}), encoding='utf-8')
        with open(self.log_path, 'w', encoding='utf-8') as log:
            self.process = subprocess.Popen(
                [sys.executable, '-m', 'ros2_spatial_ttt.ros.node', '--ros-args']
                + ['--params-file', str(file), '-r', f'__ns:=/{namespace}'],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**os.environ, 'PYTHONUNBUFFERED': '1'},
            )
        self._statuses = peer.listen(MemoryStatus, f'{self.name}/status', latched=True)
        self._met = False
        self.namespace = namespace
        self.camera = Camera(peer, namespace, 'front')
        self.until = until

    def another_camera(self, name):
        return Camera(self.peer, self.namespace, name)

    @staticmethod
    def pause():
        """Let what was sent arrive: topics go apart, and stamps must not outrun them."""
        time.sleep(0.03)

    @property
    def log(self):
        return self.log_path.read_text(encoding='utf-8', errors='replace')

    def transition(self, label):
        """Run a lifecycle transition; returns whether it succeeded."""
        from lifecycle_msgs.msg import Transition
        from lifecycle_msgs.srv import ChangeState

        number = getattr(Transition, f'TRANSITION_{label.upper()}')
        request = ChangeState.Request(transition=Transition(id=number))
        return self.call(ChangeState, 'change_state', request).success

    def lifecycle_state(self):
        from lifecycle_msgs.srv import GetState

        answer = self.call(GetState, 'get_state', GetState.Request())
        return answer.current_state.label

    def start(self):
        assert self.transition('configure'), self.log
        assert self.transition('activate'), self.log
        return self

    def set_parameters(self, **values):
        """Set parameters, '__' for a dot; returns the reasons of those refused."""
        from rcl_interfaces.srv import SetParameters
        from rclpy.parameter import Parameter

        items = [
            Parameter(key.replace('__', '.'), value=value).to_parameter_msg()
            for key, value in values.items()
        ]
        request = SetParameters.Request(parameters=items)
        answer = self.call(SetParameters, 'set_parameters', request)
        return [result.reason for result in answer.results if not result.successful]

    @staticmethod
    def _defaults():
        """Return what every test starts from: {name: value}."""
        from ros2_spatial_ttt.ros.settings import settings_parameters

        own = {name: value for name, _, value in settings_parameters(['front'])}
        del own['snapshot.directory']
        return {**own, 'use_sim_time': False, **BASE_PARAMETERS}

    def reconfigure(self, **values):
        """Clean up if need be, set parameters, and make active again."""
        for label, state in (('deactivate', 'active'), ('cleanup', 'inactive')):
            if self.lifecycle_state() == state:
                assert self.transition(label), self.log
        names = {key.replace('__', '.'): value for key, value in values.items()}
        refused = self.set_parameters(**{**self._defaults(), **names})
        assert not refused, refused
        return self.start()

    def status(self, condition=lambda _status: True, *, what='a status'):
        """Return the first status after now for which the condition holds."""
        seen = len(self._statuses)

        def fresh():
            nonlocal seen
            while seen < len(self._statuses):
                seen += 1
                if condition(self._statuses[seen - 1]):
                    return self._statuses[seen - 1]
            return None

        try:
            return until(fresh, what=what)
        except AssertionError as error:
            last = self._statuses[-1] if self._statuses else None
            raise AssertionError(f'{error}; last status {last}\n{self.log[-3000:]}') from None

    @staticmethod
    def refused(status):
        """Return {reason: count} of a status message."""
        return dict(zip(status.refused_reasons, status.refused_counts, strict=True))

    def written(self, stamp_ns):
        """Return the status once the frame of that stamp is in the memory."""
        sec, nanosec = divmod(stamp_ns, NS)
        return self.status(
            lambda s: (s.newest_stamp.sec, s.newest_stamp.nanosec) == (sec, nanosec),
            what=f'a memory whose newest frame is of {stamp_ns} ns',
        )

    def settled(self):
        """Return the status once nothing changes any more."""
        last = self.status()
        while True:
            time.sleep(0.4)
            current = self.status(lambda s: s.queue_length == 0)
            if (current.state_hash, current.frames_received) == (
                last.state_hash,
                last.frames_received,
            ):
                return current
            last = current

    def _meet(self):
        """Have the process know all clients before the first request."""
        from lifecycle_msgs.srv import ChangeState, GetState
        from rcl_interfaces.srv import DescribeParameters, SetParameters
        from std_srvs.srv import Trigger

        from spatial_ttt import srv

        for kind, service in (
            (ChangeState, 'change_state'),
            (SetParameters, 'set_parameters'),
            (DescribeParameters, 'describe_parameters'),
            (srv.SpatialQuery, 'query'),
            (srv.SaveMemory, 'save'),
            (srv.LoadMemory, 'load'),
            (srv.ForgetMemory, 'forget'),
            (srv.WatchObject, 'watch'),
            (Trigger, 'reset'),
        ):
            self.peer.client(kind, f'{self.name}/{service}')
        self.peer.first_answer(
            GetState, f'{self.name}/get_state', alive=lambda: self.process.poll() is None
        )
        self._met = True

    def begin(self, kind, name, request):
        """Call one of the node's services; returns a function that waits for the response."""
        try:
            if not self._met:
                self._meet()
            client = self.peer.client(kind, f'{self.name}/{name}')
            until(client.service_is_ready, what=f'service {name}')
            return self.peer.begin(kind, f'{self.name}/{name}', request)
        except AssertionError as error:
            raise AssertionError(f'{error}\n{self.log[-3000:]}') from None

    def call(self, kind, name, request):
        return self.begin(kind, name, request)()

    def query(self, **fields):
        from spatial_ttt.srv import SpatialQuery

        return self.call(SpatialQuery, 'query', SpatialQuery.Request(**fields))

    def signal(self, number=signal.SIGINT):
        """Send a signal; returns (exit code, seconds until the process was gone)."""
        start_s = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(timeout=30)
        return code, time.monotonic() - start_s

    def sizes(self):
        """Return (threads, open files, resident MiB) of the process."""
        root = Path(f'/proc/{self.process.pid}')
        status = (root / 'status').read_text(encoding='ascii')
        threads = int(re.search(r'Threads:\s+(\d+)', status)[1])
        resident = int(re.search(r'VmRSS:\s+(\d+)', status)[1]) / 1024
        return threads, len(list((root / 'fd').iterdir())), resident

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(timeout=10)


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
            what='subscriptions of the node',
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


@pytest.fixture(scope='session')
def peer():
    pytest.importorskip('rclpy')
    pytest.importorskip('spatial_ttt')
    with warnings.catch_warnings():
        # The parser behind the message types imports a module that Python deprecates.
        warnings.simplefilter('ignore', DeprecationWarning)
        peer = Peer()
    yield peer
    peer.close()


@pytest.fixture(scope='session')
def tour():
    """Frames of one walk through a room, 160x120."""
    from ros2_spatial_ttt.sim import boxes

    return list(boxes.frames(3, 40, width=WIDTH, height=HEIGHT, rate_hz=5.0))


@pytest.fixture(scope='session')
def start_node(peer, tmp_path_factory):
    """Return a function that starts a node process with parameters."""
    counter = iter(range(1000))
    with ExitStack() as stack:

        def start(**parameters):
            number = next(counter)
            values = {key.replace('__', '.'): value for key, value in parameters.items()}
            folder = tmp_path_factory.mktemp(f'node{number}')
            node = NodeProcess(peer, values, folder, namespace=f'test{number}')
            stack.callback(node.close)
            return node

        yield start


@pytest.fixture(scope='session')
def shared(start_node, tour):
    """An active node that has seen the first half of the tour; nothing is pending."""
    node = start_node().start()
    node.camera.connected()
    half = len(tour) // 2
    for frame in tour[:half]:
        node.camera.send(frame)
        node.pause()
    assert node.written(tour[half - 1].stamp_ns).frames_accepted == half
    return node


@pytest.fixture(scope='session')
def spare(start_node):
    """A node process to be configured anew by each test that uses it."""
    return start_node()
