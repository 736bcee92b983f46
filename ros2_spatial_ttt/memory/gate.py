# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The quality gate: what may enter memory. A refusal names its reason and never changes memory."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.config import GateConfig
from ros2_spatial_ttt.errors import FrameRefused, Refusal
from ros2_spatial_ttt.geometry import rotation_angle
from ros2_spatial_ttt.types import Frame, Percept

__all__ = ['Gate', 'check_content', 'check_percept', 'is_time_jump']

# Pose noise that is no motion, however short the time between two frames.
SLACK_M = 0.05
SLACK_RAD = 0.05


@dataclass
class _Past:
    """What the gate remembers of one camera."""

    stamp_ns: int
    pose_stamp_ns: int
    map_T_camera: NDArray[np.float64]
    checksum: int
    repeats: int


class Gate:
    """Checks frames one by one; keeps the last stamp, pose and checksum of every camera."""

    def __init__(self, config: GateConfig) -> None:
        self._config = config
        self._past: dict[str, _Past] = {}

    def clear(self) -> None:
        """Forget all cameras: the next frame of each is its first."""
        self._past.clear()

    def jumped_back(self, frame: Frame | Percept) -> bool:
        """Return whether time went back by more than a late frame would."""
        past = self._past.get(frame.camera)
        return past is not None and is_time_jump(past.stamp_ns, frame.stamp_ns, self._config)

    def check(self, frame: Frame) -> None:
        """Raise FrameRefused unless a sound frame may enter memory after those before it."""
        self.check_motion(frame)
        self._check_frozen(frame)
        self._check_blur(frame.colour)

    def check_motion(self, frame: Frame | Percept) -> None:
        """Raise FrameRefused unless stamp and pose may follow those before them."""
        self._check_stamp(frame)
        self._check_speed(frame)

    def _check_stamp(self, frame: Frame | Percept) -> None:
        past = self._past.get(frame.camera)
        if past is None:
            return
        behind_s = (past.stamp_ns - frame.stamp_ns) * 1e-9
        if is_time_jump(past.stamp_ns, frame.stamp_ns, self._config):
            raise FrameRefused(
                Refusal.TIME_JUMP,
                f'camera {frame.camera!r}: time went back by {behind_s:.3f} s; frames are refused '
                "until it catches up; set gate.time_jump to 'reset' to start anew when a bag "
                'loops',
            )
        if frame.stamp_ns == past.stamp_ns:
            raise FrameRefused(
                Refusal.STAMP_REPEAT, f'camera {frame.camera!r}: stamp {frame.stamp_ns} ns again'
            )
        if frame.stamp_ns < past.stamp_ns:
            raise FrameRefused(
                Refusal.STAMP_BACK,
                f'camera {frame.camera!r}: stamp is {behind_s:.3f} s before the last one',
            )

    def _check_speed(self, frame: Frame | Percept) -> None:
        past = self._past.get(frame.camera)
        if past is not None:
            seconds = (frame.stamp_ns - past.pose_stamp_ns) * 1e-9
            moved = float(np.linalg.norm(frame.map_T_camera[:3, 3] - past.map_T_camera[:3, 3]))
            turned = rotation_angle(past.map_T_camera, frame.map_T_camera)
            if (
                moved > SLACK_M + self._config.max_speed * seconds
                or turned > SLACK_RAD + self._config.max_turn_rate * seconds
            ):
                past.stamp_ns = frame.stamp_ns
                raise FrameRefused(
                    Refusal.POSE_JUMP,
                    f'camera {frame.camera!r}: {moved:.2f} m and {turned:.2f} rad in '
                    f'{seconds:.3f} s is faster than gate.max_speed {self._config.max_speed} m/s '
                    f'or gate.max_turn_rate {self._config.max_turn_rate} rad/s',
                )
        self._past[frame.camera] = _Past(
            stamp_ns=frame.stamp_ns,
            pose_stamp_ns=frame.stamp_ns,
            map_T_camera=frame.map_T_camera.copy(),
            checksum=past.checksum if past else -1,
            repeats=past.repeats if past else 0,
        )

    def _check_frozen(self, frame: Frame) -> None:
        past = self._past[frame.camera]
        # Every fourth row is enough: sensor noise differs everywhere.
        checksum = zlib.crc32(np.ascontiguousarray(frame.colour[::4]).data)
        past.repeats = past.repeats + 1 if checksum == past.checksum else 1
        past.checksum = checksum
        limit = self._config.frozen_frames
        if limit and past.repeats >= limit:
            raise FrameRefused(
                Refusal.FROZEN,
                f'camera {frame.camera!r}: {past.repeats} identical images in a row; '
                'check the driver, or set gate.frozen_frames to 0 for a simulated static scene',
            )

    def _check_blur(self, colour: NDArray[np.uint8]) -> None:
        # Half the rows and columns: the measure stays, the cost is a quarter.
        grey = cv2.cvtColor(np.ascontiguousarray(colour[::2, ::2]), cv2.COLOR_RGB2GRAY)
        sharpness = float(np.abs(cv2.Laplacian(grey, cv2.CV_16S)).mean())
        if sharpness < self._config.min_sharpness:
            raise FrameRefused(
                Refusal.BLUR,
                f'sharpness {sharpness:.2f} is below gate.min_sharpness '
                f'{self._config.min_sharpness}',
            )


