# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Finds out which topics of a recording are colour, depth, calibration and pose."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rosbags.interfaces import Connection

from ros2_spatial_ttt.errors import SpatialTTTError

__all__ = ['COMPRESSED', 'TF', 'BagError', 'Topics', 'choose_topics', 'list_topics']

RAW, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
INFO, TF = 'sensor_msgs/msg/CameraInfo', 'tf2_msgs/msg/TFMessage'
ODOMETRY = 'nav_msgs/msg/Odometry'
POSES = ('geometry_msgs/msg/PoseStamped', 'geometry_msgs/msg/PoseWithCovarianceStamped')
DEPTH_ENCODINGS = ('16UC1', 'mono16', '32FC1')
# Parts of names of image topics that are neither colour nor depth of the colour camera.
OTHER_IMAGES = ('infra', 'disparity', 'confidence', 'mask', 'label', 'segment', 'thermal')


class BagError(SpatialTTTError):
    """A recording cannot be read or lacks what is needed; the message lists what it has."""


@dataclass(frozen=True)
class Topics:
    """The topics to use; '' where there is none.

    Attributes:
        pose_source: 'odometry', 'pose_stamped' or 'tf'.
        pose: topic of the pose; '/tf' for ``tf``.
    """

    colour: str
    info: str
    depth: str
    pose_source: str
    pose: str


def list_topics(connections: Iterable[Connection]) -> str:
    """Return one line per topic: name, type and number of messages."""
    rows = sorted((c.topic, c.msgtype, c.msgcount) for c in connections)
    return '\n'.join(f'  {topic}  {kind}  ({count})' for topic, kind, count in rows) or '  (none)'


def choose_topics(
    connections: list[Connection],
    first_encoding: Callable[[Connection], str],
    *,
    wanted: Topics,
    use_depth: bool = True,
) -> Topics:
    """Return the topics to use; a name given in ``wanted`` overrides the choice.

    Args:
        connections: of the recording.
        first_encoding: returns the encoding (or format) of the first image of a topic.
        wanted: names asked for; '' (or 'auto' for ``pose_source``) leaves the choice free.
        use_depth: whether depth is required.

    Raises:
        BagError: a topic is missing or has another type; lists what there is.
    """
    filled = [c for c in connections if c.msgcount]
    encodings = {c.topic: first_encoding(c) for c in filled if c.msgtype in (RAW, COMPRESSED)}
    colour = wanted.colour or _choose_colour(filled, encodings)
    depth = (wanted.depth or _choose_depth(filled, encodings, colour)) if use_depth else ''
    info = wanted.info or _closest([c.topic for c in filled if c.msgtype == INFO], colour)
    source, pose = _choose_pose(filled, wanted)
    missing = [
        label
        for label, topic in (
            ('a colour image (rgb8, bgr8, mono8, jpeg, png …)', colour),
            ('a CameraInfo', info),
            ('aligned depth (16UC1 or 32FC1; --no-depth does without)', depth or not use_depth),
            ('a pose (nav_msgs/Odometry, PoseStamped or /tf)', pose),
        )
        if not topic
    ]
    if missing:
        raise BagError(
            f'the recording lacks {"; ".join(missing)}. It has:\n{list_topics(connections)}'
        )
    images = (RAW, COMPRESSED)
    _check_names(connections, {colour: images, info: (INFO,), depth: images, pose: _kinds(source)})
    return Topics(colour, info, depth, source, pose)


def _kinds(source: str) -> tuple[str, ...]:
    return {'odometry': (ODOMETRY,), 'pose_stamped': POSES, 'tf': (TF,)}[source]


def _check_names(connections: list[Connection], chosen: dict[str, tuple[str, ...]]) -> None:
    types = {c.topic: c.msgtype for c in connections}
    for topic, kinds in chosen.items():
        if topic and topic not in types:
            raise BagError(
                f'no topic {topic!r} in the recording. It has:\n{list_topics(connections)}'
            )
        if topic and types[topic] not in kinds:
            raise BagError(f'{topic} is a {types[topic]}; expected {" or ".join(kinds)}')


def _choose_colour(connections: list[Connection], encodings: dict[str, str]) -> str:
    """Return the colour topic with most images; of equals the compressed one."""

    def fits(connection: Connection) -> bool:
        encoding, name = encodings.get(connection.topic, ''), connection.topic.lower()
        picture = encoding and not encoding.startswith(DEPTH_ENCODINGS)
        # Whatever is aligned to a depth topic has 'depth' in its name without being colour.
        return bool(picture) and not any(part in name for part in (*OTHER_IMAGES, '/depth'))

    found = [c for c in connections if fits(c)]
    found.sort(key=lambda c: (-c.msgcount, c.msgtype != COMPRESSED, c.topic))
    return found[0].topic if found else ''


def _choose_depth(connections: list[Connection], encodings: dict[str, str], colour: str) -> str:
    """Return the depth topic that is aligned by name, or else the nearest by name."""
    found = [
        c.topic for c in connections if encodings.get(c.topic, '').startswith(DEPTH_ENCODINGS)
    ]
    aligned = [name for name in found if 'aligned' in name or 'registered' in name]
    return _closest(aligned or found, colour)


def _choose_pose(connections: list[Connection], wanted: Topics) -> tuple[str, str]:
    source, by_type = wanted.pose_source, {c.topic: c.msgtype for c in connections}
    if source == 'auto' and wanted.pose:
        kind = by_type.get(wanted.pose, ODOMETRY)
        source = 'pose_stamped' if kind in POSES else 'tf' if kind == TF else 'odometry'
    if source not in ('auto', 'odometry', 'pose_stamped', 'tf'):
        raise BagError(
            f'--pose-source: expected auto, odometry, pose_stamped or tf, got {source!r}'
        )
    order = ('odometry', 'pose_stamped', 'tf') if source == 'auto' else (source,)
    for choice in order:
        topics = [
            topic
            for topic, kind in by_type.items()
            if kind in _kinds(choice) and topic != '/tf_static'
        ]
        if wanted.pose or topics:
            return choice, wanted.pose or sorted(topics)[0]
    return order[0], ''


def _closest(names: list[str], to: str) -> str:
    """Return the name that shares the longest beginning with ``to``; '' of none."""
    return min(names, key=lambda name: (-len(os.path.commonprefix([name, to])), name), default='')
