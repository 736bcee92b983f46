# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Colour, depth, intrinsics and pose become frames, or are refused by reason."""

import numpy as np
import pytest

from ros2_spatial_ttt.errors import ConfigError, FrameRefused, Refusal
from ros2_spatial_ttt.ros.sync import FrameAssembler
from ros2_spatial_ttt.types import Intrinsics

MS = 1_000_000
CAMERA = Intrinsics(4, 3, 2.0, 2.0, 2.0, 1.5)


def colour(value: int = 0, size=(3, 4)) -> np.ndarray:
    return np.full((*size, 3), value % 256, np.uint8)


def test_complete_frames_carry_what_was_given_without_copies(make_rig):
    rig = make_rig()
    rgb, metres = colour(7), np.full((3, 4), 1.5, np.float32)
    rig.assembler.add_depth(20 * MS, metres)
    rig.assembler.add_colour(20 * MS, rgb)
    (frame,) = rig.assembler.ready()
    assert (frame.camera, frame.stamp_ns, frame.intrinsics) == ('front', 20 * MS, CAMERA)
    assert frame.colour is rgb
    assert frame.depth is metres
    assert frame.map_T_camera[0, 3] == pytest.approx(0.02)
    assert rig.assembler.ready() == []
    assert rig.refused == []


def test_the_nearest_depth_within_the_tolerance_is_taken(make_rig):
    rig = make_rig()
    for ms in (91, 96, 103, 112):
        rig.depth(ms, ms)
    rig.colour(100)
    rig.colour(200)
    rig.depth(211)
    assert rig.ready() == [100]
    assert rig.frames[0].depth[0, 0] == 103
    assert rig.refused == [Refusal.UNPAIRED]
    assert 'tolerance' in rig.messages[0]


def test_a_depth_that_may_still_be_nearer_is_waited_for(make_rig):
    rig = make_rig()
    rig.colour(100)
    rig.depth(94, 94)
    assert rig.ready() == []
    rig.depth(101, 101)
    assert rig.ready() == [100]
    assert rig.frames[0].depth[0, 0] == 101


def test_a_depth_image_is_used_once_and_pairs_do_not_cross(make_rig):
    rig = make_rig(tolerance_s=0.05)
    for ms in (100, 110, 400):
        rig.depth(ms, ms)
    for ms in (106, 107, 400):
        rig.colour(ms)
    assert rig.ready() == [106, 400]
    assert [frame.depth[0, 0] for frame in rig.frames] == [110, 400]
    assert rig.refused == [Refusal.UNPAIRED]


def test_a_repeated_depth_image_is_not_used_again(make_rig):
    rig = make_rig(use_depth='auto')
    rig.depth(100)
    rig.colour(100)
    assert rig.ready() == [100]
    rig.depth(100)
    rig.colour(105)
    rig.depth(130)
    assert rig.ready() == [105]
    assert rig.frames[1].depth is None


def test_frames_wait_for_their_pose_and_keep_their_order(make_rig):
    rig = make_rig(poses=(0,))
    for ms in (100, 133):
        rig.depth(ms)
        rig.colour(ms)
    assert rig.ready() == []
    rig.pose(120)
    assert rig.ready() == [100]
    rig.pose(140)
    assert rig.ready() == [133]


def test_colour_that_arrives_out_of_order_is_put_in_order_while_it_waits(make_rig):
    rig = make_rig(poses=(0,), use_depth=False)
    for ms in (133, 100):
        rig.colour(ms)
    rig.pose(200)
    assert rig.ready() == [100, 133]


def test_frames_without_pose_are_given_up_when_wait_s_has_passed(make_rig):
    rig = make_rig(poses=(0, 90), use_depth=False)
    rig.colour(100)
    rig.colour(599)
    assert rig.ready() == []
    assert rig.refused == []
    rig.colour(600)
    assert rig.ready() == []
    assert rig.refused == [Refusal.POSE_MISSING]
    rig.pose(700)
    assert rig.ready() == [599, 600]
    assert rig.refused == [Refusal.POSE_MISSING]


def test_frames_without_camera_info_are_given_up(make_rig):
    rig = make_rig(intrinsics=None, use_depth=False)
    rig.colour(100)
    assert rig.ready() == []
    rig.colour(700)
    rig.ready()
    assert rig.refused == [Refusal.INTRINSICS]
    rig.assembler.set_intrinsics(CAMERA)
    assert rig.ready() == [700]


def test_needed_depth_that_never_comes_is_given_up(make_rig):
    rig = make_rig()
    rig.colour(100)
    assert rig.ready() == []
    rig.colour(600)
    assert rig.ready() == []
    assert rig.refused == [Refusal.UNPAIRED]


