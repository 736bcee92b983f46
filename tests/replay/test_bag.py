# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Recordings of all sorts: topics found, poses composed, damage refused by reason."""

import dataclasses

import numpy as np
import pytest

from ros2_spatial_ttt.geometry import invert_transform, quaternion_from_matrix, transform
from ros2_spatial_ttt.replay.bag import Bag, BagError, BagOptions, Topics

COLOUR = '/camera/color/image_raw/compressed'
DEPTH = '/camera/aligned_depth_to_color/image_raw'
INFO = '/camera/color/camera_info'
IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
KINDS = {
    COLOUR: COMPRESSED,
    DEPTH: IMAGE,
    INFO: 'sensor_msgs/msg/CameraInfo',
    '/odom': 'nav_msgs/msg/Odometry',
    '/tf': 'tf2_msgs/msg/TFMessage',
    '/tf_static': 'tf2_msgs/msg/TFMessage',
}


def same(topic, message):
    return [(topic, KINDS[topic], message)]


def without(*topics):
    return lambda topic, index, message: [] if topic in topics else same(topic, message)


def read(path, **options):
    told = []
    with Bag(path, BagOptions(**options)) as bag:
        frames = list(bag.frames(lambda reason, message: told.append((reason.value, message))))
        assert sum(bag.refused.values()) == len(told)
        return frames, dict(bag.refused), told, bag.topics


def chosen(**names):
    empty = {'colour': '', 'info': '', 'depth': '', 'pose_source': 'auto', 'pose': ''}
    return Topics(**(empty | names))


def pose_message(types, map_T_body):
    position = types['geometry_msgs/msg/Point'](*map_T_body[:3, 3])
    quaternion = types['geometry_msgs/msg/Quaternion'](*quaternion_from_matrix(map_T_body[:3, :3]))
    return types['geometry_msgs/msg/Pose'](position, quaternion)


def poses_of(frames):
    return np.array([frame.map_T_camera for frame in frames])


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_all_frames_come_in_order(rewrite, room_frames, storage):
    path = rewrite(lambda topic, index, message: same(topic, message), storage=storage)
    frames, refused, _, topics = read(path)
    assert topics == Topics(COLOUR, INFO, DEPTH, 'odometry', '/odom')
    assert [f.stamp_ns for f in frames] == [f.stamp_ns for f in room_frames]
    assert np.allclose(poses_of(frames), poses_of(room_frames)) and not refused
    assert frames[0].camera == 'front' and frames[0].depth.dtype == np.uint16


def test_raw_colour_and_metric_depth(rewrite, room_frames, types):
    """A camera that publishes rgb8 and 32FC1, with names that say nothing."""

    def change(topic, index, message):
        frame = room_frames[index] if topic in (COLOUR, DEPTH) else None
        if topic == COLOUR:
            data = frame.colour.reshape(-1)
            image = types[IMAGE](message.header, 120, 160, 'rgb8', 0, 480, data)
            return [('/eye/a', IMAGE, image)]
        if topic == DEPTH:
            data = np.ascontiguousarray(frame.depth).view(np.uint8).reshape(-1)
            image = types[IMAGE](message.header, 120, 160, '32FC1', 0, 640, data)
            return [('/eye/b', IMAGE, image)]
        return same(topic, message)

    frames, refused, _, topics = read(rewrite(change))
    assert (topics.colour, topics.depth) == ('/eye/a', '/eye/b') and not refused
    for got, given in zip(frames, room_frames, strict=True):
        assert np.array_equal(got.colour, given.colour) and np.array_equal(got.depth, given.depth)


def test_of_several_cameras_the_aligned_depth_and_the_nearest_calibration_are_taken(rewrite):
    def change(topic, index, message):
        out = same(topic, message)
        if topic == DEPTH:
            out += [('/camera/depth/image_rect_raw', IMAGE, message)]
        if topic == INFO:
            wrong = dataclasses.replace(message, width=10)
            out += [('/camera/aaa/camera_info', KINDS[INFO], wrong)]
        if topic == COLOUR and index == 0:
            out += [('/camera/infra1/image_rect_raw/compressed', COMPRESSED, message)]
        return out

    frames, _, _, topics = read(rewrite(change))
    assert topics == Topics(COLOUR, INFO, DEPTH, 'odometry', '/odom') and len(frames) == 6


