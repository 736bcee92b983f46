# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Beds, wardrobes, cabinets, shelves and dressers. Backs and headboards are at -x."""

from __future__ import annotations

import numpy as np

from ros2_spatial_ttt.sim.catalogue import palette
from ros2_spatial_ttt.sim.catalogue.build import Build, Dice, Finish
from ros2_spatial_ttt.sim.catalogue.tables import drawer_fronts

__all__ = ['bed', 'cabinet', 'dresser', 'shelf', 'wardrobe']

LINEN = ('white', 'beige', 'grey', 'blue', 'pink', 'turquoise')


def bed(build: Build, dice: Dice) -> str:
    """Add a single or double bed with mattress, blanket and pillows."""
    double = dice.chance(0.55)
    y, x = dice.metres(0.7, 0.92) if double else dice.metres(0.45, 0.52), dice.metres(1.0, 1.07)
    frame = palette.wood(dice) if dice.chance(0.65) else palette.fabric(dice)
    board, deck, top = dice.metres(0.8, 1.25), dice.metres(0.24, 0.34), 0.0
    top = deck + dice.metres(0.16, 0.24)
    build.legs((-x, x), (-y, y), (0, deck - 0.16), 0.07, frame)
    build.box((-x, x), (-y, y), (deck - 0.16, deck), frame, facing='y')
    build.box((-x - 0.06, -x), (-y - 0.01, y + 0.01), (0, board), frame)
    if dice.chance(0.3):
        build.box((x, x + 0.04), (-y, y), (0, deck + 0.25), frame)
    sheet, blanket = palette.fabric(dice, LINEN), palette.fabric(dice, palette.BRIGHT_AND_CALM)
    build.box((-x + 0.01, x - 0.02), (-y + 0.03, y - 0.03), (deck, top), sheet)
    fold = dice.metres(-0.5, -0.25)
    build.box(
        (fold, x - 0.01), (-y - 0.008, y + 0.008), (deck - 0.05, top + 0.035), blanket, facing='z'
    )
    build.box(
        (fold - 0.02, fold + 0.22),
        (-y - 0.01, y + 0.01),
        (top - 0.06, top + 0.045),
        sheet,
        facing='z',
    )
    pillow = sheet if dice.chance(0.5) else palette.fabric(dice, LINEN)
    for at in (-0.5 * y, 0.5 * y) if double else (0.0,):
        half = min(0.38, 0.44 * y if double else 0.8 * y)
        build.ellipsoid((-x + 0.26, at, top + 0.06), (0.22, half, 0.085), pillow, pitch=0.12)
    return blanket.word


def wardrobe(build: Build, dice: Dice) -> str:
    """Add a tall cupboard with two or three doors."""
    finish = palette.wood(dice)
    front = finish if dice.chance(0.6) else palette.lacquer(dice)
    x, doors = dice.metres(0.26, 0.31), dice.count(2, 3)
    y, top, foot = doors * dice.metres(0.22, 0.27), dice.metres(1.75, 2.2), dice.metres(0.03, 0.1)
    build.box((-x, x - 0.02), (-y, y), (foot, top - 0.03), finish, facing='y')
    build.box((-x, x + 0.01), (-y - 0.01, y + 0.01), (top - 0.03, top), finish)
    build.box((-x + 0.02, x - 0.05), (-y + 0.02, y - 0.02), (0, foot), palette.dark(finish))
    drawers = dice.chance(0.35)
    low = foot + (0.42 if drawers else 0.0)
    if drawers:
        drawer_fronts(
            build, front, palette.metal(dice), face=x - 0.02, y=(-y, y), z=(foot, low), rows=2
        )
    mirrored = dice.count(0, doors - 1) if dice.chance(0.25) else -1
    _doors(
        build,
        dice,
        front,
        face=x - 0.02,
        y=(-y, y),
        z=(low, top - 0.03),
        count=doors,
        mirrored=mirrored,
    )
    return front.word


def _doors(build, dice, front: Finish, *, face, y, z, count: int, mirrored: int = -1) -> None:
    """Add doors with handles to a face that looks along x; some have a raised panel."""
    edges, handle = np.linspace(y[0], y[1], count + 1), palette.metal(dice)
    panelled, tall = dice.chance(0.45), z[1] - z[0] > 1.0
    reach = 0.09 if tall else 0.06
    for k in range(count):
        low, high = edges[k] + 0.004, edges[k + 1] - 0.004
        build.box(
            (face, face + 0.018), (low, high), (z[0] + 0.004, z[1] - 0.004), front, grain='z'
        )
        if k == mirrored:
            glass = Finish('mirror', (0.9, 0.92, 0.95), 'grey')
            build.box(
                (face + 0.018, face + 0.021),
                (low + 0.05, high - 0.05),
                (z[0] + 0.1, z[1] - 0.1),
                glass,
                facing='x',
            )
        elif panelled:
            inner = palette.shade(front, 0.93)
            build.box(
                (face + 0.018, face + 0.024),
                (low + 0.06, high - 0.06),
                (z[0] + 0.07, z[1] - 0.07),
                inner,
                grain='z',
            )
        at = high - 0.04 if k % 2 == 0 and count > 1 else low + 0.04
        middle = (z[0] + z[1]) / 2 + (0 if tall else 0.2 * (z[1] - z[0]))
        build.box(
            (face + 0.018, face + 0.045),
            (at - 0.008, at + 0.008),
            (middle - reach, middle + reach),
            handle,
        )


