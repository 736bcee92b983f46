# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Questions and answers survive the way through the messages; a node that cannot start is told."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('spatial_ttt.srv')

from ros2_spatial_ttt.demo.session import node_parameters  # noqa: E402
from ros2_spatial_ttt.replay.bag import Bag  # noqa: E402
from ros2_spatial_ttt.ros import session  # noqa: E402
from ros2_spatial_ttt.ros.messages import fill_response  # noqa: E402
from ros2_spatial_ttt.ros.requests import query_from_request  # noqa: E402
from ros2_spatial_ttt.sim.room.boxes import camera_intrinsics, look  # noqa: E402
from ros2_spatial_ttt.types import (  # noqa: E402
    Answer,
    Example,
    Instance,
    Query,
    QueryType,
    Region,
    ResultCode,
)
from spatial_ttt.srv import SpatialQuery  # noqa: E402

# The parser behind the message types imports modules that Python deprecates.
pytestmark = [
    pytest.mark.ros,
    pytest.mark.filterwarnings('ignore:module .sre_:DeprecationWarning'),
]


def test_a_question_arrives_as_it_was_asked():
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    asked = Query(
        QueryType.NEAREST,
        text='near',
        labels=('#3', 'chair'),
        examples=(Example(image, (1, 2, 30, 20)),),
        viewpoint=look(np.array([1.0, 2.0, 3.0]), 0.4, 0.1),
        region=Region((-1.0, -2.0, 0.0), (4.0, 5.0, 2.5)),
        since_ns=1_500_000_000,
        until_ns=2_500_000_001,
        max_results=4,
    )
    frames = SimpleNamespace(map_frame='map', map_T=lambda name, stamp_ns=0: np.eye(4))
    camera = camera_intrinsics(64, 48)
    got = query_from_request(
        session.request_from_query(asked),
        frames,
        here=lambda: None,
        intrinsics={'': camera}.get,
    )
    assert np.array_equal(got.examples[0].image, image)
    assert got.examples[0].intrinsics == camera
    assert got.examples[0].roi == asked.examples[0].roi
    assert np.allclose(got.viewpoint, asked.viewpoint)
    for name in ('type', 'text', 'labels', 'region', 'since_ns', 'until_ns', 'max_results'):
        assert getattr(got, name) == getattr(asked, name), name


def test_an_answer_arrives_as_it_was_given():
    given = Instance(
        id=7,
        label='box',
        position=np.array([1.0, -2.0, 0.5]),
        covariance=np.diag([0.1, 0.2, 0.3]),
        size=np.array([0.4, 0.5, 0.6]),
        yaw=-2.5,
        confidence=0.75,
        first_seen_ns=1_000_000_001,
        last_seen_ns=2_000_000_002,
        observations=9,
        evidence_jpeg=b'\xff\xd8picture',
        evidence_map_T_camera=look(np.array([0.0, 1.0, 1.4]), -1.0, 0.2),
        evidence_stamp_ns=1_900_000_003,
    )
    answer = Answer(
        ResultCode.OK, 'm', (given,), 2.0, 1.5, 2.5, 'm', 'a sentence', 0.5, 2_000_000_002
    )
    response = SpatialQuery.Response()
    fill_response(response, answer, frame_id='map', frame_T_map=np.eye(4))
    got = session.answer_from_response(response)
    for name in ('code', 'message', 'value', 'value_low', 'value_high', 'unit', 'sentence'):
        assert getattr(got, name) == getattr(answer, name), name
    assert got.valid_at_ns == answer.valid_at_ns
    for name, value in vars(given).items():
        assert (
            np.allclose(getattr(got.instances[0], name), value)
            if isinstance(value, (np.ndarray, float))
            else getattr(got.instances[0], name) == value
        ), name


def test_a_camera_arrives_with_its_pose_in_the_frame_that_was_asked_for():
    """All of the covariance turns with the frame; in the map it is what was given."""
    pose = look(np.array([1.0, -2.0, 1.4]), 0.7, -0.2)
    covariance = np.diag([1.0, 4.0, 9.0, 0.1, 0.2, 0.3]) * 1e-4
    covariance[0, 4] = covariance[4, 0] = 1e-5
    given = Instance(
        id=3,
        label='camera',
        position=pose[:3, 3],
        covariance=covariance[:3, :3],
        size=np.zeros(3),
        confidence=0.9,
        first_seen_ns=1,
        last_seen_ns=2,
        observations=40,
        map_T_camera=pose,
        pose_covariance=covariance,
    )
    answer = Answer(ResultCode.OK, instances=(given,))
    quarter = np.eye(4)
    quarter[:2, :2] = [[0.0, -1.0], [1.0, 0.0]]
    for frame_T_map in (np.eye(4), quarter):
        response = SpatialQuery.Response()
        fill_response(response, answer, frame_id='map', frame_T_map=frame_T_map)
        got = session.answer_from_response(response).instances[0]
        assert np.allclose(got.map_T_camera, frame_T_map @ pose)
        turn = np.kron(np.eye(2), frame_T_map[:3, :3])
        assert np.allclose(got.pose_covariance, turn @ covariance @ turn.T)
        assert got.yaw == 0.0 and np.allclose(got.position, got.map_T_camera[:3, 3])


def test_parameters_follow_the_recording(room_bag, rewrite, tmp_path):
    with Bag(room_bag) as bag:
        parameters, words = node_parameters(bag, directory=tmp_path)
    camera = parameters['camera']['front']
    assert camera['colour_topic'] == '/camera/color/image_raw' and not words
    assert (camera['transport'], camera['depth_transport']) == ('compressed', 'raw')
    assert parameters['pose'] == {'source': 'odometry', 'topic': '/odom'}
    kind = 'sensor_msgs/msg/CompressedImage'

    def rename(topic, index, message):
        if topic.endswith('/compressed'):
            return [('/eye', kind, message)]
        with Bag(room_bag) as source:
            types = {c.topic: c.msgtype for c in source.connections}
        return [(topic, types[topic], message)]

    with Bag(rewrite(rename)) as bag:
        parameters, words = node_parameters(bag, directory=tmp_path)
    assert parameters['camera']['front']['colour_topic'] == '/eye'
    assert words == ['-r', '/eye/compressed:=/eye']


def test_a_node_that_cannot_be_configured_is_told_with_its_log(tmp_path):
    parameters = {'cameras': ['front'], 'memory': {'threads': -3}}
    with session.NodeSession(tmp_path, parameters) as running:
        with pytest.raises(session.SessionError, match='did not configure') as error:
            running.bring_up()
        assert 'memory.threads' in str(error.value)
        assert running.stop() == 0


def test_a_node_that_ends_at_once_is_told(tmp_path):
    with (
        session.NodeSession(tmp_path, {}, options=['--no-such-option-of-ros']) as running,
        pytest.raises(session.SessionError, match='ended'),
    ):
        running.bring_up()
