# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Furnishes a room with named boxes along its walls and a table in the middle. Metres, z up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ['Box', 'furnish', 'walk_radius']

Vector = tuple[float, float, float]
Generator = np.random.Generator

MAX_DEPTH_M = 0.75
WALL_M = 0.1
PATTERNS = ('checker', 'stripes', 'camouflage', 'bricks', 'wood', 'plain')


@dataclass(frozen=True)
class Box:
    """An upright box. A name 'cabinet_1.vase' is the part or load 'vase' of the piece 'cabinet_1'.

    Attributes:
        centre, size: metres, map frame; ``size`` is along the box's own axes.
        yaw: turn about the vertical in radians.
        texture: kind of ``textures.KINDS``.
    """

    name: str
    centre: Vector
    size: Vector
    yaw: float
    texture: str

    def pose(self) -> NDArray[np.float64]:
        """Return (4, 4) map_T_box."""
        return _pose(self.centre, self.yaw)


Part = tuple[str, Vector, Vector, str, float]


def furnish(rng: Generator) -> tuple[Vector, list[Box]]:
    """Return the size of the room and its boxes."""
    size = (float(rng.uniform(6.6, 7.4)), float(rng.uniform(5.8, 6.6)), 2.6)
    boxes = _shell(size)
    makers = _shuffled(rng, list(WALL_PIECES))
    count = dict.fromkeys(WALL_PIECES, 0)
    for wall in range(4):
        length, reach = (size[0], size[1]) if wall % 2 == 0 else (size[1], size[0])
        map_T_wall = _pose(_wall_foot(wall, reach), wall * np.pi / 2)
        # Pieces of the side walls keep out of the corners, where those of the long walls stand.
        left, right = (
            (-length / 2, length / 2)
            if wall % 2 == 0
            else (-length / 2 + MAX_DEPTH_M, length / 2 - MAX_DEPTH_M)
        )
        left += rng.uniform(0.05, 0.25)
        while True:
            name = makers[0]
            width, parts = WALL_PIECES[name](rng)
            if left + width > right:
                break
            makers = [*makers[1:], name]
            count[name] += 1
            piece = f'{name}_{count[name]}'
            boxes += _placed(parts, piece, map_T_wall, wall * np.pi / 2, left + width / 2)
            left += width + rng.uniform(0.1, 0.35)
    return size, boxes + _placed(_table(rng), 'table', np.eye(4), 0.0, 0.0)


def walk_radius(size: Vector) -> tuple[float, float]:
    """Return the half axes of an ellipse clear of the table and of what lines the walls."""
    return 0.5 * size[0] - 2.1, 0.5 * size[1] - 1.75


