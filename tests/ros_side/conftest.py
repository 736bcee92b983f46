# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Messages as rosbags and as rclpy make them, and an assembler with a pose buffer."""

import array

import numpy as np
import pytest
from rosbags.typesys import Stores, get_typestore

from ros2_spatial_ttt.errors import FrameRefused, Refusal
from ros2_spatial_ttt.ros.pose import PoseBuffer
from ros2_spatial_ttt.ros.sync import FrameAssembler
from ros2_spatial_ttt.types import Intrinsics

MS = 1_000_000
CAMERA = Intrinsics(4, 3, 2.0, 2.0, 2.0, 1.5)
TYPES = get_typestore(Stores.ROS2_JAZZY).types
HEADER = TYPES['std_msgs/msg/Header'](
    stamp=TYPES['builtin_interfaces/msg/Time'](sec=1, nanosec=2), frame_id='camera'
)


class Messages:
    """Ways to make messages that both kinds share."""

    def raw(self, pixels: np.ndarray, encoding: str, *, padding=0, **changes):
        """Return an Image of ``pixels``, rows padded by so many bytes of 0xEE."""
        height, width = pixels.shape[:2]
        rows = np.ascontiguousarray(pixels).reshape(height, -1).view(np.uint8)
        rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xEE)
        fields = {
            'height': height,
            'width': width,
            'encoding': encoding,
            'is_bigendian': 0,
            'step': rows.shape[1],
            'data': rows.tobytes(),
        }
        return self.image(**{**fields, **changes})

    def info(self, **changes):
        fields = {
            'width': 640,
            'height': 480,
            'distortion_model': 'plumb_bob',
            'd': [0.1, -0.2, 0.001, 0.002, 0.05],
            'k': [500.0, 0, 320.5, 0, 510.0, 240.5, 0, 0, 1],
            'binning_x': 0,
            'binning_y': 0,
            'roi': {'x_offset': 0, 'y_offset': 0, 'width': 0, 'height': 0},
        }
        return self.camera_info(**{**fields, **changes})


class RosbagsMessages(Messages):
    """Messages as rosbags deserialises them: numpy data."""

    @staticmethod
    def image(data: bytes, **fields):
        return TYPES['sensor_msgs/msg/Image'](
            header=HEADER, data=np.frombuffer(data, np.uint8), **fields
        )

    @staticmethod
    def compressed(data: bytes, image_format: str):
        return TYPES['sensor_msgs/msg/CompressedImage'](
            header=HEADER, format=image_format, data=np.frombuffer(data, np.uint8)
        )

    @staticmethod
    def camera_info(*, d, k, roi, **fields):
        return TYPES['sensor_msgs/msg/CameraInfo'](
            header=HEADER,
            d=np.array(d, np.float64),
            k=np.array(k, np.float64),
            r=np.eye(3).ravel(),
            p=np.zeros(12),
            roi=TYPES['sensor_msgs/msg/RegionOfInterest'](**roi, do_rectify=False),
            **fields,
        )

    @staticmethod
    def pose(position, orientation):
        return TYPES['geometry_msgs/msg/Pose'](
            position=TYPES['geometry_msgs/msg/Point'](*position),
            orientation=TYPES['geometry_msgs/msg/Quaternion'](*orientation),
        )

    @staticmethod
    def transform(translation, rotation):
        return TYPES['geometry_msgs/msg/Transform'](
            translation=TYPES['geometry_msgs/msg/Vector3'](*translation),
            rotation=TYPES['geometry_msgs/msg/Quaternion'](*rotation),
        )