def cabinet(build: Build, dice: Dice) -> str:
    """Add a sideboard, a kitchen base or a tall cabinet with doors."""
    finish = palette.wood(dice)
    front = finish if dice.chance(0.5) else palette.lacquer(dice)
    kind = dice.pick(('sideboard', 'base', 'base', 'tall'))
    x = dice.metres(0.19, 0.25) if kind != 'base' else dice.metres(0.28, 0.31)
    y = {
        'sideboard': dice.metres(0.55, 0.85),
        'base': dice.metres(0.38, 0.62),
        'tall': dice.metres(0.38, 0.5),
    }[kind]
    top = {
        'sideboard': dice.metres(0.6, 0.85),
        'base': dice.metres(0.86, 0.92),
        'tall': dice.metres(1.2, 1.5),
    }[kind]
    foot = dice.metres(0.05, 0.16) if kind == 'sideboard' else 0.08
    if kind == 'sideboard':
        build.legs(
            (-x + 0.02, x - 0.04), (-y + 0.03, y - 0.03), (0, foot), 0.04, finish, kind='round'
        )
    else:
        build.box((-x + 0.02, x - 0.07), (-y + 0.01, y - 0.01), (0, foot), palette.BLACK)
    build.box((-x, x - 0.02), (-y, y), (foot, top - 0.03), finish, facing='y')
    plate = (
        finish
        if kind != 'base'
        else Finish(f'marble.{dice.count(0, 2)}', (0.8, 0.79, 0.77), 'grey')
    )
    build.box((-x, x), (-y - 0.005, y + 0.005), (top - 0.03, top), plate)
    build.surface(top, (-x + 0.03, x - 0.03), (-y + 0.02, y - 0.02))
    low = foot
    if kind == 'base':
        low, high = foot, top - 0.03
        drawer_fronts(
            build,
            front,
            palette.metal(dice),
            face=x - 0.02,
            y=(-y, y),
            z=(high - 0.16, high),
            rows=1,
        )
        _doors(build, dice, front, face=x - 0.02, y=(-y, y), z=(low, high - 0.16), count=2)
        return front.word
    count = 3 if y > 0.7 else 2
    _doors(build, dice, front, face=x - 0.02, y=(-y, y), z=(low, top - 0.03), count=count)
    return front.word


def shelf(build: Build, dice: Dice) -> str:
    """Add an open bookcase; every board carries things."""
    finish, thick = palette.wood(dice), 0.022
    x, y = dice.metres(0.13, 0.18), dice.metres(0.3, 0.6)
    top = dice.metres(0.75, 2.0)
    boards = max(2, round(top / dice.metres(0.34, 0.42)))
    levels = np.linspace(0.05, top - thick, boards + 1)
    for side in (-y, y - thick):
        build.box((-x, x), (side, side + thick), (0, top), finish)
    for level in levels:
        build.box((-x, x), (-y + thick, y - thick), (level, level + thick), finish)
        build.surface(
            round(float(level) + thick, 4),
            (-x + 0.02, x - 0.01),
            (-y + thick + 0.02, y - thick - 0.02),
        )
    build.box((-x + 0.02, x - 0.03), (-y + thick, y - thick), (0, 0.05), palette.dark(finish))
    if dice.chance(0.75):
        back = finish if dice.chance(0.7) else palette.lacquer(dice)
        build.box((-x, -x + 0.008), (-y + thick, y - thick), (0.05, top), palette.shade(back, 0.9))
    if y > 0.45 and dice.chance(0.3):
        build.box((-x, x - 0.005), (-thick / 2, thick / 2), (0.07, top - thick), finish)
    return finish.word


def dresser(build: Build, dice: Dice) -> str:
    """Add a chest of three to five drawers, one or two columns."""
    finish = palette.wood(dice)
    front = finish if dice.chance(0.65) else palette.lacquer(dice)
    x, y, top = dice.metres(0.2, 0.25), dice.metres(0.38, 0.7), dice.metres(0.72, 1.15)
    foot, rows = dice.metres(0.05, 0.12), dice.count(3, 4)
    build.legs((-x + 0.01, x - 0.03), (-y + 0.01, y - 0.01), (0, foot), 0.05, finish)
    build.box((-x, x - 0.02), (-y, y), (foot, top - 0.028), finish, facing='y')
    build.box((-x, x + 0.01), (-y - 0.012, y + 0.012), (top - 0.028, top), finish)
    build.surface(top, (-x + 0.03, x - 0.02), (-y + 0.02, y - 0.02))
    handle, edges = palette.metal(dice), np.linspace(-y, y, (2 if y > 0.58 else 1) + 1)
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        drawer_fronts(
            build, front, handle, face=x - 0.02, y=(low, high), z=(foot, top - 0.028), rows=rows
        )
    return front.word