def _pose(centre: Vector, yaw: float) -> NDArray[np.float64]:
    out = np.eye(4)
    out[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    out[:3, 3] = centre
    return out


def _shuffled(rng: Generator, items: list[str]) -> list[str]:
    return [items[i] for i in rng.permutation(len(items))]


def _pattern(rng: Generator) -> str:
    return PATTERNS[int(rng.integers(len(PATTERNS)))]


def _wall_foot(wall: int, reach: float) -> Vector:
    """Return the middle of the inner foot of a wall: −y, +x, +y, −x."""
    angle = (wall - 1) * np.pi / 2
    return 0.5 * reach * float(np.cos(angle)), 0.5 * reach * float(np.sin(angle)), 0.0


def _shell(size: Vector) -> list[Box]:
    x, y, z = size
    floor = Box('floor', (0.0, 0.0, -WALL_M / 2), (x, y, WALL_M), 0.0, 'planks')
    ceiling = Box('ceiling', (0.0, 0.0, z + WALL_M / 2), (x, y, WALL_M), 0.0, 'white')
    walls = [
        Box(
            f'wall_{side}',
            tuple(v * (1 + WALL_M / reach) for v in _wall_foot(wall, reach)[:2]) + (z / 2,),
            (length + 2 * WALL_M, WALL_M, z),
            wall * np.pi / 2,
            'wallpaper',
        )
        for wall, (side, length, reach) in enumerate(
            [('south', x, y), ('east', y, x), ('north', x, y), ('west', y, x)]
        )
    ]
    return [floor, ceiling, *walls]


def _placed(
    parts: list[Part], piece: str, map_T_base: NDArray, yaw: float, along: float
) -> list[Box]:
    boxes = []
    for name, centre, size, texture, turn in parts:
        place = map_T_base @ np.array([centre[0] + along, centre[1], centre[2], 1.0])
        label = f'{piece}.{name}' if name else piece
        boxes.append(
            Box(label, tuple(float(v) for v in place[:3]), size, float(yaw + turn), texture)
        )
    return boxes


def _thing(
    rng: Generator, name: str, x: float, y: float, z: float, *, largest: float = 0.3
) -> Part:
    """Return a box of random size that stands on height z."""
    size = tuple(float(v) for v in rng.uniform(0.45, 1.0, 3) * largest)
    kind = ('checker', 'stripes', 'camouflage', 'poster')[int(rng.integers(4))]
    return name, (x, y, z + size[2] / 2), size, kind, float(rng.uniform(-0.6, 0.6))


def _poster(rng: Generator, name: str = '', *, low: float = 1.35) -> tuple[float, list[Part]]:
    width, height = float(rng.uniform(0.55, 0.9)), float(rng.uniform(0.5, 0.85))
    return width, [(name, (0.0, 0.015, low + height / 2), (width, 0.03, height), 'poster', 0.0)]


def _cabinet(rng: Generator) -> tuple[float, list[Part]]:
    width, height = float(rng.uniform(0.8, 1.2)), float(rng.uniform(0.7, 1.1))
    body = ('', (0.0, 0.26, height / 2), (width, 0.5, height), _pattern(rng), 0.0)
    loads = [
        _thing(rng, 'vase', -0.25 * width, 0.25, height),
        _thing(rng, 'parcel', 0.25 * width, 0.28, height),
    ]
    return width, [body, *loads, *_poster(rng, 'picture', low=height + 0.45)[1]]


def _bookshelf(rng: Generator) -> tuple[float, list[Part]]:
    width, gap, rows = float(rng.uniform(0.9, 1.3)), 0.4, 4
    height = rows * gap + 0.03
    sides = [
        (
            f'side_{i}',
            (s * (width / 2 - 0.015), 0.17, height / 2),
            (0.03, 0.32, height),
            'wood',
            0.0,
        )
        for i, s in enumerate((-1, 1))
    ]
    parts = [*sides, ('back', (0.0, 0.01, height / 2), (width, 0.02, height), 'wood', 0.0)]
    for row in range(rows + 1):
        parts.append(
            (
                f'board_{row}',
                (0.0, 0.17, row * gap + 0.015),
                (width - 0.06, 0.32, 0.03),
                'wood',
                0.0,
            )
        )
    for row in range(rows):
        share, tall = float(rng.uniform(0.45, 0.7)), float(rng.uniform(0.24, 0.33))
        base, side = row * gap + 0.03, 1 if rng.random() < 0.5 else -1
        length = share * (width - 0.08)
        middle = side * (width - 0.08 - length) / 2
        parts.append(
            (f'books_{row}', (middle, 0.16, base + tall / 2), (length, 0.22, tall), 'books', 0.0)
        )
        parts.append(_thing(rng, f'thing_{row}', -side * 0.3 * width, 0.18, base, largest=0.2))
    return width, parts


def _desk(rng: Generator) -> tuple[float, list[Part]]:
    width = float(rng.uniform(1.2, 1.5))
    return width, [
        ('top', (0.0, 0.36, 0.73), (width, 0.7, 0.04), 'wood', 0.0),
        ('drawers', (0.5 * width - 0.22, 0.36, 0.355), (0.4, 0.6, 0.71), _pattern(rng), 0.0),
        ('leg', (-0.5 * width + 0.03, 0.36, 0.355), (0.05, 0.65, 0.71), 'wood', 0.0),
        (
            'monitor',
            (-0.05, 0.2, 1.08),
            (0.62, 0.04, 0.38),
            'poster',
            float(rng.uniform(-0.2, 0.2)),
        ),
        ('stand', (-0.05, 0.2, 0.82), (0.08, 0.08, 0.14), 'plain', 0.0),
        _thing(rng, 'box', 0.35 * width, 0.3, 0.75),
        ('keyboard', (-0.05, 0.5, 0.765), (0.42, 0.15, 0.03), 'checker', 0.0),
    ]


def _sofa(rng: Generator) -> tuple[float, list[Part]]:
    width, kind = float(rng.uniform(1.5, 1.9)), _pattern(rng)
    arms = [
        (f'arm_{i}', (s * (width / 2 - 0.09), 0.37, 0.3), (0.18, 0.7, 0.6), kind, 0.0)
        for i, s in enumerate((-1, 1))
    ]
    return width, [
        ('seat', (0.0, 0.37, 0.21), (width - 0.36, 0.7, 0.42), kind, 0.0),
        ('back', (0.0, 0.1, 0.6), (width - 0.36, 0.18, 0.5), kind, 0.0),
        *arms,
        (
            'cushion_1',
            (-0.3, 0.28, 0.6),
            (0.4, 0.14, 0.36),
            'stripes',
            float(rng.uniform(-0.3, 0.3)),
        ),
        (
            'cushion_2',
            (0.35, 0.28, 0.6),
            (0.4, 0.14, 0.36),
            'checker',
            float(rng.uniform(-0.3, 0.3)),
        ),
        *_poster(rng, 'picture')[1],
    ]


def _crates(rng: Generator) -> tuple[float, list[Part]]:
    turns = [float(v) for v in rng.uniform(-0.25, 0.25, 3)]
    return 1.05, [
        ('left', (-0.26, 0.3, 0.2), (0.45, 0.42, 0.4), 'stripes', turns[0]),
        ('right', (0.26, 0.3, 0.18), (0.4, 0.42, 0.36), 'camouflage', turns[1]),
        ('upper', (-0.22, 0.3, 0.58), (0.38, 0.38, 0.36), 'checker', turns[2]),
        *_poster(rng, 'picture')[1],
    ]


def _locker(rng: Generator) -> tuple[float, list[Part]]:
    width, height = float(rng.uniform(0.6, 0.8)), float(rng.uniform(1.6, 1.9))
    door = (0.8 * width, 0.02, 0.4)
    return width, [
        ('', (0.0, 0.31, height / 2), (width, 0.6, height), _pattern(rng), 0.0),
        ('notice', (0.0, 0.62, 1.25), door, 'poster', 0.0),
    ]


def _plant(rng: Generator) -> tuple[float, list[Part]]:
    return 0.6, [
        ('pot', (0.0, 0.32, 0.2), (0.36, 0.36, 0.4), 'bricks', float(rng.uniform(-0.4, 0.4))),
        (
            'leaves',
            (0.0, 0.32, 0.72),
            (0.46, 0.46, 0.64),
            'camouflage',
            float(rng.uniform(-0.7, 0.7)),
        ),
    ]


def _door(rng: Generator) -> tuple[float, list[Part]]:
    return 0.95, [
        ('', (0.0, 0.02, 1.02), (0.9, 0.04, 2.04), 'wood', 0.0),
        ('sign', (0.0, 0.05, 1.5), (0.4, 0.02, 0.35), 'poster', 0.0),
    ]


def _table(rng: Generator) -> list[Part]:
    legs = [
        (f'leg_{i}', (sx * 0.36, sy * 0.26, 0.345), (0.06, 0.06, 0.69), 'wood', 0.0)
        for i, (sx, sy) in enumerate([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    ]
    return [
        ('rug', (0.0, 0.0, 0.005), (2.2, 1.6, 0.01), 'stripes', float(rng.uniform(-0.2, 0.2))),
        ('top', (0.0, 0.0, 0.71), (0.86, 0.66, 0.04), 'wood', 0.0),
        *legs,
        _thing(rng, 'gift', -0.26, 0.12, 0.73, largest=0.26),
        _thing(rng, 'game', 0.2, -0.12, 0.73, largest=0.32),
    ]


WALL_PIECES: dict[str, Callable[[Generator], tuple[float, list[Part]]]] = {
    'bookshelf': _bookshelf,
    'cabinet': _cabinet,
    'crates': _crates,
    'desk': _desk,
    'door': _door,
    'locker': _locker,
    'plant': _plant,
    'poster': _poster,
    'sofa': _sofa,
}
