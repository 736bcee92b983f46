# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Lamps, televisions, monitors and laptops."""

from __future__ import annotations

import numpy as np

from ros2_spatial_ttt.sim.catalogue import palette
from ros2_spatial_ttt.sim.catalogue.build import Build, Dice, Finish
from ros2_spatial_ttt.sim.catalogue.palette import BLACK, STEEL

__all__ = ['floor_lamp', 'laptop', 'monitor', 'stand_tv', 'table_lamp', 'wall_tv']


def _screen(dice: Dice) -> Finish:
    """Return what a screen shows; every second one is off."""
    if dice.chance(0.5):
        return Finish('screen.off', (0.07, 0.075, 0.09), 'black')
    return Finish(f'screen.{dice.count(0, 11)}', (1.0, 1.0, 1.0), 'black')


def _lamp_shade(dice: Dice) -> Finish:
    word = dice.pick(
        ('white', 'beige', 'beige', 'yellow', 'orange', 'red', 'green', 'blue', 'grey')
    )
    return palette.fabric(dice, (word,))._replace(material='lampshade')


def floor_lamp(build: Build, dice: Dice) -> str:
    """Add a standing lamp: shade on a pole, tripod, arc, or a globe."""
    cover, metal, top = _lamp_shade(dice), palette.metal(dice), dice.metres(1.35, 1.75)
    kind = dice.pick(('pole', 'tripod', 'globe', 'arc'))
    wide, tall = dice.metres(0.17, 0.25), dice.metres(0.22, 0.36)
    if kind == 'tripod':
        wood = palette.wood(dice)
        for turn in np.arange(3) * 2 * np.pi / 3:
            foot = (0.26 * np.cos(turn), 0.26 * np.sin(turn), 0.0)
            build.rod(foot, (0.02 * np.cos(turn), 0.02 * np.sin(turn), top - tall), 0.014, wood)
        _shade(build, (0, 0, top - tall / 2), wide, tall, cover)
        return cover.word
    build.cylinder((0, 0, 0.0125), dice.metres(0.13, 0.17), 0.025, metal)
    reach = dice.metres(0.3, 0.5) if kind == 'arc' else 0.0
    build.cylinder((0, 0, (top - tall) / 2), 0.014, top - tall, metal)
    if kind == 'arc':
        build.rod((0, 0, top - tall), (reach / 2, 0, top + 0.12), 0.012, metal, round_ends=True)
        build.rod(
            (reach / 2, 0, top + 0.12), (reach, 0, top - 0.02), 0.012, metal, round_ends=True
        )
    if kind == 'globe':
        build.sphere((0, 0, top - wide * 0.9), wide * 0.9, cover)
    else:
        _shade(build, (reach, 0, top - tall / 2), wide, tall, cover)
    return cover.word


def _shade(build: Build, middle, wide: float, tall: float, cover: Finish) -> None:
    """Add a drum with darker rims."""
    x, y, z = middle
    build.cylinder((x, y, z), wide, tall, cover)
    for edge in (-1, 1):
        build.cylinder(
            (x, y, z + edge * (tall / 2 - 0.005)), wide * 1.01, 0.012, palette.shade(cover, 0.75)
        )


def table_lamp(build: Build, dice: Dice) -> str:
    """Add a small lamp with a shade on a body, or a desk lamp with an arm."""
    cover, metal = _lamp_shade(dice), palette.metal(dice)
    if dice.chance(0.35):
        return _desk_lamp(build, dice)
    body, top = palette.ceramic(dice), dice.metres(0.36, 0.55)
    tall, wide = 0.42 * top, dice.metres(0.1, 0.16)
    build.cylinder((0, 0, 0.01), dice.metres(0.06, 0.08), 0.02, metal)
    neck = top - tall
    if dice.chance(0.6):
        build.ellipsoid((0, 0, 0.02 + 0.42 * neck), (0.065, 0.065, 0.42 * neck), body)
    else:
        build.cylinder((0, 0, 0.42 * neck), 0.045, 0.8 * neck, body)
    build.cylinder((0, 0, 0.5 * neck), 0.012, neck, metal)
    _shade(build, (0, 0, top - tall / 2), wide, tall, cover)
    return cover.word


def _desk_lamp(build: Build, dice: Dice) -> str:
    finish, low = palette.plastic(dice), dice.metres(0.2, 0.28)
    build.cylinder((0, 0, 0.012), 0.075, 0.024, finish)
    build.rod((0, 0, 0.02), (-0.08, 0, low), 0.008, STEEL)
    build.sphere((-0.08, 0, low), 0.014, BLACK)
    build.rod((-0.08, 0, low), (0.12, 0, low + 0.16), 0.008, STEEL)
    build.rod((0.1, 0, low + 0.18), (0.16, 0, low + 0.1), 0.06, finish)
    build.sphere((0.15, 0, low + 0.115), 0.045, Finish('lampshade', (0.98, 0.94, 0.78), 'white'))
    return finish.word


