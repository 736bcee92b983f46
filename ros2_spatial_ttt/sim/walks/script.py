# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A home as it is at some time of a tour, and what the robot can know of it.

Used while changes are found one after the other: what may change, where it may go, whether the
robot sees it happen, and whether it can notice later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.sim.catalogue import model
from ros2_spatial_ttt.sim.home import shapes_of
from ros2_spatial_ttt.sim.plans.arrange import Arranger
from ros2_spatial_ttt.sim.plans.overlap import distance_to_box, thing_box
from ros2_spatial_ttt.sim.plans.spaces import ROBOT_TALL_M, Space
from ros2_spatial_ttt.sim.walks.walk import RADIUS_M
from ros2_spatial_ttt.sim.world import Change, Home, Thing

__all__ = ['MOVABLE', 'Script', 'Track']

# Things that people move about.
MOVABLE = (
    'ball',
    'backpack',
    'box',
    'basket',
    'bin',
    'stool',
    'chair',
    'plant',
    'lamp',
    'mug',
    'bottle',
    'book',
    'vase',
    'laptop',
)
# The robot sees neither place for this long before and after, s.
_QUIET_S = 2.0
_SEEN_M = (0.5, 6.0)
_SEEN_RAD = np.deg2rad(30.0)


@dataclass(frozen=True)
class Track:
    """Where the robot is, as changes need it.

    Attributes:
        stamps_ns: (n,). xy: (n, 2) m. yaw: (n,) rad. room: (n,) index, -1 in doors.
        looks: (c,) rad, yaw of cameras on the robot.
        way: (m, 2) m, every point of its way, denser than frames.
    """

    stamps_ns: NDArray[np.int64]
    xy: NDArray[np.float64]
    yaw: NDArray[np.float64]
    room: NDArray[np.int64]
    looks: NDArray[np.float64]
    way: NDArray[np.float64]

    def looked_at(self, place: Thing) -> NDArray[np.int64]:
        """Return frames in which the robot looks at a place from within its room."""
        near = np.flatnonzero(self.room == place.room)
        to = np.array(place.centre[:2]) - self.xy[near]
        away = np.hypot(*to.T)
        ok = (away > _SEEN_M[0]) & (away < _SEEN_M[1])
        bearing = np.arctan2(to[:, 1], to[:, 0]) - self.yaw[near]
        off = (bearing[:, None] - self.looks + np.pi) % (2.0 * np.pi) - np.pi
        return near[ok & (np.abs(off) < _SEEN_RAD).any(axis=1)]


class _Sight:
    """Whether a place can be seen from a point, past full-height walls, in the plane.

    Doors, passages and windows count as open and furniture as glass, so what this calls hidden is
    hidden.
    """

    def __init__(self, home: Home) -> None:
        height = home.rooms[0].height
        walls = [w for w in home.walls if w.size[2] > height - 1e-3]
        centre = np.array([w.centre[:2] for w in walls])
        half = np.array([w.size[:2] for w in walls]) / 2.0
        self._low, self._high = centre - half, centre + half

    def any_open(self, points: NDArray[np.float64], targets: NDArray[np.float64]) -> bool:
        """Tell whether any of points (n, 2) sees any of targets (m, 2): slab test of segments."""
        start = np.repeat(points, len(targets), axis=0)
        step = np.tile(targets, (len(points), 1)) - start
        step = np.where(np.abs(step) < 1e-9, 1e-9, step)
        a = (self._low[None] - start[:, None]) / step[:, None]
        b = (self._high[None] - start[:, None]) / step[:, None]
        enter = np.minimum(a, b).max(axis=2)
        leave = np.maximum(a, b).min(axis=2)
        blocked = (enter < leave) & (leave > 0.0) & (enter < 1.0)
        return bool((~blocked.any(axis=1)).any())


