# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Draws a memory from above: what it remembers, where the camera went, where things are."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.errors import SpatialTTTError
from ros2_spatial_ttt.replay.cards import CARD, COLOURS, FAINT, GREY, INK, Shown, draw_card
from ros2_spatial_ttt.replay.raster import rasterise, spacing
from ros2_spatial_ttt.types import ResultCode

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ['HEAD_ROOM_M', 'MapView', 'Shown', 'draw_top_down', 'require_matplotlib']

PAPER, UNSEEN, KEYFRAME = '#ffffff', '#eef1f4', '#ffd54a'
# Half axes of the ellipse that holds 90 % of a plane normal distribution, in standard deviations.
ELLIPSE_90 = 2.146
HEAD_ROOM_M = 0.3
WEDGE_M = 0.15
# Inches between cards, and the most cards in a column.
GAP, MOST_CARDS = 0.11, 8
DPI = 110


@dataclass(frozen=True)
class MapView:
    """What is drawn. Metres, map frame.

    Attributes:
        points: (N, 3) remembered surface points.
        colour: (N, 3) uint8 RGB of the points.
        path: (M, 3) camera positions in order.
        keyframes: (K, 4, 4) map_T_camera of the evidence bank.
        tile_m: edge of a tile; 0 draws none.
        shown: answers.
        title, subtitle: text above the map.
    """

    points: NDArray[np.float32]
    colour: NDArray[np.uint8]
    path: NDArray[np.float64]
    keyframes: NDArray[np.float64]
    tile_m: float
    shown: Sequence[Shown] = ()
    title: str = 'Spatial memory'
    subtitle: str = ''


def require_matplotlib() -> Any:
    """Return matplotlib with a backend that needs no display, or say how to install it."""
    try:
        import matplotlib
    except ImportError as error:
        raise SpatialTTTError(
            'pictures need matplotlib: pip install "ros2-spatial-ttt[viz]" (or pass --no-picture)'
        ) from error
    matplotlib.use('Agg')
    return matplotlib


def draw_top_down(out: Path, view: MapView) -> None:
    """Write ``view`` as a PNG; an older picture there is replaced when the new one is complete."""
    matplotlib = require_matplotlib()
    from matplotlib import pyplot

    with matplotlib.rc_context({'font.family': 'DejaVu Sans', 'font.size': 9, 'text.color': INK}):
        lower, upper = _limits(view)
        figure, axes, cards = _layout(pyplot, len(view.shown), lower, upper)
        try:
            _draw_surface(axes, view, lower, upper)
            _draw_tiles(axes, view.tile_m, lower, upper)
            _draw_path(axes, view)
            _draw_answers(axes, view.shown)
            _draw_frame(axes, view, lower, upper)
            for number, (card, shown) in enumerate(zip(cards, view.shown, strict=True), start=1):
                draw_card(card, number, shown)
            buffer = io.BytesIO()
            figure.savefig(buffer, dpi=DPI, facecolor=PAPER)
        finally:
            pyplot.close(figure)
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f'.{out.name}.part')
    part.write_bytes(buffer.getvalue())
    os.replace(part, out)


def _below_ceiling(view: MapView) -> NDArray[np.bool_]:
    """Return which points (N,) are not above the head of whoever carried the camera."""
    if not len(view.path):
        return np.ones(len(view.points), bool)
    return view.points[:, 2] <= np.max(view.path[:, 2]) + HEAD_ROOM_M


def _limits(view: MapView) -> tuple[NDArray, NDArray]:
    """Return the corners (2,) of the map: most points, the path and the answers, with a margin."""
    kept = view.points[_below_ceiling(view)][:, :2]
    spread = [np.percentile(kept, [0.2, 99.8], axis=0)] if len(kept) else []
    places = [s.position[None, :2] for item in view.shown for s in item.answer.instances[:1]]
    places += [item.asked_at[None, :2] for item in view.shown if item.asked_at is not None]
    corners = np.concatenate([*spread, view.path[:, :2], *places, np.zeros((0, 2))])
    if not len(corners):
        corners = np.array([[-1.0, -1.0], [1.0, 1.0]])
    middle, half = (corners.min(0) + corners.max(0)) / 2, (corners.max(0) - corners.min(0)) / 2
    half = np.maximum(half + 0.45, 0.3 * half.max())
    return middle - half, middle + half


