# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Tables, desks, coffee tables and nightstands. Undersides are open: chairs go there."""

from __future__ import annotations

import numpy as np

from ros2_spatial_ttt.sim.catalogue import palette
from ros2_spatial_ttt.sim.catalogue.build import Build, Dice, Finish

__all__ = ['coffee_table', 'desk', 'nightstand', 'table']


def table(build: Build, dice: Dice) -> str:
    """Add a dining table, with its longer side along y, or a round one."""
    top, thick = dice.metres(0.72, 0.77), dice.metres(0.025, 0.05)
    finish = palette.wood(dice)
    leg = finish if dice.chance(0.65) else palette.metal(dice)
    if dice.chance(0.25):
        return _round_table(build, dice, finish, leg, top=top, radius=dice.metres(0.45, 0.62))
    x, y = dice.metres(0.36, 0.48), dice.metres(0.5, 1.0)
    _top(build, finish, x=x, y=y, top=top, thick=thick)
    if dice.chance(0.25):
        _trestles(build, leg, x=x, y=y, under=top - thick)
        return finish.word
    wide, inset = dice.metres(0.045, 0.085), dice.metres(0.0, 0.06)
    build.legs(
        (-x + inset, x - inset),
        (-y + inset, y - inset),
        (0, top - thick),
        wide,
        leg,
        kind=dice.pick(('square', 'square', 'round')),
        splay=dice.pick((0.0, 0.0, 0.05)),
    )
    _apron(build, finish, x=x - inset - 0.02, y=y - inset - 0.02, under=top - thick)
    return finish.word


def _top(build: Build, finish: Finish, *, x: float, y: float, top: float, thick: float) -> None:
    build.box((-x, x), (-y, y), (top - thick, top), finish)
    build.surface(top, (-x + 0.03, x - 0.03), (-y + 0.03, y - 0.03))


def _apron(build: Build, finish: Finish, *, x: float, y: float, under: float) -> None:
    """Add the boards below a top that join its legs."""
    for side in (-1, 1):
        build.box((side * x - 0.01, side * x + 0.01), (-y, y), (under - 0.08, under), finish)
        build.box((-x, x), (side * y - 0.01, side * y + 0.01), (under - 0.08, under), finish)


def _trestles(build: Build, finish: Finish, *, x: float, y: float, under: float) -> None:
    for side in (-0.72 * y, 0.72 * y):
        for lean in (-1, 1):
            build.rod((lean * (x - 0.05), side, 0.0), (lean * 0.08, side, under), 0.025, finish)
        build.box((-x + 0.1, x - 0.1), (side - 0.02, side + 0.02), (0.16, 0.2), finish)
    build.box((-0.02, 0.02), (-0.72 * y, 0.72 * y), (0.16, 0.2), finish)


def _round_table(build, dice, finish, leg, *, top: float, radius: float) -> str:
    build.cylinder((0, 0, top - 0.0175), radius, 0.035, finish)
    build.surface(top, (-0.65 * radius, 0.65 * radius), (-0.65 * radius, 0.65 * radius))
    if dice.chance(0.5):
        build.cylinder((0, 0, top / 2), 0.045, top - 0.04, leg)
        build.cylinder((0, 0, 0.015), 0.55 * radius, 0.03, leg)
        return finish.word
    reach = 0.72 * radius
    build.legs(
        (-reach, reach), (-reach, reach), (0, top - 0.03), 0.05, leg, kind='round', splay=0.06
    )
    return finish.word


def desk(build: Build, dice: Dice) -> str:
    """Add a desk; one sits at its +x side."""
    finish, top = palette.wood(dice), dice.metres(0.71, 0.77)
    x, y, thick = dice.metres(0.28, 0.4), dice.metres(0.56, 0.85), dice.metres(0.022, 0.035)
    _top(build, finish, x=x, y=y, top=top, thick=thick)
    # Two blocks of drawers need a desk wide enough for knees between them.
    kinds = ('left', 'right', 'none', *(('both',) if y > 0.7 else ()))
    under, drawers = top - thick, dice.pick(kinds)
    front = finish if dice.chance(0.5) else palette.lacquer(dice)
    sides = {'left': (1,), 'right': (-1,), 'none': (), 'both': (-1, 1)}[drawers]
    for side in (-1, 1):
        if side in sides:
            _drawer_block(build, dice, finish, front, x=x, y=side * (y - 0.21), under=under)
        else:
            _desk_end(build, dice, finish, x=x, y=side * (y - 0.03), under=under)
    build.box(
        (-x + 0.03, -x + 0.045), (-y + 0.05, y - 0.05), (under - 0.34, under), finish, grain='y'
    )
    return finish.word


