# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""One answer as a card: the question, the pictures, the verdict and its numbers."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.types import Answer, ResultCode

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ['CARD', 'COLOURS', 'FAINT', 'GREY', 'INK', 'Shown', 'draw_card']

INK, FAINT, GREY = '#22303c', '#8795a1', '#566370'
COLOURS = (
    *('#e6194b', '#0082c8', '#3cb44b', '#f58231', '#911eb4', '#008080'),
    *('#c71585', '#9a6324', '#4f6bed', '#6b8e23', '#d2691e', '#5c5c8a'),
)
VERDICT = {
    ResultCode.OK: '#1a7f37',
    ResultCode.NOT_FOUND: '#9a6700',
    ResultCode.NEVER_OBSERVED: '#57606a',
}
WRONG = '#b42318'
# Inches: a card, and the largest picture in it.
CARD = (4.3, 1.28)
PICTURE = (1.3, 0.8)


@dataclass(frozen=True)
class Shown:
    """One answered question for the picture.

    Attributes:
        title: the question in a few words.
        asked_at: (3,) point of the question in metres, map frame; None without one.
        truth: (3,) true place where it is known.
        example: (h, w, 3) uint8 RGB picture that was asked with.
        note: one more line, such as the error.
        line: the answer is the distance between its two instances.
    """

    title: str
    answer: Answer
    asked_at: NDArray[np.float64] | None = None
    truth: NDArray[np.float64] | None = None
    example: NDArray[np.uint8] | None = None
    note: str = ''
    line: bool = False


def draw_card(card: Axes, number: int, shown: Shown) -> None:
    """Draw one answer: number, question, evidence picture, verdict and numbers."""
    from matplotlib import patches

    answer, colour = shown.answer, COLOURS[(number - 1) % len(COLOURS)]
    width, height = CARD
    card.set(xlim=(0, width), ylim=(0, height), xticks=[], yticks=[])
    card.set_facecolor('#f7f9fa')
    for spine in card.spines.values():
        spine.set_color('#d5dce2')
    card.add_patch(patches.Rectangle((0, 0), 0.06, height, color=colour))
    card.text(
        0.15, height - 0.07, f'{number}  {shown.title}', size=9, weight='bold', va='top', color=INK
    )
    found = answer.instances[0] if answer.instances else None
    picture = _decoded(found.evidence_jpeg) if found else None
    left = 0.15
    for image, frame, caption in (
        (shown.example, FAINT, 'asked with'),
        (picture, colour, 'seen here'),
    ):
        if image is not None:
            left = _place_image(card, image, left, frame, caption) + 0.1
    text_left = min(left, width - 1.2)
    name = answer.code.name.replace('_', ' ').lower()
    verdict = {
        'weight': 'bold',
        'size': 8.5,
        'va': 'top',
        'color': VERDICT.get(answer.code, WRONG),
    }
    card.text(text_left, height - 0.28, name, **verdict)
    room = max(16, int((width - text_left) / 0.066))
    lines = [part for line in (*_detail(answer), shown.note) for part in textwrap.wrap(line, room)]
    card.text(
        text_left,
        height - 0.46,
        '\n'.join(lines[:6]),
        size=7.2,
        va='top',
        color='#3b4954',
        linespacing=1.3,
    )


def _place_image(card: Axes, image: NDArray, left: float, frame: str, caption: str) -> float:
    """Draw an image into a card at ``left`` inches and return its right edge."""
    from matplotlib import patches

    width = min(PICTURE[1] * image.shape[1] / image.shape[0], PICTURE[0])
    height = width * image.shape[0] / image.shape[1]
    limits = card.get_xlim(), card.get_ylim()
    card.imshow(
        image,
        extent=(left, left + width, 0.2, 0.2 + height),
        aspect='auto',
        interpolation='antialiased',
    )
    card.set(xlim=limits[0], ylim=limits[1])
    card.add_patch(patches.Rectangle((left, 0.2), width, height, fill=False, ec=frame, lw=1.5))
    card.text(left + width / 2, 0.15, caption, size=6.5, ha='center', va='top', color=GREY)
    return left + width


def _detail(answer: Answer) -> list[str]:
    """Return what the memory says, and its best guess where it is not sure enough."""
    lines = [answer.sentence or answer.message]
    if answer.code == ResultCode.NOT_FOUND and answer.instances:
        x, y, z = answer.instances[0].position
        lines.append(f'Best guess: ({x:.2f}, {y:.2f}, {z:.2f}) m')
    lines.append(f'confidence {answer.confidence:.0%}')
    return lines


def _decoded(jpeg: bytes) -> NDArray[np.uint8] | None:
    if not jpeg:
        return None
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    return None if image is None else np.asarray(image[..., ::-1], np.uint8)
