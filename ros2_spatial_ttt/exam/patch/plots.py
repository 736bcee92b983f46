# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Pictures of the patch set: errors of all systems, where answers lie. Needs matplotlib."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ros2_spatial_ttt.exam.metrics import localisation_errors
from ros2_spatial_ttt.exam.patch.examine import PatchReport, SystemRun
from ros2_spatial_ttt.exam.style import write_figure

__all__ = ['plot_answers', 'plot_errors']

MAX_ERROR_M = 2.0


def plot_errors(report: PatchReport, path: Path) -> None:
    """Write the share of questions answered within an error, for every system."""
    figure = Figure(figsize=(6.4, 4.4), layout='constrained')
    axes = figure.subplots()
    truth = [patch.point for patch in report.patches]
    for run in report.systems:
        errors = np.sort(localisation_errors(run.answers, truth))
        share = np.arange(1, len(errors) + 1) / len(errors)
        within = errors <= MAX_ERROR_M
        x = np.concatenate([[0.0], errors[within], [MAX_ERROR_M]])
        reached = float(within.mean())
        y = np.concatenate([[0.0], share[within], [reached]])
        axes.step(x, y, where='post', label=run.name, linewidth=2.2 if run.prefix == '' else 1.2)
    axes.set(
        xlabel='error / m',
        ylabel='share of questions',
        xlim=(0, MAX_ERROR_M),
        ylim=(0, 1),
        title=f'{len(truth)} pictures of held-out frames',
    )
    axes.grid(alpha=0.3)
    axes.legend(loc='lower right')
    write_figure(figure, path)


def plot_answers(report: PatchReport, path: Path) -> None:
    """Write a top-down map: measured surfaces, true places, and the memory's answers."""
    figure = Figure(figsize=(6.4, 6.0), layout='constrained')
    axes = figure.subplots()
    surface = report.surface[:: max(1, len(report.surface) // 60_000)]
    axes.scatter(surface[:, 0], surface[:, 1], s=0.3, c='0.8', rasterized=True)
    _draw_answers(axes, report, report.systems[0])
    axes.set(
        xlabel='map x / m', ylabel='map y / m', aspect='equal', title='memory: truth → answer'
    )
    axes.legend(loc='upper right')
    write_figure(figure, path)


def _draw_answers(axes: Axes, report: PatchReport, run: SystemRun) -> None:
    pairs = zip(report.patches, run.answers, strict=True)
    both = [(patch.point, answer) for patch, answer in pairs if answer is not None]
    missing = [
        patch.point
        for patch, answer in zip(report.patches, run.answers, strict=True)
        if answer is None
    ]
    for point, answer in both:
        axes.plot([point[0], answer[0]], [point[1], answer[1]], c='tab:blue', lw=0.5, alpha=0.6)
    for points, colour, label in (
        ([point for point, _ in both], 'tab:green', 'true place'),
        ([answer for _, answer in both], 'tab:blue', 'answer'),
        (missing, 'tab:red', 'true place, no answer'),
    ):
        if points:
            drawn = np.array(points)
            axes.scatter(drawn[:, 0], drawn[:, 1], s=8, c=colour, label=label, zorder=3)
