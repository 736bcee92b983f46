# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A made-up flat with things on its floor, as a perfect detector in an open space sees it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ros2_spatial_ttt.types import Percept

LABELS = ('chair', 'table', 'shelf', 'mug')
SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
EYE_M = 1.2


@dataclass(frozen=True)
class Item:
    """A thing: centre (x, y, z) m, size (long, short, high) m, yaw rad of the long edge."""

    label: str
    centre: tuple[float, float, float]
    size: tuple[float, float, float] = (0.5, 0.45, 0.9)
    yaw: float = 0.0


# What stands in the flat, seen from its middle.
CHAIRS = (Item('chair', (2.0, 0.4, 0.45)), Item('chair', (2.0, -0.5, 0.45)))
TABLE = Item('table', (-2.0, 1.0, 0.4), (1.2, 0.8, 0.75), 0.5)
SHELF = Item('shelf', (0.0, 3.0, 1.0), (0.9, 0.3, 2.0))
FLAT = (*CHAIRS, TABLE, SHELF)


def look_from(x: float, y: float, yaw: float) -> np.ndarray:
    """Return (4, 4) map_T_camera of a level camera at (x, y) that looks along yaw."""
    forward = np.array([np.cos(yaw), np.sin(yaw), 0.0])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    out = np.eye(4)
    out[:3, :3] = np.stack([right, [0.0, 0.0, -1.0], forward], axis=1)
    out[:3, 3] = (x, y, EYE_M)
    return out


def percept(items, pose, stamp_ns, *, rng=None, miss=0.0, noise_m=0.0) -> Percept:
    """Return what is seen of things within 5 m and 35° of the axis; nothing hides anything.

    Rays hit the near side of things, the floor, or a wall 6 m away.
    """
    seen = []
    for item in items:
        local = np.linalg.inv(pose) @ [*item.centre, 1.0]
        in_view = 0.4 < local[2] < 5.0 and abs(local[0]) < 0.7 * local[2]
        if in_view and abs(local[1]) < 0.5 * local[2] and not (rng and rng.random() < miss):
            centre = local[:3] + (rng.normal(0.0, noise_m, 3) if rng else 0.0)
            seen.append((item, centre))
    u, v = np.meshgrid(np.linspace(-0.8, 0.8, 25), np.linspace(-0.55, 0.55, 17))
    ray = np.stack([u.ravel(), v.ravel(), np.ones(u.size)], axis=1)
    depth = np.full(len(ray), 6.0)
    down = ray[:, 1] > 0.05
    depth[down] = np.minimum(depth[down], EYE_M / ray[down, 1])
    for item in items:
        local = (np.linalg.inv(pose) @ [*item.centre, 1.0])[:3]
        if local[2] > 0.4:
            near = local[2] - item.size[1] / 2
            hit = np.abs(ray[:, 0] * near - local[0]) < item.size[0] / 2
            hit &= np.abs(ray[:, 1] * near - local[1]) < item.size[2] / 2
            depth[hit] = np.minimum(depth[hit], near)
    surface = ray * depth[:, None]
    free = np.concatenate([surface * share for share in (0.3, 0.6, 0.85)])
    return Percept(
        camera='camera',
        stamp_ns=stamp_ns,
        map_T_camera=pose,
        labels=tuple(item.label for item, _ in seen),
        centre=np.array([centre for _, centre in seen]).reshape(-1, 3),
        size=np.array([item.size for item, _ in seen]).reshape(-1, 3),
        yaw=np.array([item.yaw for item, _ in seen], float),
        weight=np.ones(len(seen)),
        surface=surface,
        free=free,
    )


def panorama(items, *, at=(0.0, 0.0), frames=32, begin_s=0.0, **options) -> list[Percept]:
    """Return one turn on the spot, two frames a second."""
    return [
        percept(
            items,
            look_from(*at, 2 * np.pi * number / frames),
            START + round((begin_s + 0.5 * number) * SECOND),
            **options,
        )
        for number in range(frames)
    ]


def fed(memory, percepts):
    """Return a memory after percepts, all of which it must take."""
    for item in percepts:
        result = memory.feed_percept(item)
        assert result.accepted, result
    memory.flush()
    return memory
