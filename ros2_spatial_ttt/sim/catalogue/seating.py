# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Chairs, armchairs, stools and sofas. Backs are at -x."""

from __future__ import annotations

import numpy as np

from ros2_spatial_ttt.sim.catalogue import palette
from ros2_spatial_ttt.sim.catalogue.build import Build, Dice, Finish

__all__ = ['armchair', 'chair', 'sofa', 'stool']


def chair(build: Build, dice: Dice) -> str:
    """Add a wooden chair, a shell chair or an office chair; return its colour."""
    return dice.pick((_wooden_chair, _wooden_chair, _shell_chair, _office_chair))(build, dice)


def _wooden_chair(build: Build, dice: Dice) -> str:
    wood, thick = palette.wood(dice), dice.metres(0.032, 0.045)
    x, y = dice.metres(0.19, 0.23), dice.metres(0.19, 0.24)
    seat, top = dice.metres(0.43, 0.48), dice.metres(0.82, 1.02)
    build.legs(
        (-x, x), (-y, y), (0, seat - 0.025), thick, wood, kind=dice.pick(('square', 'round'))
    )
    build.box((-x, x + 0.01), (-y - 0.005, y + 0.005), (seat - 0.025, seat), wood)
    for side in (-y, y - thick):
        build.box((-x, -x + thick), (side, side + thick), (seat, top), wood, grain='z')
    _chair_back(build, dice, wood, x=(-x, -x + thick), y=(-y + thick, y - thick), z=(seat, top))
    if dice.chance(0.3):
        for side in (-y, y - thick):
            build.box(
                (-x + thick, x - 0.06), (side, side + thick), (seat + 0.19, seat + 0.22), wood
            )
            build.box((x - 0.1, x - 0.06), (side, side + thick), (seat, seat + 0.19), wood)
    if dice.chance(0.45):
        cover = palette.fabric(dice)
        build.box((-x + thick, x), (-y + 0.01, y - 0.01), (seat, seat + 0.035), cover)
        return wood.word if dice.chance(0.5) else cover.word
    return wood.word


def _chair_back(build: Build, dice: Dice, finish: Finish, *, x, y, z) -> None:
    """Fill the frame of a back with slats, rungs or a panel."""
    kind, (low, top) = dice.pick(('slats', 'rungs', 'panel')), z
    middle, thin = sum(x) / 2, 0.009
    if kind == 'panel':
        board = palette.fabric(dice) if dice.chance(0.5) else finish
        build.box((middle - 0.015, middle + 0.015), y, (low + 0.12, top), board)
        return
    build.box((middle - 0.013, middle + 0.013), y, (top - 0.07, top), finish)
    if kind == 'rungs':
        for at in np.linspace(low + 0.14, top - 0.2, dice.count(1, 2) + 1):
            build.box((middle - thin, middle + thin), y, (at, at + 0.045), finish)
        return
    build.box((middle - thin, middle + thin), y, (low + 0.08, low + 0.12), finish)
    count = dice.count(3, 5)
    for at in np.linspace(y[0], y[1], count + 2)[1:-1]:
        slat = (at - 0.013, at + 0.013)
        build.box(
            (middle - thin, middle + thin), slat, (low + 0.12, top - 0.07), finish, grain='z'
        )


def _shell_chair(build: Build, dice: Dice) -> str:
    shell = palette.plastic(dice)
    leg = palette.wood(dice) if dice.chance(0.6) else palette.metal(dice)
    half, seat = dice.metres(0.21, 0.25), dice.metres(0.43, 0.47)
    top = dice.metres(0.78, 0.9)
    build.legs((-half, half), (-half, half), (0, seat), dice.metres(0.022, 0.036), leg, splay=0.07)
    build.ellipsoid((0.0, 0, seat), (half, half, 0.035), shell)
    build.ellipsoid(
        (0.02, 0, seat + 0.02), (half * 0.8, half * 0.86, 0.03), palette.shade(shell, 1.08)
    )
    _shell_back(build, dice, shell, half=half, seat=seat, top=top)
    if dice.chance(0.4):
        for side in (-half, half):
            build.rod(
                (-half, side, seat + 0.2),
                (half * 0.6, side, seat + 0.2),
                0.018,
                shell,
                round_ends=True,
            )
            build.rod((half * 0.5, side, seat + 0.2), (half * 0.4, side * 0.9, seat), 0.014, shell)
    return shell.word


