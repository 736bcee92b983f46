# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A home from above: what is there, and where a system says it is. Needs matplotlib."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon
from numpy.typing import NDArray

from ros2_spatial_ttt.exam import metrics
from ros2_spatial_ttt.exam.codec import HomeResult, Plan
from ros2_spatial_ttt.exam.marking import FOUND_M
from ros2_spatial_ttt.exam.style import MISS, TRUTH, line, write_figure
from ros2_spatial_ttt.geometry import box_corners

__all__ = ['draw']

NAMED_SIZE_M = 0.35  # smaller things get no name, which would hide them


def draw(home: HomeResult, system: str, path: Path) -> None:
    """Write the picture of one home with a system's last answers to LOCATE."""
    corners = np.array([point for _, polygon in home.plan.rooms for point in polygon])
    width, height = np.ptp(corners, axis=0) + 1.0
    scale = 9.0 / max(width, height)
    size = (width * scale + 2.4, max(height * scale, 3.0) + 0.8)
    figure = Figure(figsize=size, layout='constrained')
    axes = figure.subplots()
    _draw_plan(axes, home.plan)
    found, missed, false = _sorted_answers(home, system)
    colour = line(system)['color']
    for truth, answer in found:
        axes.plot(*np.array([truth, answer]).T, color=colour, linewidth=1.0, zorder=4)
    _scatter(axes, [answer for _, answer in found], marker='o', c=colour, s=26)
    _scatter(axes, missed, marker='o', facecolors='none', edgecolors=MISS, s=80, linewidths=1.8)
    _scatter(axes, false, marker='x', c=MISS, s=40, linewidths=1.8)
    axes.set(xlabel='map x / m', ylabel='map y / m', aspect='equal')
    asked = len(found) + len(missed)
    axes.set_title(
        f'home {home.seed}, {system}: {len(found)} of {asked} things within {FOUND_M} m'
    )
    figure.legend(handles=_legend(colour, system), loc='outside right upper')
    write_figure(figure, path)


def _draw_plan(axes: Axes, plan: Plan) -> None:
    for kind, polygon in plan.rooms:
        axes.add_patch(Polygon(polygon, facecolor='0.96', edgecolor='0.35', linewidth=2.0))
        x, y = np.mean(polygon, axis=0)
        axes.text(x, y, kind, color='0.65', ha='center', va='center', fontsize=11)
    path = np.array(plan.path).reshape(-1, 2)
    axes.plot(path[:, 0], path[:, 1], color='0.8', linewidth=0.8, zorder=1)
    for _, category, x, y, length, breadth, yaw in plan.things:
        outline = box_corners((x, y, 0.0), (length, breadth, 0.0), yaw)
        axes.add_patch(
            Polygon(outline, facecolor='none', edgecolor=TRUTH, linewidth=0.9, zorder=2)
        )
        if max(length, breadth) >= NAMED_SIZE_M:
            axes.text(x, y, category, fontsize=6, ha='center', va='bottom', zorder=3)
    axes.autoscale_view()


def _sorted_answers(
    home: HomeResult, system: str
) -> tuple[list[tuple[NDArray, NDArray]], list[NDArray], list[NDArray]]:
    """Return (truth, answer) pairs, missed truths and answers that are nowhere near, all (2,)."""
    newest = {}
    for question, response in zip(home.questions, home.systems[system].responses, strict=True):
        if question.kind == 'locate':
            newest[question.labels] = (question, response)
    found, missed, false = [], [], []
    for question, response in newest.values():
        truth = np.array(question.places, np.float64).reshape(-1, 3)
        given = response.places if response.places is not None else np.zeros((0, 3))
        rows, columns = metrics.match(given, truth, FOUND_M)
        found += [(truth[c, :2], given[r, :2]) for r, c in zip(rows, columns, strict=True)]
        missed += list(np.delete(truth, columns, axis=0)[:, :2])
        false += list(np.delete(given, rows, axis=0)[:, :2])
    return found, missed, false


def _scatter(axes: Axes, points: list[NDArray], **style: object) -> None:
    if points:
        axes.scatter(*np.array(points).T, zorder=5, **style)


def _legend(colour: str, system: str) -> list[Line2D]:
    dot = {'linestyle': '', 'marker': 'o'}
    return [
        Line2D([], [], color=TRUTH, linewidth=0.9, label='thing, at the end'),
        Line2D([], [], color=colour, label=f'answer of {system}', **dot),
        Line2D([], [], markerfacecolor='none', markeredgecolor=MISS, label='missed', **dot),
        Line2D([], [], color=MISS, linestyle='', marker='x', label='nothing is there'),
        Line2D([], [], color='0.8', label='last way of the robot'),
    ]
