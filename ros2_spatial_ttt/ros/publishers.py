# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What the node publishes: objects, markers, the field, events, status and diagnostics."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import Point, Pose, Vector3
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from ros2_spatial_ttt.ros.messages import (
    cloud_message,
    header_message,
    object_message,
    time_message,
)
from ros2_spatial_ttt.ros.qos import LATCHED, REPORTS
from ros2_spatial_ttt.ros.watch import Event
from ros2_spatial_ttt.ros.worker import Worker
from ros2_spatial_ttt.types import Answer, Instance
from ros2_spatial_ttt.types import MemoryStatus as Status
from spatial_ttt.msg import MemoryStatus, SpatialEvent, SpatialObjectArray

__all__ = ['Publishers']

MIN_MARKER_M = 0.1


class Publishers:
    """Makes and owns the node's publishers.

    Args:
        node: the ROS node.
        memory: the ``SpatialMemory``.
        map_frame: frame of everything that is published.
    """

    def __init__(self, node: Any, memory: Any, *, map_frame: str) -> None:
        self._node = node
        self._memory = memory
        self._map_frame = map_frame
        self._objects = node.create_publisher(SpatialObjectArray, '~/objects', LATCHED)
        self._markers = node.create_publisher(MarkerArray, '~/markers', LATCHED)
        self._field = node.create_publisher(PointCloud2, '~/field', LATCHED)
        self._events = node.create_publisher(SpatialEvent, '~/events', REPORTS)
        self._status = node.create_publisher(MemoryStatus, '~/status', LATCHED)
        self._diagnostics = node.create_publisher(DiagnosticArray, '/diagnostics', REPORTS)
        self._field_of: tuple[int, int] | None = None
        self._last_refused: dict[str, int] = {}
        self._last_errors = 0

    def close(self) -> None:
        """Destroy the publishers."""
        for publisher in (
            self._diagnostics,
            self._status,
            self._events,
            self._field,
            self._markers,
            self._objects,
        ):
            self._node.destroy_publisher(publisher)

    def objects(self, answer: Answer) -> None:
        """Publish the things of an answer as ~/objects and ~/markers."""
        header = header_message(answer.valid_at_ns, self._map_frame)
        message = SpatialObjectArray(header=header)
        message.objects = [
            object_message(item, frame_id=self._map_frame, frame_T_map=np.eye(4))
            for item in answer.instances
        ]
        self._objects.publish(message)
        markers = [Marker(header=header, action=Marker.DELETEALL)]
        for item in answer.instances:
            markers += _markers(item, header)
        self._markers.publish(MarkerArray(markers=markers))

    def clear_objects(self) -> None:
        """Replace the latched things by nothing, after the memory was replaced or emptied."""
        self.objects(Answer(code=0))
        self._field_of = None

    def field(self) -> None:
        """Publish ~/field where somebody subscribes and the memory has changed."""
        subscribers = self._field.get_subscription_count()
        if not subscribers:
            self._field_of = None
            return
        status = self._memory.status()
        current = (status.chunks, status.newest_stamp_ns)
        if current == self._field_of:
            return
        cloud = cloud_message(
            self._memory.field_points(),
            stamp_ns=status.newest_stamp_ns,
            frame_id=self._map_frame,
        )
        self._field.publish(cloud)
        self._field_of = current

    def event(self, event: Event) -> None:
        """Publish an event of a watch."""
        thing = object_message(event.instance, frame_id=self._map_frame, frame_T_map=np.eye(4))
        stamp_ns = self._memory.status().newest_stamp_ns
        message = SpatialEvent(header=header_message(stamp_ns, self._map_frame))
        message.kind, message.watch, message.object = event.kind, event.watch, thing
        message.sentence = event.sentence
        self._events.publish(message)
        self._node.get_logger().info(event.sentence)

    def status(self, *, state: str, queue_length: int, with_hash: bool) -> Status:
        """Publish ~/status; returns the counters it holds."""
        status = self._memory.status(with_hash=with_hash)
        now = self._node.get_clock().now().to_msg()
        message = MemoryStatus(
            state=state,
            refused_reasons=list(status.refused),
            refused_counts=list(status.refused.values()),
            queue_length=queue_length,
            newest_stamp=time_message(status.newest_stamp_ns),
            rss_mib=_rss_mib(),
        )
        message.header.stamp, message.header.frame_id = now, self._map_frame
        for name in (
            'model',
            'backend',
            'map_id',
            'state_hash',
            'frames_received',
            'frames_accepted',
            'chunks',
            'queries',
            'state_bytes',
            'tiles_resident',
            'tiles_on_disk',
            'keyframes',
            'update_p50_ms',
            'update_p95_ms',
            'query_p50_ms',
            'query_p95_ms',
        ):
            setattr(message, name, getattr(status, name))
        self._status.publish(message)
        return status

    def diagnostics(self, status: Status, *, state: str, worker: Worker) -> None:
        """Publish /diagnostics: an error of the worker or new refusals since the last one.

        An error lasts until an update succeeds: a lost GPU stays lost without new frames.
        """
        errors, last_error = worker.errors, worker.last_error
        grown = {
            reason: count - self._last_refused.get(reason, 0)
            for reason, count in status.refused.items()
            if count > self._last_refused.get(reason, 0)
        }
        new_errors = errors - self._last_errors
        self._last_refused, self._last_errors = dict(status.refused), errors
        report = DiagnosticStatus(
            name=f'{self._node.get_fully_qualified_name()}: memory', hardware_id=status.model
        )
        if new_errors:
            report.level = DiagnosticStatus.ERROR
            report.message = f'the memory failed on {new_errors} jobs, last: {last_error}'
        elif worker.failing:
            report.level = DiagnosticStatus.ERROR
            report.message = f'the memory failed, and no update has succeeded since: {last_error}'
        elif grown:
            report.level = DiagnosticStatus.WARN
            report.message = 'frames refused: ' + _pairs(grown)
        else:
            report.level, report.message = DiagnosticStatus.OK, state
        values = {
            'state': state,
            'backend': status.backend,
            'frames received': status.frames_received,
            'frames accepted': status.frames_accepted,
            'refused': _pairs(status.refused),
            'chunks': status.chunks,
            'state bytes': status.state_bytes,
            'update p95 [ms]': f'{status.update_p95_ms:.1f}',
            'query p95 [ms]': f'{status.query_p95_ms:.1f}',
            'worker errors': errors,
            'last worker error': last_error,
        }
        report.values = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
        message = DiagnosticArray(status=[report])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._diagnostics.publish(message)


