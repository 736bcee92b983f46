# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""How a robot walks through a home, for minutes or hours: ``make_tour``.

The first round enters every room and looks around in it; later rounds visit the rooms again in
ever new orders. On long tours some rooms are entered late. Things change behind the robot's back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.sim.walks.changes import make_changes
from ros2_spatial_ttt.sim.walks.itinerary import Walk, walk_rooms
from ros2_spatial_ttt.sim.walks.script import Track
from ros2_spatial_ttt.sim.walks.walk import Ground, Walker
from ros2_spatial_ttt.sim.world import CameraRig, Change, Home, Tour

__all__ = ['FRONT', 'SIDE', 'START_NS', 'TourOptions', 'camera_rig', 'make_tour']

START_NS = 1_700_000_000_000_000_000
_STREAM = 2
_MINUTES_PER_CHANGE = 2.0
_MOST_MINUTES = 48 * 60.0
_MOST_HZ = 60.0
_STRIDE_HZ = 1.7  # steps a second, which sway follows


def camera_rig(
    name: str = 'front',
    *,
    yaw: float = 0.0,
    pitch: float = np.deg2rad(10.0),
    height: float = 1.2,
    hfov: float = np.deg2rad(69.0),
    width: int = 640,
    pixels_high: int = 480,
) -> CameraRig:
    """Return a camera on the robot's mast.

    Args:
        name: of the camera.
        yaw: direction it looks in, rad, 0 ahead, positive to the left.
        pitch: how far it looks down, rad.
        height: above the floor, m.
        hfov: horizontal field of view, rad.
        width: of its picture, pixels.
        pixels_high: height of its picture, pixels.
    """
    cos, sin = np.cos(yaw), np.sin(yaw)
    ahead = np.array([np.cos(pitch) * cos, np.cos(pitch) * sin, -np.sin(pitch)])
    right = np.array([sin, -cos, 0.0])
    base_T_camera = np.eye(4)
    # Columns are the optical axes: x to the right, y down, z ahead.
    base_T_camera[:3, :3] = np.column_stack([right, np.cross(ahead, right), ahead])
    base_T_camera[:3, 3] = [0.0, 0.0, height]
    return CameraRig(name, width, pixels_high, float(hfov), np.round(base_T_camera, 12))


FRONT = camera_rig()
SIDE = camera_rig('side', yaw=-np.pi / 2.0)


@dataclass(frozen=True)
class TourOptions:
    """What a tour is like.

    Attributes:
        minutes: how long. rate_hz: frames per second.
        changes: how many things change; None is about one per two minutes. Fewer happen where
            the robot would see it or would not come back, as in a home of one room.
        cameras: on the robot; ``(FRONT, SIDE)`` for two.
        seed: of the walk; other numbers give other walks through the same home.
        sway: amplitude of roll and pitch while walking, rad.
    """

    minutes: float = 5.0
    rate_hz: float = 2.0
    changes: int | None = None
    cameras: tuple[CameraRig, ...] = (FRONT,)
    seed: int = 0
    sway: float = 0.004

    def __post_init__(self) -> None:
        wrong = []
        if not 0.0 < self.minutes <= _MOST_MINUTES:
            wrong.append(f'minutes: expected above 0 to {_MOST_MINUTES:g}, got {self.minutes!r}')
        if not 0.0 < self.rate_hz <= _MOST_HZ:
            wrong.append(f'rate_hz: expected above 0 to {_MOST_HZ:g}, got {self.rate_hz!r}')
        if self.changes is not None and self.changes < 0:
            wrong.append(f'changes: expected 0 or more or None, got {self.changes!r}')
        if not self.cameras:
            wrong.append('cameras: expected at least one, got none')
        if self.seed < 0:
            wrong.append(f'seed: expected 0 or more, got {self.seed!r}')
        if not 0.0 <= self.sway <= 0.1:
            wrong.append(f'sway: expected 0 to 0.1 rad, got {self.sway!r}')
        if wrong:
            raise ConfigError('options of a tour: ' + '; '.join(wrong))


def make_tour(home: Home, options: TourOptions = TourOptions()) -> Tour:  # noqa: B008 - frozen
    """Return a walk through a home; the same home and options give the same walk.

    Args:
        home: of ``make_home``.
        options: how long, how often, which cameras, how many changes.

    Returns:
        Poses 1/``rate_hz`` apart from ``START_NS`` on. The base turns by at most 1.2 rad/s, moves
        by at most 0.8 m/s and never is nearer than 0.22 m to a thing or wall.
    """
    entropy = [home.seed, _STREAM, options.seed, len(home.rooms), round(options.minutes * 600)]
    rng = np.random.default_rng(entropy)
    count = max(int(round(options.minutes * 60.0 * options.rate_hz)), 1)
    stamps = START_NS + np.round(np.arange(count) * (1e9 / options.rate_hz)).astype(np.int64)
    ground = Ground(home)
    walk = walk_rooms(rng, home, Walker(ground), options.minutes * 60.0)
    seconds = (stamps - START_NS) / 1e9
    xy = np.column_stack([np.interp(seconds, walk.seconds, walk.xy[:, k]) for k in range(2)])
    yaw = np.interp(seconds, walk.seconds, walk.yaw)
    room = ground.room_at(xy)
    tour = Tour(
        options.seed,
        float(options.rate_hz),
        stamps,
        _poses(xy, yaw, seconds, options.sway),
        room,
        tuple(options.cameras),
        (),
    )
    return replace(tour, changes=_changes(rng, home, tour, walk, yaw, options))


def _poses(
    xy: NDArray[np.float64], yaw: NDArray[np.float64], seconds: NDArray[np.float64], sway: float
) -> NDArray[np.float64]:
    """Return (n, 4, 4) map_T_base; a walking robot sways a little."""
    step = 2.0 * np.pi * _STRIDE_HZ * seconds
    roll, pitch = sway * np.sin(step / 2.0), 0.7 * sway * np.sin(step)
    cos, sin = np.cos(yaw), np.sin(yaw)
    cp, sp, cr, sr = np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    out = np.zeros((len(xy), 4, 4))
    # Rz(yaw) Ry(pitch) Rx(roll), column by column.
    out[:, :3, 0] = np.column_stack([cos * cp, sin * cp, -sp])
    out[:, :3, 1] = np.column_stack([cos * sp * sr - sin * cr, sin * sp * sr + cos * cr, cp * sr])
    out[:, :3, 2] = np.column_stack([cos * sp * cr + sin * sr, sin * sp * cr - cos * sr, cp * cr])
    out[:, :2, 3] = np.round(xy, 4)
    out[:, 3, 3] = 1.0
    # A rotation rounded this far is still one to single precision.
    out[:, :3, :3] = np.round(out[:, :3, :3], 9)
    return out


def _changes(
    rng: np.random.Generator,
    home: Home,
    tour: Tour,
    walk: Walk,
    yaw: NDArray[np.float64],
    options: TourOptions,
) -> tuple[Change, ...]:
    wanted = options.changes
    if wanted is None:
        wanted = int(round(options.minutes / _MINUTES_PER_CHANGE))
    if wanted == 0 or len(home.rooms) < 2:
        return ()
    looks = np.array(
        [np.arctan2(rig.base_T_camera[1, 2], rig.base_T_camera[0, 2]) for rig in tour.cameras]
    )
    track = Track(tour.stamps_ns, tour.map_T_base[:, :2, 3], yaw, tour.room, looks[:1], walk.xy)
    return make_changes(rng, home, track, wanted)
