# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""From request messages to questions of the core; every field is checked."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.errors import BadRequest, FrameRefused
from ros2_spatial_ttt.geometry import transform_points
from ros2_spatial_ttt.ros.conversions import colour_from_message, transform_from_pose
from ros2_spatial_ttt.ros.frames import Frames, plain_name
from ros2_spatial_ttt.types import Example, Intrinsics, Query, QueryType, Region

__all__ = [
    'MAX_RESULTS',
    'OPTICAL_R_BODY',
    'example_from_messages',
    'labels_from_message',
    'query_from_request',
    'region_from_message',
    'times_from_messages',
]

MAX_RESULTS = 1000
DEFAULT_RESULTS = 10
MAX_TEXT = 1000
MAX_LABELS = 16
NS = 1_000_000_000

# Columns: x forward, y left, z up of a body, in the optical axes x right, y down, z forward.
OPTICAL_R_BODY = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])


def query_from_request(
    request: Any,
    frames: Frames,
    *,
    here: Callable[[], NDArray[np.float64] | None],
    intrinsics: Callable[[str], Intrinsics | None],
) -> Query:
    """Translate a SpatialQuery request.

    Args:
        request: spatial_ttt/srv/SpatialQuery request.
        frames: knows the frames that the request names.
        here: returns (4, 4) map_T_camera of the robot now, or None where that is not known.
        intrinsics: returns those of the camera with an optical frame, or None.

    Raises:
        BadRequest: a field is wrong; the message names it and says what to do.
    """
    kind = _kind(request.type)
    if len(request.text) > MAX_TEXT:
        raise BadRequest(f'text has {len(request.text)} letters, expected at most {MAX_TEXT}')
    if kind is QueryType.AUTO and not request.text.strip():
        raise BadRequest('the request is empty: set text to a question, or type and a label')
    since_ns, until_ns = times_from_messages(request.since, request.until)
    example = example_from_messages(request.image, request.roi)
    if example is not None:
        frame_id = plain_name(request.image.header.frame_id)
        example = replace(example, intrinsics=intrinsics(frame_id))
    return Query(
        type=kind,
        text=request.text.strip(),
        labels=labels_from_message(request.labels),
        examples=() if example is None else (example,),
        viewpoint=_viewpoint(request.viewpoint, frames, here),
        region=region_from_message(request.region, frames),
        since_ns=since_ns,
        until_ns=until_ns,
        max_results=min(request.max_results or DEFAULT_RESULTS, MAX_RESULTS),
    )


def labels_from_message(labels: Any) -> tuple[str, ...]:
    """Return the labels without blanks around them; BadRequest for empty or too many."""
    out = tuple(label.strip() for label in labels)
    if len(out) > MAX_LABELS:
        raise BadRequest(f'{len(out)} labels, expected at most {MAX_LABELS}')
    if any(not label or len(label) > MAX_TEXT for label in out):
        raise BadRequest(f'labels must have 1 to {MAX_TEXT} letters, got {list(out)}'[:300])
    return out


def example_from_messages(image: Any, roi: Any) -> Example | None:
    """Return the example picture of a request; None where it has none.

    Raises:
        BadRequest: the picture cannot be read, or the roi does not lie inside it.
    """
    box = (roi.x_offset, roi.y_offset, roi.width, roi.height)
    if not (image.data or image.width or image.height):
        if any(box):
            raise BadRequest(f'roi {box} without an image: set image, or leave roi empty')
        return None
    try:
        colour = colour_from_message(image)
    except FrameRefused as error:
        raise BadRequest(f'image cannot be used, {error}') from error
    height, width = colour.shape[:2]
    if not any(box):
        return Example(colour)
    x, y, box_width, box_height = box
    if not box_width or not box_height or x + box_width > width or y + box_height > height:
        raise BadRequest(
            f'roi {box} (x, y, width, height) must have an area inside the image of '
            f'{width}x{height} pixels; all zero means the whole image'
        )
    return Example(colour, box)


