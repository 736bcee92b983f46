# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Clips for training, rendered from simulated homes: colour, true depth, ids, poses and boxes.

One file per home, so that many processes may render and a training run may start before all are
there. It says how the home was filmed; one that was filmed in another way is filmed again. Faults
of real cameras are added when a clip is used (``augment.py``), never stored.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.sim.home import make_home
from ros2_spatial_ttt.sim.paint.engine import require_renderer
from ros2_spatial_ttt.sim.senses.detector import ordered_box
from ros2_spatial_ttt.sim.senses.optics import camera_poses, intrinsics_of
from ros2_spatial_ttt.sim.stage import Stage
from ros2_spatial_ttt.sim.tour import TourOptions, camera_rig, make_tour
from ros2_spatial_ttt.sim.world import CATEGORIES, TRAIN_SEEDS, CameraRig, Home, things_at

__all__ = [
    'ROOM_KINDS',
    'ClipFile',
    'SceneOptions',
    'encoded_frame',
    'home_path',
    'load_home',
    'render_home',
    'render_homes',
    'rooms_at',
    'save_home',
]

FORMAT = 2
ROOM_KINDS = (
    *('living room', 'kitchen', 'bedroom', 'bathroom'),
    *('office', 'hall', 'dining room', 'storage room'),
)
_STREAM = 90
_JPEG_QUALITY = 95
# What numpy says of files that are damaged or something else.
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error)


@dataclass(frozen=True)
class SceneOptions:
    """How a home is filmed for training.

    Attributes:
        width, height: of the colour pictures, px; depth and ids have half of that.
        clips, frames: number of clips per home and frames of each, next to each other in time.
        minutes, rate_hz: of the tour that clips are cut from.
    """

    width: int = 320
    height: int = 240
    clips: int = 3
    frames: int = 16
    minutes: float = 6.0
    rate_hz: float = 2.0


@dataclass(frozen=True)
class ClipFile:
    """All clips of one home; n frames in the order of clips.

    Attributes:
        jpeg: n encoded colour pictures (BGR inside, as OpenCV has it).
        depth_png: n encoded (H/2, W/2) uint16 mm, 0 = sky. ids_png: n encoded uint16 thing ids.
        clip: (n,) int64 number of the clip. focal: px of the colour pictures.
        map_T_camera: (n, 4, 4) float64. stamp_s: (n,) float64.
        thing: (k,) ids; label: (k,) number in CATEGORIES. centre, size: (k, 3) m. yaw: (k,) rad.
        epoch: (k,) of the row; a thing that moved has several rows. frame_epoch: (n,) int64.
        room: (n,) int64 number in ROOM_KINDS of the room the camera is in, -1 = not known.
        labelled: whether things are known and the map's floor is at height 0.
    """

    jpeg: tuple[NDArray[np.uint8], ...]
    depth_png: tuple[NDArray[np.uint8], ...]
    ids_png: tuple[NDArray[np.uint8], ...]
    clip: NDArray[np.int64]
    focal: float
    map_T_camera: NDArray[np.float64]
    stamp_s: NDArray[np.float64]
    thing: NDArray[np.int64]
    label: NDArray[np.int64]
    centre: NDArray[np.float64]
    size: NDArray[np.float64]
    yaw: NDArray[np.float64]
    epoch: NDArray[np.int64]
    frame_epoch: NDArray[np.int64]
    room: NDArray[np.int64]
    labelled: bool = True

    def __len__(self) -> int:
        return len(self.jpeg)


