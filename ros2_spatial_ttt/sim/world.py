# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What a generated home is: plain data, numpy only, no renderer.

Map frame: metres, z up, floor of all rooms at z = 0. Every number that leaves the generator is
rounded to 0.1 mm or 0.1 mrad, so that the same seed gives the same bytes on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

__all__ = [
    'CATEGORIES',
    'EXAM_SEEDS',
    'TRAIN_SEEDS',
    'Change',
    'Home',
    'Lamp',
    'Opening',
    'SEALED_SEEDS',
    'SEEDS',
    'Room',
    'Sights',
    'Thing',
    'Tour',
    'Wall',
    'CameraRig',
    'things_at',
]

TRAIN_SEEDS = range(0, 100_000)
EXAM_SEEDS = range(100_000, 101_000)
# For a final judgement: nobody generates or looks at these while building.
SEALED_SEEDS = range(900_000, 1_000_000)
SEEDS = (TRAIN_SEEDS, EXAM_SEEDS, SEALED_SEEDS)

# The class table: index in this tuple is the label's number everywhere.
CATEGORIES = (
    'chair',
    'armchair',
    'stool',
    'sofa',
    'table',
    'desk',
    'coffee table',
    'nightstand',
    'bed',
    'wardrobe',
    'cabinet',
    'shelf',
    'dresser',
    'fridge',
    'oven',
    'sink',
    'washing machine',
    'toilet',
    'bathtub',
    'lamp',
    'tv',
    'monitor',
    'laptop',
    'plant',
    'bin',
    'box',
    'basket',
    'ball',
    'bottle',
    'mug',
    'book',
    'vase',
    'picture',
    'mirror',
    'door',
    'backpack',
)


@dataclass(frozen=True)
class Room:
    """One room.

    Attributes:
        index: 0, 1, …; kind: 'living room', 'kitchen', 'bedroom', 'bathroom', 'office', 'hall',
            'dining room' or 'storage room'.
        polygon: corners of the free floor (x, y) m, counter-clockwise.
        height: floor to ceiling, m.
        floor, wall, ceiling: names of materials (``sim/paint/materials.py``).
    """

    index: int
    kind: str
    polygon: tuple[tuple[float, float], ...]
    height: float
    floor: str
    wall: str
    ceiling: str


@dataclass(frozen=True)
class Wall:
    """A solid piece of wall, axis-aligned: centre and size (3,) m; material name per side.

    ``materials`` are those of the faces -x, +x, -y, +y; '' where no room is.
    """

    centre: tuple[float, float, float]
    size: tuple[float, float, float]
    materials: tuple[str, str, str, str]


@dataclass(frozen=True)
class Opening:
    """A hole in a wall.

    Attributes:
        kind: 'door', 'passage' (no leaf) or 'window'.
        rooms: the two it joins; -1 is outside.
        centre: (3,) m of the hole. size: (3,) m; its thin axis is through the wall.
    """

    kind: str
    rooms: tuple[int, int]
    centre: tuple[float, float, float]
    size: tuple[float, float, float]


@dataclass(frozen=True)
class Lamp:
    """A light source: position (3,) m, colour (r, g, b) 0..1 and strength 0..1."""

    position: tuple[float, float, float]
    colour: tuple[float, float, float]
    strength: float


@dataclass(frozen=True)
class Thing:
    """One object.

    Attributes:
        id: 1, 2, …, the value in instance masks; the same for life, over moves.
        category: of CATEGORIES.
        centre: (3,) m of its box in the map. size: (3,) m along its own axes (x, y, z).
        yaw: rad, of its x axis (its front) in the map.
        room: index of the room it stands in.
        support: id of the thing it stands on, 0 = floor, wall or ceiling.
        shape: seed of its look; ``catalogue.model(category, shape)`` is its geometry.
    """

    id: int
    category: str
    centre: tuple[float, float, float]
    size: tuple[float, float, float]
    yaw: float
    room: int
    support: int
    shape: int

    @property
    def label(self) -> int:
        """Number of the category in CATEGORIES."""
        return CATEGORIES.index(self.category)

    def pose(self) -> NDArray[np.float64]:
        """Return (4, 4) map_T_thing; its origin is the centre of its box."""
        out = np.eye(4)
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        out[:2, :2] = [[cos, -sin], [sin, cos]]
        out[:3, 3] = self.centre
        return out


@dataclass(frozen=True)
class Home:
    """A furnished home at the begin of a tour."""

    seed: int
    rooms: tuple[Room, ...]
    walls: tuple[Wall, ...]
    openings: tuple[Opening, ...]
    things: tuple[Thing, ...]
    lamps: tuple[Lamp, ...]


@dataclass(frozen=True)
class Change:
    """Something that happened out of sight.

    Attributes:
        stamp_ns: first frame stamp at which it holds.
        kind: 'moved', 'removed' or 'added'.
        thing: its id. now: the thing as it is afterwards; None when removed.
    """

    stamp_ns: int
    kind: str
    thing: int
    now: Thing | None


def things_at(home: Home, changes: tuple[Change, ...], stamp_ns: int) -> tuple[Thing, ...]:
    """Return what stands in the home at a time, by id, with all changes up to then applied."""
    things = {thing.id: thing for thing in home.things}
    for change in changes:
        if change.stamp_ns > stamp_ns:
            break
        if change.now is None:
            things.pop(change.thing, None)
        else:
            things[change.thing] = replace(change.now)
    return tuple(things[key] for key in sorted(things))


@dataclass(frozen=True)
class CameraRig:
    """A camera on the robot: pinhole, no distortion.

    Attributes:
        name: of the camera. width, height: pixels. hfov: horizontal field of view, rad.
        base_T_camera: (4, 4) optical frame to robot base (base on the floor, x forward).
    """

    name: str
    width: int
    height: int
    hfov: float
    base_T_camera: NDArray[np.float64]


@dataclass(frozen=True)
class Tour:
    """A walk of the robot and what changes meanwhile.

    Attributes:
        seed: of the walk. rate_hz: frames per second of each camera.
        stamps_ns: (n,) int64, increasing. map_T_base: (n, 4, 4) true pose of the base.
        room: (n,) int64 index of the room it is in, -1 in a door.
        cameras: one or more. changes: in order of time.
    """

    seed: int
    rate_hz: float
    stamps_ns: NDArray[np.int64]
    map_T_base: NDArray[np.float64]
    room: NDArray[np.int64]
    cameras: tuple[CameraRig, ...]
    changes: tuple[Change, ...]

    def __len__(self) -> int:
        return len(self.stamps_ns)


@dataclass(frozen=True)
class Sights:
    """Which thing is visible in which frame of one camera: k rows, sorted by frame, thing.

    Attributes:
        frame: (k,) int64 index into the tour. thing: (k,) int64 id.
        share: (k,) float32 share of the thing's surface samples that is in the picture and not
            hidden, of those that face the camera, 0..1.
        distance: (k,) float32 m from the camera to the thing's centre.
        pixels: (k,) int32 about how many pixels it covers.
        centred: (k,) bool, the whole thing is inside the picture.
    """

    frame: NDArray[np.int64]
    thing: NDArray[np.int64]
    share: NDArray[np.float32]
    distance: NDArray[np.float32]
    pixels: NDArray[np.int32]
    centred: NDArray[np.bool_]
