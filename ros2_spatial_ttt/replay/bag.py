# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Reads posed RGB-D frames from a rosbag2 (MCAP or SQLite) without ROS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.typesys import Stores, get_typestore

from ros2_spatial_ttt.errors import FrameRefused, Refusal
from ros2_spatial_ttt.replay.topics import TF, BagError, Topics, choose_topics, list_topics
from ros2_spatial_ttt.ros import conversions
from ros2_spatial_ttt.ros.pose import PoseBuffer, TransformTree
from ros2_spatial_ttt.ros.settings import PoseConfig, SyncConfig
from ros2_spatial_ttt.ros.sync import FrameAssembler
from ros2_spatial_ttt.types import Frame

__all__ = ['Bag', 'BagError', 'BagOptions', 'Topics']

Refuse = Callable[[Refusal, str], None]


@dataclass(frozen=True)
class BagOptions:
    """How a recording is read. Times in seconds; defaults are those of the node.

    Attributes:
        camera: name of the frames' camera.
        topics: names to use instead of the choice; '' and 'auto' leave it free.
        map_frame: frame the poses must be in; '' takes that of the first pose (tf: 'map').
        use_depth: False leaves depth out.
        tolerance_s: largest difference of the stamps of colour and depth.
        wait_s: how long a frame waits for its depth and pose.
        max_gap_s: largest distance of a pose from the image it is interpolated for.
    """

    camera: str = 'front'
    topics: Topics = field(default_factory=lambda: Topics('', '', '', 'auto', ''))
    map_frame: str = ''
    use_depth: bool = True
    tolerance_s: float = SyncConfig.tolerance_s
    wait_s: float = SyncConfig.wait_s
    max_gap_s: float = PoseConfig.max_age_s


class Bag:
    """An open recording; a context manager.

    Args:
        path: folder of the rosbag2.
        options: topics and tolerances.

    Raises:
        BagError: not a rosbag2, damaged, empty, or without the topics that are needed.
    """

    def __init__(self, path: Path, options: BagOptions | None = None) -> None:
        self.path, self.options = path, options or BagOptions()
        self.refused: Counter[str] = Counter()
        self._reader = _open(path)
        try:
            if not self._reader.message_count:
                raise BagError(f'{path} holds no messages')
            self.topics = choose_topics(
                self._reader.connections,
                self._first_encoding,
                wanted=self.options.topics,
                use_depth=self.options.use_depth,
            )
        except BaseException:
            self._reader.close()
            raise

    def __enter__(self) -> Bag:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    @property
    def connections(self) -> list[Connection]:
        """All topics of the recording."""
        return self._reader.connections

    @property
    def frame_count(self) -> int:
        """Number of colour images, which is the largest number of frames."""
        return sum(c.msgcount for c in self.connections if c.topic == self.topics.colour)

    @property
    def duration_s(self) -> float:
        """Recorded time between the first and the last message."""
        return self._reader.duration / 1e9

    def messages(self, topics: set[str] | None = None) -> Iterator[tuple[Connection, int, Any]]:
        """Yield (connection, log time in ns, message) by log time; ``None`` = all topics."""
        chosen = [c for c in self.connections if topics is None or c.topic in topics]
        for connection, log_ns, data in self._read(chosen):
            yield connection, log_ns, self._deserialised(connection, data)

    def raw_messages(self, topics: set[str]) -> Iterator[tuple[Connection, int, bytes]]:
        """Yield (connection, log time in ns, CDR bytes) of the topics in order of log time."""
        yield from self._read([c for c in self.connections if c.topic in topics])

    def frames(self, refuse: Refuse | None = None) -> Iterator[Frame]:
        """Yield complete frames in order of their stamps.

        Args:
            refuse: called with reason and sentence for every image that becomes no frame;
                ``refused`` counts them as well.
        """
        intake = _Intake(self.topics, self.options, self._counted(refuse))
        topics = {self.topics.colour, self.topics.info, self.topics.depth, self.topics.pose}
        topics |= {c.topic for c in self.connections if c.msgtype == TF}
        for connection, _, message in self.messages(topics):
            intake.take(connection.topic, message)
            yield from intake.assembler.ready()
        intake.assembler.clear(reason=Refusal.UNPAIRED)

    def _read(self, connections: list[Connection]) -> Iterator[tuple[Connection, int, bytes]]:
        try:
            yield from self._reader.messages(connections)
        except Exception as error:
            # In damaged files the library and its decompressors raise what they stumble over.
            raise BagError(f'{self.path} is damaged: {error}') from error

    def _deserialised(self, connection: Connection, data: bytes) -> Any:
        try:
            return self._reader.deserialize(data, connection.msgtype)
        except Exception as error:
            raise BagError(
                f'{self.path}: a message on {connection.topic} is damaged: {error}'
            ) from error

    def _counted(self, refuse: Refuse | None) -> Refuse:
        def count(reason: Refusal, message: str) -> None:
            self.refused[reason.value] += 1
            if refuse is not None:
                refuse(reason, message)

        return count

    def _first_encoding(self, connection: Connection) -> str:
        for _, _, data in self._read([connection]):
            message = self._deserialised(connection, data)
            return str(getattr(message, 'encoding', None) or getattr(message, 'format', ''))
        return ''


