# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Plants, bins, boxes, baskets, balls and backpacks: what stands on the floor of a home."""

from __future__ import annotations

import numpy as np

from ros2_spatial_ttt.sim.catalogue import palette
from ros2_spatial_ttt.sim.catalogue.build import Build, Dice, Finish
from ros2_spatial_ttt.sim.catalogue.palette import BLACK, STEEL

__all__ = ['backpack', 'ball', 'basket', 'bin_', 'box', 'floor_plant', 'table_plant']

WIDEST_LEAF_M = 0.5
SOIL = Finish('soil', (0.20, 0.14, 0.10), 'brown')


def floor_plant(build: Build, dice: Dice) -> str:
    """Add a large plant: a bush, a palm or a cactus."""
    return _plant(build, dice, top=dice.metres(0.6, 1.5))


def table_plant(build: Build, dice: Dice) -> str:
    """Add a plant small enough for a table or a window."""
    return _plant(build, dice, top=dice.metres(0.2, 0.42))


def _plant(build: Build, dice: Dice, *, top: float) -> str:
    pot_height, radius = top * dice.metres(0.24, 0.36), top * dice.metres(0.13, 0.2)
    pot_height, radius = min(pot_height, 0.34), min(radius, 0.2)
    _pot(build, dice, radius=radius, height=pot_height)
    leaf = Finish(
        'leaf', (dice.metres(0.12, 0.3), dice.metres(0.4, 0.58), dice.metres(0.12, 0.24)), 'green'
    )
    grow = dice.pick((_bush, _palm, _palm, _cactus))
    grow(build, dice, leaf, low=pot_height, top=top, radius=radius)
    return 'green'


def _pot(build: Build, dice: Dice, *, radius: float, height: float) -> None:
    pot = dice.pick((Finish('ceramic', (0.70, 0.36, 0.22), 'orange'), palette.ceramic(dice)))
    if dice.chance(0.3):
        build.box((-radius, radius), (-radius, radius), (0, height - 0.01), pot, facing='x')
    else:
        build.cylinder((0, 0, 0.25 * height), 0.8 * radius, 0.5 * height, pot)
        build.cylinder((0, 0, 0.66 * height), 0.9 * radius, 0.5 * height, pot)
    build.cylinder((0, 0, 0.9 * height), radius, 0.2 * height, pot)
    build.cylinder((0, 0, height), 0.86 * radius, 0.006, SOIL)


def _bush(build, dice, leaf, *, low, top, radius) -> None:
    build.rod(
        (0, 0, low),
        (0, 0, low + 0.5 * (top - low)),
        0.1 * radius,
        Finish('bark', (0.36, 0.26, 0.17), 'brown'),
    )
    room, count = top - low, dice.count(7, 11)
    for k in range(count):
        turn, level = 2.4 * k, low + room * (0.35 + 0.5 * k / (count - 1))
        reach = radius * dice.metres(0.5, 1.1) * (1.15 - 0.7 * k / count)
        half = room * dice.metres(0.13, 0.2)
        build.ellipsoid(
            (reach * np.cos(turn), reach * np.sin(turn), level),
            (half, half * 0.85, half * 0.7),
            palette.shade(leaf, dice.metres(0.75, 1.25)),
            yaw=turn,
            pitch=dice.metres(-0.5, 0.5),
        )


def _palm(build, dice, leaf, *, low, top, radius) -> None:
    """Add long leaves that leave the stem in all directions."""
    room, count = top - low, dice.count(9, 15)
    stem = low + room * dice.pick((0.02, 0.02, 0.35))
    build.rod(
        (0, 0, low),
        (0, 0, stem + 0.02),
        0.08 * radius + 0.004,
        Finish('bark', (0.40, 0.30, 0.18), 'brown'),
    )
    for k in range(count):
        turn = 2.4 * k + dice.metres(-0.2, 0.2)
        steep = 1.4 - 1.0 * k / count
        length = (top - stem) * (1 if k == 0 else dice.metres(0.6, 0.95))
        length = min(length, WIDEST_LEAF_M / np.cos(steep))
        along = np.array(
            [np.cos(steep) * np.cos(turn), np.cos(steep) * np.sin(turn), np.sin(steep)]
        )
        half = (length / 2, 0.07 * length + 0.01, 0.012 * length + 0.002)
        build.ellipsoid(
            (0, 0, stem) + along * length / 2,
            half,
            palette.shade(leaf, dice.metres(0.75, 1.3)),
            yaw=turn,
            pitch=-steep,
        )


def _cactus(build, dice, leaf, *, low, top, radius) -> None:
    thick = min(0.5 * radius, 0.2 * (top - low))
    build.rod((0, 0, low - 0.02), (0, 0, top), thick, leaf, round_ends=True)
    for side in (-1, 1)[: dice.count(1, 2)]:
        level, reach = low + (top - low) * dice.metres(0.3, 0.5), side * thick * 2.2
        build.rod(
            (0, 0, level), (0, reach, level + 0.3 * thick), 0.6 * thick, leaf, round_ends=True
        )
        build.rod(
            (0, reach, level),
            (0, reach, level + 0.35 * (top - low)),
            0.6 * thick,
            leaf,
            round_ends=True,
        )
    flower = palette.plastic(dice, ('pink', 'red', 'yellow'))
    build.sphere((0, 0, top), 0.35 * thick, flower)


