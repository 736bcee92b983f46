# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Streams of percepts: what a perfect or a noisy detector and a coarse depth sensor tell.

Nothing is rendered: detections come from the truth of an episode, points from a few rays a frame.
One frame is made at a time, so a stream may last for days.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.geometry import invert_transform, transform_points
from ros2_spatial_ttt.sim.episode import Episode
from ros2_spatial_ttt.sim.senses.depth_faults import ray_depth
from ros2_spatial_ttt.sim.senses.detector import (
    NOISY,
    PERFECT,
    Detections,
    Detector,
    DetectorNoise,
)
from ros2_spatial_ttt.sim.senses.drift import believed_poses, heading_error
from ros2_spatial_ttt.sim.senses.optics import grid_rays, intrinsics_of
from ros2_spatial_ttt.sim.senses.sights import MOST_M, visible
from ros2_spatial_ttt.sim.sensor import CLEAN, SensorConfig, keeps_frame
from ros2_spatial_ttt.sim.stage import Stage
from ros2_spatial_ttt.sim.world import CameraRig, Thing
from ros2_spatial_ttt.types import Intrinsics, Percept

__all__ = ['NOISY', 'PERFECT', 'DetectorNoise', 'GRID', 'detections', 'percepts']

Array = NDArray[np.float64]

GRID = (12, 9)
# Free points end this far before what a ray hits, and are about this far apart along it.
CLEAR_M, STEP_M = 0.25, 0.9
FREE_FROM_M = 0.4
_STREAM = 30
# Steps of the R3 sequence (M. Roberts, 2018): two across a cell of the grid, one along the ray.
_R3 = np.array([0.8191725133961645, 0.6710436067037893, 0.5497004779019703])


def percepts(
    episode: Episode,
    stage: Stage | None = None,
    *,
    noise: DetectorNoise = PERFECT,
    camera: int = 0,
    sensor: SensorConfig = CLEAN,
    grid: tuple[int, int] = GRID,
) -> Iterator[Percept]:
    """Yield a percept for every frame of one camera of an episode, in order of time.

    A thing is detected whenever it is visible (``sights.visible``); the perfect detector tells the
    centre of its whole box, also where only a part is seen. Poses are those the robot believes:
    the true ones unless the sensor says otherwise.

    Args:
        episode: what is seen.
        stage: of its home and changes, if there is one already; its time is moved.
        noise: of the detector.
        camera: index in ``episode.tour.cameras``.
        sensor: range, depth noise, pose errors and dropped frames.
        grid: columns and rows of rays; each frame has them elsewhere in their cells.

    Raises:
        ConfigError: there is no such camera, or the grid is empty.
    """
    rig = _rig(episode, camera)
    if min(grid) < 1:
        raise ConfigError(f'grid: expected at least 1 column and 1 row, got {grid}')
    tour, seed = episode.tour, episode.home.seed
    eye = _Eye(intrinsics_of(rig), grid, sensor, (seed, _STREAM, camera))
    believed = believed_poses(sensor, seed, tour.stamps_ns, tour.map_T_base)
    turned = heading_error(believed, tour.map_T_base)
    poses = episode.map_T_camera(camera)
    with ExitStack() as stack:
        stage = stage or stack.enter_context(Stage(episode.home, tour.changes))
        for frame, found in _found(episode, Detector(noise, seed, camera), camera, eye, stage):
            if not keeps_frame(sensor, seed, camera, frame):
                continue
            camera_T_map = invert_transform(poses[frame])
            yield Percept(
                camera=rig.name,
                stamp_ns=int(tour.stamps_ns[frame]),
                map_T_camera=believed[frame] @ rig.base_T_camera,
                labels=found.labels,
                centre=transform_points(camera_T_map, found.centre),
                size=found.size,
                yaw=found.yaw + turned[frame],
                weight=found.weight,
                surface=eye.surface,
                free=eye.free,
            )


