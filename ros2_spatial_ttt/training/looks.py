# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What a model detects in training homes, cut out, and what it really is: for the second look.

One file per home, which says what it was made by; one that was made in another way is made again.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray
from tqdm import tqdm

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.memory.detect import Detected, Detector, detections
from ros2_spatial_ttt.memory.measure import encode_chunk
from ros2_spatial_ttt.memory.preprocess import PreparedFrame
from ros2_spatial_ttt.memory.second_look import crops
from ros2_spatial_ttt.runtime import open_runtime
from ros2_spatial_ttt.runtime.base import Manifest, Runtime
from ros2_spatial_ttt.sim.paint.engine import require_renderer
from ros2_spatial_ttt.training.augment import ClipLook, faulty_colour, faulty_depth
from ros2_spatial_ttt.training.scenes import ClipFile, SceneOptions, render_home
from ros2_spatial_ttt.training.watching import FOUND_M
from ros2_spatial_ttt.types import Intrinsics

__all__ = ['LookOptions', 'Looks', 'load_looks', 'looks_of', 'make_looks']

FORMAT = 1
_STREAM = 91
# What says that a detection means a thing: how near its centre is (1 at it), how far the sizes
# differ (mean of logarithms), and the share of the thing in the box of tokens.
_SIZE, _SHOWN = 0.7, 1.0
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error)

Array = NDArray[Any]


@dataclass(frozen=True)
class LookOptions:
    """How detections are made.

    Attributes:
        clips, frames: of each home; a clip is one chunk of the model.
        strength: of the faults of cameras.
        without_depth: share of clips that are watched without depth too.
        without_heights: share of clips whose height above the floor is not known.
        mass: sum of P(thing) from which tokens are a detection; less than the memory takes.
    """

    clips: int = 6
    frames: int = 8
    strength: float = 1.0
    without_depth: float = 0.5
    without_heights: float = 0.1
    mass: float = 0.5


@dataclass(frozen=True)
class Looks:
    """n detections.

    Attributes:
        picture, place, known: see ``memory.second_look.Crops``.
        target: (n,) int64, 0 = nothing, 1 + number of the name of the thing that is meant.
    """

    picture: NDArray[np.uint8]
    place: NDArray[np.float16]
    known: NDArray[np.float32]
    target: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.target)

    @staticmethod
    def joined(parts: Sequence[Looks]) -> Looks:
        """Return all of several."""
        return Looks(
            **{
                field.name: np.concatenate([getattr(part, field.name) for part in parts])
                for field in fields(Looks)
            }
        )


def make_looks(
    folder: Path, model: Path, seeds: Sequence[int], options: LookOptions, *, processes: int
) -> list[Path]:
    """Make the files that ``folder`` lacks, and return those of all seeds; may be run again.

    Args:
        folder: of the files.
        model: folder of the model.
        seeds: of training homes.
        options: how detections are made.
        processes: homes at a time.
    """
    require_renderer()
    folder.mkdir(parents=True, exist_ok=True)
    made = json.dumps({'network': _network(model), **asdict(options)})
    paths = [folder / f'looks-{seed:06d}.npz' for seed in seeds]
    jobs = [
        (path, model, seed, options, made)
        for path, seed in zip(paths, seeds, strict=True)
        if not _is_made(path, made)
    ]
    if jobs:
        with multiprocessing.get_context('spawn').Pool(processes) as pool:
            for _ in tqdm(pool.imap_unordered(_make_file, jobs), total=len(jobs), unit='home'):
                pass
    return paths


def _network(model: Path) -> str:
    """Return what tells the network of a model folder from others, whatever stands beside it."""
    files = yaml.safe_load((model / 'manifest.yaml').read_text(encoding='utf-8'))['files']
    return f'{files["update.onnx"]} {files["weights.safetensors"]}'


def load_looks(paths: Sequence[Path]) -> Looks:
    """Return the detections of several files.

    Raises:
        ConfigError: a file is missing or damaged.
    """
    return Looks.joined([_load(path) for path in paths])


def _load(path: Path) -> Looks:
    try:
        with path.open('rb') as raw, np.load(raw, allow_pickle=False) as file:
            return Looks(**{field.name: file[field.name] for field in fields(Looks)})
    except _UNREADABLE as error:
        raise ConfigError(
            f'{path}: expected detections of a home, got a file that is not or is damaged '
            f'({type(error).__name__}: {error}); delete it, it is then made again'
        ) from error


def _is_made(path: Path, made: str) -> bool:
    try:
        with path.open('rb') as raw, np.load(raw, allow_pickle=False) as file:
            return int(file['format']) == FORMAT and str(file['made']) == made
    except _UNREADABLE:
        return False


def _make_file(job: tuple[Path, Path, int, LookOptions, str]) -> None:
    path, model, seed, options, made = job
    cv2.setNumThreads(1)
    runtime = open_runtime(str(model), 'ort', threads=1)
    scenes = SceneOptions(clips=options.clips, frames=options.frames)
    looks = looks_of(runtime, render_home(seed, scenes), options, seed)
    aside = path.with_suffix(f'.{os.getpid()}.part')
    with aside.open('wb') as file:
        np.savez(file, format=np.array(FORMAT), made=np.array(made), **vars(looks))
    aside.rename(path)