def bin_(build: Build, dice: Dice) -> str:
    """Add a waste bin: pedal bin with lid, open bucket or square bin with swing lid."""
    kind, top = dice.pick(('pedal', 'open', 'swing')), dice.metres(0.28, 0.65)
    finish = STEEL if dice.chance(0.35) else palette.plastic(dice)
    half = min(0.2, top * dice.metres(0.28, 0.4))
    if kind == 'pedal':
        build.cylinder((0, 0, 0.02), half * 1.02, 0.04, BLACK)
        build.cylinder((0, 0, top * 0.46), half, top * 0.84, finish)
        build.cylinder((0, 0, top * 0.89), half * 1.03, 0.02, BLACK)
        build.ellipsoid((0, 0, top * 0.89), (half, half, top * 0.11), palette.shade(finish, 0.9))
        build.box((half * 0.9, half + 0.05), (-0.04, 0.04), (0.01, 0.03), BLACK)
        return finish.word
    if kind == 'open':
        for k, share in enumerate((0.84, 0.9, 0.96)):
            build.cylinder((0, 0, top * (2 * k + 1) / 6), half * share, top / 3 + 0.001, finish)
        build.cylinder((0, 0, top - 0.01), half, 0.02, palette.shade(finish, 0.85))
        build.cylinder((0, 0, top), half * 0.9, 0.003, palette.shade(finish, 0.3))
        return finish.word
    build.box((-half, half), (-half * 0.8, half * 0.8), (0, top * 0.78), finish, facing='x')
    build.box(
        (-half * 1.04, half * 1.04),
        (-half * 0.84, half * 0.84),
        (top * 0.76, top * 0.82),
        BLACK,
        facing='z',
    )
    for side in (-1, 1):
        build.slab(
            (side * 0.48 * half, 0, top * 0.89),
            (half * 1.1, half * 1.5, 0.015),
            palette.shade(finish, 0.85),
            pitch=side * np.arctan2(0.13 * top, half),
        )
    return finish.word


def box(build: Build, dice: Dice) -> str:
    """Add a cardboard box with tape, one with open flaps, or a storage box with lid."""
    x, y, z = dice.metres(0.12, 0.26), dice.metres(0.14, 0.32), dice.metres(0.14, 0.45)
    kind = dice.pick(('taped', 'taped', 'open', 'lidded'))
    if kind == 'lidded':
        finish = palette.plastic(dice)
        lid = dice.pick((palette.shade(finish, 0.7), palette.WHITE, BLACK))
        build.box((-x, x), (-y, y), (0, z - 0.03), finish, facing='x')
        build.box((-x - 0.012, x + 0.012), (-y - 0.012, y + 0.012), (z - 0.03, z), lid)
        for side in (-y - 0.01, y - 0.004):
            build.box((-0.05, 0.05), (side, side + 0.014), (0.55 * z, 0.75 * z), lid)
        build.box((x, x + 0.004), (-0.06, 0.06), (0.4 * z, 0.62 * z), palette.WHITE, facing='x')
        build.surface(z, (-x + 0.02, x - 0.02), (-y + 0.02, y - 0.02))
        return finish.word
    card = Finish(
        'cardboard',
        (dice.metres(0.62, 0.78), dice.metres(0.46, 0.56), dice.metres(0.3, 0.38)),
        'brown',
    )
    tape = Finish(
        'plastic', dice.pick(((0.82, 0.74, 0.52), (0.75, 0.2, 0.15), (0.9, 0.9, 0.88))), 'beige'
    )
    build.box((-x, x), (-y, y), (0, z), card, facing='x')
    label = Finish('label', (1, 1, 1), 'white')
    build.box((x, x + 0.002), (0.1 * y, 0.75 * y), (0.45 * z, 0.8 * z), label, facing='x')
    if kind == 'taped':
        build.box((-x - 0.002, x + 0.002), (-0.025, 0.025), (z, z + 0.002), tape, facing='z')
        for side in (-x - 0.002, x):
            build.box(
                (side, side + 0.002), (-0.025, 0.025), (0.7 * z, z + 0.002), tape, facing='x'
            )
        build.surface(round(z + 0.002, 4), (-x + 0.02, x - 0.02), (-y + 0.02, y - 0.02))
        return 'brown'
    build.box(
        (-x + 0.008, x - 0.008), (-y + 0.008, y - 0.008), (z, z + 0.002), palette.shade(card, 0.35)
    )
    for side in (-1, 1):
        build.slab(
            (side * (x + 0.05), 0, z + 0.02), (0.12, 2 * y, 0.006), card, pitch=-side * 0.45
        )
        build.slab(
            (0, side * (y + 0.05), z + 0.02),
            (2 * x, 0.12, 0.006),
            palette.shade(card, 0.93),
            roll=side * 0.45,
        )
    return 'brown'


