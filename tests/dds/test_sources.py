# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Encodings, transports, pose sources, several cameras, and clocks: all feed one memory."""

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('spatial_ttt')

from rosgraph_msgs.msg import Clock

from ros2_spatial_ttt.geometry import invert_transform, quaternion_from_matrix, transform
from spatial_ttt.srv import SpatialQuery

COUNT = 6
FRONT = 'camera__front__'


def surface_point(frame):
    """Return the map point in the middle of a frame."""
    rows, columns = frame.depth.shape
    i = frame.intrinsics
    ray = np.array([(columns // 2 - i.cx) / i.fx, (rows // 2 - i.cy) / i.fy, 1.0])
    point = ray * float(frame.depth[rows // 2, columns // 2])
    return frame.map_T_camera[:3, :3] @ point + frame.map_T_camera[:3, 3]


def describe(node, point):
    request = SpatialQuery.Request(type=SpatialQuery.Request.DESCRIBE)
    request.region.header.frame_id = 'map'
    for corner in (request.region.min, request.region.max):
        corner.x, corner.y, corner.z = map(float, point)
    return node.call(SpatialQuery, 'query', request).result_code


def feed(node, frames, send):
    for frame in frames:
        send(frame)
        node.pause()


def all_taken(node, frames):
    """Return the status once the last of the frames is in the memory, and all others are."""
    status = node.written(frames[-1].stamp_ns)
    assert status.frames_accepted == len(frames), node.refused(status)
    return status


@pytest.fixture(scope='module')
def expected(spare, tour):
    """The state after the first frames as raw colour and 32FC1 depth with odometry."""
    spare.reconfigure()
    spare.camera.connected()
    feed(spare, tour[:COUNT], spare.camera.send)
    status = all_taken(spare, tour[:COUNT])
    assert describe(spare, surface_point(tour[2])) == SpatialQuery.Response.OK
    return status.state_hash


def test_same_frames_make_the_same_state(spare, tour, expected):
    spare.reconfigure()
    spare.camera.connected()
    feed(spare, tour[:COUNT], spare.camera.send)
    assert all_taken(spare, tour[:COUNT]).state_hash == expected


def test_pose_stamped(spare, tour, expected):
    spare.reconfigure(pose__source='pose_stamped', pose__topic='pose')
    camera = spare.camera
    camera.connected(pose=True)

    def send(frame):
        camera.pose(frame.stamp_ns, frame.map_T_camera)
        camera.info(frame.stamp_ns, frame.intrinsics)
        camera.depth(frame.stamp_ns, frame.depth)
        camera.colour(frame.stamp_ns, frame.colour)

    feed(spare, tour[:COUNT], send)
    assert all_taken(spare, tour[:COUNT]).state_hash == expected


def test_pose_of_a_body_and_a_mounting(spare, tour):
    body_T_camera = transform([0.2, -0.1, 0.6], [-0.5, 0.5, -0.5, 0.5])
    spare.reconfigure(
        **{
            f'{FRONT}extrinsic_xyz': [float(x) for x in body_T_camera[:3, 3]],
            f'{FRONT}extrinsic_xyzw': list(
                map(float, quaternion_from_matrix(body_T_camera[:3, :3]))
            ),
        }
    )
    camera = spare.camera
    camera.connected()

    def send(frame):
        map_T_body = frame.map_T_camera @ invert_transform(body_T_camera)
        camera.odometry(frame.stamp_ns, map_T_body, child='base_link')
        camera.info(frame.stamp_ns, frame.intrinsics)
        camera.depth(frame.stamp_ns, frame.depth)
        camera.colour(frame.stamp_ns, frame.colour)

    feed(spare, tour[:COUNT], send)
    all_taken(spare, tour[:COUNT])
    for frame in tour[1:COUNT:2]:
        assert describe(spare, surface_point(frame)) == SpatialQuery.Response.OK


def test_pose_between_two_odometry_messages(spare, tour):
    """Images come between poses; they wait for the next one."""
    spare.reconfigure(pose__max_age_s=1.0)
    camera = spare.camera
    camera.connected()
    gap_ns = tour[1].stamp_ns - tour[0].stamp_ns
    for frame in tour[:COUNT]:
        camera.info(frame.stamp_ns, frame.intrinsics)
        camera.depth(frame.stamp_ns, frame.depth)
        camera.colour(frame.stamp_ns, frame.colour)
        for offset_ns in (-gap_ns // 4, gap_ns // 4):
            camera.odometry(frame.stamp_ns + offset_ns, frame.map_T_camera)
        spare.pause()
    all_taken(spare, tour[:COUNT])
    assert describe(spare, surface_point(tour[2])) == SpatialQuery.Response.OK


def test_compressed_colour_and_depth_in_millimetres(spare, tour):
    spare.reconfigure(**{f'{FRONT}transport': 'compressed'})
    camera = spare.camera
    camera.connected(compressed=True)

    def send(frame):
        camera.odometry(frame.stamp_ns, frame.map_T_camera)
        camera.info(frame.stamp_ns, frame.intrinsics)
        camera.depth_mm(frame.stamp_ns, frame.depth)
        camera.compressed(frame.stamp_ns, frame.colour)

    feed(spare, tour[:COUNT], send)
    before = all_taken(spare, tour[:COUNT])
    assert describe(spare, surface_point(tour[2])) == SpatialQuery.Response.OK
    camera.compressed(tour[COUNT].stamp_ns, data=b'\xff\xd8\xff\xe0 this is no picture')
    after = spare.status(lambda s: spare.refused(s).get('corrupt_image'), what='corrupt_image')
    assert after.state_hash == before.state_hash


def test_stamps_of_depth_within_the_tolerance(spare, tour):
    spare.reconfigure(sync__tolerance_s=0.02)
    camera = spare.camera
    camera.connected()

    def send(frame):
        camera.odometry(frame.stamp_ns, frame.map_T_camera)
        camera.info(frame.stamp_ns, frame.intrinsics)
        camera.depth(frame.stamp_ns + 15_000_000, frame.depth)
        camera.colour(frame.stamp_ns, frame.colour)

    feed(spare, tour[:COUNT], send)
    all_taken(spare, tour[:COUNT])


def test_two_cameras_one_memory(spare, tour, start_node):
    """The second camera looks at what the first does not see."""
    node = start_node(
        cameras=['front', 'rear'],
        camera__rear__colour_topic='rear/colour',
        camera__rear__depth_topic='rear/depth',
        camera__rear__info_topic='rear/info',
        pose__child_is_camera=True,
    ).start()
    rear = node.another_camera('rear')
    node.camera.connected()
    rear.connected()
    feed(node, tour[:COUNT], node.camera.send)
    # One body carries both here, so its odometry is that of either; stamps are interleaved.
    later = tour[COUNT : 2 * COUNT]
    feed(node, later, rear.send)
    all_taken(node, tour[: 2 * COUNT])
    assert describe(node, surface_point(tour[2])) == SpatialQuery.Response.OK
    assert describe(node, surface_point(later[3])) == SpatialQuery.Response.OK


def test_looping_bag_starts_the_memory_anew(spare, tour, expected):
    spare.reconfigure(memory__gate__time_jump='reset')
    spare.camera.connected()
    feed(spare, tour[:20], spare.camera.send)
    longer = all_taken(spare, tour[:20])
    assert longer.state_hash != expected
    feed(spare, tour[:COUNT], spare.camera.send)
    spare.status(lambda s: s.frames_accepted >= 20 + COUNT, what='the second round')
    assert spare.written(tour[COUNT - 1].stamp_ns).state_hash == expected
    assert 'went back' in spare.log


def test_looping_bag_with_sim_time(spare, tour, expected):
    """The clock jumps back before any image does; nothing of the old round is left waiting."""
    spare.reconfigure(memory__gate__time_jump='reset', use_sim_time=True)
    camera, clock = spare.camera, spare.peer.node.create_publisher(Clock, '/clock', 10)
    camera.connected()
    spare.until(clock.get_subscription_count, what='the clock of the node')
    for _ in range(2):
        for frame in tour[:COUNT]:
            tick = Clock()
            tick.clock = camera.header(frame.stamp_ns).stamp
            clock.publish(tick)
            spare.pause()
            camera.send(frame)
            spare.pause()
    spare.status(lambda s: s.frames_accepted >= 2 * COUNT, what='two rounds')
    last = tour[COUNT - 1].stamp_ns + 10_000_000_000
    tick.clock = camera.header(last).stamp
    clock.publish(tick)
    assert spare.written(tour[COUNT - 1].stamp_ns).state_hash == expected
    stamp = spare.status().header.stamp
    assert stamp.sec == last // 1_000_000_000
    refused = spare.set_parameters(use_sim_time=False)
    assert not refused
