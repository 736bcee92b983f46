# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Puts a model together from primitives; its box is measured from them and so always honest.

While it is built, a model stands on z = 0 in a frame of its own: x to its front, y to its left,
z up, metres. ``Build.model`` moves the origin to the centre of the box around all parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ros2_spatial_ttt.geometry import matrix_from_quaternion
from ros2_spatial_ttt.sim.catalogue.turning import quaternion_of, rounded, towards, turned

__all__ = ['Build', 'Dice', 'Finish', 'Model', 'Part', 'extent']

Vector = tuple[float, float, float]
Span = tuple[float, float]
Surface = tuple[float, float, float, float, float]

AXES = {'x': (1.0, 0.0, 0.0), 'y': (0.0, 1.0, 0.0), 'z': (0.0, 0.0, 1.0)}
# Columns are the box's own axes: u (grain, right of a picture), v (up of a picture), normal.
PANELS = {
    'x': ((0, 1, 0), (0, 0, 1), (1, 0, 0)),
    'y': ((-1, 0, 0), (0, 0, 1), (0, 1, 0)),
    'z': ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
}


class Finish(NamedTuple):
    """What a part looks like: name of a material, colour (r, g, b) 0..1 that tints it, word."""

    material: str
    colour: Vector
    word: str


@dataclass(frozen=True)
class Part:
    """A primitive of a model.

    Attributes:
        shape: 'box', 'cylinder', 'capsule', 'sphere' or 'ellipsoid'.
        size: (3,) m, half extents as MuJoCo takes them: box and ellipsoid (x, y, z), cylinder and
            capsule (radius, half length along its z, 0), sphere (radius, 0, 0).
        position: (3,) m in the thing's frame. quaternion: (4,) w, x, y, z.
        material: a name that ``sim.materials.texture`` knows. colour: r, g, b 0..1, its tint.
    """

    shape: str
    size: Vector
    position: Vector
    quaternion: tuple[float, float, float, float]
    material: str
    colour: Vector


@dataclass(frozen=True)
class Model:
    """Geometry and look of one shape of a category.

    Attributes:
        category: of ``sim.world.CATEGORIES``. shape: its seed.
        size: (3,) m of the box around all parts; x is the front, y the left, z up.
        parts: in the frame of the centre of that box.
        colour: its main colour in words.
        surfaces: places to put things on: (z, x0, x1, y0, y1) m in the same frame. Free height
            above one is up to the next in the same footprint.
        mounting: 'floor', 'wall' (back at -x), 'surface' or 'door'.
    """

    category: str
    shape: int
    size: Vector
    parts: tuple[Part, ...]
    colour: str
    surfaces: tuple[Surface, ...]
    mounting: str


class Dice:
    """Draws for one model."""

    def __init__(self, *entropy: int) -> None:
        self._rng = np.random.default_rng(list(entropy))

    def metres(self, low: float, high: float) -> float:
        """Return a number in low..high, rounded to 0.1 mm."""
        return round(float(self._rng.uniform(low, high)), 4)

    def count(self, low: int, high: int) -> int:
        """Return a whole number in low..high, both included."""
        return int(self._rng.integers(low, high + 1))

    def chance(self, share: float) -> bool:
        """Return True with a probability."""
        return bool(self._rng.random() < share)

    def pick(self, things):
        """Return one of a sequence."""
        return things[int(self._rng.integers(len(things)))]


def extent(part: Part) -> NDArray[np.float64]:
    """Return half extents (3,) m of the axis-aligned box around a part."""
    w, x, y, z = part.quaternion
    return _extent(part.shape, part.size, matrix_from_quaternion((x, y, z, w)))


