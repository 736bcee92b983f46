# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A home of two rooms by hand, and a tour of it: what questions about it must say is known.

Map, metres: room 0 is x 0..4, y 0..4; room 1 is x 4.1..8.1, y 0..4; the wall between them has a
door at y 1.5..2.5. The robot turns once round in the middle of room 0 (frames 0..39), of room 1
(40..79) and of room 0 again (80..119). Frame i has the stamp (i + 1) s.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.sim.world import (
    CameraRig,
    Change,
    Home,
    Opening,
    Room,
    Sights,
    Thing,
    Tour,
    Wall,
)

S = 1_000_000_000
FRAMES = 120


def thing(
    number: int,
    category: str,
    centre: Sequence[float],
    size: Sequence[float],
    *,
    yaw: float = 0.0,
    shape: int = 0,
) -> Thing:
    room = int(centre[0] > 4.05)
    return Thing(number, category, tuple(centre), tuple(size), yaw, room, 0, shape or number)


THINGS = (
    thing(1, 'sofa', (1.0, 0.5, 0.4), (2.0, 1.0, 0.8)),
    thing(2, 'tv', (1.0, 3.5, 0.5), (1.0, 0.4, 1.0)),
    thing(3, 'table', (3.0, 2.0, 0.4), (0.8, 0.8, 0.8)),
    thing(4, 'chair', (3.0, 3.0, 0.45), (0.5, 0.5, 0.9)),
    thing(5, 'chair', (3.0, 1.0, 0.45), (0.5, 0.5, 0.9)),
    thing(6, 'plant', (0.3, 2.0, 0.4), (0.4, 0.4, 0.8)),
    thing(7, 'bed', (7.0, 1.0, 0.3), (2.0, 1.6, 0.6)),
    thing(8, 'wardrobe', (5.0, 3.6, 1.0), (1.2, 0.6, 2.0)),
    thing(9, 'desk', (7.5, 3.5, 0.4), (1.0, 0.6, 0.8)),
    thing(10, 'chair', (7.5, 2.8, 0.45), (0.5, 0.5, 0.9)),
    thing(11, 'ball', (4.6, 0.5, 0.15), (0.3, 0.3, 0.3)),
    thing(12, 'vase', (5.2, 0.5, 0.2), (0.2, 0.2, 0.4)),
    thing(13, 'mug', (3.0, 2.0, 0.85), (0.1, 0.1, 0.1)),
    thing(14, 'box', (1.8, 2.2, 0.2), (0.4, 0.4, 0.4)),
)
# Frames in which each thing is visible; 12, the vase, is never more than glimpsed (frame 74), and
# 13 and 14 come into view at the very end.
VIEWS: dict[int, Sequence[int]] = {
    1: [*range(2, 7), *range(82, 91)],
    2: range(10, 15),
    3: range(18, 22),
    4: range(24, 28),
    5: range(25, 30),
    6: range(32, 36),
    7: range(42, 47),
    8: range(50, 55),
    9: range(58, 61),
    10: range(62, 66),
    11: range(70, 73),
    13: range(105, 110),
    14: range(112, 118),
}
GLIMPSES: dict[int, Sequence[int]] = {12: [74]}


@dataclass(frozen=True)
class HandEpisode:
    home: Home
    tour: Tour
    sights: tuple[Sights, ...]

    def map_T_camera(self, camera: int) -> NDArray[np.float64]:  # noqa: N802
        return self.tour.map_T_base @ self.tour.cameras[camera].base_T_camera


def hand_home(things: Sequence[Thing] = THINGS) -> Home:
    def room(index: int, kind: str, x: float) -> Room:
        polygon = ((x, 0.0), (x + 4.0, 0.0), (x + 4.0, 4.0), (x, 4.0))
        return Room(index, kind, polygon, 2.5, 'wood', 'white', 'white')

    def wall(x0: float, x1: float, y0: float, y1: float) -> Wall:
        centre = ((x0 + x1) / 2, (y0 + y1) / 2, 1.25)
        return Wall(centre, (x1 - x0, y1 - y0, 2.5), ('white',) * 4)

    walls = (
        wall(4.0, 4.1, 0.0, 1.5),
        wall(4.0, 4.1, 2.5, 4.0),
        wall(-0.1, 0.0, -0.1, 4.1),
        wall(8.1, 8.2, -0.1, 4.1),
        wall(0.0, 8.1, -0.1, 0.0),
        wall(0.0, 8.1, 4.0, 4.1),
    )
    door = Opening('passage', (0, 1), (4.05, 2.0, 1.25), (0.1, 1.0, 2.5))
    rooms = (room(0, 'living room', 0.0), room(1, 'bedroom', 4.1))
    return Home(7, rooms, walls, (door,), tuple(things), ())


def hand_tour(changes: Sequence[Change] = ()) -> Tour:
    poses = np.tile(np.eye(4), (FRAMES, 1, 1))
    for frame in range(FRAMES):
        yaw = 2 * math.pi * frame / 40
        cos, sin = math.cos(yaw), math.sin(yaw)
        poses[frame, :2, :2] = [[cos, -sin], [sin, cos]]
        poses[frame, :2, 3] = (6.1, 2.0) if 40 <= frame < 80 else (2.0, 2.0)
    optical = np.eye(4)
    optical[:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
    optical[2, 3] = 1.2
    rig = CameraRig('front', 640, 480, math.radians(90), optical)
    room = np.array([int(40 <= frame < 80) for frame in range(FRAMES)])
    stamps = (np.arange(FRAMES, dtype=np.int64) + 1) * S
    return Tour(3, 1.0, stamps, poses, room, (rig,), tuple(changes))


def hand_episode(
    views: Mapping[int, Sequence[int]] = VIEWS,
    *,
    changes: Sequence[Change] = (),
    things: Sequence[Thing] = THINGS,
    glimpses: Mapping[int, Sequence[int]] = GLIMPSES,
) -> HandEpisode:
    rows = [(frame, number, 0.9, 5000) for number, frames in views.items() for frame in frames]
    rows += [(frame, number, 0.02, 8) for number, frames in glimpses.items() for frame in frames]
    frame, number, share, pixels = (np.array(column) for column in zip(*sorted(rows), strict=True))
    sights = Sights(
        frame=frame.astype(np.int64),
        thing=number.astype(np.int64),
        share=share.astype(np.float32),
        distance=np.full(len(rows), 2.0, np.float32),
        pixels=pixels.astype(np.int32),
        centred=share > 0.5,
    )
    return HandEpisode(hand_home(things), hand_tour(changes), (sights,))
