# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Batches of clips as tensors.

What a step sees depends on seed, step and rank alone: a run resumes exactly, and data-parallel
ranks see different clips.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.training.data import Clip, ClipOptions, make_clip
from ros2_spatial_ttt.training.losses import Targets
from ros2_spatial_ttt.training.model import geometry_channels
from ros2_spatial_ttt.training.scene_reader import SceneTargets
from ros2_spatial_ttt.training.scene_targets import SceneTruth, describe
from ros2_spatial_ttt.training.scenes import ClipFile, load_home

__all__ = ['Batch', 'BatchOptions', 'HomeShelf', 'batches', 'make_batch']


T = TypeVar('T', Targets, SceneTargets)


@dataclass(frozen=True)
class BatchOptions:
    """What a batch is made of.

    Attributes:
        clips: per batch. frames: of each clip.
        most_apart: stored frames between two frames of a clip, drawn from 1 to this.
        clip: augmentation. chunk: frames between two descriptions of the scene, 0 = none.
        names: size of the class table, for descriptions.
    """

    clips: int = 4
    frames: int = 4
    most_apart: int = 3
    clip: ClipOptions = ClipOptions()
    chunk: int = 0
    names: int = 0


@dataclass(frozen=True)
class Batch:
    """B clips of F frames, flattened to N = B F frames.

    Attributes:
        image: (N, H, W, 3) uint8. geometry: (N, GEOMETRY, T). truth: targets.
        clips: B. step: number of the step it is for.
        scenes: after each chunk, where asked for.
    """

    image: Tensor
    geometry: Tensor
    truth: Targets
    clips: int
    step: int
    scenes: tuple[SceneTargets, ...] = ()

    @property
    def picture(self) -> Tensor:
        """Pictures (N, 3, H, W) float32 in 0..1, channels last in memory."""
        return self.image.permute(0, 3, 1, 2).float() / 255.0

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device; itself where it is there already."""
        if self.image.device == device:
            return self
        return replace(
            self,
            image=self.image.to(device),
            geometry=self.geometry.to(device),
            truth=_mapped(self.truth, lambda tensor: tensor.to(device)),
            scenes=tuple(_mapped(s, lambda tensor: tensor.to(device)) for s in self.scenes),
        )

    def chunks(self) -> list[Batch]:
        """Return one batch per chunk, with the scene after it."""
        if not self.scenes:
            return [self]

        def part(tensor: Tensor, number: int) -> Tensor:
            whole = tensor.unflatten(0, (self.clips, len(self.scenes), -1))
            return whole[:, number].flatten(0, 1)

        return [
            replace(
                self,
                image=part(self.image, number),
                geometry=part(self.geometry, number),
                truth=_mapped(self.truth, partial(part, number=number)),
                scenes=(scene,),
            )
            for number, scene in enumerate(self.scenes)
        ]


class HomeShelf:
    """Clip files by number; the last ``most`` are kept in memory. Any number of threads."""

    def __init__(self, paths: Sequence[Path], *, most: int = 4000) -> None:
        self.paths = list(paths)
        self._most = most
        self._loaded: OrderedDict[int, ClipFile] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self.paths)

    def only(self, number: int) -> HomeShelf:
        """Return a shelf of one of the files."""
        return HomeShelf([self.paths[number]])

    def __getitem__(self, number: int) -> ClipFile:
        with self._lock:
            if number in self._loaded:
                self._loaded.move_to_end(number)
                return self._loaded[number]
        home = load_home(self.paths[number])
        with self._lock:
            self._loaded[number] = home
            while len(self._loaded) > self._most:
                self._loaded.popitem(last=False)
        return home


def make_batch(
    shelf: HomeShelf, options: BatchOptions, *, seed: int, step: int, rank: int = 0
) -> Batch:
    """Return the batch of a step."""
    rng = np.random.default_rng([seed, step, rank])
    clips = []
    for _ in range(options.clips):
        home = shelf[int(rng.integers(len(shelf)))]
        clips.append(make_clip(home, _rows(home, options, rng), options.clip, rng))
    return _tensors(clips, step, options)


def batches(
    shelf: HomeShelf,
    options: Callable[[int], BatchOptions],
    steps: range,
    *,
    seed: int,
    rank: int = 0,
    workers: int = 2,
) -> Iterator[Batch]:
    """Yield the batches of steps in order, made ahead by threads.

    Args:
        shelf: clips.
        options: what the batch of a step is made of.
        steps: their numbers.
        seed: of the run.
        rank: of this process.
        workers: threads.
    """
    with ThreadPoolExecutor(workers, thread_name_prefix='batch') as pool:
        ahead: list[Future[Batch]] = []
        try:
            for step in steps:
                ahead.append(
                    pool.submit(make_batch, shelf, options(step), seed=seed, step=step, rank=rank)
                )
                if len(ahead) > 2 * workers:
                    yield ahead.pop(0).result()
            while ahead:
                yield ahead.pop(0).result()
        finally:
            for future in ahead:
                future.cancel()


def _rows(home: ClipFile, options: BatchOptions, rng: np.random.Generator) -> np.ndarray:
    """Return F frames of one stored clip, evenly apart."""
    clip = int(rng.integers(int(home.clip.max()) + 1))
    rows = np.flatnonzero(home.clip == clip)
    if len(rows) < options.frames:
        raise ConfigError(
            f'clips: expected at least the {options.frames} frames of a stream, got {len(rows)}; '
            'choose another --clips, so that longer ones are rendered, or shorter streams'
        )
    most = max((len(rows) - 1) // max(options.frames - 1, 1), 1)
    apart = int(rng.integers(1, min(options.most_apart, most) + 1))
    start = int(rng.integers(len(rows) - apart * (options.frames - 1)))
    return rows[start + apart * np.arange(options.frames)]


def _mapped(tensors: T, change: Callable[[Tensor], Tensor]) -> T:
    return replace(tensors, **{name: change(value) for name, value in vars(tensors).items()})


def _scenes(clips: list[Clip], options: BatchOptions) -> tuple[SceneTargets, ...]:
    """Return the scene after each chunk of all clips."""
    if not options.chunk:
        return ()
    truths = [describe(clip, options.chunk, options.names) for clip in clips]
    stacked = {
        name: torch.from_numpy(np.stack([getattr(truth, name) for truth in truths], axis=1))
        for name in SceneTruth.names()
    }
    number = range(options.frames // options.chunk)
    return tuple(SceneTargets(**{name: s[c] for name, s in stacked.items()}) for c in number)


def _tensors(clips: list[Clip], step: int, options: BatchOptions) -> Batch:
    joined = {
        name: torch.from_numpy(np.concatenate([getattr(clip, name) for clip in clips]))
        for name in Clip.names()
        if name not in ('ray', 'heights', 'map_T_level', 'room')
    }
    frames = len(clips[0].image)
    ray = np.concatenate([np.repeat(clip.ray[None], frames, axis=0) for clip in clips])
    heights = torch.tensor([float(clip.heights) for clip in clips]).repeat_interleave(frames)
    rays = torch.from_numpy(ray)
    level = joined['level_T_camera']
    geometry = geometry_channels(joined['depth'], rays, level, joined['camera_height'], heights)
    truth = Targets(
        label=joined['label'],
        thing=joined['thing'],
        centre=joined['centre'],
        size=joined['size'],
        turn=joined['turn'],
        point=joined['point'],
        depth=joined['true_depth'],
        measured=joined['depth'],
        direction=rays @ level.transpose(1, 2),
        group=torch.arange(len(clips)).repeat_interleave(frames),
    )
    scenes = _scenes(clips, options)
    return Batch(joined['image'], geometry, truth, len(clips), step, scenes)
