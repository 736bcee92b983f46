# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Where a tour goes: rooms in which order, how it looks around there, at which pace."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.sim.walks.walk import Leg, Walker
from ros2_spatial_ttt.sim.world import Home

__all__ = ['Walk', 'walk_rooms']

# From this length on some rooms are entered late, seconds.
_LONG_S = 480.0
# Share of the tour the first round should need at most; else it looks around more briefly.
_FIRST_SHARE = 0.6
_PLACES_M2 = 6.0
_TURN = (0.65, 1.05)
# Share of the robot's best speed.
_PACE = (0.7, 1.0)


@dataclass(frozen=True)
class Walk:
    """A walk with times: seconds (n,), xy (n, 2) m, yaw (n,) rad unwrapped."""

    seconds: NDArray[np.float64]
    xy: NDArray[np.float64]
    yaw: NDArray[np.float64]


class _Recorder:
    """Strings walking, turning and standing together."""

    def __init__(self, rng: np.random.Generator, walker: Walker, node: int) -> None:
        self._rng, self._walker, self.node = rng, walker, node
        self.time, self._heading = 0.0, float(rng.uniform(-np.pi, np.pi))
        self._seconds, self._xy, self._yaw = [], [], []
        self._note(np.zeros(1), walker.xy[node][None], np.array([self._heading]))

    def _note(
        self, seconds: NDArray[np.float64], xy: NDArray[np.float64], yaw: NDArray[np.float64]
    ) -> None:
        self._seconds.append(self.time + seconds)
        self._xy.append(xy)
        self._yaw.append(yaw)
        self.time += float(seconds[-1])
        self._heading = float(yaw[-1])

    def turn(self, angle: float) -> None:
        """Turn on the spot by an angle, rad."""
        if abs(angle) > 1e-3:
            pace = self._rng.uniform(*_TURN)
            self._note(
                np.array([abs(angle) / pace]),
                self._walker.xy[self.node][None],
                np.array([self._heading + angle]),
            )

    def wait(self, seconds: float) -> None:
        """Stand still."""
        self._note(
            np.array([seconds]), self._walker.xy[self.node][None], np.array([self._heading])
        )

    def go(self, node: int) -> None:
        """Turn to the way to a node and walk it."""
        if node == self.node:
            return
        leg: Leg = self._walker.leg(self.node, node)
        angle = float(leg.yaw[0]) - self._heading
        self.turn((angle + np.pi) % (2.0 * np.pi) - np.pi)
        pace = self._rng.uniform(*_PACE)
        offset = self._heading - float(leg.yaw[0])
        # Whole turns only: the heading goes on without a jump.
        offset = 2.0 * np.pi * np.round(offset / (2.0 * np.pi))
        self._note(leg.seconds / pace, leg.xy, leg.yaw + offset)
        self.node = node

    def finish(self) -> Walk:
        """Return what was recorded."""
        return Walk(
            np.concatenate(self._seconds), np.concatenate(self._xy), np.concatenate(self._yaw)
        )


def walk_rooms(rng: np.random.Generator, home: Home, walker: Walker, seconds: float) -> Walk:
    """Walk through a home for at least that long.

    Args:
        rng: random numbers.
        home: the home.
        walker: finds ways in it.
        seconds: least length of the walk.
    """
    places = [_places(walker, room.index, room.polygon) for room in home.rooms]
    late = _late_rooms(rng, home, seconds)
    order = _first_order(rng, places, walker, late)
    brief = _brief(order, places, walker, seconds)
    record = _Recorder(rng, walker, places[order[0]][0])
    for room in order:
        _explore(rng, record, places[room], brief)
    seen = list(order)
    waiting = [(float(rng.uniform(0.35, 0.6)) * seconds, room) for room in late]
    while record.time < seconds:
        for room in _round(rng, seen):
            due = [entry for entry in waiting if entry[0] <= record.time]
            for entry in due:
                waiting.remove(entry)
                _explore(rng, record, places[entry[1]], brief)
                seen.append(entry[1])
            _visit(rng, record, places[room])
            if record.time >= seconds:
                break
    return record.finish()


def _places(walker: Walker, room: int, polygon: tuple[tuple[float, float], ...]) -> list[int]:
    x, y = np.array(polygon).T
    area = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2.0
    return walker.places(room, int(np.clip(1 + area // _PLACES_M2, 2, 6)))


def _late_rooms(rng: np.random.Generator, home: Home, seconds: float) -> list[int]:
    """Return rooms to enter late: such that none is on the way to another."""
    if seconds < _LONG_S or len(home.rooms) < 3:
        return []
    doors = [set(h.rooms) for h in home.openings if h.kind != 'window' and min(h.rooms) >= 0]
    ends = [r.index for r in home.rooms if sum(r.index in pair for pair in doors) == 1]
    count = 1 if len(home.rooms) < 6 else 2
    return [int(i) for i in rng.permutation(ends)[:count]]


def _first_order(
    rng: np.random.Generator, places: list[list[int]], walker: Walker, late: list[int]
) -> list[int]:
    """Return rooms from a random one on, mostly the nearest unseen one next."""
    left = [i for i in range(len(places)) if i not in late]
    order = [left.pop(int(rng.integers(len(left))))]
    while left:
        here = places[order[-1]][0]
        lengths = [walker.leg(here, places[i][0]).seconds[-1] for i in left]
        order.append(
            left.pop(int(np.argmin(np.array(lengths) * rng.uniform(0.8, 1.25, len(left)))))
        )
    return order


def _brief(order: list[int], places: list[list[int]], walker: Walker, seconds: float) -> bool:
    """Tell whether a full look around everywhere would take too much of the tour."""
    ways = sum(
        float(walker.leg(places[a][0], places[b][0]).seconds[-1]) + 2.0
        for a, b in zip(order, order[1:], strict=False)
    )
    looks = sum(10.0 + 9.0 * min(len(places[room]) - 1, 2) for room in order)
    return (ways + looks) * 1.2 > _FIRST_SHARE * seconds


def _explore(rng: np.random.Generator, record: _Recorder, places: list[int], brief: bool) -> None:
    """Enter a room for the first time: look around in the middle and from other places."""
    side = 1.0 if rng.random() < 0.5 else -1.0
    record.go(places[0])
    record.turn(side * 2.0 * np.pi)
    for node in places[1 : 1 if brief else 3]:
        record.go(node)
        record.wait(float(rng.uniform(0.5, 1.0)))
        record.turn(-side * float(rng.uniform(2.0, 4.0)))


def _round(rng: np.random.Generator, rooms: list[int]) -> list[int]:
    """Return rooms in a new order, a few of them left out."""
    order = [int(i) for i in rng.permutation(rooms)]
    skipped = int(rng.integers(0, 1 + len(order) // 4))
    return order[skipped:]


def _visit(rng: np.random.Generator, record: _Recorder, places: list[int]) -> None:
    """Come back to a room: walk to a place or two of it, stop, look around somewhat."""
    count = min(len(places), 1 + int(rng.random() < 0.45))
    for index in rng.permutation(len(places))[:count]:
        record.go(places[int(index)])
        record.wait(float(rng.uniform(0.3, 2.5)))
        look = rng.random()
        angle = 2.0 * np.pi if look < 0.35 else float(rng.uniform(1.0, 4.0))
        side = 1.0 if rng.random() < 0.5 else -1.0
        if look > 0.85:
            record.turn(side * angle / 2.0)
            record.turn(-side * angle)
        else:
            record.turn(side * angle)
