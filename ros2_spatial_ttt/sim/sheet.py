# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Contact sheets of simulated homes: rows of colour, depth and mask, columns of views."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.sim.home import make_home
from ros2_spatial_ttt.sim.paint.engine import require_renderer
from ros2_spatial_ttt.sim.stage import Stage
from ros2_spatial_ttt.sim.tour import TourOptions, make_tour
from ros2_spatial_ttt.sim.world import CameraRig, Tour
from ros2_spatial_ttt.types import Intrinsics

__all__ = ['add_arguments', 'contact_sheet', 'paint_depth', 'paint_ids', 'run', 'write_sheets']

Picture = NDArray[np.uint8]

COLUMNS, VIEW = 6, (240, 180)
MINUTES, CANDIDATES, SMALL = 4.0, 90, (64, 48)
FARTHEST_M, TOO_NEAR_M = 7.0, 0.9
# A thing counts as seen from this share of a small picture on.
SEEN_SHARE = 0.003
WANTED_BRIGHTNESS = 132.0
QUALITY, GAP = 82, 3


def contact_sheet(seed: int, *, rooms: int | None = None, columns: int = COLUMNS) -> Picture:
    """Return the sheet of one home, (h, w, 3) uint8 RGB.

    Views are frames of its tour, chosen so that together they show most things.

    Raises:
        ConfigError: the seed is out of range.
        RendererError: no OpenGL renderer works on this machine.
    """
    home = make_home(seed, rooms=rooms)
    tour = make_tour(home, TourOptions(minutes=MINUTES, changes=0))
    rig = tour.cameras[0]
    poses = tour.map_T_base @ rig.base_T_camera
    with Stage(home, samples=4) as stage:
        chosen = _choose(stage, tour, poses, columns)
        lens = _lens(rig, VIEW)
        strips = [_strip(stage, lens, poses[k]) for k in chosen]
    gap = np.full((strips[0].shape[0], GAP, 3), 255, np.uint8)
    return np.hstack([part for strip in strips for part in (strip, gap)][:-1])


def write_sheets(
    seeds: list[int], folder: Path, *, rooms: int | None = None, most_bytes: int = 150_000
) -> list[Path]:
    """Write ``home_SEED.jpg`` for every seed, each within a number of bytes; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    out = []
    for seed in seeds:
        path = folder / f'home_{seed:05d}.jpg'
        path.write_bytes(_jpeg(contact_sheet(seed, rooms=rooms), most_bytes))
        out.append(path)
    return out


def paint_depth(depth: NDArray[np.float32]) -> Picture:
    """Return depth (h, w) m in colours from red (near) to blue (7 m); black = no depth."""
    scaled = 255 * (1 - np.clip(depth / FARTHEST_M, 0, 1))
    picture = cv2.applyColorMap(scaled.astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1].copy()
    picture[depth <= 0] = 0
    return picture


def paint_ids(ids: NDArray[np.int32]) -> Picture:
    """Return ids (h, w) with a colour of its own for each thing; structure is dark grey."""
    steps = np.arange(int(ids.max()) + 1)
    # Multiples of the golden ratio spread hues evenly however many there are.
    hue = (steps * 0.61803398875 % 1 * 180).astype(np.uint8)
    tone = (255 - 70 * (steps % 3)).astype(np.uint8)
    table = np.stack([hue, np.full_like(hue, 170), tone], axis=1)[None]
    colours = cv2.cvtColor(table, cv2.COLOR_HSV2RGB)[0]
    colours[0] = 45
    return colours[ids]


def _lens(rig: CameraRig, size: tuple[int, int]) -> Intrinsics:
    width, height = size
    focal = width / 2 / float(np.tan(rig.hfov / 2))
    return Intrinsics(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)


def _strip(stage: Stage, lens: Intrinsics, pose: NDArray[np.float64]) -> Picture:
    """Return one column of the sheet, exposed as a camera would."""
    colour, depth, ids = stage.render(lens, pose)
    exposure = float(np.clip(WANTED_BRIGHTNESS / max(float(colour.mean()), 1.0), 0.7, 1.8))
    colour, depth, ids = stage.render(lens, pose, exposure=exposure)
    line = np.full((GAP, colour.shape[1], 3), 255, np.uint8)
    return np.vstack([colour, line, paint_depth(depth), line, paint_ids(ids)])


def _choose(stage: Stage, tour: Tour, poses: NDArray[np.float64], columns: int) -> list[int]:
    """Return frames that together show most things, in order of time."""
    lens = _lens(tour.cameras[0], SMALL)
    frames = np.unique(np.linspace(0, len(tour) - 1, CANDIDATES).astype(int))
    seen = {}
    for frame in frames:
        _, depth, ids = stage.render(lens, poses[frame])
        seen[int(frame)] = _worth(depth, ids)
    chosen: list[int] = []
    shown: dict[int, float] = {}
    for _ in range(min(columns, len(seen))):
        best = max(sorted(set(seen) - set(chosen)), key=lambda frame: _gain(seen[frame], shown))
        chosen.append(best)
        for thing, share in seen[best].items():
            shown[thing] = max(shown.get(thing, 0.0), share)
    return sorted(chosen)


def _worth(depth: NDArray[np.float32], ids: NDArray[np.int32]) -> dict[int, float]:
    """Return how well each thing is seen, 0..1; a view into something near shows nothing."""
    near = (depth > 0) & (depth < TOO_NEAR_M)
    if near.mean() > 0.12:
        return {}
    things, counts = np.unique(ids, return_counts=True)
    border = np.concatenate([ids[0], ids[-1], ids[:, 0], ids[:, -1]])
    out = {}
    for thing, count in zip(things.tolist(), counts.tolist(), strict=True):
        if thing and count > SEEN_SHARE * ids.size:
            whole = 1.0 if thing not in border else 0.4
            out[thing] = whole * min(1.0, count / ids.size / 0.03)
    return out


def _gain(view: dict[int, float], shown: dict[int, float]) -> float:
    return sum(max(0.0, share - shown.get(thing, 0.0)) for thing, share in view.items())


def _jpeg(picture: Picture, most_bytes: int) -> bytes:
    """Return the picture as JPEG, at the best quality that keeps to a number of bytes."""
    for quality in range(QUALITY, 20, -4):
        _, data = cv2.imencode('.jpg', picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        if len(data) <= most_bytes:
            return data.tobytes()
    raise ConfigError(f'sheet: expected a picture that fits {most_bytes} bytes, got {len(data)}')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of contact sheets."""
    parser.add_argument('--out', type=Path, required=True, help='folder of the sheets')
    parser.add_argument('--seed', type=int, default=0, help='first home (default 0)')
    parser.add_argument('--homes', type=int, default=12, help='number of homes (default 12)')
    parser.add_argument('--rooms', type=int, default=None, help='1..8 rooms (default: by seed)')


def run(args: argparse.Namespace) -> int:
    """Write one sheet per home and print the files."""
    require_renderer()
    if args.homes < 1:
        raise ConfigError(f'--homes: expected at least 1, got {args.homes}')
    for seed in range(args.seed, args.seed + args.homes):
        (path,) = write_sheets([seed], args.out, rooms=args.rooms)
        print(f'{path} {path.stat().st_size / 1000:.0f} kB')
    return 0