def region_from_message(msg: Any, frames: Frames) -> Region | None:
    """Return the region in the map frame; None for everywhere.

    A box in a turned frame becomes the map-aligned box around it.

    Raises:
        BadRequest: not finite, min above max, or a frame that is not known.
    """
    low, high = _vector(msg.min, 'region.min'), _vector(msg.max, 'region.max')
    if np.any(low > high):
        axis = 'xyz'[int(np.argmax(low > high))]
        raise BadRequest(
            f'region.min must not be above region.max, got min {low.tolist()} and max '
            f'{high.tolist()} (axis {axis}); swap them'
        )
    if not msg.header.frame_id and not np.any(low) and not np.any(high):
        return None
    corners = np.stack(np.meshgrid(*zip(low, high, strict=True)), axis=-1).reshape(-1, 3)
    stamp_ns = _stamp_ns(msg.header.stamp, 'region.header.stamp')
    points = transform_points(frames.map_T(msg.header.frame_id, stamp_ns=stamp_ns), corners)
    lower, upper = points.min(axis=0), points.max(axis=0)
    return Region(tuple(map(float, lower)), tuple(map(float, upper)))


def times_from_messages(since: Any, until: Any) -> tuple[int, int]:
    """Return (since, until) in ns, 0 for an open end; BadRequest when until is before since."""
    since_ns, until_ns = _stamp_ns(since, 'since'), _stamp_ns(until, 'until')
    if until_ns and until_ns < since_ns:
        raise BadRequest(
            f'until ({until_ns / NS:.3f} s) is before since ({since_ns / NS:.3f} s); swap them, '
            'or set until to 0 for no end'
        )
    return since_ns, until_ns


def _kind(value: int) -> QueryType:
    try:
        return QueryType(value)
    except ValueError:
        kinds = ', '.join(f'{kind.name}={kind.value}' for kind in QueryType)
        raise BadRequest(f'type {value} is not known, expected one of {kinds}') from None


def _stamp_ns(stamp: Any, name: str) -> int:
    if stamp.sec < 0 or stamp.nanosec >= NS:
        raise BadRequest(
            f'{name} must have sec >= 0 and nanosec < 1e9, got {stamp.sec} and {stamp.nanosec}'
        )
    return int(stamp.sec) * NS + int(stamp.nanosec)


def _vector(msg: Any, name: str) -> NDArray[np.float64]:
    out = np.array([msg.x, msg.y, msg.z])
    if not np.all(np.isfinite(out)):
        raise BadRequest(f'{name} must be finite, got {out.tolist()}')
    return out


def _viewpoint(
    msg: Any, frames: Frames, here: Callable[[], NDArray[np.float64] | None]
) -> NDArray[np.float64] | None:
    """Return (4, 4) map_T_observer, x forward and z up; None where the robot is not known."""
    position, turn = msg.pose.position, msg.pose.orientation
    if msg.header.frame_id:
        try:
            frame_T_observer = transform_from_pose(msg.pose)
        except FrameRefused as error:
            raise BadRequest(f'viewpoint cannot be used, {error}') from error
        stamp_ns = _stamp_ns(msg.header.stamp, 'viewpoint.header.stamp')
        return frames.map_T(msg.header.frame_id, stamp_ns=stamp_ns) @ frame_T_observer
    numbers = (position.x, position.y, position.z, turn.x, turn.y, turn.z)
    if any(numbers) or not math.isfinite(turn.w):
        raise BadRequest(
            f'viewpoint has a pose but no frame_id: name its frame ({frames.map_frame!r}), or '
            'leave the pose empty for the robot now'
        )
    map_T_camera = here()
    if map_T_camera is None:
        return None
    out = map_T_camera.copy()
    out[:3, :3] = map_T_camera[:3, :3] @ OPTICAL_R_BODY
    return out
