# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Parameters of the node as dataclasses; ``params`` declares them, ``resolve`` validates them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ros2_spatial_ttt.config import MemoryConfig, from_flat, parameter, parameters
from ros2_spatial_ttt.errors import ConfigError

__all__ = [
    'CameraConfig',
    'FieldConfig',
    'FlushConfig',
    'NodeConfig',
    'PoseConfig',
    'QuestionConfig',
    'QueueConfig',
    'Settings',
    'SnapshotConfig',
    'StatusConfig',
    'SyncConfig',
    'WatchConfig',
    'resolve',
    'settings_parameters',
]

CAMERA_NAME = re.compile(r'[a-zA-Z][a-zA-Z0-9_]*')


@dataclass(frozen=True)
class CameraConfig:
    """Topics and mounting of one camera; parameters ``camera.<name>.…``."""

    colour_topic: str = parameter(
        '/camera/color/image_raw',
        'Colour images (sensor_msgs/Image), or the base of their transport.',
    )
    transport: str = parameter(
        'raw',
        "'raw', or 'compressed' for sensor_msgs/CompressedImage on <colour_topic>/compressed.",
        choices=('raw', 'compressed'),
    )
    info_topic: str = parameter('/camera/color/camera_info', 'Calibration of the colour images.')
    depth_topic: str = parameter(
        '/camera/aligned_depth_to_color/image_raw',
        "Depth aligned to colour (16UC1 mm or 32FC1 m); '' for a camera without depth.",
    )
    depth_transport: str = parameter(
        'raw',
        "'raw', or 'compressedDepth' for sensor_msgs/CompressedImage under <depth_topic>.",
        choices=('raw', 'compressedDepth'),
    )
    frame_id: str = parameter(
        '', "Optical frame of the camera; '' takes it from the images' header."
    )
    extrinsic_xyz: list = parameter(
        [0.0, 0.0, 0.0],
        'Position of the optical frame in the body whose pose the odometry gives.',
        unit='m',
    )
    extrinsic_xyzw: list = parameter(
        [0.0, 0.0, 0.0, 1.0],
        'Orientation of the optical frame (x right, y down, z forward) there, a quaternion.',
    )


@dataclass(frozen=True)
class PoseConfig:
    """Where the pose of the camera at the stamp of an image comes from."""

    source: str = parameter(
        'tf',
        "'tf' (needs tf2_ros), 'odometry' (nav_msgs/Odometry) or 'pose_stamped'.",
        choices=('tf', 'odometry', 'pose_stamped'),
    )
    topic: str = parameter('odom', 'Topic of the odometry or pose_stamped source.')
    child_is_camera: bool = parameter(
        False,
        'The pose is that of the optical frame whatever child_frame_id says; no extrinsic.',
    )
    max_age_s: float = parameter(
        0.2,
        'Largest gap between two poses that the pose of an image is interpolated across.',
        unit='s',
        low=0.001,
        high=10.0,
    )
    history: int = parameter(
        1000, 'Poses kept for interpolation.', unit='poses', low=2, high=100000
    )
    viewpoint_max_age_s: float = parameter(
        5.0,
        "A pose older than this no longer tells where the robot is 'now'.",
        unit='s',
        low=0.05,
        high=3600.0,
    )


@dataclass(frozen=True)
class SyncConfig:
    """Pairing of colour and depth by stamp."""

    tolerance_s: float = parameter(
        0.02, 'Largest difference of the stamps of colour and depth.', unit='s', low=0.0, high=1.0
    )
    wait_s: float = parameter(
        1.0,
        'An incomplete frame is given up when newer data is ahead by this.',
        unit='s',
        low=0.01,
        high=60.0,
    )


@dataclass(frozen=True)
class QueueConfig:
    """Frames between the callbacks and the worker."""

    length: int = parameter(
        8,
        'Frames that may wait; when full the oldest is dropped and counted.',
        unit='frames',
        low=1,
        high=1000,
    )


@dataclass(frozen=True)
class FlushConfig:
    """Closing of partial chunks when frames stop coming."""

    period_s: float = parameter(
        0.2, 'How often partial chunks are looked at.', unit='s', low=0.02, high=60.0
    )
    grace_s: float = parameter(
        0.5, 'How late a frame may arrive and still join its chunk.', unit='s', low=0.0, high=60.0
    )


@dataclass(frozen=True)
class QuestionConfig:
    """Limits of ~/query."""

    at_once: int = parameter(
        3,
        'Questions answered at the same time; one more is answered BUSY.',
        unit='questions',
        low=1,
        high=4,
    )


@dataclass(frozen=True)
class WatchConfig:
    """Watches of ~/watch."""

    period_s: float = parameter(
        1.0, 'Shortest time between two looks at the watches.', unit='s', low=0.05, high=3600.0
    )
    moved_m: float = parameter(
        0.5,
        'A thing found further than this from where it was has moved.',
        unit='m',
        low=0.01,
        high=100.0,
    )
    confirm: int = parameter(
        2,
        'Looks in a row that must agree before an event is published.',
        unit='looks',
        low=1,
        high=100,
    )


