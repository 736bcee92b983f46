# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Leaves hung into doors, and the floor at openings that must stay free."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.sim.catalogue import model
from ros2_spatial_ttt.sim.plans.overlap import box, clash, thing_box
from ros2_spatial_ttt.sim.world import Opening, Room, Thing

__all__ = ['APPROACH_M', 'approaches', 'door_sides', 'hang_doors', 'hole_size']

# How deep the floor before and behind an opening stays free, m.
APPROACH_M = 0.65
_JAMB_M = 0.01
# Less and the robot would not get past the leaf; more and it would hit the wall.
_OPEN_DEG = (68.0, 100.0)
_TRIES = 12
_TALL_M = 2.0


def hole_size(shape: int) -> tuple[float, float]:
    """Return width and height of the hole that a leaf of this shape hangs in, m."""
    size = model('door', shape).size
    return round(size[1] + 2 * _JAMB_M, 4), round(max(size[2] + _JAMB_M, 2.0), 4)


def door_sides(hole: Opening, distance: float) -> NDArray[np.float64]:
    """Return the points (2, 2) on its low and high side, ``distance`` from its wall's faces."""
    across = 0 if hole.size[0] < hole.size[1] else 1
    out = np.array([hole.centre[:2], hole.centre[:2]], dtype=np.float64)
    out[:, across] += np.array([-1.0, 1.0]) * (hole.size[across] / 2.0 + distance)
    return out


def approaches(holes: Sequence[Opening], depth: float = APPROACH_M) -> NDArray[np.float64]:
    """Return boxes (n, 7) of the floor through and on both sides of doors and passages."""
    rows = [np.empty((0, 7))]
    for hole in holes:
        if hole.kind != 'window':
            wide = [s if s > 0.3 else s + 2 * depth for s in hole.size[:2]]
            rows.append(box(hole.centre, wide, 0.0, 0.0, _TALL_M)[None])
    return np.concatenate(rows)


def hang_doors(
    rng: np.random.Generator,
    rooms: Sequence[Room],
    holes: Sequence[Opening],
    shapes: tuple[int, int],
    new_id: Callable[[], int],
) -> tuple[list[Opening], list[Thing]]:
    """Hang an open leaf into every inner door and a closed one into the front door.

    Args:
        rng: random numbers.
        rooms: of the home.
        holes: openings.
        shapes: of inner leaves and of the front door's.
        new_id: gives the next thing's id.

    Returns:
        The openings, where a door without room for its leaf became a passage; and the leaves.
    """
    ways = [hole for hole in holes if hole.kind != 'window']
    kept, leaves = [], []
    for hole in holes:
        if hole.kind != 'door':
            kept.append(hole)
            continue
        if min(hole.rooms) < 0:
            leaf = _closed(rng, hole, shapes[1], new_id())
        else:
            others = [other for other in ways if other is not hole]
            leaf = _open(rng, rooms, hole, others, leaves, shapes[0], new_id)
        kept.append(hole if leaf else replace(hole, kind='passage'))
        leaves += [leaf] if leaf else []
    return kept, leaves


def _leaf(
    hole: Opening, shape: int, centre: NDArray[np.float64], along: float, room: int, name: int
) -> Thing:
    """Return a leaf whose width runs along the angle ``along`` from its hinge."""
    size = model('door', shape).size
    at = (round(float(centre[0]), 4), round(float(centre[1]), 4), round(size[2] / 2.0, 4))
    yaw = (along - np.pi / 2.0 + np.pi) % (2.0 * np.pi) - np.pi
    return Thing(name, 'door', at, size, round(float(yaw), 4), room, 0, shape)


def _closed(rng: np.random.Generator, hole: Opening, shape: int, name: int) -> Thing:
    along = (0.0 if hole.size[0] > hole.size[1] else np.pi / 2.0) + np.pi * rng.integers(2)
    return _leaf(hole, shape, np.array(hole.centre[:2]), along, max(hole.rooms), name)


def _open(
    rng: np.random.Generator,
    rooms: Sequence[Room],
    hole: Opening,
    others: Sequence[Opening],
    leaves: Sequence[Thing],
    shape: int,
    new_id: Callable[[], int],
) -> Thing | None:
    """Return a leaf that hits no other leaf and blocks no other door.

    It never hits a wall: rooms are wider than leaves, and openings keep clear of corners.
    """
    hung = np.array([thing_box(leaf) for leaf in leaves]).reshape(-1, 7)
    for _ in range(_TRIES):
        side = int(rng.integers(2))
        if rooms[hole.rooms[side]].kind == 'hall':
            side = 1 - side  # a leaf would bar the hall
        room = rooms[hole.rooms[side]]
        centre, along = _swing(rng, hole, side, shape)
        leaf = _leaf(hole, shape, centre, along, room.index, 0)
        row = thing_box(leaf)[None]
        if not clash(row, np.concatenate([hung, approaches(others)])).any():
            return replace(leaf, id=new_id())
    return None


def _swing(
    rng: np.random.Generator, hole: Opening, side: int, shape: int
) -> tuple[NDArray[np.float64], float]:
    """Draw hinge and angle; return the leaf's middle and the direction it points in."""
    thick, width, _ = model('door', shape).size
    wall_axis = 0 if hole.size[0] > hole.size[1] else 1
    hinge_end = 1.0 if rng.random() < 0.5 else -1.0
    along, out = np.zeros(2), np.zeros(2)
    along[wall_axis] = -hinge_end
    out[1 - wall_axis] = 1.0 if side else -1.0
    edge = hole.size[wall_axis] / 2.0 - _JAMB_M
    hinge = np.array(hole.centre[:2]) - along * edge + out * hole.size[1 - wall_axis] / 2.0
    angle = np.deg2rad(rng.uniform(*_OPEN_DEG))
    tip = np.cos(angle) * along + np.sin(angle) * out
    inwards = np.sin(angle) * along - np.cos(angle) * out
    centre = hinge + tip * width / 2.0 + inwards * thick / 2.0
    return centre, float(np.arctan2(tip[1], tip[0]))