def _shell_back(build: Build, dice: Dice, shell: Finish, *, half, seat, top) -> None:
    """Add a curved back, round or straight, that grows out of the seat."""
    height, foot = top - seat, -0.86 * half
    build.slab(
        (foot - 0.012, 0, seat + 0.22 * height),
        (0.025, 1.3 * half, 0.46 * height),
        shell,
        pitch=-0.12,
    )
    if dice.chance(0.5):
        build.ellipsoid(
            (foot - 0.035, 0, seat + 0.62 * height),
            (0.028, half * 0.92, 0.38 * height),
            shell,
            pitch=-0.15,
        )
    else:
        build.slab(
            (foot - 0.04, 0, seat + 0.68 * height),
            (0.025, 1.75 * half, 0.62 * height),
            shell,
            pitch=-0.15,
        )


def _office_chair(build: Build, dice: Dice) -> str:
    cover = palette.fabric(dice) if dice.chance(0.7) else palette.leather(dice)
    frame, half = dice.pick((palette.BLACK, palette.CHROME)), dice.metres(0.22, 0.26)
    seat, top = dice.metres(0.45, 0.52), dice.metres(0.9, 1.15)
    for turn in np.arange(5) * 2 * np.pi / 5:
        foot = (0.29 * np.cos(turn), 0.29 * np.sin(turn), 0.055)
        build.rod((0, 0, 0.1), foot, 0.016, frame)
        build.sphere((foot[0], foot[1], 0.03), 0.03, palette.BLACK)
    build.cylinder((0, 0, (0.08 + seat) / 2), 0.028, seat - 0.08, palette.CHROME)
    build.box((-half, half), (-half, half), (seat - 0.01, seat + 0.06), cover)
    build.box((-half - 0.03, -half + 0.03), (-half * 0.92, half * 0.92), (seat + 0.14, top), cover)
    build.box((-half - 0.02, -half + 0.01), (-0.04, 0.04), (seat, seat + 0.16), frame)
    if dice.chance(0.65):
        for side in (-half - 0.03, half + 0.005):
            build.box(
                (-0.14, 0.13), (side, side + 0.025), (seat + 0.2, seat + 0.225), palette.BLACK
            )
            build.box((-0.03, 0.02), (side, side + 0.025), (seat, seat + 0.2), palette.BLACK)
    return cover.word


def armchair(build: Build, dice: Dice) -> str:
    """Add an upholstered chair for one."""
    cover = palette.fabric(dice) if dice.chance(0.75) else palette.leather(dice)
    x, y = dice.metres(0.38, 0.45), dice.metres(0.37, 0.45)
    seat, top, foot = dice.metres(0.4, 0.46), dice.metres(0.8, 1.05), dice.metres(0.05, 0.16)
    arm = dice.metres(0.1, 0.16)
    build.legs(
        (-x + 0.03, x - 0.03),
        (-y + 0.03, y - 0.03),
        (0, foot),
        0.04,
        palette.wood(dice),
        kind='round',
    )
    _upholster(
        build,
        dice,
        cover,
        x=(-x, x),
        y=(-y, y),
        seat=seat,
        top=top,
        foot=foot,
        arm=arm,
        cushions=1,
    )
    if dice.chance(0.3):
        for side in (-y + 0.02, y - 0.08):
            build.box((-x + 0.1, -x + 0.32), (side, side + 0.06), (seat + 0.2, top - 0.03), cover)
    return cover.word


def sofa(build: Build, dice: Dice) -> str:
    """Add a sofa for two or three, some with a chaise longue."""
    cover = palette.fabric(dice) if dice.chance(0.75) else palette.leather(dice)
    x, y = dice.metres(0.41, 0.48), dice.metres(0.72, 1.15)
    seat, top, foot = dice.metres(0.39, 0.45), dice.metres(0.72, 0.92), dice.metres(0.03, 0.14)
    build.legs(
        (-x + 0.03, x - 0.03),
        (-y + 0.03, y - 0.03),
        (0, foot),
        0.05,
        palette.wood(dice),
        kind='square',
    )
    arm = dice.metres(0.1, 0.2)
    _upholster(
        build,
        dice,
        cover,
        x=(-x, x),
        y=(-y, y),
        seat=seat,
        top=top,
        foot=foot,
        arm=arm,
        cushions=2 if y < 0.92 else 3,
    )
    if y > 0.9 and dice.chance(0.4):
        _chaise(build, dice, cover, x=x, y=y - arm, seat=seat, foot=foot)
    for _ in range(dice.count(0, 3)):
        pillow, at = (
            palette.fabric(dice, palette.BRIGHT_AND_CALM),
            dice.metres(-y + 0.35, y - 0.35),
        )
        build.ellipsoid((-x + 0.31, at, seat + 0.16), (0.06, 0.21, 0.17), pillow, pitch=-0.35)
    return cover.word