def test_topics_can_be_named(rewrite):
    def change(topic, index, message):
        return [('/' + prefix + topic, KINDS[topic], message) for prefix in ('left', 'right')]

    names = chosen(
        colour=f'/right{COLOUR}', info=f'/right{INFO}', depth=f'/right{DEPTH}', pose='/right/odom'
    )
    frames, _, _, topics = read(rewrite(change), topics=names)
    assert topics == dataclasses.replace(names, pose_source='odometry') and len(frames) == 6


@pytest.mark.parametrize('kind', ['PoseStamped', 'PoseWithCovarianceStamped'])
def test_stamped_poses(rewrite, room_frames, types, kind):
    def change(topic, index, message):
        if topic != '/odom':
            return [] if topic.startswith('/tf') else same(topic, message)
        value = message.pose.pose if kind == 'PoseStamped' else message.pose
        name = f'geometry_msgs/msg/{kind}'
        return [('/tracker', name, types[name](message.header, value))]

    frames, refused, _, topics = read(rewrite(change))
    assert (topics.pose_source, topics.pose) == ('pose_stamped', '/tracker') and not refused
    assert np.allclose(poses_of(frames), poses_of(room_frames))


def test_odometry_of_the_robots_body_is_carried_to_the_camera_by_tf(rewrite, room_frames, types):
    """The mounting comes from /tf_static, which here says base_link → optical frame."""
    base_T_optical = transform([0.2, 0.0, 1.1], [-0.5, 0.5, -0.5, 0.5])

    def change(topic, index, message):
        if topic == '/odom':
            body = room_frames[index].map_T_camera @ invert_transform(base_T_optical)
            pose = types['geometry_msgs/msg/PoseWithCovariance'](
                pose_message(types, body), np.zeros(36)
            )
            return same(topic, dataclasses.replace(message, child_frame_id='base_link', pose=pose))
        if topic == '/tf_static':
            part = message.transforms[0]
            vector = types['geometry_msgs/msg/Vector3'](*base_T_optical[:3, 3])
            value = dataclasses.replace(part.transform, translation=vector)
            header = dataclasses.replace(part.header, frame_id='base_link')
            part = dataclasses.replace(part, header=header, transform=value)
            return same(topic, dataclasses.replace(message, transforms=[part]))
        return [] if topic == '/tf' else same(topic, message)

    frames, refused, _, _ = read(rewrite(change))
    assert np.allclose(poses_of(frames), poses_of(room_frames)) and not refused


def test_odometry_of_a_body_without_mounting_gives_no_pose(rewrite):
    def change(topic, index, message):
        if topic == '/odom':
            return same(topic, dataclasses.replace(message, child_frame_id='base_link'))
        return [] if topic.startswith('/tf') else same(topic, message)

    frames, refused, _, _ = read(rewrite(change))
    assert (
        not frames and set(refused) <= {'pose_missing', 'unpaired'} and sum(refused.values()) == 6
    )


def test_poses_of_another_frame_are_refused_when_a_frame_was_named(room_bag):
    frames, refused, told, _ = read(room_bag, map_frame='building')
    assert not frames and refused['pose_missing'] >= 6
    assert "expected 'building'" in told[0][1]