def _layout(
    pyplot: Any, count: int, lower: NDArray, upper: NDArray
) -> tuple[Figure, Axes, list[Axes]]:
    """Return the figure, the map and one empty card per answer in columns at the right."""
    width, height = np.maximum(9.0 * (upper - lower) / (upper - lower).max(), (4.5, 4.5))
    columns = int(np.ceil(count / MOST_CARDS)) + (count > 5 and count <= MOST_CARDS)
    rows = int(np.ceil(count / max(columns, 1)))
    pitch = np.array(CARD) + GAP
    total = np.array([width + 1.0, 0.0]) + (columns * pitch[0], 0.0)
    total[1] = max(height + 1.45, rows * pitch[1] + GAP)
    figure = pyplot.figure(figsize=total)
    axes = figure.add_axes(
        (0.7 / total[0], 1.0 - (height + 0.9) / total[1], width / total[0], height / total[1])
    )
    cards = []
    for index in range(count):
        left = width + 0.9 + (index // rows) * pitch[0]
        bottom = total[1] - (index % rows + 1) * pitch[1]
        size = (CARD[0] / total[0], CARD[1] / total[1])
        cards.append(figure.add_axes((left / total[0], bottom / total[1], *size)))
    return figure, axes, cards


def _draw_surface(axes: Axes, view: MapView, lower: NDArray, upper: NDArray) -> None:
    axes.set_facecolor(UNSEEN)
    axes.set(
        xlim=(lower[0], upper[0]), ylim=(lower[1], upper[1]), aspect='equal', autoscale_on=False
    )
    kept = _below_ceiling(view)
    if not kept.any():
        return
    points, cell_m = view.points[kept], float((upper - lower).max()) / 900
    reach = int(np.clip(np.ceil(0.55 * spacing(points) / cell_m), 1, 9))
    picture = rasterise(points, view.colour[kept], lower, upper, cell_m=cell_m, reach=reach)
    extent = (
        lower[0],
        lower[0] + picture.shape[1] * cell_m,
        lower[1],
        lower[1] + picture.shape[0] * cell_m,
    )
    axes.imshow(picture, origin='lower', extent=extent, interpolation='antialiased', zorder=1)


def _draw_tiles(axes: Axes, tile_m: float, lower: NDArray, upper: NDArray) -> None:
    if tile_m <= 0:
        return
    for axis, line in enumerate((axes.axvline, axes.axhline)):
        first = np.ceil(lower[axis] / tile_m)
        for edge in np.arange(first, np.floor(upper[axis] / tile_m) + 1) * tile_m:
            line(edge, color=FAINT, lw=1.0, ls=(0, (6, 4)), zorder=2)


def _draw_path(axes: Axes, view: MapView) -> None:
    from matplotlib import collections

    if len(view.path) > 1:
        steps = np.stack([view.path[:-1, :2], view.path[1:, :2]], axis=1)
        halo = collections.LineCollection(
            list(steps), colors='white', linewidths=3.6, alpha=0.75, zorder=3
        )
        line = collections.LineCollection(list(steps), cmap='plasma', linewidths=1.7, zorder=4)
        line.set_array(np.linspace(0, 0.92, len(steps)))
        line.set_clim(0, 1)
        axes.add_collection(halo)
        axes.add_collection(line)
        axes.plot(
            *view.path[0, :2], 'o', ms=7, mfc='white', mec=INK, mew=1.4, zorder=6, label='start'
        )
        axes.plot(
            *view.path[-1, :2], 's', ms=6, mfc=INK, mec='white', mew=1.2, zorder=6, label='end'
        )
    for index, pose in enumerate(view.keyframes):
        apex, forward, right = pose[:2, 3], pose[:2, 2], pose[:2, 0]
        sides = np.array([[0.0, 0.0], [1.0, 0.4], [1.0, -0.4]]) * WEDGE_M
        wedge = apex + sides @ np.stack([forward, right])
        label = 'kept picture' if index == 0 else None
        axes.fill(*wedge.T, fc=KEYFRAME, ec=INK, lw=0.5, alpha=0.7, zorder=3, label=label)


def _draw_answers(axes: Axes, shown: Sequence[Shown]) -> None:
    from matplotlib import patches

    for index, item in enumerate(shown):
        colour, found = COLOURS[index % len(COLOURS)], item.answer.instances
        for instance in found[:1] if not _joins_two(item) else ():
            values, vectors = np.linalg.eigh(instance.covariance[:2, :2])
            axis = 2 * ELLIPSE_90 * np.sqrt(np.maximum(values, 0))
            angle = float(np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])))
            ellipse = {
                'angle': angle,
                'fc': colour,
                'ec': 'white',
                'alpha': 0.45,
                'lw': 1.4,
                'zorder': 7,
            }
            axes.add_patch(patches.Ellipse(instance.position[:2], axis[1], axis[0], **ellipse))
        if _joins_two(item):
            ends = np.array([instance.position[:2] for instance in found])
            axes.plot(*ends.T, color='white', lw=4.0, zorder=7)
            axes.plot(*ends.T, color=colour, lw=2.0, ls=(0, (4, 2)), zorder=8)
        if item.truth is not None:
            axes.plot(*item.truth[:2], 'x', ms=7, mec='white', mew=3.2, zorder=8)
            axes.plot(*item.truth[:2], 'x', ms=7, mec=colour, mew=1.6, zorder=9)
    anchors = [_anchor(item) for item in shown]
    for index, (anchor, place) in enumerate(zip(anchors, _spread(axes, anchors), strict=True)):
        if anchor is not None and place is not None:
            found = shown[index].answer.code == ResultCode.OK
            _draw_number(axes, index, anchor, place, found=found)