def _upholster(build, dice, cover, *, x, y, seat, top, foot, arm, cushions) -> None:
    """Add base, back, arms, seat and back cushions."""
    back, rolled = 0.2, dice.chance(0.4)
    build.box(x, y, (foot, seat - 0.13), palette.shade(cover, 0.85))
    build.box((x[0], x[0] + back), y, (foot, top - 0.06), palette.shade(cover, 0.92))
    level = seat + dice.metres(0.12, 0.2)
    for side in (y[0], y[1] - arm):
        build.box(
            (x[0], x[1]),
            (side, side + arm),
            (foot, level - (arm / 2 if rolled else 0)),
            cover,
            facing='y',
        )
        if rolled:
            middle = (0, side + arm / 2, level - arm / 2)
            build.cylinder((sum(x) / 2, *middle[1:]), arm / 2, x[1] - x[0], cover, axis='x')
    edges = np.linspace(y[0] + arm, y[1] - arm, cushions + 1)
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        gap = (low + 0.006, high - 0.006)
        build.box((x[0] + back, x[1] + 0.02), gap, (seat - 0.13, seat), cover, facing='z')
        middle = (gap[0] + gap[1]) / 2
        build.slab(
            (x[0] + back + 0.06, middle, (seat + top) / 2),
            (0.15, gap[1] - gap[0], top - seat - 0.04),
            palette.shade(cover, 1.05),
            pitch=-0.12,
        )


def _chaise(build: Build, dice: Dice, cover: Finish, *, x, y, seat, foot) -> None:
    """Add the long seat of an L-shape at the left or right end."""
    reach, wide = dice.metres(0.5, 0.75), dice.metres(0.6, 0.72)
    side = (y - wide, y) if dice.chance(0.5) else (-y, -y + wide)
    build.box((x, x + reach), side, (foot, seat - 0.13), palette.shade(cover, 0.85))
    build.box((x + 0.02, x + reach), side, (seat - 0.13, seat), cover, facing='z')
    at = side[0] + 0.03
    build.box((x + reach - 0.06, x + reach - 0.01), (at, at + 0.05), (0, foot), palette.BLACK)
    build.box(
        (x + reach - 0.06, x + reach - 0.01),
        (side[1] - 0.08, side[1] - 0.03),
        (0, foot),
        palette.BLACK,
    )


def stool(build: Build, dice: Dice) -> str:
    """Add a stool with three or four legs, a bar stool, or a pouf."""
    kind = dice.pick(('round', 'round', 'square', 'bar', 'pouf'))
    if kind == 'pouf':
        return _pouf(build, dice)
    finish = palette.wood(dice) if dice.chance(0.7) else palette.plastic(dice)
    leg = finish if dice.chance(0.6) else palette.metal(dice)
    top = dice.metres(0.62, 0.76) if kind == 'bar' else dice.metres(0.42, 0.5)
    half = dice.metres(0.16, 0.2)
    thick = dice.metres(0.025, 0.04)
    build.legs((-half, half), (-half, half), (0, top - 0.03), thick, leg, kind='round', splay=0.04)
    if kind == 'square':
        build.box((-half, half), (-half, half), (top - 0.035, top), finish)
    else:
        build.cylinder((0, 0, top - 0.0175), half, 0.035, finish)
    if kind == 'bar':
        for side in (-half + 0.03, half - 0.03):
            build.rod((side, -half + 0.03, 0.22), (side, half - 0.03, 0.22), 0.009, leg)
            build.rod((-half + 0.03, side, 0.3), (half - 0.03, side, 0.3), 0.009, leg)
    if dice.chance(0.3):
        cover = palette.fabric(dice)
        build.cylinder((0, 0, top + 0.02), half * 0.95, 0.04, cover)
        top += 0.04
        return cover.word
    build.surface(top, (-0.6 * half, 0.6 * half), (-0.6 * half, 0.6 * half))
    return finish.word


def _pouf(build: Build, dice: Dice) -> str:
    cover, radius, top = palette.fabric(dice), dice.metres(0.2, 0.28), dice.metres(0.36, 0.46)
    for turn in np.arange(3) * 2 * np.pi / 3:
        build.cylinder(
            (0.7 * radius * np.cos(turn), 0.7 * radius * np.sin(turn), 0.015),
            0.02,
            0.03,
            palette.BLACK,
        )
    build.cylinder((0, 0, (0.03 + top - 0.04) / 2), radius, top - 0.07, cover)
    build.ellipsoid(
        (0, 0, top - 0.04), (radius * 0.98, radius * 0.98, 0.04), palette.shade(cover, 1.08)
    )
    build.cylinder((0, 0, top - 0.045), radius * 1.01, 0.012, palette.dark(cover))
    return cover.word