class Script:
    """The home as it is now while changes are found one after the other."""

    def __init__(self, rng: np.random.Generator, home: Home, track: Track) -> None:
        self.rng, self.home, self.track = rng, home, track
        self.things = {thing.id: thing for thing in home.things}
        self.next_id = len(home.things) + 1
        self._sight = _Sight(home)
        self.shapes = shapes_of(home.seed)
        self.touched: set[int] = set()

    def loose(self) -> list[Thing]:
        """Return things that may change now: movable, nothing on them, not changed before."""
        carrying = {thing.support for thing in self.things.values()}
        return [
            thing
            for thing in self.things.values()
            if thing.category in MOVABLE
            and thing.id not in carrying
            and thing.id not in self.touched
        ]

    def rare_first(self, things: Sequence[Thing]) -> list[Thing]:
        """Return things in random order, those that are one of a kind rather first."""
        counts: dict[str, int] = {}
        for thing in self.things.values():
            counts[thing.category] = counts.get(thing.category, 0) + 1
        weight = self.rng.random(len(things)) * [counts[t.category] ** 0.7 for t in things]
        return [things[int(k)] for k in np.argsort(weight)]

    def unseen(self, frame: int, places: Sequence[Thing]) -> bool:
        """Tell whether the robot sees none of the places around a frame."""
        stamps = self.track.stamps_ns
        quiet = int(_QUIET_S * 1e9)
        first = int(np.searchsorted(stamps, stamps[frame] - quiet))
        last = int(np.searchsorted(stamps, stamps[frame] + quiet, side='right'))
        first, last = min(first, frame - 1), max(last, frame + 1)
        if np.isin(self.track.room[first:last], [place.room for place in places]).any():
            return False
        points = np.unique(self.track.xy[first:last], axis=0)
        targets = np.concatenate([_outline(place) for place in places])
        return not self._sight.any_open(points, targets)

    def known(self, frame: int, before: Sequence[Thing], after: Sequence[Thing]) -> bool:
        """Tell whether places were looked at before a frame, and others are later again."""
        return all((self.track.looked_at(p) < frame - 1).any() for p in before) and all(
            (self.track.looked_at(p) > frame + 1).any() for p in after
        )

    def space(self, room: int, without: Sequence[int]) -> Space:
        """Return a room with what is in it now."""
        leaves = [t for t in self.things.values() if t.category == 'door' and t.room == room]
        inside = [t for t in leaves if _in_room(self.home, t)]
        space = Space(self.home.rooms[room], self.home.openings, inside)
        for thing in self.things.values():
            if thing.room == room and thing.category != 'door' and thing.id not in without:
                space.put(thing)
        return space

    def off_the_way(self, thing: Thing) -> bool:
        """Tell whether the robot never comes near a thing, at any time."""
        row = thing_box(thing)
        if row[5] > ROBOT_TALL_M:
            return True
        reach = np.hypot(row[2], row[3]) + RADIUS_M + 0.1
        way = self.track.way
        near = way[(np.abs(way - row[:2]) < reach).all(axis=1)]
        return not len(near) or float(distance_to_box(*near.T, row).min()) > RADIUS_M + 0.03

    def place(self, category: str, shape: int, room: int, without: Sequence[int]) -> Thing | None:
        """Find a new place for a thing in a room: on the floor or on furniture."""
        kind = model(category, shape)
        space = self.space(room, without)
        arranger = Arranger(self.rng, range(1))
        for _ in range(4):
            mark = space.mark()
            if kind.mounting == 'surface':
                supports = [t for t in space.things if model(t.category, t.shape).surfaces]
                if not supports:
                    return None
                support = supports[int(self.rng.integers(len(supports)))]
                thing = arranger.on_top(space, category, support, kind=kind)
            elif self.rng.random() < 0.5:
                thing = arranger.at_wall(space, kind)
            else:
                thing = arranger.anywhere(space, kind)
            if thing is not None and self.off_the_way(thing):
                return thing
            space.back(mark)
        return None

    def apply(self, changes: Sequence[Change]) -> None:
        """Make changes hold."""
        for change in changes:
            self.touched.add(change.thing)
            if change.now is None:
                del self.things[change.thing]
            else:
                self.things[change.thing] = change.now
                self.next_id = max(self.next_id, change.thing + 1)


def _outline(thing: Thing) -> NDArray[np.float64]:
    """Return the middle and corners (5, 2) of a thing's footprint."""
    cos, sin = np.cos(thing.yaw), np.sin(thing.yaw)
    x, y = thing.size[0] / 2.0, thing.size[1] / 2.0
    local = np.array([[0.0, 0.0], [x, y], [-x, y], [-x, -y], [x, -y]])
    return np.array(thing.centre[:2]) + local @ np.array([[cos, sin], [-sin, cos]])


def _in_room(home: Home, leaf: Thing) -> bool:
    """Tell whether a door leaf stands in its room, not closed in an outer wall."""
    polygon = np.array(home.rooms[leaf.room].polygon)
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    return bool(((np.array(leaf.centre[:2]) > low) & (np.array(leaf.centre[:2]) < high)).all())
