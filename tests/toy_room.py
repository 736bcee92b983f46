# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A furnished room made of boxes, and what a detector says of it: percepts in milliseconds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.types import Answer, Percept, Query, QueryType

LABELS = ('chair', 'table', 'mug', 'lamp', 'box')
SECOND = 1_000_000_000
ROOM = np.array([[-3.0, -2.5, 0.0], [3.0, 2.5, 2.6]])


@dataclass(frozen=True)
class Thing:
    label: str
    centre: tuple[float, float, float]
    size: tuple[float, float, float]
    yaw: float = 0.0


FURNITURE = (
    Thing('chair', (-2.0, -1.5, 0.45), (0.5, 0.5, 0.9)),
    Thing('chair', (-1.2, -1.5, 0.45), (0.5, 0.5, 0.9)),
    Thing('chair', (2.0, 1.8, 0.45), (0.5, 0.5, 0.9)),
    Thing('table', (1.8, -1.6, 0.37), (1.4, 0.8, 0.74), 0.3),
    Thing('box', (-2.2, 1.6, 0.25), (0.6, 0.5, 0.5)),
)


def hits(origin: NDArray, rays: NDArray, things: tuple[Thing, ...]) -> NDArray:
    """Return how far each ray (n, 3) goes until a wall or a thing, m (slab test)."""
    with np.errstate(divide='ignore'):
        exits = np.max((ROOM[:, None] - origin) / rays, axis=0).min(axis=1)
        for thing in things:
            c, s = np.cos(thing.yaw), np.sin(thing.yaw)
            turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
            start, along = turn @ (origin - np.array(thing.centre)), rays @ turn.T
            sides = (np.array([[[-0.5]], [[0.5]]]) * thing.size - start) / along
            near, far = sides.min(axis=0).max(axis=1), sides.max(axis=0).min(axis=1)
            hit = (near < far) & (near > 0)
            exits = np.where(hit, np.minimum(exits, near), exits)
    return exits


def look(
    stamp_ns: int,
    place: tuple[float, float],
    yaw: float,
    things: tuple[Thing, ...],
    **noise: float,
) -> Percept:
    """Return what a perfect detector, or one with noise, says from a place (x, y), 1.2 m high."""
    rng = np.random.default_rng([stamp_ns % 2**32])
    ahead = np.array([np.cos(yaw), np.sin(yaw), 0.0])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, [0, 0, -1], ahead], axis=1)
    pose[:3, 3] = (*place, 1.2)
    u, v = rng.uniform(-0.7, 0.7, 100), rng.uniform(-0.7, 0.7, 100)
    local = np.stack([u, v, np.ones(100)], axis=1)
    reach = hits(pose[:3, 3], local @ pose[:3, :3].T, things)
    share = rng.uniform(0.1, 0.95, (4, 100))
    free = (share * reach)[..., None] * local
    seen = []
    for thing in things:
        centre = (np.array(thing.centre) - pose[:3, 3]) @ pose[:3, :3]
        if centre[2] > 0.4 and np.all(np.abs(centre[:2]) < 0.7 * centre[2]):
            seen.append((thing.label, centre, thing.size, thing.yaw))
    centres = np.array([s[1] for s in seen]).reshape(-1, 3)
    return Percept(
        camera='front',
        stamp_ns=stamp_ns,
        map_T_camera=pose,
        labels=tuple(s[0] for s in seen),
        centre=centres + rng.normal(0.0, noise.get('centre_m', 0.0) or 1e-9, centres.shape),
        size=np.array([s[2] for s in seen]).reshape(-1, 3),
        yaw=np.array([s[3] for s in seen]),
        weight=np.ones(len(seen)),
        surface=reach[:, None] * local,
        free=free.reshape(-1, 3),
    )


def walk(
    frames: int, things: tuple[Thing, ...] = FURNITURE, *, begin: int = 0, **noise: float
) -> Iterator[Percept]:
    """Yield the percepts of a camera that turns on a small circle, two frames a second."""
    for number in range(begin, begin + frames):
        turn = 0.37 * number
        place = (0.4 * np.cos(0.05 * number), 0.4 * np.sin(0.05 * number))
        yield look(SECOND + number * SECOND // 2, place, turn, things, **noise)


def fed(system, percepts):
    """Return a system of the exam that has seen percepts."""
    for percept in percepts:
        system.observe(percept)
    return system


def ask(system, kind: QueryType, *labels: str, **more) -> Answer:
    return system.query(Query(kind, labels=labels, **more))
