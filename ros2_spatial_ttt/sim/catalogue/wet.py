# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Kitchen and bathroom: fridge, oven, washing machine, sink, toilet and bathtub."""

from __future__ import annotations

import numpy as np

from ros2_spatial_ttt.sim.catalogue import palette
from ros2_spatial_ttt.sim.catalogue.build import Build, Dice, Finish
from ros2_spatial_ttt.sim.catalogue.palette import BLACK, CHROME, DARK_GLASS, STEEL, WATER, WHITE

__all__ = ['bathtub', 'fridge', 'oven', 'sink', 'toilet', 'washing_machine']

PORCELAIN = Finish('ceramic', (0.95, 0.95, 0.94), 'white')


def _appliance(dice: Dice) -> Finish:
    return dice.pick((WHITE, WHITE, STEEL, STEEL, Finish('plastic', (0.12, 0.12, 0.13), 'black')))


def fridge(build: Build, dice: Dice) -> str:
    """Add a fridge with a freezer below or above; some are red or turquoise."""
    body = (
        _appliance(dice)
        if dice.chance(0.8)
        else palette.plastic(dice, ('red', 'turquoise', 'yellow'))
    )
    x, y, top = dice.metres(0.29, 0.34), dice.metres(0.28, 0.36), dice.metres(1.4, 1.95)
    split = 0.05 + (top - 0.05) * dice.pick((0.34, 0.4, 0.68))
    build.box((-x, x - 0.05), (-y, y), (0.05, top), palette.shade(body, 0.85), facing='y')
    build.box((-x + 0.03, x - 0.09), (-y + 0.02, y - 0.02), (0, 0.05), BLACK)
    hinge, handle = dice.pick((-1, 1)), dice.pick((CHROME, STEEL, BLACK))
    for low, high in ((0.05, split - 0.006), (split + 0.006, top)):
        build.box((x - 0.048, x), (-y, y), (low, high), body, facing='x')
        length = min(0.45, 0.6 * (high - low))
        near = (
            (high - 0.06, high - 0.06 - length)
            if low < split
            else (low + 0.06, low + 0.06 + length)
        )
        at = hinge * (y - 0.06)
        build.rod((x + 0.035, at, near[0]), (x + 0.035, at, near[1]), 0.011, handle)
        for z in near:
            build.box((x, x + 0.035), (at - 0.009, at + 0.009), (z - 0.01, z + 0.01), handle)
    if dice.chance(0.35):
        build.box((x, x + 0.003), (-0.08, 0.1), (top - 0.35, top - 0.15), DARK_GLASS, facing='x')
    build.surface(top, (-x + 0.05, x - 0.1), (-y + 0.05, y - 0.05))
    return body.word


def oven(build: Build, dice: Dice) -> str:
    """Add a free-standing stove: hobs above, window and knobs in front."""
    body = _appliance(dice)
    x, y, top = 0.3, dice.metres(0.28, 0.31), dice.metres(0.86, 0.92)
    build.box((-x, x - 0.02), (-y, y), (0.06, top - 0.02), body, facing='y')
    build.box((-x + 0.03, x - 0.06), (-y + 0.02, y - 0.02), (0, 0.06), BLACK)
    build.box((-x, x), (-y, y), (top - 0.02, top), DARK_GLASS)
    for dx in (-0.13, 0.13):
        for dy in (-0.14, 0.14):
            radius = dice.pick((0.075, 0.095))
            build.cylinder(
                (dx, dy, top), radius, 0.012, Finish('plastic', (0.2, 0.19, 0.19), 'black')
            )
    build.box(
        (x - 0.02, x), (-y, y), (top - 0.13, top - 0.02), palette.shade(body, 0.9), facing='x'
    )
    for dy in np.linspace(-y + 0.07, y - 0.07, 5):
        build.cylinder(
            (x + 0.012, dy, top - 0.075),
            0.02,
            0.028,
            BLACK if body.word != 'black' else STEEL,
            axis='x',
        )
    low, high = 0.22, top - 0.15
    build.box((x - 0.02, x + 0.006), (-y + 0.005, y - 0.005), (low, high), body, facing='x')
    build.box(
        (x + 0.006, x + 0.01),
        (-y + 0.06, y - 0.06),
        (low + 0.07, high - 0.1),
        DARK_GLASS,
        facing='x',
    )
    build.rod(
        (x + 0.045, -y + 0.05, high - 0.05), (x + 0.045, y - 0.05, high - 0.05), 0.01, CHROME
    )
    for side in (-y + 0.07, y - 0.07):
        build.box(
            (x, x + 0.045), (side - 0.008, side + 0.008), (high - 0.058, high - 0.042), CHROME
        )
    build.box((x - 0.02, x + 0.004), (-y + 0.005, y - 0.005), (0.07, 0.205), body, facing='x')
    if dice.chance(0.3):
        build.box((-x, -x + 0.03), (-y, y), (top, top + 0.12), body, facing='x')
    return body.word


