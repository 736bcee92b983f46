# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Clips for training, rendered from simulated homes: colour, true depth, ids, poses and boxes.

One file per home, so that many processes may render and a training run may start before all are
there. Faults of real cameras are added when a clip is used (``augment.py``), never stored.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

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
from ros2_spatial_ttt.sim.world import TRAIN_SEEDS, CameraRig, things_at

__all__ = ['ClipFile', 'SceneOptions', 'home_path', 'load_home', 'render_home', 'render_homes']

FORMAT = 1
_STREAM = 90
_JPEG_QUALITY = 95


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
    jpeg, depth_png, ids_png = [], [], []
    with Stage(home, tour.changes, samples=4) as stage:
        for frame in index.tolist():
            stage.set_time(int(tour.stamps_ns[frame]))
            colour, depth, ids = stage.render(lens, poses[frame])
            quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
            jpeg.append(_encoded('.jpg', cv2.cvtColor(colour, cv2.COLOR_RGB2BGR), quality))
            millimetres = np.clip(np.rint(1000 * depth[1::2, 1::2]), 0, 65535).astype(np.uint16)
            depth_png.append(_encoded('.png', millimetres, [cv2.IMWRITE_PNG_COMPRESSION, 1]))
            ids_png.append(
                _encoded(
                    '.png', ids[1::2, 1::2].astype(np.uint16), [cv2.IMWRITE_PNG_COMPRESSION, 1]
                )
            )
    rows = [
        (epoch, thing)
        for epoch in np.unique(epochs).tolist()
        for thing in things_at(home, tour.changes, changes[epoch - 1] if epoch else 0)
    ]
    size, yaw = ordered_box(
        np.array([thing.size for _, thing in rows]), np.array([thing.yaw for _, thing in rows])
    )
    return ClipFile(
        jpeg=tuple(jpeg),
        depth_png=tuple(depth_png),
        ids_png=tuple(ids_png),
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
    )


def render_homes(
    folder: Path, seeds: Sequence[int], options: SceneOptions, *, processes: int
) -> None:
    """Render the homes that ``folder`` lacks; may be stopped and run again."""
    require_renderer()
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(folder, s, options) for s in seeds if not home_path(folder, s).is_file()]
    if not jobs:
        return
    with multiprocessing.get_context('spawn').Pool(processes) as pool:
        for _ in tqdm(pool.imap_unordered(_render_file, jobs), total=len(jobs), unit='home'):
            pass


def load_home(path: Path) -> ClipFile:
    """Return the clips of a file.

    Raises:
        ConfigError: it is no such file, or it is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            if int(file['format']) != FORMAT:
                raise ConfigError(f'{path}: format {file["format"]}, expected {FORMAT}')
            packed = {
                name: tuple(_unpacked(file[name], file[f'{name}_end']))
                for name in ('jpeg', 'depth_png', 'ids_png')
            }
            names = ClipFile.__dataclass_fields__.keys() - packed.keys() - {'focal'}
            rest = {name: file[name] for name in names}
            return ClipFile(**packed, **rest, focal=float(file['focal']))
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise ConfigError(
            f'{path}: expected clips of a home, got a file that is not or is damaged '
            f'({type(error).__name__}: {error}); delete it, it is then rendered again'
        ) from error


def home_path(folder: Path, seed: int) -> Path:
    """Return where the clips of a home lie."""
    return folder / f'home-{seed:06d}.npz'


def _render_file(job: tuple[Path, int, SceneOptions]) -> int:
    folder, seed, options = job
    clips = render_home(seed, options)
    arrays: dict[str, NDArray] = {'format': np.array(FORMAT)}
    for name, value in vars(clips).items():
        if isinstance(value, tuple):
            arrays[name] = np.concatenate(value)
            arrays[f'{name}_end'] = np.cumsum([len(item) for item in value])
        else:
            arrays[name] = np.asarray(value)
    path = home_path(folder, seed)
    aside = path.with_suffix(f'.{os.getpid()}.part')
    with aside.open('wb') as file:
        np.savez(file, **arrays)
    aside.rename(path)
    return seed


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


def _encoded(kind: str, picture: NDArray, parameters: list[int]) -> NDArray[np.uint8]:
    _, data = cv2.imencode(kind, picture, parameters)
    return np.asarray(data, np.uint8).ravel()


def _unpacked(data: NDArray[np.uint8], ends: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
    begin = 0
    for end in ends.tolist():
        yield data[begin:end]
        begin = end
