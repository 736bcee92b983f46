# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Colours with names, and the finishes that furniture is made in."""

from __future__ import annotations

import numpy as np

from ros2_spatial_ttt.sim.catalogue.build import Dice, Finish

__all__ = [
    'BLACK',
    'BRIGHT_AND_CALM',
    'CHROME',
    'COLOURS',
    'DARK_GLASS',
    'STEEL',
    'WATER',
    'WHITE',
    'ceramic',
    'dark',
    'fabric',
    'lacquer',
    'leather',
    'metal',
    'paint',
    'plastic',
    'shade',
    'wood',
]

COLOURS = {
    'white': (0.90, 0.89, 0.86),
    'black': (0.10, 0.10, 0.11),
    'grey': (0.50, 0.51, 0.53),
    'red': (0.72, 0.13, 0.12),
    'orange': (0.90, 0.45, 0.12),
    'yellow': (0.92, 0.76, 0.20),
    'green': (0.22, 0.48, 0.26),
    'blue': (0.16, 0.32, 0.64),
    'turquoise': (0.20, 0.60, 0.60),
    'purple': (0.42, 0.24, 0.54),
    'pink': (0.90, 0.58, 0.66),
    'brown': (0.42, 0.27, 0.16),
    'beige': (0.80, 0.72, 0.58),
}
WOODS = {
    'oak': ((0.78, 0.58, 0.37), 'brown'),
    'walnut': ((0.45, 0.29, 0.18), 'brown'),
    'pine': ((0.90, 0.72, 0.46), 'beige'),
    'cherry': ((0.62, 0.33, 0.19), 'brown'),
    'birch': ((0.93, 0.82, 0.62), 'beige'),
    'white': ((0.95, 0.94, 0.91), 'white'),
    'ebony': ((0.21, 0.17, 0.15), 'black'),
    'ash': ((0.60, 0.57, 0.53), 'grey'),
}
BRIGHT = ('red', 'orange', 'yellow', 'green', 'blue', 'turquoise', 'purple', 'pink')
BRIGHT_AND_CALM = (*BRIGHT, 'white', 'grey', 'beige')
CALM = ('white', 'grey', 'beige', 'brown', 'blue', 'green', 'red', 'black', 'turquoise', 'orange')

CHROME = Finish('chrome', (0.80, 0.81, 0.83), 'grey')
STEEL = Finish('steel', (0.72, 0.73, 0.75), 'grey')
BLACK = Finish('plastic', (0.09, 0.09, 0.10), 'black')
WHITE = Finish('plastic', (0.92, 0.92, 0.91), 'white')
DARK_GLASS = Finish('glass', (0.10, 0.11, 0.13), 'black')
WATER = Finish('glass', (0.62, 0.74, 0.80), 'grey')


def _tint(dice: Dice, word: str, spread: float = 0.12) -> tuple:
    """Return a colour that one would still call by the word."""
    base = np.array(COLOURS[word]) * (1 + dice.metres(-spread, spread))
    return tuple(np.clip(base + [dice.metres(-0.03, 0.03) for _ in range(3)], 0.03, 0.97))


def wood(dice: Dice, kinds: tuple[str, ...] = tuple(WOODS)) -> Finish:
    """Return a finish with grain."""
    colour, word = WOODS[dice.pick(kinds)]
    tone = 1 + dice.metres(-0.1, 0.04)
    return Finish(f'wood.{dice.count(0, 5)}', tuple(tone * c for c in colour), word)


def fabric(dice: Dice, words: tuple[str, ...] = CALM) -> Finish:
    """Return a cloth."""
    word = dice.pick(words)
    return Finish(f'fabric.{dice.count(0, 7)}', _tint(dice, word), word)


def leather(dice: Dice) -> Finish:
    """Return a leather."""
    word = dice.pick(('black', 'brown', 'brown', 'white', 'red', 'beige'))
    return Finish('leather', _tint(dice, word), word)


def paint(dice: Dice, words: tuple[str, ...] = CALM) -> Finish:
    """Return a mat paint in one of some colours."""
    word = dice.pick(words)
    return Finish('paint', _tint(dice, word), word)


def lacquer(dice: Dice) -> Finish:
    """Return a paint for fronts of furniture: mostly quiet, never as loud as plastic."""
    word = dice.pick(
        (
            'white',
            'white',
            'white',
            'grey',
            'grey',
            'beige',
            'green',
            'blue',
            'turquoise',
            'red',
            'yellow',
            'black',
        )
    )
    colour = tuple(0.8 * c + 0.2 * 0.55 for c in _tint(dice, word))
    return Finish('paint', colour, word)


def plastic(dice: Dice, words: tuple[str, ...] = (*BRIGHT, 'white', 'black', 'grey')) -> Finish:
    """Return a plastic in one of some colours."""
    word = dice.pick(words)
    return Finish('plastic', _tint(dice, word), word)


def ceramic(dice: Dice, words: tuple[str, ...] = (*BRIGHT, 'white', 'white', 'beige')) -> Finish:
    """Return a glaze in one of some colours."""
    word = dice.pick(words)
    return Finish('ceramic', _tint(dice, word), word)


def metal(dice: Dice) -> Finish:
    """Return what legs, handles and frames are made of."""
    return dice.pick(
        (
            STEEL,
            CHROME,
            Finish('paint', (0.12, 0.12, 0.13), 'black'),
            Finish('paint', (0.88, 0.88, 0.87), 'white'),
            Finish('chrome', (0.78, 0.62, 0.30), 'yellow'),
        )
    )


def shade(finish: Finish, factor: float) -> Finish:
    """Return the finish, darker or lighter."""
    colour = tuple(min(0.97, factor * c) for c in finish.colour)
    return finish._replace(colour=colour)


def dark(finish: Finish) -> Finish:
    """Return the finish as it looks in a gap."""
    return shade(finish, 0.55)
