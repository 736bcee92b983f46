# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Playing over real DDS: all arrives, in order, with the recorded QoS and a running clock."""

import threading

import pytest
from patience import WAIT_S, until

rclpy = pytest.importorskip('rclpy')

from nav_msgs.msg import Odometry  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy  # noqa: E402
from rosbags.interfaces import (  # noqa: E402
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import Writer  # noqa: E402
from rosbags.typesys import Stores, get_typestore  # noqa: E402
from rosgraph_msgs.msg import Clock  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402

from ros2_spatial_ttt.replay.bag import Bag  # noqa: E402
from ros2_spatial_ttt.replay.publish import Player  # noqa: E402
from ros2_spatial_ttt.ros.conversions import stamp_to_ns  # noqa: E402
from ros2_spatial_ttt.sim import recording  # noqa: E402
from ros2_spatial_ttt.sim.room import boxes  # noqa: E402

# The parser behind the message types imports modules that Python deprecates.
pytestmark = [
    pytest.mark.ros,
    pytest.mark.filterwarnings('ignore:module .sre_:DeprecationWarning'),
]
COUNT = 12
IMAGE = 'sensor_msgs/msg/Image'


@pytest.fixture(scope='module')
def bag_path(tmp_path_factory):
    path = tmp_path_factory.mktemp('played') / 'room'
    recording.write_recording(path, boxes.frames(1, COUNT, width=640, height=480))
    return path


@pytest.fixture
def graph():
    """Yield (listening node, playing node); the listening one is spun."""
    rclpy.init()
    listener, player = rclpy.create_node('listener'), rclpy.create_node('player')
    executor = SingleThreadedExecutor()
    executor.add_node(listener)
    spinner = threading.Thread(target=executor.spin)
    spinner.start()
    yield listener, player
    executor.shutdown()
    spinner.join()
    listener.destroy_node()
    player.destroy_node()
    rclpy.shutdown()


def listen(node, kind, topic, reader=stamp_to_ns, qos=100):
    got = []
    node.create_subscription(kind, topic, lambda m: got.append(reader(m)), qos)
    return got


def header_stamp(message):
    return stamp_to_ns(message.header.stamp)


def test_everything_arrives_in_order_with_the_clock(graph, bag_path):
    listener, node = graph
    with Bag(bag_path) as bag:
        frames = [frame.stamp_ns for frame in bag.frames()]
        topics = bag.topics
        colour = listen(listener, CompressedImage, topics.colour, header_stamp)
        depth = listen(listener, Image, topics.depth, lambda m: (header_stamp(m), len(m.data)))
        poses = listen(listener, Odometry, topics.pose, header_stamp)
        clock = listen(listener, Clock, '/clock', lambda m: stamp_to_ns(m.clock), qos=1000)
        warned = []
        player = Player(bag, node, warn=warned.append)
        assert player.wait_for_subscribers(
            WAIT_S, topics={topics.colour, topics.depth, topics.pose}
        )
        until(lambda: node.count_subscribers('/clock'), what='a listener of the clock')
        player.play(rate=20.0, progress=False)
        until(lambda: len(poses) == len(colour) == len(depth) == COUNT, what='all messages')
        until(lambda: clock and clock[-1] == frames[-1], what='a clock at the last stamp')
        end_ns = frames[-1] + 2_000_000_000
        assert player.run_clock(lambda: clock[-1] >= end_ns, rate=10.0, timeout_s=WAIT_S)
        assert not player.run_clock(lambda: False, rate=1.0, timeout_s=0.1)
    assert colour == poses == frames
    assert depth == [(stamp, 640 * 480 * 2) for stamp in frames]
    assert clock == sorted(clock) and clock[0] == frames[0] and len(clock) > COUNT
    assert len(warned) <= 1


def test_what_is_not_installed_is_skipped_with_one_warning(graph, bag_path):
    _, node = graph
    try:
        import tf2_msgs  # noqa: F401

        pytest.skip('tf2_msgs is installed here')
    except ImportError:
        pass
    warned = []
    with Bag(bag_path) as bag:
        count = Player(bag, node, warn=warned.append).play(rate=1000.0, progress=False)
    assert count == 4 * COUNT
    assert len(warned) == 1 and '/tf_static (tf2_msgs/msg/TFMessage)' in warned[0]


def test_waiting_for_nobody_ends(graph, bag_path):
    _, node = graph
    with Bag(bag_path) as bag:
        assert not Player(bag, node, warn=lambda _: None).wait_for_subscribers(0.3)


@pytest.mark.parametrize('offered', ['best_effort', 'latched', 'nothing'])
def test_the_recorded_qos_is_offered(graph, bag_path, tmp_path, offered):
    listener, node = graph
    path = tmp_path / 'copy'
    forever = QosTime(9223372036, 854775807)
    best_effort, latched = offered == 'best_effort', offered == 'latched'
    qos = Qos(
        QosHistory.KEEP_LAST,
        1,
        QosReliability.BEST_EFFORT if best_effort else QosReliability.RELIABLE,
        QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        forever,
        forever,
        QosLiveliness.AUTOMATIC,
        forever,
        False,
    )
    store = get_typestore(Stores.ROS2_JAZZY)
    with Bag(bag_path) as bag, Writer(path, version=9) as writer:
        made = {}
        for connection, log_ns, data in bag.raw_messages({c.topic for c in bag.connections}):
            if connection.topic not in made:
                made[connection.topic] = writer.add_connection(
                    connection.topic,
                    connection.msgtype,
                    typestore=store,
                    offered_qos_profiles=[] if offered == 'nothing' else [qos],
                )
            writer.write(made[connection.topic], log_ns, data)
    with Bag(path) as bag:
        Player(bag, node, warn=lambda _: None)
        (info,) = node.get_publishers_info_by_topic(bag.topics.depth)
        assert (info.qos_profile.reliability == QoSReliabilityPolicy.BEST_EFFORT) == best_effort
        assert (info.qos_profile.durability == QoSDurabilityPolicy.TRANSIENT_LOCAL) == latched
        strict = QoSProfile(depth=10, reliability=QoSReliabilityPolicy.RELIABLE)
        got = listen(listener, Image, bag.topics.depth, header_stamp, strict)
        assert got == []