def render_home(seed: int, options: SceneOptions) -> ClipFile:
    """Return the clips of the home of a train seed."""
    if seed not in TRAIN_SEEDS:
        raise ConfigError(
            f'seed {seed}: training takes {TRAIN_SEEDS[0]}..{TRAIN_SEEDS[-1]} only; '
            'the others are for exams'
        )
    rng = np.random.default_rng([seed, _STREAM])
    home = make_home(seed)
    rig = _rig(rng, options)
    tour = make_tour(
        home, TourOptions(minutes=options.minutes, rate_hz=options.rate_hz, cameras=(rig,))
    )
    poses, lens = camera_poses(tour), intrinsics_of(rig)
    starts = np.sort(rng.choice(len(tour) - options.frames, options.clips, replace=False))
    index = (starts[:, None] + np.arange(options.frames)).ravel()
    changes = [change.stamp_ns for change in tour.changes]
    epochs = np.searchsorted(changes, tour.stamps_ns[index], side='right')
    pictures = []
    with Stage(home, tour.changes, samples=4) as stage:
        for frame in index.tolist():
            stage.set_time(int(tour.stamps_ns[frame]))
            pictures.append(encoded_frame(*stage.render(lens, poses[frame])))
    jpeg, depth_png, ids_png = zip(*pictures, strict=True)
    rows = [
        (epoch, thing)
        for epoch in np.unique(epochs).tolist()
        for thing in things_at(home, tour.changes, changes[epoch - 1] if epoch else 0)
    ]
    size, yaw = ordered_box(
        np.array([thing.size for _, thing in rows]), np.array([thing.yaw for _, thing in rows])
    )
    return ClipFile(
        jpeg=jpeg,
        depth_png=depth_png,
        ids_png=ids_png,
        clip=np.repeat(np.arange(options.clips), options.frames),
        focal=lens.fx,
        map_T_camera=poses[index],
        stamp_s=(tour.stamps_ns[index] - tour.stamps_ns[0]) / 1e9,
        thing=np.array([thing.id for _, thing in rows]),
        label=np.array([thing.label for _, thing in rows]),
        centre=np.array([thing.centre for _, thing in rows]),
        size=size,
        yaw=yaw,
        epoch=np.array([epoch for epoch, _ in rows]),
        frame_epoch=epochs.astype(np.int64),
        room=rooms_at(home, poses[index, :2, 3]),
    )


