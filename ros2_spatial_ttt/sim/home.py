# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A furnished home from one whole number: ``make_home``."""

from __future__ import annotations

import numpy as np

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.sim.catalogue import model
from ros2_spatial_ttt.sim.plans.doors import hole_size
from ros2_spatial_ttt.sim.plans.furnish import furnish
from ros2_spatial_ttt.sim.plans.layout import make_layout
from ros2_spatial_ttt.sim.walks.walk import Ground, all_reached
from ros2_spatial_ttt.sim.world import EXAM_SEEDS, SEEDS, TRAIN_SEEDS, Home

__all__ = ['MAX_ROOMS', 'check_seed', 'make_home', 'shapes_of']

MAX_ROOMS = 8
_STREAM = 1
_TRAIN_SHAPES = range(0, 4000)
_EXAM_SHAPES = range(4000, 5000)


def make_home(seed: int, *, rooms: int | None = None) -> Home:
    """Return the home of a seed: the same on every machine.

    Args:
        seed: in one of ``world.SEEDS``.
        rooms: how many, 1..8; None draws a common number.

    Raises:
        ConfigError: the seed or the number of rooms is out of range.
    """
    check_seed(seed)
    if rooms is not None and not 1 <= rooms <= MAX_ROOMS:
        raise ConfigError(
            f'rooms of a home: expected 1 to {MAX_ROOMS}, got {rooms}; leave it out for a common '
            'number'
        )
    rng = np.random.default_rng([seed, _STREAM, rooms or 0])
    shapes = shapes_of(seed)
    while True:
        doors = _door_shapes(rng, shapes)
        layout = make_layout(rng, rooms, hole_size(doors[0]))
        openings, things = furnish(rng, layout, shapes, doors)
        home = Home(seed, layout.rooms, layout.walls, openings, things, layout.lamps)
        if all_reached(Ground(home)):
            return home


def _door_shapes(rng: np.random.Generator, shapes: range) -> tuple[int, int]:
    """Return the shape of all inner doors, and one for the front door that fits such a hole."""
    inner = int(rng.integers(shapes.start, shapes.stop))
    _, width, height = model('door', inner).size
    while True:
        front = int(rng.integers(shapes.start, shapes.stop))
        size = model('door', front).size
        if front != inner and size[1] <= width and size[2] <= height:
            return inner, front


def shapes_of(seed: int) -> range:
    """Return the shapes that things of a home have; the exam's are not seen in training."""
    return _TRAIN_SHAPES if seed in TRAIN_SEEDS else _EXAM_SHAPES


def check_seed(seed: int) -> None:
    """Refuse a seed that no home is made from."""
    if not isinstance(seed, (int, np.integer)) or not any(seed in seeds for seeds in SEEDS):
        raise ConfigError(
            f'seed of a home: expected a whole number in {TRAIN_SEEDS.start}..'
            f'{TRAIN_SEEDS.stop - 1} (training) or {EXAM_SEEDS.start}..{EXAM_SEEDS.stop - 1} '
            f'(exam), got {seed!r}; choose one of these'
        )
