# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Every bad frame is refused by its reason, counted, and leaves the memory as it was."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from ros2_spatial_ttt.errors import Refusal

pytestmark = pytest.mark.ort


@pytest.fixture(scope='module')
def shared(make_memory):
    """Frozen feeds are tested apart."""
    return make_memory(gate__frozen_frames=0)


@pytest.fixture
def memory(shared, feed, tour, later):
    """A memory that was just shown a good frame."""
    last_ns = shared.status().newest_stamp_ns or tour[0].stamp_ns
    return feed(shared, [later(tour[0], (last_ns - tour[0].stamp_ns) * 1e-9 + 10.0)])


@pytest.fixture
def good(memory, tour, later):
    """A frame one second later that would be taken."""
    return later(tour[0], (memory.status().newest_stamp_ns - tour[0].stamp_ns) * 1e-9 + 1.0)


def with_intrinsics(frame, **changes):
    return replace(frame, intrinsics=replace(frame.intrinsics, **changes))


def with_depth(frame, change):
    depth = frame.depth.copy()
    return replace(frame, depth=change(depth))


def with_pose(frame, change):
    pose = frame.map_T_camera.copy()
    change(pose)
    return replace(frame, map_T_camera=pose)


def set_first(value):
    def change(depth):
        depth[0, 0] = value
        return depth

    return change


def turned_about(pose):
    pose[:3, :3] = pose[:3, :3] @ np.diag([-1.0, 1.0, -1.0])


def mirrored(pose):
    pose[:3, 0] *= -1.0


def stretched(pose):
    pose[:3, :3] *= 1.01


BAD = {
    'empty image': (lambda f: replace(f, colour=f.colour[:0]), Refusal.EMPTY_IMAGE),
    'grey image': (lambda f: replace(f, colour=f.colour[..., 0]), Refusal.ENCODING),
    'four channels': (
        lambda f: replace(f, colour=np.dstack([f.colour, f.colour[..., :1]])),
        Refusal.ENCODING,
    ),
    'float image': (lambda f: replace(f, colour=f.colour.astype(np.float32)), Refusal.ENCODING),
    'float64 depth': (lambda f: with_depth(f, lambda d: d.astype(np.float64)), Refusal.ENCODING),
    'zero K': (lambda f: with_intrinsics(f, fx=0.0, fy=0.0), Refusal.INTRINSICS),
    'negative focal length': (lambda f: with_intrinsics(f, fy=-1.0), Refusal.INTRINSICS),
    'NaN centre': (lambda f: with_intrinsics(f, cx=np.nan), Refusal.INTRINSICS),
    'K of another size': (lambda f: with_intrinsics(f, width=640, height=480), Refusal.INTRINSICS),
    'NaN distortion': (lambda f: with_intrinsics(f, distortion=(np.nan,) * 5), Refusal.INTRINSICS),
    'three coefficients': (
        lambda f: with_intrinsics(f, distortion=(0.1,) * 3),
        Refusal.INTRINSICS,
    ),
    'unknown lens': (
        lambda f: with_intrinsics(f, distortion=(0.1,) * 4, model='thin_prism'),
        Refusal.INTRINSICS,
    ),
    'two fisheye coefficients': (
        lambda f: with_intrinsics(f, distortion=(0.1,) * 2, model='equidistant'),
        Refusal.INTRINSICS,
    ),
    'no depth': (lambda f: replace(f, depth=None), Refusal.DEPTH_MISSING),
    'depth of another size': (lambda f: with_depth(f, lambda d: d[::2, ::2]), Refusal.DEPTH_SIZE),
    'zero depth in mm': (
        lambda f: with_depth(f, lambda d: np.zeros(d.shape, np.uint16)),
        Refusal.DEPTH_EMPTY,
    ),
    'zero depth in m': (lambda f: with_depth(f, np.zeros_like), Refusal.DEPTH_EMPTY),
    'zero and NaN depth': (
        lambda f: with_depth(f, lambda d: set_first(np.nan)(np.zeros_like(d))),
        Refusal.DEPTH_EMPTY,
    ),
    'NaN depth': (
        lambda f: with_depth(f, lambda d: d * np.float32(np.nan)),
        Refusal.DEPTH_NOT_FINITE,
    ),
    'infinite depth': (
        lambda f: with_depth(f, lambda d: np.full_like(d, np.inf)),
        Refusal.DEPTH_NOT_FINITE,
    ),
    'negative depth': (lambda f: with_depth(f, set_first(-0.5)), Refusal.DEPTH_NEGATIVE),
    'NaN pose': (
        lambda f: with_pose(f, lambda p: p.__setitem__((0, 3), np.nan)),
        Refusal.POSE_NOT_FINITE,
    ),
    'pose of three rows': (
        lambda f: replace(f, map_T_camera=f.map_T_camera[:3]),
        Refusal.POSE_NOT_FINITE,
    ),
    'stretched rotation': (lambda f: with_pose(f, stretched), Refusal.QUATERNION),
    'mirrored rotation': (lambda f: with_pose(f, mirrored), Refusal.QUATERNION),
    'jump of 20 m': (
        lambda f: with_pose(f, lambda p: p.__setitem__((0, 3), 20.0)),
        Refusal.POSE_JUMP,
    ),
    'turn in 10 ms': (
        lambda f: with_pose(replace(f, stamp_ns=f.stamp_ns - 990_000_000), turned_about),
        Refusal.POSE_JUMP,
    ),
    'same stamp again': (
        lambda f: replace(f, stamp_ns=f.stamp_ns - 1_000_000_000),
        Refusal.STAMP_REPEAT,
    ),
    'stamp half a second back': (
        lambda f: replace(f, stamp_ns=f.stamp_ns - 1_500_000_000),
        Refusal.STAMP_BACK,
    ),
    'stamp ten seconds back': (
        lambda f: replace(f, stamp_ns=f.stamp_ns - 11_000_000_000),
        Refusal.TIME_JUMP,
    ),
    'one colour': (lambda f: replace(f, colour=np.full_like(f.colour, 90)), Refusal.BLUR),
    'blurred': (lambda f: replace(f, colour=cv2.GaussianBlur(f.colour, (0, 0), 8)), Refusal.BLUR),
}


