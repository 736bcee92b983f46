# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Rendered frames of a tour with their truth, one after the other, without files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.sim.home import make_home
from ros2_spatial_ttt.sim.paint.engine import require_renderer
from ros2_spatial_ttt.sim.senses.colour_faults import measure_colour, shutter_motion
from ros2_spatial_ttt.sim.senses.depth_faults import measure_depth
from ros2_spatial_ttt.sim.senses.drift import believed_poses
from ros2_spatial_ttt.sim.senses.optics import camera_poses, intrinsics_of
from ros2_spatial_ttt.sim.senses.sights import Crowd
from ros2_spatial_ttt.sim.sensor import CLEAN, SensorConfig, keeps_frame
from ros2_spatial_ttt.sim.stage import Stage
from ros2_spatial_ttt.sim.tour import TourOptions, make_tour
from ros2_spatial_ttt.sim.world import Home, Sights, Tour, things_at
from ros2_spatial_ttt.types import Frame

__all__ = ['SIZES', 'SimFrame', 'frames', 'frames_of', 'resized']

Array = NDArray[np.float64]

# Smallest and largest width and height of a picture, px.
SIZES = (32, 4096)


@dataclass(frozen=True)
class SimFrame:
    """A frame as the robot gets it, and the truth about it.

    Attributes:
        frame: picture, depth (float32 m, 0 = none) and believed pose.
        index: of the frame in the tour. camera: index in the tour's cameras.
        true_map_T_camera: (4, 4).
        true_colour: (H, W, 3) uint8 without faults. true_depth: (H, W) float32 m, 0 = sky.
        ids: (H, W) int32 thing ids, 0 = structure or sky.
        sights: what is visible; ``pixels`` are counted in ``ids``, ``frame`` is ``index``.
    """

    frame: Frame
    index: int
    camera: int
    true_map_T_camera: Array
    true_colour: NDArray[np.uint8]
    true_depth: NDArray[np.float32]
    ids: NDArray[np.int32]
    sights: Sights


def frames(
    seed: int,
    *,
    minutes: float = 5.0,
    rate_hz: float = 2.0,
    rooms: int | None = None,
    size: tuple[int, int] | None = None,
    sensor: SensorConfig = CLEAN,
    options: TourOptions | None = None,
    shadows: bool = False,
) -> Iterator[SimFrame]:
    """Yield the frames of all cameras of the tour of a seed, by time.

    Args:
        seed: of home and tour, in ``TRAIN_SEEDS`` or ``EXAM_SEEDS``.
        minutes: length of the tour.
        rate_hz: frames per second of each camera.
        rooms: of the home, 1..8; None as the seed says.
        size: (width, height) of pictures in px, 32..4096; None as the cameras say.
        sensor: what is wrong with the camera.
        options: of the tour, cameras as well; ``minutes`` and ``rate_hz`` are then those in it.
        shadows: lamps throw shadows; about three times slower.

    Raises:
        ConfigError: a number is out of range.
        EngineError, RendererError: MuJoCo or an OpenGL renderer is missing.
    """
    require_renderer()
    home = make_home(seed, rooms=rooms)
    tour = make_tour(home, options or TourOptions(minutes=minutes, rate_hz=rate_hz))
    yield from frames_of(home, resized(tour, size), sensor=sensor, shadows=shadows)


def resized(tour: Tour, size: tuple[int, int] | None) -> Tour:
    """Return the tour with pictures of another size, with the same horizontal field of view.

    Raises:
        ConfigError: the size is out of range.
    """
    if size is None:
        return tour
    if not all(SIZES[0] <= edge <= SIZES[1] for edge in size):
        raise ConfigError(
            f'size of pictures: expected width and height of {SIZES[0]}..{SIZES[1]} px, '
            f'got {size[0]}x{size[1]}'
        )
    cameras = tuple(replace(rig, width=size[0], height=size[1]) for rig in tour.cameras)
    return replace(tour, cameras=cameras)


def frames_of(
    home: Home, tour: Tour, *, sensor: SensorConfig = CLEAN, shadows: bool = False
) -> Iterator[SimFrame]:
    """Yield the frames of all cameras of a tour, by time; see ``frames``."""
    believed = believed_poses(sensor, home.seed, tour.stamps_ns, tour.map_T_base)
    poses = [camera_poses(tour, camera) for camera in range(len(tour.cameras))]
    changes, crowd, known = [c.stamp_ns for c in tour.changes], Crowd(()), -1
    with Stage(home, tour.changes, shadows=shadows) as stage:
        for index, stamp_ns in enumerate(tour.stamps_ns.tolist()):
            epoch = int(np.searchsorted(changes, stamp_ns, side='right'))
            if epoch != known:
                known = epoch
                stage.set_time(stamp_ns)
                crowd = Crowd(things_at(home, tour.changes, stamp_ns), home.walls)
            for camera, rig in enumerate(tour.cameras):
                if keeps_frame(sensor, home.seed, camera, index):
                    pose = believed[index] @ rig.base_T_camera
                    shot = _Shot(home.seed, tour, camera, index, poses[camera])
                    yield shot.take(stage, crowd, sensor, pose)


@dataclass(frozen=True)
class _Shot:
    """One picture to be taken."""

    seed: int
    tour: Tour
    camera: int
    index: int
    poses: Array

    def take(self, stage: Stage, crowd: Crowd, sensor: SensorConfig, believed: Array) -> SimFrame:
        rig, true = self.tour.cameras[self.camera], self.poses[self.index]
        lens, key = intrinsics_of(rig), (self.seed, self.camera, self.index)
        colour, depth_m, ids = stage.render(lens, true)
        seen = measure_colour(sensor, colour, depth_m, lens, self._motion(sensor), key)
        frame = Frame(
            camera=rig.name,
            stamp_ns=int(self.tour.stamps_ns[self.index]),
            colour=seen,
            depth=measure_depth(sensor, depth_m, colour, lens, key),
            intrinsics=lens,
            map_T_camera=believed,
        )
        sights = crowd.look(stage, lens, true, self.index)
        counts = np.bincount(ids.ravel(), minlength=int(sights.thing.max(initial=0)) + 1)
        sights = replace(sights, pixels=counts[sights.thing].astype(np.int32))
        return SimFrame(frame, self.index, self.camera, true, colour, depth_m, ids, sights)

    def _motion(self, sensor: SensorConfig) -> Array | None:
        """Return how the camera moves while the shutter is open."""
        if not sensor.shutter_s or len(self.poses) < 2:
            return None
        first = min(self.index, len(self.poses) - 2)
        share = min(sensor.shutter_s * self.tour.rate_hz, 1.0)
        return shutter_motion(self.poses[first], self.poses[first + 1], share)
