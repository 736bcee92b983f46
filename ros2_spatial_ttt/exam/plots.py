# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Pictures of the exam on simulated homes, all systems side by side. Needs matplotlib."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ros2_spatial_ttt.exam import plan_plot
from ros2_spatial_ttt.exam.codec import HomeResult
from ros2_spatial_ttt.exam.curves import curves
from ros2_spatial_ttt.exam.style import line, write_figure
from ros2_spatial_ttt.exam.summary import answers_of

__all__ = ['draw_all']

Curves = Mapping[str, Mapping[str, list]]  # system: what ``curves`` returns

MAX_ERROR_M, BIN_M = 2.0, 0.1
COLUMNS = 3
SET_TITLES = {
    'vsi': 'VSI: spatial questions',
    'vsr': 'VSR: long-horizon recall',
    'vsc': 'VSC: streaming count',
    'locate': 'locate',
    'verdict': 'found / absent / never seen',
    'change': 'moved and removed things',
}


def draw_all(homes: Sequence[HomeResult], folder: Path) -> None:
    """Write every picture that the questions asked allow into a folder."""
    begins = [home.begin_ns for home in homes]
    found = {system: curves(answers_of(homes, system), begins) for system in homes[0].systems}
    _draw_time(found, folder / 'exam_time.png')
    if any(own['recall_by_age'] for own in found.values()):
        _draw_age(found, folder / 'exam_age.png')
        _draw_errors(found, folder / 'exam_errors.png')
    if any(own['risk_coverage'] for own in found.values()):
        _draw_confidence(found, folder / 'exam_confidence.png')
    if 'memory' in found:
        plan_plot.draw(homes[0], 'memory', folder / f'exam_plan_{homes[0].seed}.png')


def _draw_time(found: Curves, path: Path) -> None:
    """Score against minutes since the tour began, one panel per set of questions."""
    sets = sorted({row[0] for own in found.values() for row in own['score_by_set']})
    most_minutes = max(row[1] for own in found.values() for row in own['score_by_set'])
    rows, columns = -(-len(sets) // COLUMNS), min(COLUMNS, len(sets))
    figure = Figure(figsize=(3.6 * columns + 1.6, 3.0 * rows), layout='constrained')
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True, sharex=True).ravel()
    for name, axes in zip(sets, panels, strict=False):
        for system, own in found.items():
            points = defaultdict(list)
            for of, *point in own['score_by_set']:
                points[of].append(point)
            minutes, scores, _ = np.array(points[name]).T
            axes.plot(minutes, scores, **line(system))
        axes.set(title=SET_TITLES.get(name, name), xlabel='asked after / min', ylim=(-0.03, 1.03))
        axes.set_xlim(0.0, 1.04 * most_minutes)
        axes.xaxis.set_tick_params(labelbottom=True)
        axes.grid(alpha=0.3)
    for axes in panels[::columns]:
        axes.set_ylabel('mean score, 0 to 1')
    for axes in panels[len(sets) :]:
        axes.set_axis_off()
    figure.legend(*panels[0].get_legend_handles_labels(), loc='outside right center')
    write_figure(figure, path)


def _draw_age(found: Curves, path: Path) -> None:
    """Recall of named things against the age of their newest evidence, in tenths."""
    figure, axes = _single()
    for system, own in found.items():
        if own['recall_by_age']:
            _, minutes, recall, _ = np.array(own['recall_by_age']).T
            axes.plot(minutes, recall, **line(system))
    axes.set(
        xlabel='age of what was last seen of it / min (means of ten equal groups)',
        ylabel='recall within 0.5 m',
        ylim=(-0.03, 1.03),
        title='Does it forget?',
    )
    _finish(figure, axes, path)


def _draw_errors(found: Curves, path: Path) -> None:
    """Histogram of position errors; the legend says what share has no answer."""
    figure, axes = _single()
    edges = np.arange(0.0, MAX_ERROR_M + BIN_M / 2, BIN_M)
    for system, own in found.items():
        missing = own['missing_share'][0] if own['missing_share'] else 1.0
        errors = np.minimum(own['errors_m'], MAX_ERROR_M - BIN_M / 2)
        if not len(errors):
            continue
        share = np.histogram(errors, edges)[0] / len(errors) * (1.0 - missing)
        style = line(system) | {'marker': '', 'label': f'{system} (no answer {missing:.0%})'}
        axes.stairs(
            share,
            edges,
            color=style['color'],
            linewidth=style['linewidth'],
            linestyle=style.get('linestyle', '-'),
            label=style['label'],
            zorder=style.get('zorder', 2),
        )
    axes.set(
        xlabel=f'position error / m (last bar: {MAX_ERROR_M - BIN_M:g} m and more)',
        ylabel=f'share of places asked, per {BIN_M:g} m',
        xlim=(0, MAX_ERROR_M),
        ylim=(0, None),
        title='Where is the …?',
    )
    _finish(figure, axes, path)


def _draw_confidence(found: Curves, path: Path) -> None:
    """Left: errors among the surest answers. Right: confidence against how often it is right."""
    figure = Figure(figsize=(10.4, 4.4), layout='constrained')
    left, right = figure.subplots(1, 2)
    right.plot([0, 1], [0, 1], color='0.6', linewidth=1.0)
    for system, own in found.items():
        style = line(system)
        if own['risk_coverage']:
            coverage, risk = np.array(own['risk_coverage']).T
            left.plot(coverage, risk, **(style | {'marker': ''}))
        if own['reliability']:
            confidence, share, _ = np.array(own['reliability']).T
            right.plot(confidence, share, **style)
    left.set(
        xlabel='coverage: share of answers kept, surest first',
        ylabel='risk: share of wrong ones among them',
        title='Risk and coverage',
        xlim=(0, 1),
        ylim=(-0.03, 1.03),
    )
    right.set(
        xlabel='confidence given, 0 to 1',
        ylabel='share right',
        title='Calibration (grey: perfect)',
        xlim=(0, 1),
        ylim=(-0.03, 1.03),
    )
    left.grid(alpha=0.3)
    right.grid(alpha=0.3)
    figure.legend(*left.get_legend_handles_labels(), loc='outside right center')
    write_figure(figure, path)


def _single() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8.2, 4.4), layout='constrained')
    return figure, figure.subplots()


def _finish(figure: Figure, axes: Axes, path: Path) -> None:
    axes.grid(alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc='outside right center')
    write_figure(figure, path)
