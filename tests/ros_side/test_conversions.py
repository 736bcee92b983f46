# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Messages of rosbags and of rclpy to numpy; every bad message is refused by its reason."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from ros2_spatial_ttt.errors import Refusal
from ros2_spatial_ttt.ros import conversions
from ros2_spatial_ttt.types import Intrinsics

ROOT = Path(__file__).parents[2]
RECORDING = ROOT.parent / 'shared/data/tum_fr3_cabinet'
COLOUR, DEPTH = conversions.colour_from_message, conversions.depth_from_message


def picture(height=6, width=8) -> np.ndarray:
    """RGB with another value in every byte."""
    return np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3)


def same_bytes(view: np.ndarray, message) -> bool:
    return np.shares_memory(view, np.frombuffer(message.data, np.uint8))


# --- colour -------------------------------------------------------------------------------------


@pytest.mark.parametrize('padding', [0, 5])
def test_rgb8_is_a_read_only_view_of_the_message(messages, padding):
    message = messages.raw(picture(), 'rgb8', padding=padding)
    rgb = conversions.colour_from_message(message)
    np.testing.assert_array_equal(rgb, picture())
    assert same_bytes(rgb, message)
    assert not rgb.flags.writeable


@pytest.mark.parametrize('padding', [0, 4])
@pytest.mark.parametrize(
    ('encoding', 'channels'),
    [('bgr8', (2, 1, 0)), ('rgba8', (0, 1, 2, 0)), ('bgra8', (2, 1, 0, 1))],
)
def test_channels_are_put_in_order(messages, encoding, channels, padding):
    message = messages.raw(picture()[:, :, channels], encoding, padding=padding)
    rgb = conversions.colour_from_message(message)
    np.testing.assert_array_equal(rgb, picture())
    assert rgb.dtype == np.uint8


@pytest.mark.parametrize('encoding', ['mono8', '8UC1'])
def test_grey_is_spread_over_three_channels(messages, encoding):
    grey = picture()[:, :, 0]
    rgb = conversions.colour_from_message(messages.raw(grey, encoding, padding=3))
    np.testing.assert_array_equal(rgb, np.repeat(grey[:, :, None], 3, axis=2))


def test_16_bit_colour_is_scaled_to_8(messages):
    grey = np.array([[0, 65535], [257 * 100, 257 * 7]], '<u2')
    rgb = conversions.colour_from_message(messages.raw(grey, 'mono16'))
    np.testing.assert_allclose(rgb[:, :, 0], [[0, 255], [100, 7]], atol=1)
    rgb = conversions.colour_from_message(messages.raw(picture().astype('<u2') * 257, 'rgb16'))
    np.testing.assert_allclose(rgb, picture(), atol=1)


@pytest.mark.parametrize('bits', [8, 16])
@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
def test_bayer_gives_the_colour_that_was_sampled(messages, pattern, bits):
    colour = {'r': 200, 'g': 100, 'b': 20}
    tile = np.array([colour[c] for c in pattern], np.uint8).reshape(2, 2)
    mosaic = np.tile(tile, (6, 6))
    if bits == 16:
        mosaic = mosaic.astype('<u2') * 257
    rgb = conversions.colour_from_message(messages.raw(mosaic, f'bayer_{pattern}{bits}'))
    np.testing.assert_allclose(rgb[5, 5], [200, 100, 20], atol=1)


@pytest.mark.parametrize(
    ('encoding', 'order'),
    [('yuv422', 'uyvy'), ('uyvy', 'uyvy'), ('yuv422_yuy2', 'yuyv'), ('yuyv', 'yuyv')],
)
def test_yuv422_gives_red_for_red(messages, encoding, order):
    # BT.601, studio range, of pure red.
    sample = {'y': 82, 'u': 90, 'v': 240}
    values = np.array([sample[c] for c in order], np.uint8).reshape(1, 2, 2)
    rgb = conversions.colour_from_message(messages.raw(np.tile(values, (4, 4, 1)), encoding))
    np.testing.assert_allclose(rgb[1, 1], [255, 0, 0], atol=3)


def test_image_library_is_named():
    assert conversions.image_library() in ('cv_bridge', 'rosbags-image')


# --- refused images -----------------------------------------------------------------------------


