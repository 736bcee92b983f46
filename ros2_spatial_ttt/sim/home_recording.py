# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Writes the tour of a simulated home as a rosbag2 with its truth.

``map`` → ``odom`` → ``base_link`` on /tf, ``base_link`` → optical frames on /tf_static, /odom is
the robot in ``odom``. Messages of one moment share one stamp, which is also the log time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.geometry import invert_transform
from ros2_spatial_ttt.sim import ros_messages
from ros2_spatial_ttt.sim.episode import episode_of
from ros2_spatial_ttt.sim.paint.engine import require_renderer
from ros2_spatial_ttt.sim.ros_messages import BagWriter, staged
from ros2_spatial_ttt.sim.senses.drift import believed_poses, odometry_poses
from ros2_spatial_ttt.sim.sensor import CLEAN, SensorConfig
from ros2_spatial_ttt.sim.stream import SimFrame, frames_of
from ros2_spatial_ttt.sim.world import CameraRig, Home, Tour

__all__ = ['optical_frame', 'record_home', 'topics_of']

Array = NDArray[np.float64]

MAP, ODOM, BASE = 'map', 'odom', 'base_link'
TRUTH, MASKS = 'truth.json', 'masks'
MOST_MM = 65_535
LEAST_VARIANCE = 1e-6


def topics_of(camera: str) -> dict[str, str]:
    """Return the topics of a camera: 'info', 'depth' and 'colour'."""
    return {
        'info': f'/{camera}/color/camera_info',
        'depth': f'/{camera}/aligned_depth_to_color/image_raw',
        'colour': f'/{camera}/color/image_raw/compressed',
    }


def optical_frame(camera: str) -> str:
    """Return the name of the optical frame of a camera."""
    return f'{camera}_color_optical_frame'


def record_home(
    out: Path,
    home: Home,
    tour: Tour,
    *,
    sensor: SensorConfig = CLEAN,
    storage: str = 'mcap',
    jpeg_quality: int = 85,
    masks: bool = False,
    shadows: bool = False,
    tick: Callable[[], object] = lambda: None,
) -> int:
    """Write a recording with its truth.json; return the number of pictures.

    An older folder there is replaced by the complete new one.

    Args:
        out: folder of the rosbag2.
        home: that is walked through.
        tour: the walk.
        sensor: what is wrong with camera and localisation.
        storage: 'mcap' or 'sqlite3'.
        jpeg_quality: of colour, unless the sensor compresses already with its own.
        masks: write the thing ids of each picture as 16-bit PNG, ``masks/CAMERA/STAMP.png``.
        shadows: lamps throw shadows.
        tick: called after each picture.

    Raises:
        RecordingError: the disk is full, or the folder cannot be written.
        EngineError, RendererError: MuJoCo or an OpenGL renderer is missing.
    """
    require_renderer()
    # Compressing a picture twice would not be what a camera does.
    quality = sensor.jpeg_quality or jpeg_quality
    stream = frames_of(home, tour, sensor=replace(sensor, jpeg_quality=0), shadows=shadows)
    count = 0
    with staged(out) as folder:
        with BagWriter(folder, storage) as bag:
            robot = _Robot(bag, home, tour, sensor)
            for shot in stream:
                robot.move_to(shot.index)
                _write_pictures(bag, shot, quality)
                if masks:
                    _write_mask(folder / MASKS, shot)
                count += 1
                tick()
            robot.move_to(len(tour) - 1)
        (folder / TRUTH).write_bytes(episode_of(home, tour).to_json())
    return count


