# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A home from above, with a tour when one is given. Needs matplotlib (extra ``viz``)."""

from __future__ import annotations

import colorsys
from typing import TYPE_CHECKING

import numpy as np

from ros2_spatial_ttt.sim.plans.overlap import corners, thing_box
from ros2_spatial_ttt.sim.world import CATEGORIES, Home, Thing, Tour

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ['draw', 'label_colour']

_WALL = '#33363b'
_WINDOW = '#8fc7e8'
_TAG_M2 = 0.02


def label_colour(label: int) -> tuple[float, float, float]:
    """Return the colour (r, g, b) 0..1 of a category in plans; neighbours differ."""
    return colorsys.hls_to_rgb((label * 0.382) % 1.0, 0.55 + 0.15 * (label % 3 - 1), 0.55)


def draw(home: Home, tour: Tour | None = None, *, axes: Axes | None = None) -> Axes:
    """Draw rooms, walls, things and, when given, the way of the robot and what changed.

    Args:
        home: the home at the begin of the tour.
        tour: its walk; changed things are drawn dashed at their new place.
        axes: where to draw; None makes a figure.

    Returns:
        The axes; metres, x to the right, y up.
    """
    if axes is None:
        from matplotlib.figure import Figure

        axes = Figure(figsize=(9, 9), layout='constrained').add_subplot()
    _draw_rooms(axes, home)
    for thing in sorted(home.things, key=lambda t: t.centre[2]):
        _draw_thing(axes, thing, dashed=False)
    if tour is not None:
        _draw_tour(axes, tour)
    axes.set_aspect('equal')
    axes.autoscale_view()
    axes.set_xlabel('x (m)')
    axes.set_ylabel('y (m)')
    return axes


def _draw_rooms(axes: Axes, home: Home) -> None:
    for room in home.rooms:
        x, y = np.array(room.polygon).T
        axes.fill(x, y, color='#f3efe8', zorder=0)
        axes.text(
            x.mean(), y.mean(), room.kind, ha='center', fontsize=7, color='#8a8378', zorder=1
        )
    for wall in home.walls:
        if wall.size[2] < home.rooms[0].height - 1e-3:
            continue
        low = np.array(wall.centre) - np.array(wall.size) / 2.0
        axes.fill(
            low[0] + np.array([0, 1, 1, 0]) * wall.size[0],
            low[1] + np.array([0, 0, 1, 1]) * wall.size[1],
            color=_WALL,
            zorder=2,
        )
    for hole in home.openings:
        if hole.kind == 'window':
            low = np.array(hole.centre) - np.array(hole.size) / 2.0
            axes.fill(
                low[0] + np.array([0, 1, 1, 0]) * hole.size[0],
                low[1] + np.array([0, 0, 1, 1]) * hole.size[1],
                color=_WINDOW,
                zorder=2,
            )


def _draw_thing(axes: Axes, thing: Thing, *, dashed: bool) -> None:
    outline = corners(thing_box(thing)[None])[0]
    x, y = np.concatenate([outline, outline[:1]]).T
    colour = label_colour(CATEGORIES.index(thing.category))
    axes.fill(x, y, color=colour, alpha=0.35 if dashed else 0.75, zorder=3)
    axes.plot(x, y, color='black', linewidth=0.5, linestyle='--' if dashed else '-', zorder=3)
    front = np.array([np.cos(thing.yaw), np.sin(thing.yaw)]) * thing.size[0] / 2.0
    ahead = np.array(thing.centre[:2]) + front
    axes.plot([thing.centre[0], ahead[0]], [thing.centre[1], ahead[1]], 'k-', lw=0.4, zorder=3)
    if thing.size[0] * thing.size[1] > _TAG_M2:
        axes.text(*thing.centre[:2], thing.category, fontsize=4.5, ha='center', zorder=5)


def _draw_tour(axes: Axes, tour: Tour) -> None:
    x, y = tour.map_T_base[:, 0, 3], tour.map_T_base[:, 1, 3]
    axes.plot(x, y, color='#c0392b', linewidth=0.8, alpha=0.7, zorder=4)
    axes.plot(x[0], y[0], 'o', color='#c0392b', markersize=5, zorder=4)
    for change in tour.changes:
        if change.now is not None:
            _draw_thing(axes, change.now, dashed=True)