def _desk_end(build: Build, dice: Dice, finish: Finish, *, x, y, under) -> None:
    """Add a panel, or two legs."""
    if dice.chance(0.4):
        build.box((-x + 0.02, x - 0.04), (y - 0.015, y + 0.015), (0, under), finish)
        return
    for at in (-x + 0.05, x - 0.05):
        build.box((at - 0.022, at + 0.022), (y - 0.022, y + 0.022), (0, under), finish, grain='z')


def _drawer_block(build, dice, finish: Finish, front: Finish, *, x, y, under) -> None:
    low, span = dice.metres(0.0, 0.12), (y - 0.19, y + 0.19)
    build.box((-x + 0.02, x - 0.04), span, (low, under), finish, facing='y')
    drawer_fronts(build, front, palette.metal(dice), face=x - 0.04, y=span, z=(low, under), rows=3)
    if low > 0.03:
        for at in (-x + 0.06, x - 0.08):
            build.box((at - 0.02, at + 0.02), (y - 0.17, y + 0.17), (0, low), palette.dark(finish))


def drawer_fronts(build: Build, front: Finish, handle: Finish, *, face, y, z, rows) -> None:
    """Add rows of drawers with a bar handle to a face that looks along x."""
    edges = np.linspace(z[0], z[1], rows + 1)
    middle = (y[0] + y[1]) / 2
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        build.box(
            (face, face + 0.014),
            (y[0] + 0.008, y[1] - 0.008),
            (low + 0.008, high - 0.008),
            front,
            grain='y',
        )
        reach, at = min(0.09, 0.3 * (y[1] - y[0])), (low + high) / 2
        build.box(
            (face + 0.014, face + 0.03),
            (middle - reach, middle + reach),
            (at - 0.008, at + 0.008),
            handle,
        )


def coffee_table(build: Build, dice: Dice) -> str:
    """Add a low table: with a shelf, on a block, round, or of glass."""
    finish, top = palette.wood(dice), dice.metres(0.33, 0.48)
    leg = finish if dice.chance(0.6) else palette.metal(dice)
    plate = palette.WATER if dice.chance(0.2) else finish
    if dice.chance(0.35):
        radius = dice.metres(0.28, 0.48)
        build.cylinder((0, 0, top - 0.0125), radius, 0.025, plate)
        build.surface(top, (-0.65 * radius, 0.65 * radius), (-0.65 * radius, 0.65 * radius))
        reach = 0.66 * radius
        build.legs(
            (-reach, reach),
            (-reach, reach),
            (0, top - 0.02),
            0.035,
            leg,
            kind='round',
            splay=dice.pick((0.0, 0.05)),
        )
        return plate.word
    x, y = dice.metres(0.25, 0.36), dice.metres(0.42, 0.65)
    _top(build, plate, x=x, y=y, top=top, thick=0.03)
    build.legs(
        (-x + 0.02, x - 0.02),
        (-y + 0.02, y - 0.02),
        (0, top - 0.03),
        0.05,
        leg,
        kind=dice.pick(('square', 'round')),
    )
    if dice.chance(0.5):
        build.box((-x + 0.04, x - 0.04), (-y + 0.04, y - 0.04), (0.1, 0.12), finish)
    return plate.word


def nightstand(build: Build, dice: Dice) -> str:
    """Add a small cabinet for beside a bed."""
    finish = palette.wood(dice)
    front = finish if dice.chance(0.6) else palette.lacquer(dice)
    x, y, top = dice.metres(0.17, 0.22), dice.metres(0.19, 0.27), dice.metres(0.42, 0.6)
    _top(build, finish, x=x, y=y, top=top, thick=0.025)
    body = dice.pick(('drawers', 'drawers', 'open'))
    low = dice.metres(0.05, 0.2) if body == 'drawers' else top - 0.2
    build.legs((-x + 0.01, x - 0.015), (-y + 0.01, y - 0.01), (0, low), 0.035, finish)
    build.box(
        (-x + 0.005, x - 0.02), (-y + 0.005, y - 0.005), (low, top - 0.025), finish, facing='y'
    )
    rows = max(1, round((top - low) / 0.19))
    drawer_fronts(
        build,
        front,
        palette.metal(dice),
        face=x - 0.02,
        y=(-y + 0.005, y - 0.005),
        z=(low, top - 0.025),
        rows=rows,
    )
    if body == 'open':
        build.box((-x + 0.02, x - 0.03), (-y + 0.02, y - 0.02), (0.12, 0.14), finish)
    return finish.word
