# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What the node is told so that it takes in a recording whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ros2_spatial_ttt.replay.bag import Bag
from ros2_spatial_ttt.replay.topics import COMPRESSED

__all__ = ['LATE_S', 'node_parameters']

CAMERA = 'front'
# Recorded seconds that a message may come late on a busy machine.
LATE_S = 30.0


def node_parameters(bag: Bag, *, directory: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the node's parameters for a recording, and remappings for topics with odd names.

    A recording may be played faster than it was made and nothing may be lost: subscriptions are
    reliable, the queue holds every frame, and lateness is not taken for a gap or a jump in time.
    """
    topics = bag.topics
    colour, transport, remap_colour = _transport(bag, topics.colour, '/compressed')
    depth, depth_transport, remap_depth = _transport(bag, topics.depth, '/compressedDepth')
    camera = {
        'colour_topic': colour,
        'transport': transport,
        'info_topic': topics.info,
        'depth_topic': depth,
        'depth_transport': depth_transport,
    }
    used = [name for name in (topics.colour, topics.info, topics.depth, topics.pose) if name]
    parameters = {
        'use_sim_time': True,
        'cameras': [CAMERA],
        'camera': {CAMERA: camera},
        'pose': {'source': topics.pose_source, 'topic': topics.pose},
        'sync': {'wait_s': LATE_S},
        'flush': {'grace_s': LATE_S},
        'memory': {'gate': {'time_jump_s': 3600.0}},
        'queue': {'length': min(max(bag.frame_count, 8), 1000)},
        'status': {'period_s': 0.5},
        'snapshot': {'directory': str(directory)},
        'qos_overrides': {
            name: {'subscription': {'reliability': 'reliable', 'depth': 100}} for name in used
        },
    }
    return parameters, remap_colour + remap_depth


def _transport(bag: Bag, topic: str, suffix: str) -> tuple[str, str, list[str]]:
    """Return (base topic, transport, remappings) of an image topic."""
    if all(c.msgtype != COMPRESSED for c in bag.connections if c.topic == topic):
        return topic, 'raw', []
    base = topic.removesuffix(suffix)
    remap = ['-r', f'{topic}{suffix}:={topic}'] if base == topic else []
    return base, suffix.removeprefix('/'), remap
