# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""From answers of the core to messages."""

from __future__ import annotations

import array
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Pose, PoseWithCovariance, Quaternion, Vector3
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, PointCloud2, PointField
from std_msgs.msg import Header

from ros2_spatial_ttt.geometry import quaternion_from_matrix, rotation_2d
from ros2_spatial_ttt.ros.conversions import ns_to_sec_nanosec
from ros2_spatial_ttt.types import Answer, Instance
from spatial_ttt.msg import SpatialObject

__all__ = [
    'cloud_message',
    'fill_response',
    'header_message',
    'object_message',
    'pose_message',
    'time_message',
]

Array = NDArray[np.float64]

CLOUD_TYPE = np.dtype(
    [
        ('x', '<f4'),
        ('y', '<f4'),
        ('z', '<f4'),
        ('rgb', '<u4'),
        ('occupied', '<f4'),
        ('observed', '<f4'),
    ]
)


def time_message(stamp_ns: int) -> Time:
    """Return a stamp in ns as a message."""
    sec, nanosec = ns_to_sec_nanosec(stamp_ns)
    return Time(sec=sec, nanosec=nanosec)


def header_message(stamp_ns: int, frame_id: str) -> Header:
    """Return a header of a stamp in ns."""
    return Header(stamp=time_message(stamp_ns), frame_id=frame_id)


def pose_message(frame_T_body: Array) -> Pose:
    """Return a (4, 4) transform as a pose."""
    x, y, z, w = map(float, quaternion_from_matrix(frame_T_body[:3, :3]))
    return Pose(position=_point(frame_T_body[:3, 3]), orientation=Quaternion(x=x, y=y, z=z, w=w))


def object_message(
    instance: Instance, *, frame_id: str, frame_T_map: Array, optical_frame: str = ''
) -> SpatialObject:
    """Return an instance of the map frame as a message in another frame.

    Args:
        instance: position, covariance and size in the map frame.
        frame_id: name of the frame of the message.
        frame_T_map: (4, 4) map frame to that frame.
        optical_frame: frame of the evidence picture.
    """
    out = SpatialObject(
        header=header_message(instance.last_seen_ns, frame_id),
        id=instance.id,
        label=instance.label,
        confidence=float(instance.confidence),
        pose=_pose_with_covariance(instance, frame_T_map),
        size=Vector3(**dict(zip('xyz', map(float, instance.size), strict=True))),
        first_seen=time_message(instance.first_seen_ns),
        last_seen=time_message(instance.last_seen_ns),
        observations=instance.observations,
    )
    if instance.evidence_map_T_camera is not None:
        out.evidence_view = pose_message(frame_T_map @ instance.evidence_map_T_camera)
    if instance.evidence_jpeg:
        out.evidence = CompressedImage(
            header=header_message(instance.evidence_stamp_ns, optical_frame),
            format='jpeg',
            data=array.array('B', instance.evidence_jpeg),
        )
    return out


def fill_response(response: Any, answer: Answer, *, frame_id: str, frame_T_map: Array) -> None:
    """Fill a SpatialQuery response from an answer of the map frame."""
    response.result_code = int(answer.code)
    response.message = answer.message
    response.objects = [
        object_message(item, frame_id=frame_id, frame_T_map=frame_T_map)
        for item in answer.instances
    ]
    response.value = float(answer.value)
    response.value_low = float(answer.value_low)
    response.value_high = float(answer.value_high)
    response.unit = answer.unit
    response.answer = answer.sentence
    response.confidence = float(answer.confidence)
    response.valid_at = time_message(answer.valid_at_ns)


def cloud_message(points: Any, *, stamp_ns: int, frame_id: str) -> PointCloud2:
    """Return surface samples as a cloud with fields x, y, z, rgb, occupied and observed.

    Args:
        points: ``FieldPoints`` of the memory: points (N, 3) m, colour (N, 3) uint8, occupied and
            observed (N,).
        stamp_ns: stamp of the newest frame in the memory.
        frame_id: the map frame.
    """
    table = np.zeros(len(points.points), CLOUD_TYPE)
    table['x'], table['y'], table['z'] = np.asarray(points.points).reshape(-1, 3).T
    red, green, blue = np.asarray(points.colour).reshape(-1, 3).astype(np.uint32).T
    table['rgb'] = (red << 16) | (green << 8) | blue
    table['occupied'], table['observed'] = points.occupied, points.observed
    fields = [
        # Viewers expect the packed colour under the type of a float.
        PointField(
            name=name, offset=CLOUD_TYPE.fields[name][1], datatype=PointField.FLOAT32, count=1
        )
        for name in CLOUD_TYPE.names
    ]
    return PointCloud2(
        header=header_message(stamp_ns, frame_id),
        height=1,
        width=len(table),
        fields=fields,
        is_bigendian=False,
        point_step=CLOUD_TYPE.itemsize,
        row_step=CLOUD_TYPE.itemsize * len(table),
        data=array.array('B', table.tobytes()),
        is_dense=True,
    )


def _pose_with_covariance(instance: Instance, frame_T_map: Array) -> PoseWithCovariance:
    """Return the pose of a thing's box, or of a camera's optical frame, in another frame."""
    covariance, turn = np.zeros((6, 6)), np.kron(np.eye(2), frame_T_map[:3, :3])
    if instance.map_T_camera is not None and instance.pose_covariance is not None:
        map_T_own, covariance = instance.map_T_camera, instance.pose_covariance
    else:
        map_T_own = np.eye(4)
        map_T_own[:2, :2] = rotation_2d(instance.yaw)
        map_T_own[:3, 3] = instance.position
        covariance[:3, :3] = instance.covariance
    return PoseWithCovariance(
        pose=pose_message(frame_T_map @ map_T_own),
        covariance=(turn @ covariance @ turn.T).ravel(),
    )


def _point(position: Array) -> Point:
    x, y, z = map(float, position)
    return Point(x=x, y=y, z=z)
