# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Recordings of generated rooms, read back; and the one that the repository carries."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from ros2_spatial_ttt import cli
from ros2_spatial_ttt.replay.bag import Bag, BagOptions, Topics
from ros2_spatial_ttt.sim import recording
from ros2_spatial_ttt.sim.room import boxes

DEMO_ROOM = Path(__file__).parents[2] / 'data' / 'demo_room'
EXPECTED = {
    '/camera/aligned_depth_to_color/image_raw': 'sensor_msgs/msg/Image',
    '/camera/color/camera_info': 'sensor_msgs/msg/CameraInfo',
    '/camera/color/image_raw/compressed': 'sensor_msgs/msg/CompressedImage',
    '/odom': 'nav_msgs/msg/Odometry',
    '/tf': 'tf2_msgs/msg/TFMessage',
    '/tf_static': 'tf2_msgs/msg/TFMessage',
}


def simulate(out, *options):
    words = ['simulate', '--world', 'room', '--out', str(out), '--seed', '9']
    words += ['--frames', '5', '--width', '160']
    return cli.main([*words, *options])


def digests(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_what_is_written_is_read_back(tmp_path, storage):
    out = tmp_path / 'room'
    assert simulate(out, '--storage', storage) == 0
    written = list(boxes.frames(9, 5, width=160, height=120))
    with Bag(out) as bag:
        assert {c.topic: c.msgtype for c in bag.connections} == EXPECTED
        read = list(bag.frames())
    assert len(read) == len(written)
    for got, given in zip(read, written, strict=True):
        assert got.stamp_ns == given.stamp_ns
        assert np.allclose(got.map_T_camera, given.map_T_camera, atol=1e-12)
        assert got.intrinsics == given.intrinsics
        assert np.abs(got.colour.astype(int) - given.colour).mean() < 12, 'JPEG of a small image'
        step_m = given.depth**2 / (0.075 * given.intrinsics.fx * 16)
        assert (np.abs(got.depth / 1000.0 - given.depth) <= 0.5 * step_m * 1.1 + 6e-4).all()


def test_tf_says_the_same_as_odometry(tmp_path):
    out = tmp_path / 'room'
    simulate(out)
    poses = []
    for source in ('odometry', 'tf'):
        with Bag(out, BagOptions(topics=Topics('', '', '', source, ''))) as bag:
            poses.append([frame.map_T_camera for frame in bag.frames()])
    assert np.allclose(*poses, atol=1e-9) and len(poses[0]) == 5


def test_one_seed_gives_the_same_bytes(tmp_path):
    simulate(tmp_path / 'one' / 'room')
    simulate(tmp_path / 'two' / 'room')
    assert digests(tmp_path / 'one' / 'room') == digests(tmp_path / 'two' / 'room')


def test_an_older_recording_is_replaced_on_request_only(tmp_path, capsys):
    out = tmp_path / 'room'
    simulate(out)
    before = digests(out)
    assert simulate(out, '--rate', '0.1') == 2
    assert '--overwrite' in capsys.readouterr().err and digests(out) == before
    assert simulate(out, '--rate', '0.1', '--overwrite') == 0
    assert digests(out) != before


def test_a_failure_keeps_the_older_recording_and_leaves_no_litter(
    tmp_path, room_frames_without_depth
):
    out = tmp_path / 'room'
    simulate(out)
    before = digests(out)
    with pytest.raises(ValueError, match='depth'):
        recording.write_recording(out, room_frames_without_depth)
    assert digests(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ['room']


@pytest.fixture
def room_frames_without_depth():
    def frames():
        yield next(iter(boxes.frames(9, 1, width=64, height=48)))
        raise ValueError('the source of depth broke')

    return frames()


def test_depth_out_of_range_is_no_measurement():
    depth_m = np.array([[0.0, 0.3, 0.5, 2.0, 8.5, np.inf]], np.float32)
    assert recording.sensor_depth(depth_m, 525.0)[0].tolist()[:2] == [0, 0]
    assert recording.sensor_depth(depth_m, 525.0)[0].tolist()[4:] == [0, 0]
    assert np.abs(recording.sensor_depth(depth_m, 525.0)[0, 2:4] - [500.0, 2000.0]).max() < 8


@pytest.mark.parametrize(
    'options', [['--frames', '0'], ['--rate', '0'], ['--jpeg-quality', '101']]
)
def test_senseless_options_are_refused(tmp_path, capsys, options):
    assert simulate(tmp_path / 'room', *options) == 2
    assert 'expected' in capsys.readouterr().err and not (tmp_path / 'room').exists()


def test_the_carried_recording_is_small_and_true_to_its_seed():
    assert sum(path.stat().st_size for path in DEMO_ROOM.iterdir()) <= 8e6
    truth = json.loads((DEMO_ROOM / 'truth.json').read_text(encoding='utf-8'))
    scene = boxes.make_scene(truth['seed'])
    assert truth == recording.truth_of(scene)
    with Bag(DEMO_ROOM) as bag:
        frames = bag.frames()
        carried = [next(frames) for _ in range(2)]
        count = bag.frame_count
    made = boxes.frames(truth['seed'], count, scene=scene)
    for got, frame in zip(carried, made, strict=False):
        assert np.allclose(got.map_T_camera, frame.map_T_camera)
        assert np.abs(got.colour.astype(int) - frame.colour).mean() < 8
