# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A real node process, a client and a camera that talk to it over DDS.

``shared`` is one node that most tests ask; a test that needs other parameters configures
``spare`` anew, or starts a process of its own with ``start_node``.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import yaml
from patience import WAIT_S, until

NS = 1_000_000_000
# Without it, pictures push small messages out of the memory that processes share.
PROFILE = str(Path(__file__).parents[2] / 'config' / 'fastdds.xml')
os.environ.update(
    FASTRTPS_DEFAULT_PROFILES_FILE=PROFILE,
    FASTDDS_DEFAULT_PROFILES_FILE=PROFILE,
    ROS_AUTOMATIC_DISCOVERY_RANGE='SYSTEM_DEFAULT',
)
WIDTH, HEIGHT = 160, 120
NODE = (sys.executable, '-m', 'ros2_spatial_ttt.ros.node')
NUMBERS = itertools.count()

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


def beside(name):
    """Import a module of this folder; pytest's importlib mode puts it on no path."""
    spec = importlib.util.spec_from_file_location(
        f'dds_{name}', Path(__file__).parent / f'{name}.py'
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


Camera, Peer = beside('camera').Camera, beside('peer').Peer


class NodeProcess:
    """A running /spatial_memory process, in a namespace of its own."""

    def __init__(self, peer, parameters, folder, *, namespace, program=NODE):
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
                [*program, '--ros-args']
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
            return until(fresh, what=what, progress=self._written)
        except AssertionError as error:
            last = self._statuses[-1] if self._statuses else None
            raise AssertionError(f'{error}; last status {last}\n{self.log[-3000:]}') from None

    def _written(self):
        """Return what changes while frames are on their way into the memory."""
        last = self._statuses[-1:]
        return [(status.frames_received, status.chunks) for status in last]

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
        code = self.process.wait(timeout=WAIT_S)
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
    from ros2_spatial_ttt.sim.room import boxes

    return list(boxes.frames(3, 40, width=WIDTH, height=HEIGHT, rate_hz=5.0))


@contextmanager
def starting(peer, folders):
    """Give a function that starts node processes with parameters, and end them afterwards."""
    with ExitStack() as stack:

        def start(program=NODE, **parameters):
            values = {key.replace('__', '.'): value for key, value in parameters.items()}
            folder, name = folders.mktemp('node'), f'test{next(NUMBERS)}'
            node = NodeProcess(peer, values, folder, namespace=name, program=program)
            stack.callback(node.close)
            return node

        yield start


@pytest.fixture
def start_node(peer, tmp_path_factory):
    """Return a function that starts a node process for one test."""
    with starting(peer, tmp_path_factory) as start:
        yield start


@pytest.fixture(scope='session')
def start_lasting_node(peer, tmp_path_factory):
    """Return a function that starts a node process for all tests."""
    with starting(peer, tmp_path_factory) as start:
        yield start


@pytest.fixture(scope='session')
def shared(start_lasting_node, tour):
    """An active node that has seen the first half of the tour; nothing is pending."""
    node = start_lasting_node().start()
    node.camera.connected()
    half = len(tour) // 2
    for frame in tour[:half]:
        node.camera.send(frame)
        node.pause()
    assert node.written(tour[half - 1].stamp_ns).frames_accepted == half
    return node


@pytest.fixture(scope='session')
def spare(start_lasting_node):
    """A node process to be configured anew by each test that uses it."""
    return start_lasting_node()