def _television(build: Build, dice: Dice, *, low: float) -> tuple[float, float]:
    """Add the screen with its lower edge at ``low``; return half width and height."""
    y = dice.metres(0.4, 0.72)
    high = low + 2 * y * 9 / 16 + 0.02
    build.box((-0.02, 0.02), (-y, y), (low, high), BLACK, facing='x')
    build.box(
        (0.02, 0.022),
        (-y + 0.012, y - 0.012),
        (low + 0.02, high - 0.012),
        _screen(dice),
        facing='x',
    )
    build.box((-0.045, -0.02), (-0.5 * y, 0.5 * y), (low + 0.1, high - 0.15), BLACK, facing='x')
    build.box((0.02, 0.023), (-0.02, 0.02), (low + 0.005, low + 0.012), STEEL, facing='x')
    return y, high


def stand_tv(build: Build, dice: Dice) -> str:
    """Add a television on a foot or on two feet."""
    y, _ = _television(build, dice, low=0.07)
    foot = dice.pick((BLACK, STEEL))
    if dice.chance(0.5):
        build.box((-0.1, 0.1), (-0.4 * y, 0.4 * y), (0, 0.015), foot)
        build.box((-0.03, 0.0), (-0.06, 0.06), (0.01, 0.1), foot, facing='x')
    else:
        for side in (-0.7 * y, 0.7 * y):
            build.box((-0.11, 0.11), (side - 0.015, side + 0.015), (0, 0.018), foot)
            build.box((-0.015, 0.01), (side - 0.015, side + 0.015), (0.01, 0.09), foot)
    return 'black'


def wall_tv(build: Build, dice: Dice) -> str:
    """Add a television with a bracket to the wall behind it."""
    _television(build, dice, low=0.0)
    build.box((-0.075, -0.045), (-0.12, 0.12), (0.2, 0.32), STEEL, facing='x')
    return 'black'


def monitor(build: Build, dice: Dice) -> str:
    """Add a computer screen on a stand."""
    rim = dice.pick((BLACK, BLACK, STEEL, palette.WHITE))
    y, low = dice.metres(0.24, 0.38), dice.metres(0.09, 0.15)
    high = low + 2 * y * dice.pick((9 / 16, 10 / 16)) + 0.02
    build.box((-0.015, 0.015), (-y, y), (low, high), rim, facing='x')
    build.box(
        (0.015, 0.017),
        (-y + 0.012, y - 0.012),
        (low + 0.02, high - 0.012),
        _screen(dice),
        facing='x',
    )
    build.box((-0.035, -0.015), (-0.1, 0.1), (low + 0.06, high - 0.06), rim, facing='x')
    build.rod((-0.045, 0, 0.01), (-0.045, 0, low + 0.15), 0.018, rim)
    if dice.chance(0.5):
        build.cylinder((-0.02, 0, 0.007), 0.11, 0.014, rim)
    else:
        build.box((-0.12, 0.09), (-0.13, 0.13), (0, 0.014), rim)
    return rim.word


def laptop(build: Build, dice: Dice) -> str:
    """Add an open laptop; its user sits at +x."""
    body = dice.pick(
        (STEEL, STEEL, BLACK, palette.plastic(dice, ('white', 'blue', 'red', 'pink')))
    )
    x, y = dice.metres(0.105, 0.13), dice.metres(0.15, 0.19)
    build.box((-x, x), (-y, y), (0, 0.016), body, facing='z')
    keys = Finish('keyboard', (1, 1, 1), 'black')
    build.slab((-0.25 * x, 0, 0.017), (1.1 * x, 1.85 * y, 0.003), keys)
    build.box(
        (0.45 * x, 0.92 * x), (-0.25 * y, 0.25 * y), (0.016, 0.018), palette.shade(body, 0.8)
    )
    tall, lean = 1.85 * x, dice.metres(0.15, 0.35)
    up, out = np.array([-np.sin(lean), 0, np.cos(lean)]), np.array([np.cos(lean), 0, np.sin(lean)])
    hinge = np.array([-x + 0.005, 0, 0.012])
    build.slab(hinge + up * tall / 2, (0.009, 2 * y, tall), body, pitch=-lean)
    middle = hinge + up * (tall / 2) + out * 0.005
    build.picture(middle, 2 * y - 0.024, tall - 0.025, _screen(dice), lean=lean)
    return body.word