def check_content(frame: Frame, *, depth_needed: bool) -> None:
    """Raise FrameRefused unless images, intrinsics and pose are sound in themselves."""
    _check_images(frame)
    if frame.depth is not None:
        _check_depth(frame.depth, frame.colour)
    elif depth_needed:
        raise FrameRefused(
            Refusal.DEPTH_MISSING,
            'this model writes measured surfaces and needs aligned depth; set the depth topic, or '
            'use a model that predicts depth',
        )
    _check_pose(frame.map_T_camera)


def check_percept(percept: Percept, names: tuple[str, ...]) -> None:
    """Raise FrameRefused unless the arrays of a percept fit, are finite and names are known."""
    _check_pose(percept.map_T_camera)
    things = len(percept.labels)
    shapes = {'centre': (things, 3), 'size': (things, 3), 'yaw': (things,), 'weight': (things,)}
    given = [name for name in ('worth', 'guessed') if getattr(percept, name) is not None]
    shapes |= dict.fromkeys(given, (things,))
    for name, expected in shapes.items():
        got = getattr(percept, name).shape
        if got != expected:
            raise FrameRefused(
                Refusal.PERCEPT, f'{name} of {things} things must be {expected}, got {got}'
            )
    for name in ('surface', 'free'):
        points = getattr(percept, name)
        if points.ndim != 2 or points.shape[1] != 3:
            raise FrameRefused(Refusal.PERCEPT, f'{name} must be (n, 3), got {points.shape}')
    for name in (*shapes, 'surface', 'free'):
        if not np.isfinite(getattr(percept, name)).all():
            raise FrameRefused(Refusal.PERCEPT, f'{name} holds numbers that are not finite')
    if any((getattr(percept, name) < 0).any() for name in ('weight', 'size', *given)):
        raise FrameRefused(Refusal.PERCEPT, 'weight, worth, guessed and size must not be negative')
    unknown = sorted(set(percept.labels) - set(names))
    if unknown:
        raise FrameRefused(
            Refusal.PERCEPT,
            f'{unknown} are not names of this memory ({", ".join(names) or "it knows none"}); '
            'set votes.labels to the names of the detector',
        )


def is_time_jump(last_ns: int, stamp_ns: int, config: GateConfig) -> bool:
    """Return whether a step from one stamp to the next is a jump back in time."""
    return last_ns - stamp_ns > config.time_jump_s * 1e9


def _check_images(frame: Frame) -> None:
    k, colour = frame.intrinsics, frame.colour
    if colour.size == 0:
        raise FrameRefused(Refusal.EMPTY_IMAGE, f'colour image has shape {colour.shape}')
    if colour.ndim != 3 or colour.shape[2] != 3 or colour.dtype != np.uint8:
        raise FrameRefused(
            Refusal.ENCODING,
            f'colour must be (H, W, 3) uint8 RGB, got {colour.shape} {colour.dtype}',
        )
    numbers = np.array([k.fx, k.fy, k.cx, k.cy, *k.distortion])
    if not np.isfinite(numbers).all() or k.fx <= 0 or k.fy <= 0:
        raise FrameRefused(
            Refusal.INTRINSICS,
            f'focal lengths must be positive and finite, got fx {k.fx}, fy {k.fy}; '
            'calibrate the camera or check its CameraInfo',
        )
    if colour.shape[:2] != (k.height, k.width):
        raise FrameRefused(
            Refusal.INTRINSICS,
            f'intrinsics are for {k.width}x{k.height}, the image is '
            f'{colour.shape[1]}x{colour.shape[0]}',
        )


def _check_depth(depth: NDArray, colour: NDArray[np.uint8]) -> None:
    if depth.shape != colour.shape[:2]:
        raise FrameRefused(
            Refusal.DEPTH_SIZE,
            f'depth is {depth.shape[::-1]}, colour {colour.shape[1::-1]}; use depth aligned to '
            'colour',
        )
    if depth.dtype == np.uint16:
        if not depth.any():
            raise FrameRefused(Refusal.DEPTH_EMPTY, 'every depth pixel is 0')
        return
    if depth.dtype != np.float32:
        raise FrameRefused(
            Refusal.ENCODING, f'depth must be float32 m or uint16 mm, got {depth.dtype}'
        )
    finite = np.isfinite(depth)
    if not finite.any():
        raise FrameRefused(Refusal.DEPTH_NOT_FINITE, 'every depth pixel is NaN or infinite')
    smallest = float(depth.min(where=finite, initial=np.inf))
    if smallest < 0:
        raise FrameRefused(Refusal.DEPTH_NEGATIVE, f'depth goes down to {smallest:.3f} m')
    if not depth.any(where=finite):
        raise FrameRefused(Refusal.DEPTH_EMPTY, 'every measured depth pixel is 0')


def _check_pose(pose: NDArray) -> None:
    if pose.shape != (4, 4) or not np.isfinite(pose).all():
        raise FrameRefused(
            Refusal.POSE_NOT_FINITE, f'map_T_camera must be (4, 4) and finite, got {pose.tolist()}'
        )
    rotation = pose[:3, :3]
    if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3) or np.linalg.det(rotation) < 0:
        raise FrameRefused(Refusal.QUATERNION, 'the rotation of map_T_camera is not a rotation')