class RclpyMessages(Messages):
    """Messages as a ROS node gets them: array.array data."""

    def __init__(self) -> None:
        reason = 'needs the Python messages of ROS 2 (sensor_msgs, geometry_msgs)'
        self.sensor = pytest.importorskip('sensor_msgs.msg', reason=reason)
        self.geometry = pytest.importorskip('geometry_msgs.msg', reason=reason)

    def image(self, data: bytes, **fields):
        return self.sensor.Image(data=array.array('B', data), **fields)

    def compressed(self, data: bytes, image_format: str):
        return self.sensor.CompressedImage(data=array.array('B', data), format=image_format)

    def camera_info(self, *, d, k, roi, **fields):
        roi = self.sensor.RegionOfInterest(**roi)
        k = [float(value) for value in k]
        return self.sensor.CameraInfo(d=array.array('d', d), k=k, roi=roi, **fields)

    def pose(self, position, orientation):
        return self.geometry.Pose(
            position=self._xyz('Point', position), orientation=self._quaternion(orientation)
        )

    def transform(self, translation, rotation):
        return self.geometry.Transform(
            translation=self._xyz('Vector3', translation), rotation=self._quaternion(rotation)
        )

    def _xyz(self, kind, values):
        return getattr(self.geometry, kind)(**dict(zip('xyz', values, strict=True)))

    def _quaternion(self, values):
        return self.geometry.Quaternion(**dict(zip('xyzw', values, strict=True)))


@pytest.fixture(params=[RosbagsMessages, RclpyMessages], ids=['rosbags', 'rclpy'])
def messages(request):
    """Maker of messages, of either kind."""
    return request.param()


@pytest.fixture
def rosbags_messages():
    """Maker of messages as rosbags deserialises them."""
    return RosbagsMessages()


@pytest.fixture
def refused():
    """Return a check that a function refuses a message by a reason; gives the sentence."""

    def check(function, message, reason: Refusal) -> str:
        with pytest.raises(FrameRefused) as caught:
            function(message)
        assert caught.value.reason is reason
        assert len(str(caught.value)) > 30, 'a refusal is a sentence'
        return str(caught.value)

    return check


def colour(value: int = 0, size=(3, 4)) -> np.ndarray:
    return np.full((*size, 3), value % 256, np.uint8)


def depth(value: int = 1000, size=(3, 4)) -> np.ndarray:
    return np.full(size, value, np.uint16)


def pose(x: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[0, 3] = x
    return matrix


class Rig:
    """An assembler with a pose buffer, and what came of it."""

    def __init__(self, *, intrinsics=CAMERA, poses=(0, 10_000), **options) -> None:
        self.frames, self.refused, self.messages = [], [], []
        self.poses = PoseBuffer(options.pop('max_gap_s', 100.0), 1000)
        options = {'tolerance_s': 0.01, 'wait_s': 0.5, 'use_depth': True, **options}
        self.assembler = FrameAssembler(
            'front', pose_at=self.poses.at, refuse=self._refuse, **options
        )
        if intrinsics:
            self.assembler.set_intrinsics(intrinsics)
        for ms in poses:
            self.pose(ms)

    def _refuse(self, reason, message):
        assert message.startswith(f'{reason.value}: ')
        assert len(message) > 30, 'a refusal is a sentence'
        self.refused.append(reason)
        self.messages.append(message)

    def colour(self, ms: float, value: int = 0, **kind):
        self.assembler.add_colour(round(ms * MS), colour(value, **kind))

    def depth(self, ms: float, value: int = 1000, **kind):
        self.assembler.add_depth(round(ms * MS), depth(value, **kind))

    def pose(self, ms: float, _value: int = 0):
        self.poses.add(round(ms * MS), pose(ms / 1000))

    def intrinsics(self, _ms: float, _value: int = 0):
        self.assembler.set_intrinsics(CAMERA)

    def ready(self) -> list[float]:
        """Return the stamps in ms of the frames completed now."""
        new = self.assembler.ready()
        self.frames += new
        return [frame.stamp_ns / MS for frame in new]

    def outcome(self):
        frames = [
            (
                frame.stamp_ns,
                int(frame.colour[0, 0, 0]),
                None if frame.depth is None else int(frame.depth[0, 0]),
                frame.map_T_camera.tobytes(),
            )
            for frame in self.frames
        ]
        return frames, self.refused


@pytest.fixture(scope='session')
def make_rig():
    """Return the class Rig, to be called with the options of FrameAssembler."""
    return Rig
