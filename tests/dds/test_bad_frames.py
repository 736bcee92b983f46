# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Frames that must not enter memory: refused by reason, counted in ~/status, state unchanged."""

import dataclasses
import time

import numpy as np
import pytest

pytest.importorskip('rclpy')

STEP_NS = 100_000_000


@pytest.fixture
def bad(shared, tour):
    """Sends bad frames that continue the tour, and checks what became of them."""
    return Bad(shared, tour[len(tour) // 2 - 1])


class Bad:
    """Continues from the last good frame; every picture differs by some noise."""

    stamp_ns = 0
    rng = np.random.default_rng(5)

    def __init__(self, node, last):
        self.node, self.camera, self.frame = node, node.camera, last
        Bad.stamp_ns = max(Bad.stamp_ns, last.stamp_ns)
        self.before = node.status()

    def next(self, step_ns):
        """Return the next stamp and a frame that would be taken."""
        Bad.stamp_ns += step_ns
        noise = self.rng.integers(0, 3, self.frame.colour.shape, dtype=np.uint8)
        colour = np.minimum(self.frame.colour, 252) + noise
        return Bad.stamp_ns, dataclasses.replace(self.frame, colour=colour, stamp_ns=Bad.stamp_ns)

    def send(self, *, step_ns=STEP_NS, **changes):
        """Send one frame with some of its parts replaced by a function of the stamp."""
        stamp_ns, frame = self.next(step_ns)
        camera = self.camera
        parts = {
            'odometry': lambda s: camera.odometry(s, frame.map_T_camera),
            'info': lambda s: camera.info(s, frame.intrinsics),
            'depth': lambda s: camera.depth(s, frame.depth),
            'colour': lambda s: camera.colour(s, frame.colour),
        }
        assert set(changes) <= set(parts)
        for name, part in {**parts, **changes}.items():
            if part is not None:
                part(stamp_ns) if name not in changes else part(stamp_ns, frame)
        # Topics reach the node apart from each other; stamps must not outrun them.
        time.sleep(0.03)

    def expect(self, *reasons):
        """Wait for the counter of one of the reasons; nothing else may have changed."""
        old = self.node.refused(self.before)

        def counted(status):
            new = self.node.refused(status)
            return any(new.get(reason, 0) > old.get(reason, 0) for reason in reasons)

        self.node.status(counted, what=f'refused for {reasons}, before {old}')
        self.node.status()
        after = self.node.status(lambda s: s.queue_length == 0)
        assert after.frames_accepted == self.before.frames_accepted
        assert after.state_hash == self.before.state_hash != ''
        assert after.state_bytes == self.before.state_bytes > 0
        assert self.node.process.poll() is None

    def good(self):
        """Send enough good frames that nothing bad waits for its other half any more."""
        for _ in range(12):
            self.send()
        self.before = self.node.written(Bad.stamp_ns)


def test_unknown_encoding(bad):
    def colour(stamp_ns, frame):
        bad.camera._colour.publish(bad.camera.image(stamp_ns, frame.colour, 'rgb7'))

    bad.send(colour=colour)
    bad.expect('encoding')


def test_depth_on_the_colour_topic(bad):
    def colour(stamp_ns, frame):
        pixels = (frame.depth * 1e3).astype('<u2')
        bad.camera._colour.publish(bad.camera.image(stamp_ns, pixels, '16UC1'))

    bad.send(colour=colour)
    bad.expect('encoding')


def test_size_that_disagrees_with_the_step(bad):
    def colour(stamp_ns, frame):
        message = bad.camera.image(stamp_ns, frame.colour, 'rgb8')
        message.height += 1
        bad.camera._colour.publish(message)

    bad.send(colour=colour)
    bad.expect('step')


def test_big_endian_depth(bad):
    def depth(stamp_ns, frame):
        message = bad.camera.image(stamp_ns, (frame.depth * 1e3).astype('>u2'), '16UC1')
        message.is_bigendian = 1
        bad.camera._depth.publish(message)

    bad.send(depth=depth)
    bad.expect('big_endian')


def test_empty_image(bad):
    def colour(stamp_ns, frame):
        message = bad.camera.image(stamp_ns, frame.colour, 'rgb8')
        message.height = message.width = message.step = 0
        message.data = b''
        bad.camera._colour.publish(message)

    bad.send(colour=colour)
    bad.expect('empty_image')


@pytest.mark.parametrize(
    ('value', 'reasons'),
    [
        (np.nan, ('depth_not_finite', 'depth_empty')),
        (np.inf, ('depth_not_finite', 'depth_empty')),
        (-1.0, ('depth_negative',)),
        (0.0, ('depth_empty',)),
    ],
)
def test_depth_that_measures_nothing(bad, value, reasons):
    def depth(stamp_ns, frame):
        bad.camera.depth(stamp_ns, np.full_like(frame.depth, value))

    bad.send(depth=depth)
    bad.expect(*reasons)


def test_depth_of_another_size(bad):
    def depth(stamp_ns, frame):
        bad.camera.depth(stamp_ns, frame.depth[::2, ::2])

    bad.send(depth=depth)
    bad.expect('depth_size')


def test_camera_info_with_zero_k(bad):
    bad.send(
        info=lambda stamp_ns, frame: bad.camera.info(stamp_ns, frame.intrinsics, k=[0.0] * 9),
        colour=None,
    )
    bad.expect('intrinsics')


def test_no_pose(bad):
    for _ in range(4):
        # Newer images come on without a pose until the first is given up after sync.wait_s.
        bad.send(odometry=None, step_ns=4 * STEP_NS)
    bad.expect('pose_missing')
    bad.good()


def test_pose_too_old(bad):
    """The next pose comes only after a gap over pose.max_age_s: nothing is interpolated."""
    bad.send(colour=None, depth=None)
    for _ in range(4):
        bad.send(odometry=None, step_ns=4 * STEP_NS)
    bad.send(colour=None, depth=None)
    bad.expect('pose_missing')
    bad.good()


def test_poses_of_another_map(bad):
    def odometry(stamp_ns, frame):
        bad.camera.odometry(stamp_ns, frame.map_T_camera, frame_id='odom')

    bad.send(odometry=odometry, colour=None, depth=None)
    bad.expect('pose_missing')
    assert 'set map_frame' in bad.node.log


def test_pose_of_another_body_without_a_mounting(bad):
    def odometry(stamp_ns, frame):
        bad.camera.odometry(stamp_ns, frame.map_T_camera, child='base_link')

    for _ in range(4):
        bad.send(odometry=odometry, step_ns=4 * STEP_NS)
    bad.expect('pose_missing')
    assert 'camera.<name>.extrinsic_xyz' in bad.node.log
    bad.good()


def test_pose_jump(bad):
    def odometry(stamp_ns, frame):
        far = frame.map_T_camera.copy()
        far[0, 3] += 5.0
        bad.camera.odometry(stamp_ns, far)

    bad.send(odometry=odometry)
    bad.expect('pose_jump')


@pytest.mark.parametrize('quaternion', [(0, 0, 0, 0), (0.5, 0.5, 0.5, 0.9), (0, 0, 0, 2.0)])
def test_quaternion_without_length_one(bad, quaternion):
    def odometry(stamp_ns, frame):
        bad.camera.odometry(stamp_ns, frame.map_T_camera, quaternion=quaternion)

    bad.send(odometry=odometry, colour=None, depth=None)
    bad.expect('quaternion')


def test_pose_that_is_not_finite(bad):
    def odometry(stamp_ns, frame):
        bad.camera.odometry(stamp_ns, np.full((4, 4), np.nan), quaternion=(0, 0, 0, 1))

    bad.send(odometry=odometry, colour=None, depth=None)
    bad.expect('pose_not_finite')


def test_stamp_that_repeats(bad):
    bad.good()
    bad.camera.send(bad.frame, stamp_ns=Bad.stamp_ns)
    bad.expect('stamp_repeat', 'stamp_back')


def test_stamp_that_goes_back_a_little(bad):
    """Less than gate.time_jump_s: a late frame."""
    bad.good()
    bad.camera.send(bad.frame, stamp_ns=Bad.stamp_ns - STEP_NS // 2)
    bad.expect('stamp_back')


def test_time_that_jumps_back(bad):
    """More than gate.time_jump_s, which is to refuse: a bag that loops."""
    bad.good()
    bad.camera.send(bad.frame, stamp_ns=Bad.stamp_ns - 30 * STEP_NS)
    bad.expect('time_jump')
    # Time catches up.
    bad.good()


def test_frozen_feed(bad):
    """The shared node stops for good at byte-identical pictures, from the last good one on."""
    for _ in range(8):
        bad.send(colour=lambda stamp_ns, frame: bad.camera.colour(stamp_ns, bad.frame.colour))
    status = bad.node.status(
        lambda s: bad.node.refused(s).get('frozen', 0) > 0, what='refused as frozen'
    )
    assert status.frames_accepted - bad.before.frames_accepted < 8
    bad.good()


def test_blur(bad):
    def colour(stamp_ns, frame):
        bad.camera.colour(stamp_ns, np.full_like(frame.colour, 128))

    bad.send(colour=colour)
    bad.expect('blur')