def test_auto_takes_depth_where_there_is_one(make_rig):
    rig = make_rig(use_depth='auto')
    rig.colour(100)
    rig.colour(200)
    rig.depth(100)
    assert rig.ready() == [100]
    rig.colour(700)
    assert rig.ready() == [200]
    assert [frame.depth is None for frame in rig.frames] == [False, True]
    assert rig.refused == []


def test_depth_is_ignored_when_it_is_not_to_be_used(make_rig):
    rig = make_rig(use_depth=False, length=2)
    for ms in (99, 100, 101):
        rig.depth(ms, size=(1, 1))
    rig.colour(100)
    assert rig.ready() == [100]
    assert rig.frames[0].depth is None
    assert rig.refused == []


@pytest.mark.parametrize('use_depth', [True, 'auto'])
def test_depth_of_another_size_is_refused(make_rig, use_depth):
    rig = make_rig(use_depth=use_depth)
    rig.depth(100, size=(6, 8))
    rig.colour(100)
    assert rig.ready() == []
    assert rig.refused == [Refusal.DEPTH_SIZE]
    assert '8x6' in rig.messages[0]
    assert '4x3' in rig.messages[0]


def test_camera_info_of_another_size_is_refused(make_rig):
    rig = make_rig(use_depth=False)
    rig.colour(100, size=(6, 8))
    rig.colour(101)
    assert rig.ready() == [101]
    assert rig.refused == [Refusal.INTRINSICS]
    assert '8x6' in rig.messages[0]


def test_a_pose_that_is_refused_refuses_its_frame_only():
    refused = []

    def pose_at(stamp_ns):
        if stamp_ns == 1:
            raise FrameRefused(Refusal.QUATERNION, 'length 2')
        return np.eye(4)

    assembler = FrameAssembler(
        'front',
        tolerance_s=0.0,
        wait_s=1.0,
        use_depth=False,
        pose_at=pose_at,
        refuse=lambda reason, message: refused.append(reason),
    )
    assembler.set_intrinsics(CAMERA)
    for stamp in (1, 2):
        assembler.add_colour(stamp, colour())
    assert [frame.stamp_ns for frame in assembler.ready()] == [2]
    assert refused == [Refusal.QUATERNION]


def test_stamps_that_repeat_or_go_back_are_refused(make_rig):
    rig = make_rig(use_depth=False)
    rig.colour(100)
    rig.colour(100)
    assert rig.ready() == [100]
    rig.colour(100)
    rig.colour(99)
    assert rig.ready() == []
    assert rig.refused == [Refusal.STAMP_REPEAT, Refusal.STAMP_REPEAT, Refusal.STAMP_BACK]


def test_full_buffers_drop_the_oldest(make_rig):
    rig = make_rig(length=3)
    for ms in range(100, 600, 100):
        rig.colour(ms)
    assert rig.refused == [Refusal.UNPAIRED] * 2
    assert 'colour at 100000000 ns' in rig.messages[0]
    for ms in range(300, 600, 100):
        rig.depth(ms, ms)
    assert rig.ready() == [300, 400, 500]
    assert [frame.depth[0, 0] for frame in rig.frames] == [300, 400, 500]
    assert rig.refused == [Refusal.UNPAIRED] * 2
    for ms in range(600, 605):
        rig.depth(ms)
    assert rig.refused == [Refusal.UNPAIRED] * 4
    assert 'depth at 600000000 ns' in rig.messages[2]


def test_depth_faster_than_colour_is_no_refusal(make_rig):
    rig = make_rig(length=4)
    for ms in range(0, 1000, 10):
        rig.depth(ms)
        if ms % 30 == 0:
            rig.colour(ms)
        rig.ready()
    assert len(rig.frames) == 34
    assert rig.refused == []


def test_after_clear_older_stamps_are_taken_again(make_rig):
    rig = make_rig(use_depth='auto')
    for ms in (100, 200):
        rig.depth(ms)
        rig.colour(ms)
    assert rig.ready() == [100, 200]
    rig.colour(300)
    assert rig.assembler.newest_ns == 300 * MS
    rig.assembler.clear()
    assert rig.assembler.newest_ns is None
    assert rig.refused == [Refusal.TIME_JUMP]
    rig.depth(100)
    rig.colour(100)
    assert rig.ready() == [100]
    assert rig.frames[-1].depth is not None


@pytest.mark.parametrize(
    'options',
    [
        {'use_depth': 'yes'},
        {'use_depth': None},
        {'tolerance_s': -0.1},
        {'tolerance_s': 0.6},
        {'tolerance_s': float('nan')},
        {'length': 0},
    ],
    ids=str,
)
def test_impossible_options_are_refused(make_rig, options):
    with pytest.raises(ConfigError):
        make_rig(**options)