@pytest.mark.parametrize('encoding', ['', 'RGB8', 'h264', '16UC1', '32FC1', '8UC3', 'nv21'])
def test_colour_of_wrong_encoding_is_refused(refused, messages, encoding):
    text = refused(COLOUR, messages.raw(picture(), encoding), Refusal.ENCODING)
    assert repr(encoding) in text
    assert 'rgb8' in text


@pytest.mark.parametrize('encoding', ['', 'rgb8', 'mono8', '64FC1', '16SC1'])
def test_depth_of_wrong_encoding_is_refused(refused, messages, encoding):
    refused(DEPTH, messages.raw(picture(), encoding), Refusal.ENCODING)


@pytest.mark.parametrize('changes', [{'width': 0}, {'height': 0}, {'data': b''}])
def test_empty_images_are_refused(refused, messages, changes):
    refused(COLOUR, messages.raw(picture(), 'rgb8', **changes), Refusal.EMPTY_IMAGE)
    depth = np.ones((2, 4), '<u2')
    refused(DEPTH, messages.raw(depth, '16UC1', **changes), Refusal.EMPTY_IMAGE)


@pytest.mark.parametrize(
    'changes',
    [
        {'step': 8 * 3 - 1},
        {'step': 0},
        {'step': 8 * 3 + 1},
        {'width': 9},
        {'height': 7},
        {'height': 5},
        {'width': 2**32 - 1, 'height': 2**32 - 1},
    ],
)
def test_step_that_disagrees_is_refused(refused, messages, changes):
    refused(COLOUR, messages.raw(picture(), 'rgb8', **changes), Refusal.STEP)


def test_step_that_splits_a_value_is_refused(refused, messages):
    depth = np.ones((2, 4), '<u2')
    refused(DEPTH, messages.raw(depth, '16UC1', padding=1), Refusal.STEP)


def test_big_endian_is_refused_where_bytes_have_an_order(refused, messages):
    for encoding, kind in [('16UC1', '>u2'), ('32FC1', '>f4')]:
        message = messages.raw(np.ones((2, 4), kind), encoding, is_bigendian=1)
        refused(DEPTH, message, Refusal.BIG_ENDIAN)
    grey = messages.raw(np.ones((2, 4), '>u2'), 'mono16', is_bigendian=1)
    refused(COLOUR, grey, Refusal.BIG_ENDIAN)
    single_bytes = messages.raw(picture(), 'rgb8', is_bigendian=1)
    np.testing.assert_array_equal(COLOUR(single_bytes), picture())


def test_half_a_pair_of_yuv422_pixels_is_refused(refused, messages):
    odd = np.zeros((4, 5, 2), np.uint8)
    assert 'even, got 5' in refused(COLOUR, messages.raw(odd, 'yuv422'), Refusal.ENCODING)


# --- depth --------------------------------------------------------------------------------------


@pytest.mark.parametrize('padding', [0, 4])
@pytest.mark.parametrize(
    ('encoding', 'kind'), [('16UC1', '<u2'), ('mono16', '<u2'), ('32FC1', '<f4')]
)
def test_depth_is_a_read_only_view_of_the_message(messages, encoding, kind, padding):
    depth = np.array([[0, 1, 258, 65535], [3, 4, 5, 6]], kind)
    message = messages.raw(depth, encoding, padding=padding)
    got = conversions.depth_from_message(message)
    np.testing.assert_array_equal(got, depth)
    assert got.dtype == depth.dtype
    assert same_bytes(got, message)
    assert not got.flags.writeable


def test_depth_at_an_odd_address_is_made_usable(rosbags_messages):
    depth = np.array([[1.5, np.nan], [2.0, 0.0]], '<f4')
    message = rosbags_messages.raw(depth, '32FC1')
    shifted = np.frombuffer(b'x' + depth.tobytes(), np.uint8)[1:]
    message.data = shifted
    got = conversions.depth_from_message(message)
    assert got.flags.aligned
    np.testing.assert_array_equal(got, depth)


# --- CameraInfo ---------------------------------------------------------------------------------


def test_intrinsics(messages):
    got = conversions.intrinsics_from_message(messages.info())
    assert got == Intrinsics(
        640, 480, 500.0, 510.0, 320.5, 240.5, (0.1, -0.2, 0.001, 0.002, 0.05), 'plumb_bob'
    )