@dataclass(frozen=True)
class StatusConfig:
    """~/status and /diagnostics."""

    period_s: float = parameter(
        1.0, 'Period of ~/status and /diagnostics.', unit='s', low=0.05, high=3600.0
    )
    hash: bool = parameter(True, 'Compute the hash of the state for every status message.')


@dataclass(frozen=True)
class FieldConfig:
    """~/field."""

    period_s: float = parameter(
        2.0,
        'Shortest time between two clouds; none is made without a subscriber.',
        unit='s',
        low=0.1,
        high=3600.0,
    )


@dataclass(frozen=True)
class SnapshotConfig:
    """Files of ~/save and ~/load."""

    directory: str = parameter('~/.ros/spatial_ttt', 'Folder of the snapshots; made when needed.')
    on_shutdown: str = parameter(
        '', "File name of a last snapshot when the node ends; '' for none."
    )
    load_at_start: str = parameter(
        '',
        "File name of a snapshot to load at configure; '' for none. A missing file starts empty.",
    )


@dataclass(frozen=True)
class NodeConfig:
    """Every parameter of the node but those of its cameras."""

    cameras: list = parameter(
        ['front'], 'Names of the cameras; each has its parameters camera.<name>.…'
    )
    map_frame: str = parameter('map', 'Fixed frame of the memory and of its answers.')
    tf_requests: bool = parameter(
        True, 'Follow /tf for the frames named in requests, where tf2_ros is installed.'
    )
    pose: PoseConfig = dataclasses.field(default_factory=PoseConfig)
    sync: SyncConfig = dataclasses.field(default_factory=SyncConfig)
    queue: QueueConfig = dataclasses.field(default_factory=QueueConfig)
    flush: FlushConfig = dataclasses.field(default_factory=FlushConfig)
    questions: QuestionConfig = dataclasses.field(default_factory=QuestionConfig)
    watch: WatchConfig = dataclasses.field(default_factory=WatchConfig)
    status: StatusConfig = dataclasses.field(default_factory=StatusConfig)
    field: FieldConfig = dataclasses.field(default_factory=FieldConfig)
    snapshot: SnapshotConfig = dataclasses.field(default_factory=SnapshotConfig)
    memory: MemoryConfig = dataclasses.field(default_factory=MemoryConfig)


@dataclass(frozen=True)
class Settings:
    """The resolved parameters: those of the node and those of each camera by its name."""

    node: NodeConfig
    cameras: dict[str, CameraConfig]


def settings_parameters(cameras: list[str]) -> Iterator[tuple[str, dataclasses.Field, Any]]:
    """Yield (dotted name, field, default) of every parameter, with those of the named cameras."""
    yield from parameters(NodeConfig())
    for name in cameras:
        yield from parameters(CameraConfig(), f'camera.{name}.')


def resolve(values: Mapping[str, Any]) -> Settings:
    """Build validated settings from {dotted parameter name: value}.

    Raises:
        ConfigError: unknown names, wrong types, values out of range; every one is listed.
    """
    own = {k: v for k, v in values.items() if not k.startswith('camera.')}
    problems: list[str] = []
    node = _part(NodeConfig, own, '', problems)
    names = node.cameras if node else own.get('cameras', NodeConfig().cameras)
    problems += _camera_names(names)
    known = [name for name in names if isinstance(name, str)]
    cameras = {}
    for name in known:
        prefix = f'camera.{name}.'
        part = {k[len(prefix) :]: v for k, v in values.items() if k.startswith(prefix)}
        camera = _part(CameraConfig, part, prefix, problems)
        problems += _extrinsic(part, prefix)
        if camera:
            cameras[name] = camera
    prefixes = tuple(f'camera.{name}.' for name in known)
    for key in sorted(values):
        if key.startswith('camera.') and not key.startswith(prefixes):
            problems.append(f'{key}: no camera of that name in cameras {known}')
    if problems or node is None:
        raise ConfigError('; '.join(problems))
    return Settings(node, cameras)


def _part(kind: type, values: Mapping[str, Any], prefix: str, problems: list[str]) -> Any:
    try:
        return from_flat(kind, values)
    except ConfigError as error:
        problems += [f'{prefix}{line}' for line in str(error).split('; ')]
        return None


def _camera_names(names: Any) -> list[str]:
    if not isinstance(names, list) or not names:
        return [f'cameras: expected at least one name, got {names!r}']
    bad = [n for n in names if not isinstance(n, str) or not CAMERA_NAME.fullmatch(n)]
    out = [f'cameras: expected names of letters, digits and _, got {bad}'] if bad else []
    if len(set(map(str, names))) != len(names):
        out.append(f'cameras: a name occurs twice in {names}')
    return out


def _extrinsic(values: Mapping[str, Any], prefix: str) -> list[str]:
    out = []
    for name, length in (('extrinsic_xyz', 3), ('extrinsic_xyzw', 4)):
        value = values.get(name)
        if not isinstance(value, list):
            continue
        finite = all(isinstance(x, (int, float)) and abs(x) < 1e6 for x in value)
        if len(value) != length or not finite:
            out.append(f'{prefix}{name}: expected {length} finite numbers, got {value}')
        elif length == 4 and abs(sum(x * x for x in value) - 1.0) > 1e-2:
            out.append(f'{prefix}{name}: expected a quaternion of length 1, got {value}')
    return out