def rooms_at(home: Home, places: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the kind of room, a number in ROOM_KINDS, at places (n, 2) m; -1 = in none."""
    kinds = np.full(len(places), -1, np.int64)
    for room in home.rooms:
        corners = np.array(room.polygon, np.float32)
        inside = [
            cv2.pointPolygonTest(corners, (float(x), float(y)), measureDist=False) >= 0
            for x, y in places
        ]
        kinds[inside] = ROOM_KINDS.index(room.kind)
    return kinds


def render_homes(
    folder: Path, seeds: Sequence[int], options: SceneOptions, *, processes: int
) -> None:
    """Render the homes that ``folder`` lacks or has by other options; may be run again."""
    require_renderer()
    folder.mkdir(parents=True, exist_ok=True)
    there = [seed for seed in seeds if home_path(folder, seed).is_file()]
    good = {seed for seed in there if _is_made(home_path(folder, seed), asdict(options))}
    if len(good) < len(there):
        print(
            f'{folder}: {len(there) - len(good)} of {len(there)} homes there were filmed in '
            'another way or are damaged; they are rendered again',
            flush=True,
        )
    jobs = [(folder, seed, options) for seed in seeds if seed not in good]
    if not jobs:
        return
    with multiprocessing.get_context('spawn').Pool(processes) as pool:
        for _ in tqdm(pool.imap_unordered(_render_file, jobs), total=len(jobs), unit='home'):
            pass


def _is_made(path: Path, made: Mapping[str, Any]) -> bool:
    """Return whether a file holds clips of this format and class table, made by these options."""
    try:
        with path.open('rb') as raw, np.load(raw, allow_pickle=False) as file:
            return (
                int(file['format']) == FORMAT
                and file['names'].tolist() == list(CATEGORIES)
                and json.loads(str(file['made'])) == made
            )
    except _UNREADABLE:
        return False


def load_home(path: Path) -> ClipFile:
    """Return the clips of a file.

    Raises:
        ConfigError: it is no such file, or it is damaged.
    """
    try:
        # Opened here, so that it is closed too where numpy finds it damaged.
        with path.open('rb') as raw, np.load(raw, allow_pickle=False) as file:
            if int(file['format']) != FORMAT:
                raise ValueError(f'format {file["format"]}, expected {FORMAT}')
            packed: dict[str, Any] = {
                name: tuple(_unpacked(file[name], file[f'{name}_end']))
                for name in ('jpeg', 'depth_png', 'ids_png')
            }
            single = {'focal', 'labelled'}
            rest: dict[str, Any] = {
                n: file[n] for n in ClipFile.__dataclass_fields__.keys() - packed.keys() - single
            }
            labelled, table = bool(file['labelled']), file['names'].tolist()
            home = ClipFile(**packed, **rest, focal=float(file['focal']), labelled=labelled)
    except _UNREADABLE as error:
        raise ConfigError(
            f'{path}: expected clips of a home, got a file that is not or is damaged '
            f'({type(error).__name__}: {error}); delete it, it is then rendered again'
        ) from error
    check_clips(home, table, str(path))
    return home


def check_clips(home: ClipFile, names: Sequence[str], source: str) -> None:
    """Raise ConfigError unless numbers are finite and labels are those of the class table."""
    remedy = 'delete the file, it is then rendered again'
    if not len(home):
        raise ConfigError(f'{source}: expected frames, got none; {remedy}')
    for name in ('focal', 'map_T_camera', 'centre', 'size', 'yaw'):
        if not np.isfinite(getattr(home, name)).all():
            raise ConfigError(f'{source}: {name}: expected finite numbers, got NaN; {remedy}')
    low, high = home.label.min(initial=0), home.label.max(initial=0)
    if tuple(names) != CATEGORIES or low < 0 or high >= len(CATEGORIES):
        raise ConfigError(
            f'{source}: expected labels of the class table of {len(CATEGORIES)} names '
            f'({CATEGORIES[0]}, …), got labels {low}..{high} of {len(names)} names '
            f'({names[0] if names else "none"}, …); {remedy}'
        )


def home_path(folder: Path, seed: int) -> Path:
    """Return where the clips of a home lie."""
    return folder / f'home-{seed:06d}.npz'


def _render_file(job: tuple[Path, int, SceneOptions]) -> int:
    folder, seed, options = job
    save_home(home_path(folder, seed), render_home(seed, options), asdict(options))
    return seed


def save_home(path: Path, clips: ClipFile, made: Mapping[str, Any]) -> None:
    """Write clips to a file, which is there whole or not at all.

    Args:
        path: of the file.
        clips: what it holds.
        made: what they were made by, as JSON can hold it; of homes the options.
    """
    arrays: dict[str, NDArray] = {
        'format': np.array(FORMAT),
        'names': np.array(CATEGORIES),
        'made': np.array(json.dumps(made)),
    }
    for name, value in vars(clips).items():
        if isinstance(value, tuple):
            arrays[name] = np.concatenate(value)
            arrays[f'{name}_end'] = np.cumsum([len(item) for item in value])
        else:
            arrays[name] = np.asarray(value)
    aside = path.with_suffix(f'.{os.getpid()}.part')
    with aside.open('wb') as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    aside.rename(path)


def _rig(rng: np.random.Generator, options: SceneOptions) -> CameraRig:
    """Return a camera: half of them near the usual mast, the others anywhere on a robot."""
    if rng.random() < 0.5:
        height, pitch, hfov = rng.normal(1.2, 0.05), rng.normal(10.0, 3.0), rng.normal(69.0, 3.0)
    else:
        height, pitch, hfov = rng.uniform(0.3, 1.6), rng.uniform(-12.0, 28.0), rng.uniform(52, 95)
    return camera_rig(
        pitch=float(np.deg2rad(pitch)),
        height=float(height),
        hfov=float(np.deg2rad(hfov)),
        width=options.width,
        pixels_high=options.height,
    )


def encoded_frame(
    colour: NDArray[np.uint8], depth_m: NDArray[np.float32], ids: NDArray
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    """Return colour (H, W, 3) RGB, depth (H, W) m and ids (H, W) as ``ClipFile`` keeps them."""
    millimetres = np.clip(np.rint(1000 * depth_m[1::2, 1::2]), 0, 65535).astype(np.uint16)
    fast = [cv2.IMWRITE_PNG_COMPRESSION, 1]
    return (
        _encoded(
            '.jpg',
            cv2.cvtColor(colour, cv2.COLOR_RGB2BGR),
            [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY],
        ),
        _encoded('.png', millimetres, fast),
        _encoded('.png', ids[1::2, 1::2].astype(np.uint16), fast),
    )


def _encoded(kind: str, picture: NDArray, parameters: list[int]) -> NDArray[np.uint8]:
    _, data = cv2.imencode(kind, picture, parameters)
    return np.asarray(data, np.uint8).ravel()


def _unpacked(data: NDArray[np.uint8], ends: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
    begin = 0
    for end in ends.tolist():
        yield data[begin:end]
        begin = end