def detections(
    episode: Episode, *, noise: DetectorNoise = PERFECT, camera: int = 0
) -> Iterator[tuple[int, Detections]]:
    """Yield (frame, detections in the map with the things they are of), as in ``percepts``."""
    seed = episode.home.seed
    eye = _Eye(intrinsics_of(_rig(episode, camera)), GRID, CLEAN, (seed, _STREAM, camera))
    with Stage(episode.home, episode.tour.changes) as stage:
        yield from _found(episode, Detector(noise, seed, camera), camera, eye, stage)


def _rig(episode: Episode, camera: int) -> CameraRig:
    cameras = episode.tour.cameras
    if not 0 <= camera < len(cameras):
        raise ConfigError(f'camera: expected 0..{len(cameras) - 1}, got {camera}')
    return cameras[camera]


def _found(
    episode: Episode, detector: Detector, camera: int, eye: _Eye, stage: Stage
) -> Iterator[tuple[int, Detections]]:
    tour, sights = episode.tour, episode.sights[camera]
    kept = np.flatnonzero(visible(sights))
    begins = np.searchsorted(sights.frame[kept], np.arange(len(tour) + 1))
    poses, changes = episode.map_T_camera(camera), [c.stamp_ns for c in tour.changes]
    things: dict[int, Thing] = {}
    known = -1
    for frame, stamp_ns in enumerate(tour.stamps_ns.tolist()):
        epoch = int(np.searchsorted(changes, stamp_ns, side='right'))
        if epoch != known:
            known = epoch
            stage.set_time(stamp_ns)
            things = {thing.id: thing for thing in episode.things_at(stamp_ns)}
        eye.look(stage, frame, poses[frame])
        rows = kept[begins[frame] : begins[frame + 1]]
        yield (
            frame,
            detector.detect(
                frame,
                (stamp_ns - int(tour.stamps_ns[0])) / 1e9,
                [things[number] for number in sights.thing[rows].tolist()],
                sights.share[rows].astype(np.float64),
                sights.distance[rows].astype(np.float64),
                transform_points(poses[frame], eye.surface),
            ),
        )


class _Eye:
    """A coarse depth sensor: surface and free points of a frame, in the optical frame."""

    def __init__(
        self,
        intrinsics: Intrinsics,
        grid: tuple[int, int],
        sensor: SensorConfig,
        key: tuple[int, int, int],
    ) -> None:
        self._intrinsics, self._grid, self._key = intrinsics, grid, key
        self._sensor = replace(sensor, most_m=min(sensor.most_m, MOST_M))
        # Every cell starts elsewhere; from frame to frame all go on by the same step.
        count = grid[0] * grid[1]
        self._shift = np.random.default_rng([*key, 0]).random((count, 3))
        self._steps = np.arange(int(np.ceil(2 * MOST_M / STEP_M)))
        self.surface = self.free = np.zeros((0, 3))

    def look(self, stage: Stage, frame: int, map_T_camera: Array) -> None:
        """Cast the rays of a frame."""
        shift = (self._shift + (frame + 1) * _R3) % 1.0
        rays = grid_rays(self._intrinsics, *self._grid, shift[:, :2])
        stretch = np.linalg.norm(rays, axis=1)
        directions = (rays / stretch[:, None]) @ map_T_camera[:3, :3].T
        far_m = self._sensor.most_m * float(stretch.max()) + 1.0
        away, _ = stage.cast(map_T_camera[:3, 3], directions, most_m=far_m)
        depth = away / stretch
        rng = np.random.default_rng([*self._key, 1, frame]) if self._sensor.noisy_depth else None
        measured = ray_depth(self._sensor, depth, rng)
        hit = measured > 0
        self.surface = rays[hit] * measured[hit, None]
        # Where nothing is measured, nothing is known to be free either.
        end = measured * stretch - CLEAR_M
        along = FREE_FROM_M + (self._steps[None, :] + shift[:, 2:]) * STEP_M
        ray, step = np.nonzero(along < end[:, None])
        self.free = rays[ray] / stretch[ray, None] * along[ray, step, None]
