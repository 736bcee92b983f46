# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""States of the managed node, its parameters, and how its process ends."""

import importlib.util
import signal
import subprocess
import time

import numpy as np
import pytest
from patience import WAIT_S

pytest.importorskip('rclpy')
pytest.importorskip('spatial_ttt')

from std_srvs.srv import Trigger

from spatial_ttt.srv import SaveMemory, SpatialQuery

# A node that is not finished 1.7 s after a signal ends itself with code 1, so code 0 says that it
# was in time; the rest of the 2 s is the interpreter's, which a busy machine makes wait.
GONE_S = 10.0


def test_parameters_that_are_wrong_are_all_listed(start_node):
    node = start_node(
        no__such__parameter=3,
        queue__length=0,
        sync__wait_s='soon',
        camera__rear__colour_topic='/rear',
        memory__backend='abacus',
    )
    assert not node.transition('configure')
    assert node.lifecycle_state() == 'unconfigured'
    for name in (
        'no.such.parameter',
        'queue.length',
        'sync.wait_s',
        'camera.rear.colour_topic',
        'memory.backend',
    ):
        assert f'{name}: ' in node.log
    assert 'Traceback' in node.log


def test_failed_configure_can_be_put_right(start_node):
    node = start_node(sync__wait_s='soon', memory__model='no_such_model')
    assert not node.transition('configure')
    assert not node.set_parameters(sync__wait_s=0.5)
    assert not node.transition('configure')
    assert 'no_such_model' in node.log
    assert not node.set_parameters(memory__model='untrained')
    assert node.transition('configure')


def test_whole_number_is_taken_for_a_real_one(start_node):
    node = start_node(sync__wait_s=2, camera__front__extrinsic_xyz=[0, 0, 1])
    assert node.transition('configure'), node.log
    assert 'sync.wait_s=2.0' in node.log
    assert 'camera.front.extrinsic_xyz=[0.0, 0.0, 1.0]' in node.log


@pytest.mark.skipif(
    importlib.util.find_spec('tf2_ros') is not None, reason='tf2_ros is installed here'
)
def test_tf_without_tf2_says_what_to_do(spare):
    with pytest.raises(AssertionError):
        spare.reconfigure(pose__source='tf')
    assert "set pose.source to 'odometry' or 'pose_stamped'" in spare.log
    assert spare.process.poll() is None


def test_error_in_a_transition_is_logged_with_its_traceback(spare):
    """A topic name that ROS itself refuses is no error of ours, so it takes the ERROR path."""
    with pytest.raises(AssertionError):
        spare.reconfigure(camera__front__colour_topic='not a topic')
    assert 'on_activate hit an error:\nTraceback' in spare.log
    assert spare.lifecycle_state() == 'unconfigured'
    spare.reconfigure()


def test_parameters_are_fixed_while_configured(spare):
    spare.reconfigure()
    (reason,) = spare.set_parameters(queue__length=3)
    assert 'queue.length' in reason and 'clean up' in reason


def test_parameters_say_what_they_are(spare):
    from rcl_interfaces.srv import DescribeParameters

    request = DescribeParameters.Request(names=['queue.length', 'memory.gate.max_speed'])
    length, speed = spare.call(DescribeParameters, 'describe_parameters', request).descriptors
    assert length.description and length.integer_range[0].to_value == 1000
    assert '[m/s]' in speed.description and speed.floating_point_range[0].from_value > 0


def test_impossible_transition_leaves_the_node_alive(spare):
    spare.reconfigure()
    from lifecycle_msgs.msg import Transition
    from lifecycle_msgs.srv import ChangeState

    # rclpy of some distributions never answers this one.
    spare.begin(ChangeState, 'change_state', ChangeState.Request(transition=Transition(id=1)))
    assert spare.lifecycle_state() == 'active'
    assert spare.status().state == 'active'


def test_deactivated_node_takes_nothing_in_and_still_answers(spare, tour):
    spare.reconfigure()
    spare.camera.connected()
    for frame in tour[:4]:
        spare.camera.send(frame)
        spare.pause()
    spare.status(lambda s: s.frames_accepted == 4, what='4 frames')
    assert spare.transition('deactivate')
    before = spare.written(tour[3].stamp_ns)
    assert before.state == 'inactive'
    for frame in tour[4:8]:
        spare.camera.send(frame)
        spare.pause()
    after = spare.settled()
    assert after.frames_received == before.frames_received
    assert after.state_hash == before.state_hash
    answer = spare.query(type=SpatialQuery.Request.DESCRIBE)
    assert answer.message or answer.answer
    assert spare.transition('activate')
    spare.camera.connected()
    for frame in tour[8:12]:
        spare.camera.send(frame)
        spare.pause()
    spare.status(lambda s: s.frames_accepted == 8, what='4 more frames')
    assert spare.call(Trigger, 'reset', Trigger.Request()).success
    assert spare.settled().state_hash != after.state_hash


