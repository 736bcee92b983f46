# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""How every plot of the exam looks: one colour per system, everywhere the same.

Colours are those of Okabe and Ito ("Color Universal Design", 2008), which people with any common
colour blindness tell apart; dashes and markers tell apart what shares a hue. Needs matplotlib.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from ros2_spatial_ttt.exam.results import write_atomically

__all__ = ['MISS', 'TRUTH', 'line', 'write_figure']

ORANGE, SKY, GREEN = '#E69F00', '#56B4E9', '#009E73'
BLUE, VERMILION, PURPLE, GREY = '#0072B2', '#D55E00', '#CC79A7', '#777777'
TRUTH, MISS = '#000000', VERMILION

# The memory is drawn thick and first, so that a line on top of it hides neither; what knows
# nothing by design is grey, controls are black.
_STYLES: dict[str, dict[str, Any]] = {
    'memory': {'color': BLUE, 'linewidth': 4.5, 'marker': 'o', 'markersize': 10, 'zorder': 1.9},
    'unlimited': {'color': GREEN, 'marker': 's'},
    'window': {'color': ORANGE, 'marker': '^'},
    'voxel': {'color': VERMILION, 'marker': 'v'},
    'keyframe': {'color': PURPLE, 'marker': 'D'},
    'muon': {'color': SKY, 'marker': 'P'},
    'blind': {'color': GREY, 'marker': 'x', 'linestyle': '--'},
    'chance': {'color': GREY, 'marker': '+', 'linestyle': ':'},
    'reset': {'color': '#000000', 'marker': '1', 'linestyle': ':'},
    'shuffled': {'color': '#000000', 'marker': '2', 'linestyle': '-.'},
    'other_home': {'color': '#000000', 'marker': '3', 'linestyle': '--'},
}


def line(system: str) -> dict[str, Any]:
    """Return what ``Axes.plot`` draws a system with."""
    return {'linewidth': 1.4, 'markersize': 5, 'label': system} | _STYLES.get(
        system, {'color': GREY, 'linestyle': '-.'}
    )


def write_figure(figure: Figure, path: Path) -> None:
    """Write a picture whole or not at all."""
    with matplotlib.rc_context({'svg.hashsalt': 'spatial_ttt'}):
        write_atomically(path, lambda aside: figure.savefig(aside, dpi=130, bbox_inches='tight'))