def _joins_two(item: Shown) -> bool:
    return item.line and len(item.answer.instances) == 2


def _anchor(item: Shown) -> NDArray | None:
    """Return the point (2,) that an answer is about."""
    found = item.answer.instances
    if _joins_two(item):
        return np.asarray((found[0].position[:2] + found[1].position[:2]) / 2)
    if found:
        return np.asarray(found[0].position[:2])
    return None if item.asked_at is None else np.asarray(item.asked_at[:2])


def _spread(axes: Axes, anchors: list[NDArray | None]) -> list[NDArray | None]:
    """Return label places in map coordinates that do not overlap each other."""
    present = [index for index, anchor in enumerate(anchors) if anchor is not None]
    places = np.array([anchors[index] for index in present]).reshape(-1, 2)
    gap = 0.045 * float(np.ptp(places, axis=0).max() + 2.0) if len(places) else 0.0
    places = places + [0.0, gap]
    for _ in range(60):
        apart = places[:, None] - places[None]
        distance = np.linalg.norm(apart, axis=-1) + 1e-9
        push = np.maximum(gap - distance, 0) * (distance > 1e-8)
        same = (distance <= 1e-8) & ~np.eye(len(places), dtype=bool)
        places = places + 0.5 * (push[..., None] * apart / distance[..., None]).sum(1)
        places[:, 0] += gap * 0.3 * np.tril(same).sum(1)
    low, high = np.array([axes.get_xlim(), axes.get_ylim()]).T
    places = np.clip(places, low + 0.6 * gap, high - 0.6 * gap)
    out: list[NDArray | None] = [None] * len(anchors)
    for index, place in zip(present, places, strict=True):
        out[index] = place
    return out


def _draw_number(axes: Axes, index: int, anchor: NDArray, place: NDArray, *, found: bool) -> None:
    """Draw a numbered badge with a line to ``anchor``; hollow where nothing was found."""
    colour = COLOURS[index % len(COLOURS)]
    axes.plot(*np.array([anchor, place]).T, color='white', lw=2.6, zorder=9)
    axes.plot(*np.array([anchor, place]).T, color=colour, lw=1.3, zorder=10)
    face, text, edge = (colour, 'white', 'white') if found else ('white', colour, colour)
    axes.plot(*anchor, 'o', ms=5, mfc=face, mec=edge, mew=1.1, zorder=11)
    badge = {'boxstyle': 'circle,pad=0.28', 'fc': face, 'ec': edge, 'lw': 1.3}
    axes.text(
        *place,
        str(index + 1),
        color=text,
        weight='bold',
        size=9,
        ha='center',
        va='center',
        bbox=badge,
        zorder=12,
    )


def _draw_frame(axes: Axes, view: MapView, lower: NDArray, upper: NDArray) -> None:
    """Draw axes, grid, scale bar, legend and title."""
    axes.set_xlabel('x in map (m)', color=INK)
    axes.set_ylabel('y in map (m)', color=INK)
    axes.grid(color=FAINT, lw=0.4, alpha=0.45, zorder=2)
    axes.tick_params(colors=INK, labelsize=8)
    for spine in axes.spines.values():
        spine.set_color(FAINT)
    span = upper - lower
    length = float(
        min(
            (v for v in (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0) if v >= 0.1 * span[0]), default=50.0
        )
    )
    left, bottom = lower + (0.03 * span[0], 0.035 * span[1])
    axes.plot(
        [left, left + length],
        [bottom, bottom],
        color='white',
        lw=7,
        solid_capstyle='butt',
        zorder=13,
    )
    axes.plot(
        [left, left + length],
        [bottom, bottom],
        color=INK,
        lw=3.5,
        solid_capstyle='butt',
        zorder=14,
    )
    outline = {'fc': 'white', 'ec': 'none', 'alpha': 0.75, 'pad': 1.2}
    axes.text(
        left + length / 2,
        bottom + 0.014 * span[1],
        f'{length:g} m',
        ha='center',
        va='bottom',
        size=9,
        zorder=14,
        bbox=outline,
    )
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc='lower right', fontsize=8, framealpha=0.85, edgecolor='none').set_zorder(
            15
        )
    axes.set_title(view.title, loc='left', size=15, weight='bold', color=INK, pad=24)
    axes.text(0, 1.012, view.subtitle, transform=axes.transAxes, size=9, color=GREY, va='bottom')