def washing_machine(build: Build, dice: Dice) -> str:
    """Add a front loader with its round door."""
    body = WHITE if dice.chance(0.7) else _appliance(dice)
    x, y, top = dice.metres(0.24, 0.3), 0.3, dice.metres(0.82, 0.87)
    build.box((-x, x), (-y, y), (0.02, top), body, facing='x')
    build.legs((-x + 0.02, x - 0.02), (-y + 0.02, y - 0.02), (0, 0.02), 0.05, BLACK)
    middle, radius = dice.metres(0.36, 0.44), dice.metres(0.15, 0.19)
    ring = dice.pick((CHROME, Finish('plastic', (0.3, 0.3, 0.32), 'grey')))
    build.cylinder((x + 0.008, 0, middle), radius, 0.03, ring, axis='x')
    build.ellipsoid((x + 0.018, 0, middle), (0.025, radius * 0.76, radius * 0.76), DARK_GLASS)
    build.box(
        (x, x + 0.012),
        (-y + 0.01, y - 0.01),
        (top - 0.14, top - 0.02),
        palette.shade(body, 0.92),
        facing='x',
    )
    side = dice.pick((-1, 1))
    build.box(
        (x + 0.01, x + 0.018),
        (side * 0.19 - 0.09, side * 0.19 + 0.09),
        (top - 0.12, top - 0.04),
        body,
        facing='x',
    )
    build.cylinder((x + 0.02, 0, top - 0.08), 0.032, 0.03, CHROME, axis='x')
    build.box(
        (x + 0.01, x + 0.015),
        (-side * 0.17 - 0.06, -side * 0.17 + 0.06),
        (top - 0.1, top - 0.06),
        DARK_GLASS,
        facing='x',
    )
    build.surface(top, (-x + 0.05, x - 0.05), (-y + 0.04, y - 0.04))
    return body.word


def sink(build: Build, dice: Dice) -> str:
    """Add a washbasin on a cabinet or a pedestal, or a kitchen sink of steel."""
    return dice.pick((_pedestal_sink, _cabinet_sink, _cabinet_sink, _kitchen_sink))(build, dice)


def _pedestal_sink(build: Build, dice: Dice) -> str:
    x, y, top = dice.metres(0.2, 0.24), dice.metres(0.24, 0.3), dice.metres(0.8, 0.86)
    build.rod((-0.04, 0, 0), (-0.04, 0, top - 0.12), 0.075, PORCELAIN)
    build.ellipsoid((0, 0, top - 0.1), (x * 0.92, y * 0.9, 0.1), PORCELAIN)
    _basin(build, PORCELAIN, x=(-x, x), y=(-y, y), z=(top - 0.13, top), rim=0.045)
    _tap(build, at=(-x + 0.035, 0, top))
    return 'white'


def _cabinet_sink(build: Build, dice: Dice) -> str:
    front = palette.wood(dice) if dice.chance(0.6) else palette.lacquer(dice)
    x, y, top = dice.metres(0.22, 0.27), dice.metres(0.28, 0.5), dice.metres(0.8, 0.88)
    low = dice.metres(0.0, 0.25)
    build.box((-x, x - 0.03), (-y + 0.02, y - 0.02), (low, top - 0.14), front, facing='y')
    for side in (-1, 1):
        build.box(
            (x - 0.03, x - 0.015),
            sorted((side * 0.004, side * (y - 0.024))),
            (low + 0.01, top - 0.15),
            front,
            grain='z',
        )
        at = side * 0.04
        build.box((x - 0.015, x + 0.01), (at - 0.007, at + 0.007), (top - 0.32, top - 0.2), CHROME)
    if low > 0.03:
        build.legs(
            (-x + 0.02, x - 0.05), (-y + 0.03, y - 0.03), (0, low), 0.03, CHROME, kind='round'
        )
    _basin(build, PORCELAIN, x=(-x, x), y=(-y, y), z=(top - 0.14, top), rim=0.06)
    _tap(build, at=(-x + 0.035, 0, top))
    return front.word


def _kitchen_sink(build: Build, dice: Dice) -> str:
    front, x, y, top = palette.lacquer(dice), 0.3, dice.metres(0.3, 0.5), dice.metres(0.86, 0.92)
    build.box((-x, x - 0.03), (-y, y), (0.08, top - 0.17), front, facing='y')
    build.box((-x + 0.02, x - 0.08), (-y + 0.01, y - 0.01), (0, 0.08), BLACK)
    for side in (-1, 1):
        build.box(
            (x - 0.03, x - 0.012),
            sorted((side * 0.004, side * (y - 0.004))),
            (0.09, top - 0.05),
            front,
            grain='z',
        )
        build.box(
            (x - 0.012, x + 0.014),
            sorted((side * 0.05, side * 0.2)),
            (top - 0.12, top - 0.105),
            STEEL,
        )
    _basin(build, STEEL, x=(-x, x), y=(-y, y), z=(top - 0.17, top), rim=0.07)
    _tap(build, at=(-x + 0.04, 0, top), tall=0.28)
    return front.word


