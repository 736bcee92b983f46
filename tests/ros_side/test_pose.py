# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Poses over time: exact where given, interpolated between, never extrapolated; and frames."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rosbags.highlevel import AnyReader

from ros2_spatial_ttt.errors import FrameRefused, Refusal
from ros2_spatial_ttt.geometry import invert_transform, rotation_angle, transform
from ros2_spatial_ttt.ros.conversions import (
    stamp_to_ns,
    transform_from_pose,
    transform_from_transform,
)
from ros2_spatial_ttt.ros.pose import PoseBuffer, TransformTree

RECORDING = Path(__file__).parents[3] / 'shared/data/tum_fr3_cabinet'
S = 1_000_000_000


def pose(x: float, yaw: float = 0.0) -> np.ndarray:
    return transform((x, 2 * x, -x), (0.0, 0.0, np.sin(yaw / 2), np.cos(yaw / 2)))


def test_given_stamps_give_the_given_matrix_bit_for_bit():
    rng = np.random.default_rng(1)
    buffer = PoseBuffer(0.5, 100)
    matrices = [transform(rng.normal(size=3), rng.normal(size=4)) for _ in range(20)]
    for i, matrix in enumerate(matrices):
        buffer.add(i * S // 10, matrix)
    for i, matrix in enumerate(matrices):
        assert buffer.at(i * S // 10).tobytes() == matrix.tobytes()


def test_what_is_kept_does_not_change_with_the_caller():
    buffer, matrix = PoseBuffer(1.0, 4), pose(1.0)
    buffer.add(0, matrix)
    matrix[0, 3] = 99.0
    assert buffer.at(0)[0, 3] == 1.0
    with pytest.raises(ValueError, match='read-only'):
        buffer.at(0)[0, 3] = 99.0


def test_between_stamps_it_is_interpolated():
    buffer = PoseBuffer(1.0, 10)
    buffer.add(0, pose(0.0, yaw=0.0))
    buffer.add(S, pose(4.0, yaw=1.0))
    got = buffer.at(S // 4)
    np.testing.assert_allclose(got[:3, 3], [1.0, 2.0, -1.0], atol=1e-12)
    assert rotation_angle(np.eye(4), got) == pytest.approx(0.25)


def test_nothing_is_extrapolated():
    buffer = PoseBuffer(1.0, 10)
    assert buffer.at(0) is None
    buffer.add(S, pose(1.0))
    assert buffer.at(S - 1) is None
    assert buffer.at(S + 1) is None
    buffer.add(2 * S, pose(2.0))
    assert buffer.at(S - 1) is None
    assert buffer.at(2 * S + 1) is None


def test_gaps_are_bridged_up_to_the_limit():
    buffer = PoseBuffer(0.5, 10)
    for stamp in (0, S // 2, S + 1):
        buffer.add(stamp, pose(float(stamp)))
    assert buffer.at(S // 4) is not None
    assert buffer.at(S * 3 // 4) is None
    assert buffer.at(S + 1) is not None


def test_over_its_length_it_forgets_the_oldest():
    buffer = PoseBuffer(10.0, 3)
    for i in (0, 1, 2, 4, 3):
        buffer.add(i * S, pose(float(i)))
    assert (buffer.oldest_ns, buffer.newest_ns) == (2 * S, 4 * S)
    assert buffer.at(S) is None
    buffer.clear()
    assert buffer.newest_ns is buffer.oldest_ns is None
    assert buffer.at(3 * S) is None


@given(st.permutations(range(8)), st.integers(0, 7 * S))
def test_order_of_arrival_does_not_matter(order, stamp_ns):
    straight, mixed = PoseBuffer(2.0, 8), PoseBuffer(2.0, 8)
    for i in range(8):
        straight.add(i * S, pose(float(i), yaw=0.3 * i))
    for i in order:
        mixed.add(i * S, pose(float(i), yaw=0.3 * i))
    assert straight.at(stamp_ns).tobytes() == mixed.at(stamp_ns).tobytes()


def test_of_a_repeated_stamp_the_first_stays():
    buffer = PoseBuffer(1.0, 4)
    buffer.add(0, pose(1.0))
    buffer.add(0, pose(2.0))
    assert buffer.at(0)[0, 3] == 1.0


@pytest.mark.parametrize('bad', [np.full((4, 4), np.nan), np.eye(3)])
def test_unusable_matrices_are_refused(bad):
    with pytest.raises(FrameRefused) as caught:
        PoseBuffer(1.0, 4).add(0, bad)
    assert caught.value.reason is Refusal.POSE_NOT_FINITE
    with pytest.raises(FrameRefused):
        TransformTree().add('map', 'base', None, bad)


@pytest.mark.parametrize(('gap', 'length'), [(-1.0, 5), (float('nan'), 5), (1.0, 1)])
def test_impossible_buffers_are_refused(gap, length):
    with pytest.raises(ValueError, match='max_gap_s'):
        PoseBuffer(gap, length)


def robot() -> TransformTree:
    """Frames map → odom → base → camera (fixed) and base → arm (fixed), moving at 0 s and 1 s."""
    tree = TransformTree()
    for i in range(2):
        tree.add('map', 'odom', i * S, pose(10.0, yaw=0.5))
        tree.add('odom', 'base', i * S, pose(float(i), yaw=0.2))
    tree.add('base', 'camera', None, pose(0.3, yaw=1.0))
    tree.add('base', '/arm', None, pose(0.7, yaw=-1.0))
    return tree


def test_tree_goes_up_down_and_across():
    tree = robot()
    up = pose(10.0, yaw=0.5) @ pose(1.0, yaw=0.2) @ pose(0.3, yaw=1.0)
    np.testing.assert_allclose(tree.lookup('map', 'camera', S), up, atol=1e-12)
    down = invert_transform(up)
    np.testing.assert_allclose(tree.lookup('camera', '/map', S), down, atol=1e-12)
    across = invert_transform(pose(0.7, yaw=-1.0)) @ pose(0.3, yaw=1.0)
    np.testing.assert_allclose(tree.lookup('arm', 'camera', 77 * S), across, atol=1e-12)
    np.testing.assert_array_equal(tree.lookup('camera', 'camera', 77 * S), np.eye(4))


def test_one_transform_is_returned_bit_for_bit_and_interpolated_between():
    tree = robot()
    given_matrix = pose(10.0, yaw=0.5)
    assert tree.lookup('map', 'odom', S).tobytes() == given_matrix.tobytes()
    np.testing.assert_allclose(tree.lookup('odom', 'base', S // 2)[0, 3], 0.5)


@pytest.mark.parametrize(
    ('target', 'source', 'stamp_ns', 'words'),
    [
        ('map', 'lidar', 0, ["'lidar'", 'not in the tree', "'camera'"]),
        ('map', 'camera', 2 * S, ["'odom' -> 'base'", 'not known at 2000000000']),
        ('map', 'island', 0, ['different roots', "'sea'"]),
    ],
)
def test_tree_says_what_is_missing(target, source, stamp_ns, words):
    tree = robot()
    tree.add('sea', 'island', None, pose(0.0))
    with pytest.raises(LookupError) as caught:
        tree.lookup(target, source, stamp_ns)
    for word in words:
        assert word in str(caught.value)


def test_tree_does_not_bridge_long_gaps():
    tree = TransformTree(max_gap_s=0.5)
    tree.add('map', 'base', 0, pose(0.0))
    tree.add('map', 'base', S, pose(1.0))
    with pytest.raises(LookupError, match='gaps over 0.5 s'):
        tree.lookup('map', 'base', S // 2)


def test_a_frame_may_move_to_another_parent():
    tree = robot()
    tree.add('map', 'camera', None, pose(5.0))
    np.testing.assert_array_equal(tree.lookup('map', 'camera', 9 * S), pose(5.0))
    tree.add('map', 'camera', 3 * S, pose(6.0))
    np.testing.assert_array_equal(tree.lookup('map', 'camera', 3 * S), pose(6.0))


def test_loops_end_with_an_error():
    tree = TransformTree()
    tree.add('a', 'b', None, pose(0.0))
    tree.add('b', 'a', None, pose(0.0))
    with pytest.raises(LookupError, match='loop'):
        tree.lookup('a', 'b', 0)


@pytest.mark.parametrize(('parent', 'child'), [('', 'b'), ('a', ''), ('a', '/a')])
def test_frames_need_two_names(parent, child):
    with pytest.raises(ValueError, match='two frames'):
        TransformTree().add(parent, child, None, np.eye(4))


@pytest.mark.skipif(not RECORDING.exists(), reason=f'no recording at {RECORDING}')
def test_tf_of_the_real_recording_agrees_with_its_odometry():
    tree, buffer = TransformTree(), PoseBuffer(1.0, 100)
    topics = ('/tf_static', '/tf', '/odom')
    with AnyReader([RECORDING]) as reader:
        wanted = [c for c in reader.connections if c.topic in topics]
        for connection, _, data in reader.messages(wanted):
            message = reader.deserialize(data, connection.msgtype)
            if connection.topic == '/odom':
                stamp = stamp_to_ns(message.header.stamp)
                buffer.add(stamp, transform_from_pose(message.pose.pose))
                continue
            for item in message.transforms:
                static = connection.topic == '/tf_static'
                tree.add(
                    item.header.frame_id,
                    item.child_frame_id,
                    None if static else stamp_to_ns(item.header.stamp),
                    transform_from_transform(item.transform),
                )
    first, last = buffer.oldest_ns, buffer.newest_ns
    frame = 'camera_color_optical_frame'
    for stamp in (first, last, (first + last) // 2):
        got = tree.lookup('map', frame, stamp)
        np.testing.assert_allclose(got, buffer.at(stamp), atol=1e-12)
    with pytest.raises(LookupError):
        tree.lookup('map', frame, last + 1)