def _pairs(counts: dict[str, int]) -> str:
    return ', '.join(f'{reason} {count}' for reason, count in sorted(counts.items()))


def _markers(item: Instance, header: Any) -> list[Marker]:
    """Return a box and a text for a thing; the box of an unknown size shows 2 sigma."""
    spread = 2.0 * np.sqrt(np.clip(np.diag(item.covariance), 0.0, None))
    box = np.maximum(np.where(item.size > 0.0, item.size, spread), MIN_MARKER_M)
    x, y, z = map(float, item.position)
    shape = Marker(
        header=header,
        ns='objects',
        id=item.id,
        type=Marker.CUBE,
        pose=Pose(position=Point(x=x, y=y, z=z)),
        scale=Vector3(x=float(box[0]), y=float(box[1]), z=float(box[2])),
        color=ColorRGBA(r=0.1, g=0.6, b=1.0, a=0.2 + 0.5 * float(item.confidence)),
        lifetime=Duration(),
    )
    text = Marker(
        header=header,
        ns='names',
        id=item.id,
        type=Marker.TEXT_VIEW_FACING,
        pose=Pose(position=Point(x=x, y=y, z=z + float(box[2]) / 2.0 + 0.1)),
        scale=Vector3(z=0.12),
        color=ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0),
        text=f'#{item.id} {item.label} {item.confidence:.2f}',
    )
    return [shape, text]


def _rss_mib() -> float:
    """Return the resident memory of this process; 0 where the system does not tell."""
    try:
        with open('/proc/self/statm', encoding='ascii') as file:
            pages = int(file.read().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf('SC_PAGE_SIZE') / 2**20