def test_a_damaged_image_is_refused_alone(rewrite):
    def change(topic, index, message):
        if topic == COLOUR and index == 2:
            message = dataclasses.replace(message, data=message.data[: len(message.data) // 2])
        if topic == DEPTH and index == 4:
            message = dataclasses.replace(message, step=7)
        return same(topic, message)

    frames, refused, _, _ = read(rewrite(change))
    assert len(frames) == 4 and refused == {'corrupt_image': 1, 'step': 1, 'unpaired': 1}


def test_a_frame_without_depth_is_refused_and_the_others_are_used(rewrite):
    def change(topic, index, message):
        return [] if topic == DEPTH and index in (1, 5) else same(topic, message)

    frames, refused, _, _ = read(rewrite(change))
    assert len(frames) == 4 and refused == {'unpaired': 2}


def test_a_missing_pose_is_named(rewrite):
    def change(topic, index, message):
        return [] if topic == '/odom' and index == 3 else same(topic, message)

    frames, refused, _, _ = read(rewrite(change))
    assert len(frames) == 5 and refused == {'pose_missing': 1}


def test_colour_alone(rewrite):
    path = rewrite(without(DEPTH))
    with pytest.raises(BagError, match='aligned depth'):
        Bag(path)
    frames, refused, _, _ = read(path, use_depth=False)
    assert len(frames) == 6 and frames[0].depth is None and not refused


@pytest.mark.parametrize(
    ('gone', 'said'),
    [
        ((COLOUR,), 'a colour image'),
        ((INFO,), 'a CameraInfo'),
        (('/odom', '/tf', '/tf_static'), 'a pose'),
    ],
)
def test_what_is_missing_is_said_with_what_is_there(rewrite, gone, said):
    with pytest.raises(BagError) as error:
        Bag(rewrite(without(*gone)))
    left = set(KINDS) - set(gone)
    assert said in str(error.value) and all(topic in str(error.value) for topic in left)


@pytest.mark.parametrize(
    ('topics', 'said'),
    [
        (chosen(colour='/nowhere'), "no topic '/nowhere'"),
        (chosen(depth=INFO), 'CameraInfo; expected'),
        (chosen(pose_source='gps'), 'expected auto'),
        (chosen(pose_source='pose_stamped'), 'a pose'),
    ],
)
def test_wrong_names_are_refused(room_bag, topics, said):
    with pytest.raises(BagError, match=said):
        Bag(room_bag, BagOptions(topics=topics))


def test_paths_that_are_no_recording(tmp_path, room_bag):
    (tmp_path / 'text').mkdir()
    (tmp_path / 'text' / 'a.txt').write_text('x')
    (tmp_path / 'broken').mkdir()
    (tmp_path / 'broken' / 'metadata.yaml').write_text('rosbag2_bagfile_information: 3')
    for path, said in (
        (tmp_path / 'none', 'no recording'),
        (tmp_path / 'text', 'not a rosbag2'),
        (tmp_path / 'broken', 'cannot be read'),
        (room_bag / 'room.mcap', 'give its folder'),
    ):
        with pytest.raises(BagError, match=said):
            Bag(path)


def test_an_empty_recording(rewrite):
    with pytest.raises(BagError, match='no messages|no topics|cannot be read'):
        Bag(rewrite(lambda topic, index, message: []))


@pytest.mark.parametrize('keep', [0.2, 0.6, 0.95])
def test_a_cut_off_file_is_an_error_in_words(tmp_path, room_bag, keep):
    path = tmp_path / 'cut'
    path.mkdir()
    for part in room_bag.iterdir():
        data = part.read_bytes()
        whole = part.suffix != '.mcap'
        (path / part.name).write_bytes(data if whole else data[: int(keep * len(data))])
    with pytest.raises(BagError, match='cannot be read|damaged'), Bag(path) as bag:
        list(bag.frames())


def test_flipped_bytes_end_in_frames_or_in_words(tmp_path, room_bag):
    """No flipped byte may end in anything but frames, refusals or a BagError."""
    path = tmp_path / 'flipped'
    path.mkdir()
    whole = (room_bag / 'room.mcap').read_bytes()
    (path / 'metadata.yaml').write_bytes((room_bag / 'metadata.yaml').read_bytes())
    said = []
    for place in [*range(0, 4000, 311), *np.linspace(4000, len(whole) - 1, 16).astype(int)]:
        data = bytearray(whole)
        data[place] ^= 0xFF
        (path / 'room.mcap').write_bytes(bytes(data))
        try:
            with Bag(path) as bag:
                assert len(list(bag.frames())) <= 6
        except BagError as error:
            said.append(str(error))
    assert said and all(str(path) in sentence or 'lacks' in sentence for sentence in said)