def test_twenty_cycles_leak_nothing(spare, tour):
    spare.reconfigure()
    sizes = []
    for _ in range(20):
        for label in ('deactivate', 'cleanup', 'configure', 'activate'):
            assert spare.transition(label), spare.log[-2000:]
        spare.camera.send(tour[0])
        sizes.append(spare.sizes())
    spare.status()
    early, late = (np.median(part, axis=0) for part in (sizes[4:9], sizes[-5:]))
    # The executor starts its 12 threads as it needs them; one a cycle would be 19 more.
    assert sizes[-1][0] <= sizes[0][0] + 12, f'threads {[s[0] for s in sizes]}'
    assert late[1] <= early[1], f'open files {[s[1] for s in sizes]}'
    # One forgotten memory in 12 cycles would be more; pages freed but kept are less.
    assert late[2] <= early[2] + 30.0, f'resident MiB {[round(s[2], 1) for s in sizes]}'


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_process_with_a_last_snapshot(start_node, tour, number):
    node = start_node(snapshot__on_shutdown='last').start()
    node.camera.connected()
    for frame in tour[:12]:
        node.camera.send(frame)
        node.pause()
    node.status(lambda s: s.frames_accepted >= 1, what='a frame')
    for frame in tour[12:24]:
        # These are on their way into the memory when the signal comes.
        node.camera.send(frame)
    code, took_s = node.signal(number)
    assert code == 0, node.log[-2000:]
    assert took_s < GONE_S
    assert (node.folder / 'snapshots' / 'last.safetensors').stat().st_size > 0
    second = start_node(
        snapshot__directory=str(node.folder / 'snapshots'), snapshot__load_at_start='last'
    )
    assert second.transition('configure'), second.log
    assert second.status().chunks >= 1 or 'loaded' in second.log


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_a_node_that_was_never_configured(start_node, number):
    node = start_node()
    assert node.lifecycle_state() == 'unconfigured'
    code, took_s = node.signal(number)
    assert (code, took_s < GONE_S) == (0, True), node.log
    assert 'Traceback' not in node.log


def test_snapshot_that_fails_at_the_end_is_no_success(start_node):
    node = start_node(snapshot__on_shutdown='last', snapshot__directory='/proc/nowhere')
    node.start()
    code, _ = node.signal(signal.SIGTERM)
    assert code == 1
    assert 'was not written' in node.log


def test_bad_snapshot_at_start_fails_configure(start_node, tmp_path):
    (tmp_path / 'old.safetensors').write_bytes(b'nonsense')
    node = start_node(snapshot__directory=str(tmp_path), snapshot__load_at_start='old')
    assert not node.transition('configure')
    assert 'old.safetensors' in node.log


def test_save_and_load_in_a_new_process(shared, start_node):
    before = shared.settled()
    assert shared.call(SaveMemory, 'save', SaveMemory.Request(name='handed_on')).success
    other = start_node(
        snapshot__directory=str(shared.folder / 'snapshots'),
        snapshot__load_at_start='handed_on',
    )
    assert other.transition('configure'), other.log
    assert other.status().state_hash == before.state_hash


def test_installed_executable_answers_and_ends(peer):
    from ament_index_python.packages import PackageNotFoundError, get_package_prefix

    try:
        prefix = get_package_prefix('spatial_ttt')
    except PackageNotFoundError:
        pytest.skip('the package is not installed; run `make build`')
    process = subprocess.Popen(
        [f'{prefix}/lib/spatial_ttt/memory_node', '--ros-args', '-r', '__ns:=/installed'],
        stderr=subprocess.STDOUT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        from lifecycle_msgs.srv import GetState

        name = '/installed/spatial_memory/get_state'
        answer = peer.first_answer(GetState, name, alive=lambda: process.poll() is None)
        assert answer.current_state.label == 'unconfigured'
        start_s = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=WAIT_S) == 0
        assert time.monotonic() - start_s < GONE_S
    finally:
        process.kill()
        print(process.communicate()[0])