class _Robot:
    """Writes where the robot is, for every moment of the tour up to the one that is asked for."""

    def __init__(self, bag: BagWriter, home: Home, tour: Tour, sensor: SensorConfig) -> None:
        self._bag, self._stamps = bag, tour.stamps_ns.tolist()
        self._map_T_base = believed_poses(sensor, home.seed, tour.stamps_ns, tour.map_T_base)
        self._odom_T_base = odometry_poses(sensor, home.seed, tour.map_T_base)
        self._twists = _twists(self._odom_T_base, tour.stamps_ns)
        self._variances = _variances(tour.map_T_base, sensor.odometry_share)
        self._rigs, self._next = tour.cameras, 0

    def move_to(self, index: int) -> None:
        """Write poses up to that of a frame."""
        while self._next <= index:
            self._write(self._next)
            self._next += 1

    def _write(self, index: int) -> None:
        stamp_ns, odom_T_base = self._stamps[index], self._odom_T_base[index]
        if index == 0:
            fixed = [(BASE, optical_frame(rig.name), _matrix(rig)) for rig in self._rigs]
            self._bag.write('/tf_static', ros_messages.tf(stamp_ns, fixed), stamp_ns)
        map_T_odom = self._map_T_base[index] @ invert_transform(odom_T_base)
        edges = [(MAP, ODOM, map_T_odom), (ODOM, BASE, odom_T_base)]
        self._bag.write('/tf', ros_messages.tf(stamp_ns, edges), stamp_ns)
        message = ros_messages.odometry(
            stamp_ns,
            ODOM,
            BASE,
            odom_T_base,
            variance=self._variances[index],
            twist=self._twists[index],
        )
        self._bag.write('/odom', message, stamp_ns)


def _write_pictures(bag: BagWriter, shot: SimFrame, quality: int) -> None:
    frame, topics = shot.frame, topics_of(shot.frame.camera)
    stamp_ns, optical = frame.stamp_ns, optical_frame(frame.camera)
    depth_mm = np.round(1000.0 * frame.depth)
    depth_mm = np.where(depth_mm <= MOST_MM, depth_mm, 0).astype(np.uint16)
    messages = {
        'info': ros_messages.camera_info(stamp_ns, optical, frame.intrinsics),
        'depth': ros_messages.depth_image(stamp_ns, optical, depth_mm),
        'colour': ros_messages.jpeg_image(stamp_ns, optical, frame.colour, quality),
    }
    for key, message in messages.items():
        bag.write(topics[key], message, stamp_ns)


def _write_mask(folder: Path, shot: SimFrame) -> None:
    path = folder / shot.frame.camera / f'{shot.frame.stamp_ns}.png'
    path.parent.mkdir(parents=True, exist_ok=True)
    _, data = cv2.imencode('.png', shot.ids.astype(np.uint16))
    path.write_bytes(data.tobytes())


def _matrix(rig: CameraRig) -> Array:
    return np.asarray(rig.base_T_camera, np.float64)


def _twists(poses: Array, stamps_ns: NDArray[np.int64]) -> Array:
    """Return (n, 6) velocities along and about the robot's own axes, m/s and rad/s."""
    out = np.zeros((len(poses), 6))
    if len(poses) < 2:
        return out
    seconds = np.diff(stamps_ns)[:, None] / 1e9
    steps = np.diff(poses[:, :3, 3], axis=0) / seconds
    out[:-1, :3] = np.einsum('nji,nj->ni', poses[:-1, :3, :3], steps)
    heading = np.unwrap(np.arctan2(poses[:, 1, 0], poses[:, 0, 0]))
    out[:-1, 5] = np.diff(heading) / seconds[:, 0]
    out[-1] = out[-2]
    return out


def _variances(poses: Array, share: float) -> Array:
    """Return (n, 6) variances of odometry: independent errors of steps and turns add up."""
    out = np.full((len(poses), 6), LEAST_VARIANCE)
    steps = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1)
    turns = np.diff(np.unwrap(np.arctan2(poses[:, 1, 0], poses[:, 0, 0])))
    out[1:, :2] += np.cumsum((share * steps) ** 2)[:, None]
    out[1:, 5] += np.cumsum((share * turns) ** 2)
    return out
