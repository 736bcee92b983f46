# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The frames do not depend on the order in which topics arrive; the real recording is whole."""

from collections import deque
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rosbags.highlevel import AnyReader

from ros2_spatial_ttt.ros.conversions import (
    colour_from_message,
    depth_from_message,
    intrinsics_from_message,
    stamp_to_ns,
    transform_from_pose,
)
from ros2_spatial_ttt.ros.pose import PoseBuffer
from ros2_spatial_ttt.ros.sync import FrameAssembler

RECORDING = Path(__file__).parents[3] / 'shared/data/tum_fr3_cabinet'
TOPICS = ('colour', 'depth', 'pose', 'intrinsics')
NOTHING_LOST, LAG_MS, WAIT_S, MAX_GAP_S = 1e6, 50.0, 0.2, 0.05


@st.composite
def recordings(draw):
    """Return {topic: [(stamp_ms, value)]}: jitter, losses, gaps between poses."""
    count = draw(st.integers(1, 8))
    stamps = [100 + 33 * i + draw(st.integers(-8, 8)) for i in range(count)]
    depths = {
        stamp + draw(st.sampled_from([-12, -7, 0, 0, 0, 5, 12]))
        for stamp in stamps
        if draw(st.integers(0, 4))
    }
    poses = [ms for ms in range(80, 400, 20) if draw(st.integers(0, 5))]
    return {
        'colour': [(stamp, i) for i, stamp in enumerate(stamps)],
        'depth': [(stamp, i) for i, stamp in enumerate(sorted(depths))],
        'pose': [(ms, 0) for ms in poses],
        'intrinsics': [(draw(st.integers(100, 140)), 0)],
    }


def play(make_rig, recording, order, *, wait_s, use_depth, always_ready):
    """Return what becomes of a recording whose topics take turns as in ``order``."""
    options = {'wait_s': wait_s, 'use_depth': use_depth, 'max_gap_s': MAX_GAP_S}
    rig = make_rig(intrinsics=None, poses=(), **options)
    queues = {topic: deque(recording[topic]) for topic in TOPICS}
    for topic in order:
        getattr(rig, topic)(*queues[topic].popleft())
        if always_ready:
            rig.ready()
    assert not any(queues.values())
    # What is far in the future decides everything before it.
    for topic in ('pose', 'depth', 'colour'):
        getattr(rig, topic)(1e10)
    rig.ready()
    outcome = rig.outcome()
    assert len(outcome[0]) + len(outcome[1]) == len(recording['colour']) + 1
    return outcome


@given(data=st.data(), recording=recordings(), use_depth=st.sampled_from([True, False, 'auto']))
def test_any_interleaving_of_topics_gives_the_same_frames(make_rig, data, recording, use_depth):
    by_stamp = [topic for _, topic in sorted((m[0], t) for t in TOPICS for m in recording[t])]
    order = data.draw(st.permutations(by_stamp))
    options = {'wait_s': NOTHING_LOST, 'use_depth': use_depth}
    expected = play(make_rig, recording, by_stamp, always_ready=False, **options)
    assert play(make_rig, recording, order, always_ready=True, **options) == expected


@given(data=st.data(), recording=recordings(), use_depth=st.sampled_from([True, False, 'auto']))
def test_lag_below_wait_s_gives_the_same_frames(make_rig, data, recording, use_depth):
    arrivals = []
    for topic in TOPICS:
        latest = 0.0
        for index, (stamp, _) in enumerate(recording[topic]):
            latest = max(latest, stamp + data.draw(st.floats(0.0, LAG_MS)))
            arrivals.append((latest, index, topic))
    # Equal times: a lower index first keeps each topic in its order.
    order = [topic for *_, topic in sorted(arrivals)]
    prompt = [topic for _, topic in sorted((m[0], t) for t in TOPICS for m in recording[t])]
    options = {'use_depth': use_depth, 'always_ready': True}
    expected = play(make_rig, recording, prompt, wait_s=NOTHING_LOST, **options)
    assert play(make_rig, recording, order, wait_s=WAIT_S, **options) == expected


# --- the real recording -------------------------------------------------------------------------


@pytest.mark.skipif(not RECORDING.exists(), reason=f'no recording at {RECORDING}')
@pytest.mark.parametrize('poses_last', [False, True])
def test_real_recording_gives_58_frames(poses_last):
    poses, refused = PoseBuffer(1.0, 100), []
    assembler = FrameAssembler(
        'front',
        tolerance_s=0.02,
        wait_s=100.0,
        use_depth=True,
        pose_at=poses.at,
        refuse=lambda reason, message: refused.append(message),
        length=60,
    )
    frames, late = [], []
    with AnyReader([RECORDING]) as reader:
        for connection, _, data in reader.messages():
            message = reader.deserialize(data, connection.msgtype)
            if connection.topic == '/odom':
                item = stamp_to_ns(message.header.stamp), transform_from_pose(message.pose.pose)
                late.append(item) if poses_last else poses.add(*item)
            elif connection.topic == '/camera/color/camera_info':
                assembler.set_intrinsics(intrinsics_from_message(message))
            elif 'depth' in connection.topic:
                assembler.add_depth(stamp_to_ns(message.header.stamp), depth_from_message(message))
            elif connection.topic.endswith('compressed'):
                assembler.add_colour(
                    stamp_to_ns(message.header.stamp), colour_from_message(message)
                )
            frames += assembler.ready()
    assert len(frames) == (0 if poses_last else 58)
    for item in late:
        poses.add(*item)
    frames += assembler.ready()
    assert refused == []
    assert len(frames) == 58
    stamps = [frame.stamp_ns for frame in frames]
    assert stamps == sorted(stamps)
    assert {frame.colour.shape for frame in frames} == {(480, 640, 3)}
    metres = np.concatenate([frame.depth[frame.depth > 0] for frame in frames]) / 1000
    assert (metres.min(), metres.max()) == pytest.approx((0.827, 7.66))
    path = np.linalg.norm(np.diff([frame.map_T_camera[:3, 3] for frame in frames], axis=0), axis=1)
    assert path.sum() == pytest.approx(8.3, abs=0.1)