@pytest.mark.parametrize(
    ('model', 'd', 'expected'),
    [
        ('', [], ('plumb_bob', ())),
        ('', [0.0] * 5, ('plumb_bob', ())),
        ('plumb_bob', [0.0] * 5, ('plumb_bob', ())),
        ('rational_polynomial', [0.5] * 8, ('rational_polynomial', (0.5,) * 8)),
        ('equidistant', [0.1] * 4, ('equidistant', (0.1,) * 4)),
        ('equidistant', [], ('equidistant', (0.0,) * 4)),
        ('equidistant', [0.0] * 4, ('equidistant', (0.0,) * 4)),
    ],
)
def test_distortion_models(messages, model, d, expected):
    got = conversions.intrinsics_from_message(messages.info(distortion_model=model, d=d))
    assert (got.model, got.distortion) == expected


def test_binning_and_region_of_interest_are_honoured(messages):
    roi = {'x_offset': 100, 'y_offset': 40, 'width': 320, 'height': 240}
    got = conversions.intrinsics_from_message(messages.info(roi=roi, binning_x=2, binning_y=4))
    assert (got.width, got.height) == (160, 60)
    assert (got.fx, got.fy) == (250.0, 127.5)
    assert (got.cx, got.cy) == ((320.5 - 100) / 2, (240.5 - 40) / 4)


K = [500.0, 0, 320.5, 0, 510.0, 240.5, 0, 0, 1]


@pytest.mark.parametrize(
    'changes',
    [
        {'k': [0.0] * 9},
        {'k': [0.0, *K[1:]]},
        {'k': [-500.0, *K[1:]]},
        {'k': [float('nan'), *K[1:]]},
        {'k': [*K[:5], float('inf'), *K[6:]]},
        {'k': [500.0, 3.0, *K[2:]]},
        {'width': 0},
        {'height': 0},
        {'distortion_model': 'brown'},
        {'distortion_model': ''},
        {'d': [0.1, 0.2, 0.3]},
        {'d': [float('nan')] * 5},
        {'distortion_model': 'equidistant'},
        {'roi': {'x_offset': 400, 'y_offset': 0, 'width': 320, 'height': 240}},
        {'roi': {'x_offset': 0, 'y_offset': 300, 'width': 320, 'height': 240}},
    ],
    ids=str,
)
def test_unusable_camera_info_is_refused(refused, messages, changes):
    refused(conversions.intrinsics_from_message, messages.info(**changes), Refusal.INTRINSICS)


# --- poses and stamps ---------------------------------------------------------------------------

UNIT = (0.5, -0.5, 0.5, -0.5)


def test_pose_and_transform(messages):
    expected = [[0, 0, 1, 1], [-1, 0, 0, 2], [0, -1, 0, 3], [0, 0, 0, 1]]
    turn = (-0.5, 0.5, -0.5, 0.5)
    pose = messages.pose((1.0, 2.0, 3.0), turn)
    np.testing.assert_allclose(conversions.transform_from_pose(pose), expected, atol=1e-15)
    transform = messages.transform((1.0, 2.0, 3.0), turn)
    np.testing.assert_allclose(
        conversions.transform_from_transform(transform), expected, atol=1e-15
    )


@pytest.mark.parametrize('scale', [1.0009, 0.9991])
def test_nearly_unit_quaternions_are_normalised(messages, scale):
    pose = messages.pose((0.0, 0.0, 0.0), tuple(scale * value for value in UNIT))
    rotation = conversions.transform_from_pose(pose)[:3, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)


@pytest.mark.parametrize('scale', [0.0, 1.0011, 0.9989, 2.0])
def test_other_quaternions_are_refused(refused, messages, scale):
    values = tuple(scale * value for value in UNIT)
    pose = messages.pose((0.0, 0.0, 0.0), values)
    refused(conversions.transform_from_pose, pose, Refusal.QUATERNION)
    transform = messages.transform((0.0, 0.0, 0.0), values)
    refused(conversions.transform_from_transform, transform, Refusal.QUATERNION)


@pytest.mark.parametrize('bad', [float('nan'), float('inf'), float('-inf')])
@pytest.mark.parametrize('index', range(7))
def test_non_finite_poses_are_refused(refused, messages, bad, index):
    values = [1.0, 2.0, 3.0, *UNIT]
    values[index] = bad
    pose = messages.pose(tuple(values[:3]), tuple(values[3:]))
    refused(conversions.transform_from_pose, pose, Refusal.POSE_NOT_FINITE)