def looks_of(runtime: Runtime, home: ClipFile, options: LookOptions, seed: int) -> Looks:
    """Return what a model detects in the clips of a home, with the faults of cameras.

    Args:
        runtime: of the model.
        home: clips, each of at most as many frames as a chunk.
        options: how detections are made.
        seed: of the faults.
    """
    manifest = runtime.manifest
    detector = replace(Detector.from_manifest(manifest), mass=options.mass)
    rng = np.random.default_rng([seed, _STREAM])
    parts = []
    for clip in np.unique(home.clip).tolist():
        look = ClipLook.draw(rng, strength=options.strength, without_depth=0.0)
        floor = bool(rng.random() >= options.without_heights)
        rows = np.flatnonzero(home.clip == clip).tolist()
        chunk = [_frame(home, row, manifest, look, rng) for row in rows]
        views = [chunk]
        if rng.random() < options.without_depth:
            views.append([frame.without_depth() for frame in chunk])
        for view in views:
            parts += _cut_out(runtime, home, rows, view, detector, floor)
    return Looks.joined(parts)


def _cut_out(
    runtime: Runtime,
    home: ClipFile,
    rows: Sequence[int],
    chunk: list[PreparedFrame],
    detector: Detector,
    floor: bool,
) -> list[Looks]:
    """Return what is detected in each frame of a chunk."""
    samples, origin, _ = encode_chunk(runtime, chunk, runtime.initial_state(), floor=floor)
    assert samples.tokens is not None
    parts = []
    for number, (row, frame) in enumerate(zip(rows, chunk, strict=True)):
        found = detections(samples.tokens, number, detector)
        depth = samples.tokens.depth[number]
        cut = crops(frame, depth, found, origin, grid=detector.grid, floor=floor)
        target = _meant(home, row, found, found.centre + origin, detector.grid)
        parts.append(Looks(**vars(cut), target=target))
    return parts


def _meant(
    home: ClipFile, row: int, found: Detected, centre: Array, grid: tuple[int, int]
) -> NDArray[np.int64]:
    """Return 1 + the number of the name of the thing that each detection means, 0 = none.

    Args:
        home: truth.
        row: of the frame.
        found: n detections.
        centre: (n, 3) m, theirs in the map.
        grid: rows and columns of tokens.
    """
    now = np.flatnonzero(home.epoch == home.frame_epoch[row])
    if not len(now) or not len(found):
        return np.zeros(len(found), np.int64)
    apart = np.linalg.norm(centre[:, None] - home.centre[now][None], axis=2)
    unlike = np.abs(np.log(found.size)[:, None] - np.log(home.size[now])[None]).mean(axis=2)
    ids = _at_tokens(_decoded(home.ids_png[row]), grid)
    shown = np.array(
        [
            [(part == thing).mean() for thing in home.thing[now]]
            for part in (ids[b[0] : b[2] + 1, b[1] : b[3] + 1] for b in found.box)
        ]
    )
    score = 1.0 - apart / FOUND_M - _SIZE * unlike + _SHOWN * shown
    score[apart >= FOUND_M] = -np.inf
    best = score.argmax(axis=1)
    there = np.isfinite(score.max(axis=1))
    return np.where(there, home.label[now][best] + 1, 0)


def _frame(
    home: ClipFile, row: int, manifest: Manifest, look: ClipLook, rng: np.random.Generator
) -> PreparedFrame:
    """Return a stored frame as the memory prepares it, with the faults of a camera."""
    image = cv2.cvtColor(_decoded(home.jpeg[row], cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    depth = _decoded(home.depth_png[row]).astype(np.float32) * np.float32(0.001)
    depth = faulty_depth(depth, look, rng)
    depth[depth > manifest.depth_max_m] = 0.0
    height, width = image.shape[:2]
    lens = Intrinsics(width, height, home.focal, home.focal, (width - 1) / 2, (height - 1) / 2)
    return PreparedFrame(
        camera='home',
        stamp_ns=row,
        image=faulty_colour(np.asarray(image, np.uint8), look, rng),
        depth=_at_tokens(depth, manifest.grid).ravel(),
        ray=_rays(manifest.grid, lens),
        half_depth=depth.astype(np.float16),
        intrinsics=lens,
        map_T_camera=home.map_T_camera[row],
    )


def _rays(grid: tuple[int, int], lens: Intrinsics) -> NDArray[np.float32]:
    v, u = (
        (np.arange(count) + 0.5) * size / count - 0.5
        for count, size in zip(grid, (lens.height, lens.width), strict=True)
    )
    x, y = np.meshgrid((u - lens.cx) / lens.fx, (v - lens.cy) / lens.fy)
    return np.stack([x.ravel(), y.ravel(), np.ones(x.size)], axis=1).astype(np.float32)


def _at_tokens(half: Array, grid: tuple[int, int]) -> Array:
    """Return what an array at half the picture's resolution has in the middle of each token."""
    rows, columns = (
        ((np.arange(count) + 0.5) * size / count).astype(int)
        for count, size in zip(grid, half.shape, strict=True)
    )
    return half[np.ix_(rows, columns)]


def _decoded(data: NDArray[np.uint8], flag: int = cv2.IMREAD_UNCHANGED) -> Array:
    image = cv2.imdecode(data, flag)
    if image is None:
        raise ConfigError('a rendered picture is damaged; run the command again')
    return np.asarray(image)
