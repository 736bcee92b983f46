# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Ways to place things: at a wall, before or beside another, in a corner, on top, hung up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.sim.catalogue import MOUNTINGS, Model, model
from ros2_spatial_ttt.sim.plans.overlap import clash, thing_box
from ros2_spatial_ttt.sim.plans.spaces import Space, parts_clash
from ros2_spatial_ttt.sim.plans.support import spot_on
from ros2_spatial_ttt.sim.world import Thing

__all__ = ['Arranger', 'Fits']

Fits = Callable[[tuple[float, float, float]], bool]

_SPOTS = 14
_BACK_M = 0.02
# Gaps between tops of things on one surface, and over them to the next shelf, m.
_TOP_GAP_M = 0.01
_REUSE = 0.3


@dataclass
class Arranger:
    """Draws shapes and finds places for them.

    Attributes:
        rng: random numbers. shapes: seeds of shapes to draw from.
        used: shapes drawn so far in this home, by category; some are drawn again (twins).
        last_id: of the things so far.
    """

    rng: np.random.Generator
    shapes: range
    used: dict[str, list[int]] = field(default_factory=dict)
    last_id: int = 0

    def new_id(self) -> int:
        """Return the id of the next thing."""
        self.last_id += 1
        return self.last_id

    def chance(self, share: float) -> bool:
        """Return True in that share of calls."""
        return bool(self.rng.random() < share)

    def pick(
        self, category: str, mounting: str = '', fits: Fits = lambda size: True, tries: int = 6
    ) -> Model | None:
        """Draw a shape of a category, now and then one that the home already has."""
        if self.used.get(category) and self.chance(_REUSE):
            again = model(category, int(self.rng.choice(self.used[category])))
            if fits(again.size) and mounting in ('', again.mounting):
                return again
        kinds = MOUNTINGS[category]
        for _ in range(tries):
            shape = int(self.rng.integers(self.shapes.start, self.shapes.stop))
            if mounting:
                shape += (kinds.index(mounting) - shape) % len(kinds)
            found = model(category, shape)
            if fits(found.size):
                self.used.setdefault(category, []).append(shape)
                return found
        return None

    def make(
        self, kind: Model, x: float, y: float, yaw: float, bottom: float, room: int, support: int
    ) -> Thing:
        """Return a thing at a place, with rounded numbers."""
        yaw = (yaw + np.pi) % (2.0 * np.pi) - np.pi
        centre = (
            round(float(x), 4),
            round(float(y), 4),
            round(float(bottom) + kind.size[2] / 2.0, 4),
        )
        return Thing(
            self.last_id + 1,
            kind.category,
            centre,
            kind.size,
            round(float(yaw), 4),
            room,
            support,
            kind.shape,
        )

    def settle(
        self,
        space: Space,
        kind: Model | None,
        spots: NDArray[np.float64],
        *,
        bottom: float = 0.0,
        beside: Sequence[Thing] = (),
        front: float = 0.0,
        any_front: bool = False,
    ) -> Thing | None:
        """Put a thing at the first of ``spots`` (k, 3: x, y, yaw) where it may stand."""
        if kind is None or not len(spots):
            return None
        rows = np.empty((len(spots), 7))
        rows[:, :2], rows[:, 4] = spots[:, :2], spots[:, 2]
        rows[:, 2], rows[:, 3] = kind.size[0] / 2.0, kind.size[1] / 2.0
        rows[:, 5], rows[:, 6] = bottom, bottom + kind.size[2]
        ok = space.fits(rows, beside=beside, front=front, any_front=any_front)
        for k in np.flatnonzero(ok)[:4]:
            thing = self.make(kind, *spots[k], bottom, space.room.index, 0)
            if any(parts_clash(thing, other) for other in beside):
                continue
            if space.walkable_with(thing_box(thing)):
                space.put(thing, front)
                self.last_id += 1
                return thing
        return None

    def at_wall(
        self,
        space: Space,
        kind: Model | None,
        *,
        front: float = 0.0,
        bottom: float = 0.0,
        snug: float = 0.4,
        any_front: bool = False,
    ) -> Thing | None:
        """Put a thing with its back to a wall; in a share ``snug`` of cases in a corner."""
        if kind is None:
            return None
        depth, width, _ = kind.size
        sides = [side for side in space.walls() if side[2] > width + 0.02]
        if not sides:
            return None
        weights = np.array([side[2] for side in sides])
        spots = []
        for index in self.rng.choice(len(sides), _SPOTS, p=weights / weights.sum()):
            start, along, length = sides[index]
            lowest, highest = width / 2.0 + 0.01, length - width / 2.0 - 0.01
            at = self.rng.uniform(lowest, highest)
            if self.chance(snug):
                at = lowest if self.chance(0.5) else highest
            inwards = np.array([-along[1], along[0]])
            place = (
                start + along * at + inwards * (depth / 2.0 + (_BACK_M if not bottom else 0.001))
            )
            spots.append([*place, np.arctan2(inwards[1], inwards[0])])
        return self.settle(
            space, kind, np.array(spots), bottom=bottom, front=front, any_front=any_front
        )

    def anywhere(
        self, space: Space, kind: Model | None, *, any_front: bool = False
    ) -> Thing | None:
        """Put a thing somewhere on the floor, at an angle of its own."""
        if kind is None:
            return None
        x0, y0, x1, y1 = space.limits
        spots = np.column_stack(
            [
                self.rng.uniform(x0, x1, _SPOTS),
                self.rng.uniform(y0, y1, _SPOTS),
                self.rng.uniform(-np.pi, np.pi, _SPOTS),
            ]
        )
        return self.settle(space, kind, spots, any_front=any_front)

    def in_corner(self, space: Space, kind: Model | None) -> Thing | None:
        """Put a thing into a corner of the room, looking out of it."""
        if kind is None:
            return None
        points = np.array(space.room.polygon)
        spots = []
        for k in self.rng.permutation(len(points)):
            before = points[k - 1] - points[k]
            after = points[(k + 1) % len(points)] - points[k]
            before, after = before / np.hypot(*before), after / np.hypot(*after)
            yaw = np.arctan2(after[1], after[0])
            along, across = kind.size[0] / 2.0 + 0.03, kind.size[1] / 2.0 + 0.03
            spots.append([*(points[k] + after * along + before * across), yaw])
        return self.settle(space, kind, np.array(spots))

    def near(
        self,
        space: Space,
        kind: Model | None,
        anchor: Thing,
        ahead: Sequence[float],
        left: float = 0.0,
        turn: float = 0.0,
        *,
        bottom: float = 0.0,
        beside: Sequence[Thing] = (),
        front: float = 0.0,
        any_front: bool = True,
    ) -> Thing | None:
        """Put a thing at an offset in the frame of another; ``ahead`` are tried in turn."""
        if kind is None:
            return None
        cos, sin = np.cos(anchor.yaw), np.sin(anchor.yaw)
        spots = [
            [
                anchor.centre[0] + a * cos - left * sin,
                anchor.centre[1] + a * sin + left * cos,
                anchor.yaw + turn,
            ]
            for a in ahead
        ]
        return self.settle(
            space,
            kind,
            np.array(spots),
            bottom=bottom,
            beside=beside,
            front=front,
            any_front=any_front,
        )

    def over(self, space: Space, kind: Model | None, anchor: Thing, bottom: float) -> Thing | None:
        """Hang a thing on the wall that another stands at."""
        if kind is None:
            return None
        back = -anchor.size[0] / 2.0 - _BACK_M + kind.size[0] / 2.0 + 0.001
        return self.near(space, kind, anchor, [back], bottom=bottom)

    def beside(
        self, space: Space, kind: Model | None, anchor: Thing, side: float, gap: float = 0.03
    ) -> Thing | None:
        """Put a thing next to another, backs in line; side is 1 for its left, -1 for its right."""
        if kind is None:
            return None
        back = (kind.size[0] - anchor.size[0]) / 2.0
        left = side * ((kind.size[1] + anchor.size[1]) / 2.0 + gap)
        return self.near(space, kind, anchor, [back], left, any_front=False)

    def on_top(
        self,
        space: Space,
        category: str,
        support: Thing,
        *,
        back: bool = False,
        turn: float | None = None,
        kind: Model | None = None,
    ) -> Thing | None:
        """Put a thing on a surface of another, wholly on it.

        Args:
            space: the room.
            category: of the thing.
            support: what it shall stand on.
            back: stand at the back of the surface.
            turn: yaw against the support, rad; None draws one.
            kind: its shape; None draws one.
        """
        surfaces = model(support.category, support.shape).surfaces
        kind = kind or self.pick(category, 'surface')
        if not surfaces or kind is None:
            return None
        rows = []
        for _ in range(_SPOTS):
            surface = surfaces[int(self.rng.integers(len(surfaces)))]
            row = spot_on(self.rng, support, kind, surface, back=back, turn=turn)
            if row is not None:
                rows.append(row)
        if not rows:
            return None
        boxes = np.array(rows)
        others = [thing for thing in space.things if thing.id != support.id]
        hit = clash(boxes, np.array([thing_box(t) for t in others]).reshape(-1, 7), _TOP_GAP_M)
        ok = np.flatnonzero(~hit.any(axis=1))
        if not len(ok):
            return None
        x, y, _, _, yaw, bottom, _ = boxes[ok[0]]
        thing = self.make(kind, x, y, yaw, bottom, space.room.index, support.id)
        space.put(thing)
        self.last_id += 1
        return thing