def _basin(build: Build, finish: Finish, *, x, y, z, rim: float) -> None:
    """Add an open basin: four walls, a bottom, a drain."""
    build.box((x[0], x[0] + rim + 0.03), y, z, finish, facing='z')
    build.box((x[1] - rim, x[1]), y, z, finish, facing='z')
    inner = (x[0] + rim + 0.03, x[1] - rim)
    build.box(inner, (y[0], y[0] + rim), z, finish, facing='z')
    build.box(inner, (y[1] - rim, y[1]), z, finish, facing='z')
    build.box(inner, (y[0] + rim, y[1] - rim), (z[0], z[0] + 0.02), palette.shade(finish, 0.8))
    build.cylinder(
        (sum(inner) / 2, (y[0] + y[1]) / 2, z[0] + 0.021), 0.025, 0.004, palette.dark(CHROME)
    )


def _tap(build: Build, *, at, tall: float = 0.15, reach: float = 0.14) -> None:
    x, y, z = at
    build.cylinder((x, y, z + tall / 2), 0.016, tall, CHROME)
    build.rod((x, y, z + tall), (x + reach, y, z + tall - 0.02), 0.012, CHROME, round_ends=True)
    build.cylinder((x + reach - 0.012, y, z + tall - 0.04), 0.011, 0.04, CHROME)
    build.box((x - 0.01, x + 0.01), (y - 0.05, y + 0.05), (z + 0.02, z + 0.035), CHROME)


def toilet(build: Build, dice: Dice) -> str:
    """Add a toilet with tank, bowl and seat."""
    body = (
        PORCELAIN if dice.chance(0.85) else palette.ceramic(dice, ('beige', 'pink', 'turquoise'))
    )
    lid = body if dice.chance(0.7) else palette.wood(dice)
    y, seat, top = dice.metres(0.17, 0.2), dice.metres(0.38, 0.43), dice.metres(0.72, 0.82)
    build.box((-0.32, -0.14), (-y, y), (seat - 0.02, top - 0.03), body, facing='x')
    build.box((-0.33, -0.13), (-y - 0.01, y + 0.01), (top - 0.03, top), body)
    build.cylinder((-0.23, 0, top + 0.003), 0.025, 0.012, CHROME)
    build.box((-0.3, 0.08), (-0.1, 0.1), (0, seat - 0.1), body, facing='y')
    build.cylinder((0.08, 0, 0.5 * (seat - 0.1)), 0.1, seat - 0.1, body)
    build.ellipsoid((0.06, 0, seat - 0.08), (0.26, y, 0.16), body)
    build.ellipsoid((0.07, 0, seat + 0.012), (0.25, y * 1.02, 0.02), lid)
    if dice.chance(0.6):
        build.ellipsoid((0.085, 0, seat + 0.022), (0.17, y * 0.62, 0.014), WATER)
        build.ellipsoid((-0.105, 0, seat + 0.2), (0.02, y * 0.95, 0.19), lid, pitch=-0.12)
    return body.word


def bathtub(build: Build, dice: Dice) -> str:
    """Add a built-in or free-standing tub with a tap at one end; its long side is y."""
    x, y, top = dice.metres(0.35, 0.4), dice.metres(0.75, 0.88), dice.metres(0.52, 0.6)
    outer = PORCELAIN if dice.chance(0.6) else palette.lacquer(dice)
    rim, low = 0.07, 0.12
    feet = dice.chance(0.35)
    bottom = 0.08 if feet else 0.0
    for side in ((-x, -x + rim), (x - rim, x)):
        build.box(side, (-y, y), (bottom, top - 0.03), outer, facing='x')
        build.box(side, (-y, y), (top - 0.03, top), PORCELAIN)
    for side in ((-y, -y + rim), (y - rim, y)):
        build.box((-x + rim, x - rim), side, (bottom, top - 0.03), outer, facing='y')
        build.box((-x + rim, x - rim), side, (top - 0.03, top), PORCELAIN)
    build.box(
        (-x + rim, x - rim),
        (-y + rim, y - rim),
        (bottom, bottom + low),
        palette.shade(PORCELAIN, 0.85),
    )
    if feet:
        build.legs(
            (-x + 0.04, x - 0.04), (-y + 0.1, y - 0.1), (0, 0.08), 0.07, CHROME, kind='round'
        )
    if dice.chance(0.5):
        build.box(
            (-x + rim, x - rim), (-y + rim, y - rim), (bottom + low, bottom + low + 0.12), WATER
        )
    end = dice.pick((-1, 1))
    build.cylinder((0, end * (y - 0.035), top + 0.07), 0.02, 0.14, CHROME)
    build.rod(
        (0, end * (y - 0.035), top + 0.14),
        (0, end * (y - 0.2), top + 0.11),
        0.018,
        CHROME,
        round_ends=True,
    )
    build.box(
        (-0.1, 0.1),
        sorted((end * (y - 0.045), end * (y - 0.025))),
        (top + 0.03, top + 0.05),
        CHROME,
    )
    return outer.word
