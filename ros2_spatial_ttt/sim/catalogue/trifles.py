# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Bottles, mugs, books and vases, pictures and mirrors, and the leaf of a door."""

from __future__ import annotations

import numpy as np

from ros2_spatial_ttt.sim.catalogue import palette
from ros2_spatial_ttt.sim.catalogue.build import Build, Dice, Finish

__all__ = ['book', 'bottle', 'door', 'mirror', 'mug', 'picture', 'vase']

PICTURES = 48
COVERS = 24


def bottle(build: Build, dice: Dice) -> str:
    """Add a bottle with neck, cap and label."""
    glass = palette.plastic(
        dice, ('green', 'brown', 'blue', 'white', 'red', 'yellow', 'orange', 'turquoise')
    )
    glass = glass._replace(material='glass')
    radius, top = dice.metres(0.034, 0.05), dice.metres(0.2, 0.34)
    body = top * dice.metres(0.55, 0.66)
    build.cylinder((0, 0, body / 2), radius, body, glass)
    build.ellipsoid((0, 0, body), (radius, radius, 0.2 * top), glass)
    build.cylinder((0, 0, (body + top) / 2), 0.36 * radius, top - body, glass)
    build.cylinder((0, 0, top - 0.012), 0.46 * radius, 0.03, palette.plastic(dice))
    label = palette.plastic(dice, ('white', 'beige', 'yellow', 'red', 'blue'))
    build.cylinder((0, 0, 0.5 * body), radius * 1.015, 0.4 * body, label)
    build.cylinder((0, 0, 0.5 * body), radius * 1.025, 0.08 * body, palette.plastic(dice))
    return glass.word


def mug(build: Build, dice: Dice) -> str:
    """Add a mug with a handle at +x, some with a band, filled."""
    glaze, radius, top = palette.ceramic(dice), dice.metres(0.036, 0.046), dice.metres(0.08, 0.12)
    build.cylinder((0, 0, top / 2), radius, top, glaze)
    build.cylinder((0, 0, top), 0.86 * radius, 0.002, Finish('glass', (0.2, 0.11, 0.06), 'brown'))
    reach = radius + 0.026
    for z in (0.28 * top, 0.76 * top):
        build.rod((radius * 0.8, 0, z), (reach, 0, z), 0.006, glaze, round_ends=True)
    build.rod(
        (reach - 0.006, 0, 0.26 * top),
        (reach - 0.006, 0, 0.78 * top),
        0.006,
        glaze,
        round_ends=True,
    )
    if dice.chance(0.5):
        build.cylinder(
            (0, 0, top * dice.metres(0.35, 0.65)),
            radius * 1.012,
            0.22 * top,
            palette.ceramic(dice),
        )
    return glaze.word


def book(build: Build, dice: Dice) -> str:
    """Add one lying book, a stack, or a row that stands; spines look to +x."""
    kind = dice.pick(('one', 'stack', 'row', 'row'))
    if kind == 'row':
        return _row(build, dice)
    x, y, z, words = dice.metres(0.09, 0.12), dice.metres(0.12, 0.15), 0.0, []
    for _ in range(1 if kind == 'one' else dice.count(3, 5)):
        thick, slip = dice.metres(0.018, 0.045), dice.metres(0.85, 1.0)
        words.append(_lying(build, dice, x=x * slip, y=y * slip, z=(z, z + thick)))
        z = round(z + thick, 4)
    return words[-1]


def _cover(dice: Dice) -> Finish:
    word = dice.pick((*palette.BRIGHT, 'white', 'black', 'brown', 'beige'))
    return palette.paint(dice, (word,))


def _lying(build: Build, dice: Dice, *, x: float, y: float, z: tuple[float, float]) -> str:
    cover = _cover(dice)
    build.box((-x, x), (-y, y), (z[0], z[0] + 0.003), cover)
    build.box(
        (-x + 0.004, x - 0.003),
        (-y + 0.004, y - 0.004),
        (z[0] + 0.003, z[1] - 0.003),
        Finish('paper', (0.93, 0.9, 0.82), 'white'),
        facing='y',
    )
    build.box(
        (-x, x),
        (-y, y),
        (z[1] - 0.003, z[1]),
        cover._replace(material=f'cover.{dice.count(0, COVERS - 1)}'),
    )
    build.box((x - 0.003, x), (-y, y), z, cover)
    return cover.word


def _row(build: Build, dice: Dice) -> str:
    """Add standing books, the last of them leaning."""
    depth, at, words = dice.metres(0.075, 0.1), 0.0, []
    for _ in range(dice.count(4, 9)):
        thick, tall, cover = dice.metres(0.018, 0.05), dice.metres(0.18, 0.27), _cover(dice)
        build.box(
            (-depth, depth - dice.metres(0.0, 0.02)),
            (at, at + thick - 0.001),
            (0, tall),
            cover,
            facing='x',
        )
        if dice.chance(0.5):
            spine = (
                palette.shade(cover, 0.6)
                if dice.chance(0.5)
                else palette.paint(dice, ('white', 'yellow', 'black'))
            )
            low = tall * dice.metres(0.55, 0.75)
            build.box(
                (depth - 0.001, depth + 0.001),
                (at, at + thick - 0.001),
                (low, low + 0.04),
                spine,
                facing='x',
            )
        words.append(cover.word)
        at = round(at + thick, 4)
    return max(words, key=lambda word: (words.count(word), word))