def _extent(shape: str, size: ArrayLike, rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    half = np.asarray(size, np.float64)
    if shape == 'box':
        return np.abs(rotation) @ half
    if shape == 'ellipsoid':
        return np.sqrt((rotation**2) @ half**2)
    if shape == 'sphere':
        return np.full(3, half[0])
    along = np.abs(rotation[:, 2])
    if shape == 'capsule':
        return half[0] + half[1] * along
    return half[0] * np.sqrt(np.maximum(1.0 - along**2, 0.0)) + half[1] * along


class Build:
    """Collects the parts of a model; z = 0 is what it stands on."""

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._halves: list[NDArray[np.float64]] = []
        self._surfaces: list[Surface] = []

    @property
    def parts(self) -> tuple[Part, ...]:
        """Parts so far, in the frame they are built in."""
        return tuple(self._parts)

    def box(
        self, x: Span, y: Span, z: Span, finish: Finish, *, facing: str = '', grain: str = ''
    ) -> None:
        """Add an upright box.

        Args:
            x: its limits along x, m.
            y: along y.
            z: along z.
            finish: what it looks like.
            facing: axis that its picture looks along; default is the thinnest one.
            grain: axis that its grain follows; default is the longer of the other two.
        """
        spans = np.array([x, y, z])
        half = (spans[:, 1] - spans[:, 0]) / 2
        normal = facing or 'xyz'[int(np.argmin(half))]
        axes = np.array(PANELS[normal], np.float64).T
        along = np.abs(axes.T) @ half
        turned = along[1] > along[0] if not grain else bool(abs(axes['xyz'.index(grain), 1]))
        if not facing and turned:
            axes = np.stack([axes[:, 1], -axes[:, 0], axes[:, 2]], axis=1)
        self._add('box', np.abs(axes.T) @ half, spans.mean(axis=1), finish, rotation=axes)

    def slab(
        self,
        centre: ArrayLike,
        size: ArrayLike,
        finish: Finish,
        *,
        pitch: float = 0.0,
        yaw: float = 0.0,
        roll: float = 0.0,
    ) -> None:
        """Add a box by centre and full size, rolled about x, pitched about y, yawed about z."""
        self._add('box', np.asarray(size) / 2, centre, finish, rotation=turned(roll, pitch, yaw))

    def cylinder(
        self, centre: ArrayLike, radius: float, length: float, finish: Finish, *, axis: str = 'z'
    ) -> None:
        """Add a cylinder about a point, along an axis."""
        self._add(
            'cylinder', (radius, length / 2, 0.0), centre, finish, rotation=towards(AXES[axis])
        )

    def rod(
        self, start: ArrayLike, end: ArrayLike, radius: float, finish: Finish, *, round_ends=False
    ) -> None:
        """Add a rod between two points; round ends lie inside of them."""
        start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
        length = float(np.linalg.norm(end - start))
        half = length / 2 - (radius if round_ends else 0.0)
        self._add(
            'capsule' if round_ends else 'cylinder',
            (radius, max(half, 0.0005), 0.0),
            (start + end) / 2,
            finish,
            rotation=towards((end - start) / length),
        )

    def ellipsoid(
        self,
        centre: ArrayLike,
        half: ArrayLike,
        finish: Finish,
        *,
        pitch: float = 0.0,
        yaw: float = 0.0,
        roll: float = 0.0,
    ) -> None:
        """Add an ellipsoid by centre and half axes."""
        self._add('ellipsoid', half, centre, finish, rotation=turned(roll, pitch, yaw))

    def sphere(self, centre: ArrayLike, radius: float, finish: Finish) -> None:
        """Add a sphere by centre and radius."""
        self._add('sphere', (radius, 0.0, 0.0), centre, finish, rotation=np.eye(3))

    def picture(
        self, middle: ArrayLike, width: float, height: float, finish: Finish, *, lean: float = 0.0
    ) -> None:
        """Add a thin sheet that shows its material to +x, leaning back by an angle in rad."""
        axes = turned(0.0, -lean, 0.0) @ np.array(PANELS['x'], np.float64).T
        self._add('box', (width / 2, height / 2, 0.001), middle, finish, rotation=axes)

    def surface(self, z: float, x: Span, y: Span) -> None:
        """Say that things can stand at height z, between limits."""
        self._surfaces.append((z, *x, *y))

    def legs(
        self,
        x: Span,
        y: Span,
        z: Span,
        thick: float,
        finish: Finish,
        *,
        kind: str = 'square',
        splay: float = 0.0,
    ) -> None:
        """Add four legs inside of a rectangle; ``splay`` metres is how far tops lean inwards."""
        for east in (0, 1):
            for north in (0, 1):
                self._leg(
                    (x[east], (1, -1)[east]),
                    (y[north], (1, -1)[north]),
                    z,
                    thick,
                    finish,
                    kind=kind,
                    splay=splay,
                )

    def _leg(
        self, x, y, z: Span, thick: float, finish: Finish, *, kind: str, splay: float
    ) -> None:
        if kind == 'square' and not splay:
            spans = [tuple(sorted((at, at + inward * thick))) for at, inward in (x, y)]
            self.box(*spans, z, finish, facing='', grain='z')
            return
        foot = [at + inward * thick / 2 for at, inward in (x, y)]
        head = [at + inward * (thick / 2 + splay) for at, inward in (x, y)]
        self.rod((*foot, z[0]), (*head, z[1]), thick / 2, finish)

    def model(self, category: str, shape: int, colour: str, mounting: str = 'floor') -> Model:
        """Return the model with its origin at the centre of its box."""
        places = np.array([part.position for part in self._parts])
        halves = np.array(self._halves)
        low, high = (places - halves).min(axis=0), (places + halves).max(axis=0)
        middle = (low + high) / 2
        parts = tuple(
            Part(
                part.shape,
                part.size,
                rounded(np.subtract(part.position, middle), 5),
                part.quaternion,
                part.material,
                part.colour,
            )
            for part in self._parts
        )
        surfaces = tuple(
            rounded(
                (z - middle[2], x0 - middle[0], x1 - middle[0], y0 - middle[1], y1 - middle[1])
            )
            for z, x0, x1, y0, y1 in self._surfaces
        )
        size = rounded(high - low)
        return Model(category, shape, size, parts, colour, surfaces, mounting)

    def _add(
        self, shape: str, size: ArrayLike, position: ArrayLike, finish: Finish, *, rotation
    ) -> None:
        size, position = rounded(size, 5), rounded(position, 5)
        quaternion, colour = quaternion_of(rotation), rounded(finish.colour)
        self._parts.append(Part(shape, size, position, quaternion, finish.material, colour))
        self._halves.append(_extent(shape, size, rotation))