class _Intake:
    """Converts the messages of a recording and hands them to the frame assembler."""

    def __init__(self, topics: Topics, options: BagOptions, refuse: Refuse) -> None:
        self._topics, self._options, self._refuse = topics, options, refuse
        self._map_frame = options.map_frame
        self._optical_frame = ''
        self._body_frame = ''
        self._tree = TransformTree(max_gap_s=options.max_gap_s)
        self._poses = PoseBuffer(options.max_gap_s, 2000)
        self.assembler = FrameAssembler(
            options.camera,
            tolerance_s=options.tolerance_s,
            wait_s=options.wait_s,
            use_depth=options.use_depth,
            pose_at=self._pose_at,
            refuse=refuse,
        )

    def take(self, topic: str, message: Any) -> None:
        """Enter one message; a message that cannot be used is refused by reason."""
        try:
            if topic in ('/tf', '/tf_static') or topic == self._topics.pose:
                self._take_pose(topic, message)
            elif topic == self._topics.info:
                self.assembler.set_intrinsics(conversions.intrinsics_from_message(message))
            elif topic == self._topics.depth:
                stamp_ns = conversions.stamp_to_ns(message.header.stamp)
                self.assembler.add_depth(stamp_ns, conversions.depth_from_message(message))
            elif topic == self._topics.colour:
                self._optical_frame = message.header.frame_id
                stamp_ns = conversions.stamp_to_ns(message.header.stamp)
                self.assembler.add_colour(stamp_ns, conversions.colour_from_message(message))
        except FrameRefused as error:
            self._refuse(error.reason, str(error))
        except ValueError as error:
            self._refuse(Refusal.POSE_MISSING, f'{topic}: {error}')

    def _take_pose(self, topic: str, message: Any) -> None:
        if hasattr(message, 'transforms'):
            for item in message.transforms:
                stamp_ns = (
                    None if topic == '/tf_static' else conversions.stamp_to_ns(item.header.stamp)
                )
                parent_T_child = conversions.transform_from_transform(item.transform)
                self._tree.add(item.header.frame_id, item.child_frame_id, stamp_ns, parent_T_child)
            return
        frame = message.header.frame_id.lstrip('/')
        self._map_frame = self._map_frame or frame
        if frame != self._map_frame:
            raise FrameRefused(
                Refusal.POSE_MISSING,
                f'{topic} is in frame {frame!r}, expected {self._map_frame!r}; '
                'name another --map-frame',
            )
        self._body_frame = getattr(message, 'child_frame_id', '')
        pose = message.pose.pose if hasattr(message.pose, 'pose') else message.pose
        stamp_ns = conversions.stamp_to_ns(message.header.stamp)
        self._poses.add(stamp_ns, conversions.transform_from_pose(pose))

    def _pose_at(self, stamp_ns: int) -> NDArray[np.float64] | None:
        try:
            if self._topics.pose_source == 'tf':
                return self._tree.lookup(self._map_frame or 'map', self._optical_frame, stamp_ns)
            map_T_body = self._poses.at(stamp_ns)
            if map_T_body is None or self._body_frame in ('', self._optical_frame):
                return map_T_body
            return map_T_body @ self._tree.lookup(self._body_frame, self._optical_frame, stamp_ns)
        except LookupError:
            return None


def _open(path: Path) -> AnyReader:
    """Return an open reader, or raise BagError with the reason in one sentence."""
    if not path.exists():
        raise BagError(f'no recording at {path}; expected the folder of a rosbag2')
    if path.is_file():
        hint = (
            f'its folder {path.parent}'
            if (path.parent / 'metadata.yaml').exists()
            else 'a rosbag2 folder'
        )
        raise BagError(f'{path} is a file; give {hint}')
    if not (path / 'metadata.yaml').exists():
        raise BagError(
            f'{path} is not a rosbag2: it has no metadata.yaml (ros2 bag reindex makes one)'
        )
    try:
        reader = AnyReader([path], default_typestore=get_typestore(Stores.ROS2_JAZZY))
        reader.open()
    except Exception as error:
        raise BagError(f'{path} cannot be read: {error}') from error
    if not reader.connections:
        reader.close()
        raise BagError(f'{path} has no topics:\n{list_topics([])}')
    return reader