def basket(build: Build, dice: Dice) -> str:
    """Add a wicker or fabric basket: a laundry tub, or a square one with handles."""
    finish = Finish(
        'wicker', dice.pick(((0.72, 0.53, 0.32), (0.5, 0.34, 0.2), (0.86, 0.78, 0.62))), 'brown'
    )
    if dice.chance(0.3):
        finish = palette.fabric(dice)
    top, load = dice.metres(0.2, 0.55), palette.fabric(dice, palette.BRIGHT_AND_CALM)
    if dice.chance(0.5):
        radius = dice.metres(0.15, 0.24)
        build.cylinder((0, 0, 0.5 * top), 0.94 * radius, top, finish)
        build.cylinder((0, 0, top - 0.02), radius, 0.04, palette.shade(finish, 0.85))
        build.cylinder((0, 0, 0.015), radius * 0.97, 0.03, palette.shade(finish, 0.85))
        build.cylinder((0, 0, top), 0.86 * radius, 0.003, palette.shade(finish, 0.3))
        if dice.chance(0.6):
            build.ellipsoid((0, 0, top), (0.75 * radius, 0.7 * radius, 0.06), load, yaw=0.5)
        handles = radius
    else:
        x, y = dice.metres(0.13, 0.2), dice.metres(0.17, 0.27)
        for side in ((-x, -x + 0.015), (x - 0.015, x)):
            build.box(side, (-y, y), (0, top), finish, facing='x')
        for side in ((-y, -y + 0.015), (y - 0.015, y)):
            build.box((-x, x), side, (0, top), finish, facing='y')
        build.box((-x, x), (-y, y), (0, 0.02), finish)
        if dice.chance(0.7):
            build.ellipsoid((0, 0, 0.6 * top), (0.85 * x, 0.85 * y, 0.32 * top), load)
        handles = y
    for side in (-handles, handles):
        build.rod(
            (-0.05, side, top + 0.03), (0.05, side, top + 0.03), 0.012, finish, round_ends=True
        )
        for at in (-0.04, 0.04):
            build.rod((at, side, top - 0.05), (at, side, top + 0.03), 0.01, finish)
    return finish.word


def ball(build: Build, dice: Dice) -> str:
    """Add a ball of two colours."""
    radius = dice.pick(
        (
            dice.metres(0.05, 0.08),
            dice.metres(0.1, 0.14),
            dice.metres(0.1, 0.14),
            dice.metres(0.2, 0.28),
        )
    )
    main, other = palette.plastic(dice), palette.plastic(dice)
    tone = main._replace(material=f'ball.{dice.count(0, 3)}')
    build.sphere((0, 0, radius), radius, tone)
    band = (0.995 * radius, 1.004 * radius)
    turn, lean = dice.metres(0, 3.1), dice.metres(0.0, 1.2)
    direction = np.array([np.sin(lean) * np.cos(turn), np.sin(lean) * np.sin(turn), np.cos(lean)])
    middle, thick = np.array([0, 0, radius]), radius * dice.metres(0.12, 0.35)
    build.rod(
        middle - direction * thick / 2,
        middle + direction * thick / 2,
        band[1] * np.sqrt(1 - (thick / radius / 2) ** 2) + 0.002,
        other,
    )
    for side in (-1, 1):
        build.ellipsoid(
            middle + side * direction * radius * 0.9,
            (0.35 * radius, 0.35 * radius, 0.11 * radius),
            other,
            pitch=lean,
            yaw=turn,
        )
    return main.word


def backpack(build: Build, dice: Dice) -> str:
    """Add a rucksack that stands on the floor; its straps are at -x."""
    cloth, other = palette.fabric(dice, palette.BRIGHT_AND_CALM), palette.fabric(dice)
    y, top = dice.metres(0.13, 0.17), dice.metres(0.4, 0.52)
    build.box((-0.07, 0.06), (-y, y), (0.0, 0.72 * top), cloth, facing='x')
    build.ellipsoid((-0.005, 0, 0.72 * top), (0.08, y * 1.02, 0.28 * top), cloth)
    build.ellipsoid((0.06, 0, 0.24 * top), (0.07, y * 0.85, 0.2 * top), palette.shade(cloth, 0.85))
    build.box((0.06, 0.075), (-y * 0.8, y * 0.8), (0.42 * top, 0.44 * top), BLACK)
    build.box((0.05, 0.066), (-y * 0.9, y * 0.9), (0.6 * top, 0.66 * top), other)
    for side in (-0.55 * y, 0.55 * y):
        build.rod((-0.085, side, 0.1), (-0.1, side, 0.7 * top), 0.018, other, round_ends=True)
    build.rod((-0.05, -0.04, 0.98 * top), (-0.05, 0.04, 0.98 * top), 0.012, BLACK, round_ends=True)
    for side in (-y, y):
        build.ellipsoid(
            (0.0, side, 0.16 * top), (0.05, 0.03, 0.15 * top), palette.shade(cloth, 0.9)
        )
    return cloth.word
