# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Small recordings, and a way to make damaged ones of them."""

import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from ros2_spatial_ttt.replay.bag import Bag
from ros2_spatial_ttt.sim import recording
from ros2_spatial_ttt.sim.room import boxes

STORE = get_typestore(Stores.ROS2_JAZZY)
COUNT = 6


@pytest.fixture(scope='session')
def room_frames():
    """Return the six frames (160×120) that ``room_bag`` holds."""
    return list(boxes.frames(11, COUNT, width=160, height=120))


@pytest.fixture(scope='session')
def room_bag(tmp_path_factory, room_frames):
    """Return a recording of ``room_frames``; never changed by a test."""
    path = tmp_path_factory.mktemp('bags') / 'room'
    recording.write_recording(path, room_frames)
    return path


@pytest.fixture
def types():
    """Return the message classes by type name."""
    return STORE.types


@pytest.fixture
def rewrite(tmp_path, room_bag):
    """Return a function that copies ``room_bag`` with every message passed through ``change``.

    ``change(topic, index, message)`` returns a list of (topic, type, message) to write instead;
    ``index`` counts the messages of the topic.
    """

    def write(change, *, storage='mcap', name='changed'):
        out = tmp_path / name
        plugin = StoragePlugin.MCAP if storage == 'mcap' else StoragePlugin.SQLITE3
        with Bag(room_bag) as bag, Writer(out, version=9, storage_plugin=plugin) as writer:
            connections, seen = {}, {}
            for connection, log_ns, message in bag.messages():
                index = seen[connection.topic] = seen.get(connection.topic, -1) + 1
                for topic, kind, changed in change(connection.topic, index, message):
                    if topic not in connections:
                        connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
                    data = STORE.serialize_cdr(changed, kind)
                    writer.write(connections[topic], log_ns, data)
        return out

    return write