def vase(build: Build, dice: Dice) -> str:
    """Add a vase, every second one with flowers."""
    glaze, top, belly = palette.ceramic(dice), dice.metres(0.16, 0.34), dice.metres(0.05, 0.085)
    build.cylinder((0, 0, 0.01), 0.6 * belly, 0.02, glaze)
    build.ellipsoid((0, 0, 0.4 * top), (belly, belly, 0.38 * top), glaze)
    build.cylinder((0, 0, 0.8 * top), 0.42 * belly, 0.4 * top - 0.01, glaze)
    build.cylinder((0, 0, top - 0.008), 0.6 * belly, 0.016, palette.shade(glaze, 0.85))
    build.cylinder((0, 0, top), 0.45 * belly, 0.002, palette.shade(glaze, 0.25))
    if dice.chance(0.4):
        build.cylinder((0, 0, 0.42 * top), belly * 1.01, 0.06 * top, palette.ceramic(dice))
    if dice.chance(0.5):
        _flowers(build, dice, low=top, reach=belly)
    return glaze.word


def _flowers(build: Build, dice: Dice, *, low: float, reach: float) -> None:
    stem, bloom = (
        Finish('leaf', (0.2, 0.45, 0.2), 'green'),
        palette.plastic(dice, ('red', 'yellow', 'pink', 'white', 'purple', 'orange')),
    )
    for k in range(dice.count(3, 5)):
        turn, out = 2.4 * k, reach * dice.metres(0.5, 1.3)
        head = (out * np.cos(turn), out * np.sin(turn), low + dice.metres(0.1, 0.2))
        build.rod((0, 0, low - 0.01), head, 0.003, stem)
        build.ellipsoid(head, (0.026, 0.026, 0.02), palette.shade(bloom, dice.metres(0.85, 1.1)))


def picture(build: Build, dice: Dice) -> str:
    """Add a framed painting; it hangs with its back at -x."""
    y, z, rim = dice.metres(0.16, 0.55), dice.metres(0.16, 0.42), dice.metres(0.015, 0.05)
    frame = palette.wood(dice) if dice.chance(0.7) else palette.metal(dice)
    _frame(build, frame, y=y, z=z, rim=rim)
    inner = (0.012 if min(y, z) < 0.25 or dice.chance(0.4) else 0.06) + rim
    build.box(
        (0.0, 0.01),
        (-y + rim, y - rim),
        (-z + rim, z - rim),
        Finish('paper', (0.94, 0.93, 0.89), 'white'),
        facing='x',
    )
    build.box(
        (0.01, 0.012),
        (-y + inner, y - inner),
        (-z + inner, z - inner),
        Finish(f'painting.{dice.count(0, PICTURES - 1)}', (1, 1, 1), frame.word),
        facing='x',
    )
    return frame.word


def _frame(build: Build, frame: Finish, *, y: float, z: float, rim: float) -> None:
    for side in (-1, 1):
        build.box(
            (0, 0.025),
            (-y, y),
            tuple(sorted((side * z, side * (z - rim)))),
            frame,
            facing='',
            grain='y',
        )
        build.box(
            (0, 0.025),
            tuple(sorted((side * y, side * (y - rim)))),
            (-z + rim, z - rim),
            frame,
            grain='z',
        )


def mirror(build: Build, dice: Dice) -> str:
    """Add a mirror: framed, bare, or round."""
    glass, frame = (
        Finish('mirror', (0.9, 0.92, 0.95), 'grey'),
        palette.wood(dice) if dice.chance(0.6) else palette.metal(dice),
    )
    if dice.chance(0.3):
        radius = dice.metres(0.22, 0.38)
        build.cylinder((0.01, 0, 0), radius, 0.02, frame, axis='x')
        build.cylinder((0.012, 0, 0), radius - 0.02, 0.022, glass, axis='x')
        build.box((0, 0.006), (-0.04, 0.04), (-0.04, 0.04), frame, facing='x')
        build.cylinder((0.002, 0, 0), radius - 0.03, 0.004, frame, axis='x')
        return frame.word
    y, z, rim = dice.metres(0.2, 0.42), dice.metres(0.28, 0.75), dice.metres(0.015, 0.05)
    _frame(build, frame, y=y, z=z, rim=rim)
    build.box((0.0, 0.012), (-y + rim, y - rim), (-z + rim, z - rim), glass, facing='x')
    return frame.word


def door(build: Build, dice: Dice) -> str:
    """Add the leaf of a door with handles on both sides; hinges are at -y."""
    finish = palette.wood(dice)
    if dice.chance(0.4):
        finish = palette.paint(dice, ('white', 'white', 'white', 'grey', 'beige', 'green'))
    y, top, metal = (
        dice.pick((0.39, 0.41, 0.44)),
        dice.pick((1.98, 2.0, 2.03)),
        palette.metal(dice),
    )
    build.box((-0.02, 0.02), (-y, y), (0, top), finish)
    inner, kind = palette.shade(finish, 0.84), dice.pick(('plain', 'two', 'two', 'three', 'glass'))
    rows = {
        'plain': (),
        'two': ((0.15, 0.85), (1.1, 1.85)),
        'three': ((0.15, 0.6), (0.75, 1.2), (1.35, 1.85)),
        'glass': ((0.9, 1.85),),
    }[kind]
    panel = Finish('glass', (0.72, 0.8, 0.82), 'grey') if kind == 'glass' else inner
    for low, high in rows:
        build.box((-0.023, 0.023), (-y + 0.13, y - 0.13), (low, high), panel, grain='z')
    for side in (-1, 1):
        build.box(
            tuple(sorted((side * 0.02, side * 0.026))),
            (y - 0.08, y - 0.04),
            (0.92, 1.14),
            metal,
            facing='x',
        )
        build.rod((side * 0.02, y - 0.06, 1.03), (side * 0.06, y - 0.06, 1.03), 0.009, metal)
        build.rod(
            (side * 0.06, y - 0.05, 1.03),
            (side * 0.06, y - 0.18, 1.03),
            0.009,
            metal,
            round_ends=True,
        )
    return finish.word