@pytest.mark.parametrize('name', BAD)
def test_a_bad_frame_is_refused_counted_and_forgotten(name, memory, good, state_hash):
    spoil, reason = BAD[name]
    before, hash_before = memory.status(), state_hash(memory)
    result = memory.feed_frame(spoil(good))
    assert result.refused == reason.value and not result.accepted
    assert result.message.startswith(f'{reason.value}: ') and len(result.message) > 20
    memory.flush()
    after = memory.status()
    assert state_hash(memory) == hash_before
    assert after.frames_received == before.frames_received + 1
    assert after.frames_accepted == before.frames_accepted
    assert after.refused == {
        **before.refused,
        reason.value: before.refused.get(reason.value, 0) + 1,
    }


def test_every_reason_of_the_gate_has_a_bad_frame():
    """The rest is refused before a frame is one, or tested below and in test_pipeline."""
    elsewhere = {
        Refusal.STEP,
        Refusal.BIG_ENDIAN,
        Refusal.CORRUPT_IMAGE,
        Refusal.POSE_MISSING,
        Refusal.UNPAIRED,
        Refusal.QUEUE_FULL,
        Refusal.INACTIVE,
        Refusal.FROZEN,
        Refusal.UPDATE_REJECTED,
        Refusal.PERCEPT,
    }
    assert {reason for _, reason in BAD.values()} == set(Refusal) - elsewhere


@pytest.mark.parametrize(
    'kind', ['metres', 'millimetres', 'some NaN', 'float32 pose', 'late by a little']
)
def test_a_good_frame_is_taken(kind, make_memory, tour, later):
    memory = make_memory()
    assert memory.feed_frame(tour[0]).accepted
    frame = later(tour[0], 0.1, by_m=(0.05, 0.0, 0.0))
    if kind == 'millimetres':
        frame = with_depth(frame, lambda d: (1000 * d).astype(np.uint16))
    if kind == 'some NaN':
        frame = with_depth(frame, set_first(np.nan))
    if kind == 'float32 pose':
        frame = replace(frame, map_T_camera=frame.map_T_camera.astype(np.float32))
    if kind == 'late by a little':
        frame = later(frame, -0.099)
    result = memory.feed_frame(frame)
    assert result.accepted, result.message


def test_a_frozen_feed_is_refused_until_the_picture_changes(make_memory, tour, later, state_hash):
    memory = make_memory(gate__frozen_frames=3)
    results = [memory.feed_frame(later(tour[0], n)) for n in range(4)]
    assert [result.refused for result in results] == [None, None, 'frozen', 'frozen']
    memory.flush()
    before = state_hash(memory)
    assert memory.feed_frame(later(tour[0], 5)).refused == 'frozen'
    memory.flush()
    assert state_hash(memory) == before
    assert memory.status().refused == {'frozen': 3}
    changed = tour[0].colour.copy()
    changed[::4] ^= 1
    assert memory.feed_frame(replace(later(tour[0], 6), colour=changed)).accepted


def test_after_a_pose_jump_the_time_since_the_last_good_pose_counts(make_memory, tour, later):
    """A camera that was carried away is believed again once it could have walked there."""
    memory = make_memory(gate__frozen_frames=0, gate__max_speed=1.0)
    memory.feed_frame(tour[0])
    there = {'by_m': (3.0, 0.0, 0.0)}
    results = [memory.feed_frame(later(tour[0], s, **there)) for s in (1.0, 2.0, 3.0)]
    assert [result.refused for result in results] == ['pose_jump', 'pose_jump', None]


def test_each_camera_has_a_past_of_its_own(make_memory, tour, later):
    memory = make_memory()
    assert memory.feed_frame(tour[0]).accepted
    other = replace(later(tour[0], -60.0, by_m=(5.0, 0, 0)), camera='rear')
    assert memory.feed_frame(other).accepted
    assert memory.feed_frame(other).refused == 'stamp_repeat'


def test_a_frame_refused_before_it_was_one_is_counted(make_memory):
    memory = make_memory()
    memory.refuse(Refusal.QUEUE_FULL, 'the queue is full')
    status = memory.status()
    assert (status.frames_received, status.frames_accepted) == (1, 0)
    assert status.refused == {'queue_full': 1}