@pytest.mark.parametrize('ns', [0, 1, 999_999_999, 1_000_000_000, 1341841278842700000, -1])
def test_stamps_round_trip(ns):
    sec, nanosec = conversions.ns_to_sec_nanosec(ns)
    assert 0 <= nanosec < 1_000_000_000
    assert conversions.stamp_to_ns(SimpleNamespace(sec=sec, nanosec=nanosec)) == ns


# --- which library converts ---------------------------------------------------------------------


def library_in_new_process(path: Path) -> subprocess.CompletedProcess:
    code = (
        'import sys; from ros2_spatial_ttt.ros import conversions as c; print(c.image_library());'
        "print(sorted({'rclpy', 'sensor_msgs', 'rosbags.highlevel', 'torch'} & set(sys.modules)))"
    )
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(path), str(ROOT)])}
    return subprocess.run(
        [sys.executable, '-c', code], env=environment, capture_output=True, text=True, check=True
    )


def test_cv_bridge_that_reads_16_bit_as_8_is_not_used(tmp_path):
    """PyPI's cv-bridge 1.13 does that; a module with its defect stands in for it."""
    (tmp_path / 'cv_bridge.py').write_text(
        'import numpy as np\n'
        'class CvBridge:\n'
        '    def imgmsg_to_cv2(self, msg, encoding):\n'
        '        return np.frombuffer(msg.data, np.uint8)[: msg.width].reshape(msg.height, -1)\n'
    )
    done = library_in_new_process(tmp_path)
    assert done.stdout.splitlines()[0] == 'rosbags-image'
    assert '16UC1' in done.stderr


def test_without_a_library_only_what_needs_one_is_refused():
    code = (
        'import sys; sys.modules["cv_bridge"] = sys.modules["rosbags.image"] = None\n'
        'from types import SimpleNamespace as Message\n'
        'from ros2_spatial_ttt.ros.conversions import colour_from_message\n'
        'parts = dict(width=1, height=1, step=3, is_bigendian=0, data=b"abc")\n'
        'print(colour_from_message(Message(encoding="rgb8", **parts)).tolist())\n'
        'colour_from_message(Message(encoding="bgr8", **parts))\n'
    )
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    done = subprocess.run(
        [sys.executable, '-c', code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == '[[[97, 98, 99]]]'
    last = done.stderr.strip().splitlines()[-1]
    assert 'FrameRefused: encoding: ' in last
    assert 'pip install rosbags-image' in last


def test_conversions_import_neither_rclpy_nor_messages(tmp_path):
    done = library_in_new_process(tmp_path)
    assert done.stdout.splitlines()[1] == '[]'


@pytest.mark.installed_ros
def test_cv_bridge_of_ros_is_used_where_installed():
    pytest.importorskip('cv_bridge', reason='cv_bridge has no wheel; needs an installed ROS 2')
    assert conversions.image_library() == 'cv_bridge'


# --- the real recording -------------------------------------------------------------------------


@pytest.mark.skipif(not RECORDING.exists(), reason=f'no recording at {RECORDING}')
def test_real_recording_is_read_as_it_was_recorded():
    counts, ranges = {}, []
    with AnyReader([RECORDING]) as reader:
        for connection, _, data in reader.messages():
            message = reader.deserialize(data, connection.msgtype)
            counts[connection.topic] = counts.get(connection.topic, 0) + 1
            if connection.topic.endswith('compressed'):
                rgb = conversions.colour_from_message(message)
                assert rgb.shape == (480, 640, 3)
                assert rgb.dtype == np.uint8
            elif 'depth' in connection.topic:
                depth = conversions.depth_from_message(message)
                assert depth.shape == (480, 640)
                assert depth.dtype == np.uint16
                assert same_bytes(depth, message)
                ranges.append((depth[depth > 0].min(), depth.max(), (depth > 0).mean()))
            elif connection.topic.endswith('camera_info'):
                got = conversions.intrinsics_from_message(message)
                assert got == Intrinsics(640, 480, 535.4, 539.2, 320.1, 247.6)
            elif connection.topic == '/odom':
                matrix = conversions.transform_from_pose(message.pose.pose)
                assert np.linalg.det(matrix) == pytest.approx(1.0)
    assert counts['/camera/color/image_raw/compressed'] == len(ranges) == counts['/odom'] == 58
    lowest, highest, valid = zip(*ranges, strict=True)
    assert (min(lowest), max(highest)) == (827, 7660)
    assert 0.80 < min(valid) <= max(valid) < 0.88
