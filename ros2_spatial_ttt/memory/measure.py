# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What a chunk says about the world, in the map: from the model's network or from percepts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.config import MemoryConfig
from ros2_spatial_ttt.geometry import invert_transform, transform_points
from ros2_spatial_ttt.memory.detect import Detected, Detector
from ros2_spatial_ttt.memory.doubts import Look
from ros2_spatial_ttt.memory.preprocess import PreparedFrame
from ros2_spatial_ttt.memory.second_look import seen_in
from ros2_spatial_ttt.memory.state import MemoryState
from ros2_spatial_ttt.memory.votes import Votes, evidence, vote_values
from ros2_spatial_ttt.runtime.base import ChunkInput, Manifest, Runtime, Samples, State
from ros2_spatial_ttt.types import Percept

__all__ = ['Measured', 'Perception', 'encode_chunk', 'encoded', 'perceived', 'percepts_of']


@dataclass(frozen=True)
class Measured:
    """What a chunk measured; points are float64 m in the map, rows in order of time.

    Attributes:
        surface: (n, 3). surface_ns: (n,). surface_weight: (n,) float32, 1 = measured.
        values: (n, C) looks of the surfaces; None without them.
        free: (m, 3). free_weight: (m,) float32.
        votes: things that were detected. looks: one per frame with detections.
    """

    surface: NDArray[np.float64]
    surface_ns: NDArray[np.int64]
    surface_weight: NDArray[np.float32]
    values: NDArray[np.float32] | None
    free: NDArray[np.float64]
    free_weight: NDArray[np.float32]
    votes: Votes
    looks: tuple[Look, ...] = ()

    def part(self, surface: NDArray, free: NDArray, votes: NDArray) -> Measured:
        """Return these rows of each; all looks."""
        return Measured(
            surface=self.surface[surface],
            surface_ns=self.surface_ns[surface],
            surface_weight=self.surface_weight[surface],
            values=None if self.values is None else self.values[surface],
            free=self.free[free],
            free_weight=self.free_weight[free],
            votes=self.votes.kept(votes),
            looks=self.looks,
        )


@dataclass(frozen=True)
class _Things:
    """n things that one frame shows; see ``Percept`` for each, centres are in the map."""

    label: NDArray[np.int64]
    centre: NDArray[np.float64]
    size: NDArray[np.float64]
    yaw: NDArray[np.float64]
    weight: NDArray[np.float64]
    worth: NDArray[np.float64]
    guessed: NDArray[np.float64]

    @staticmethod
    def none() -> _Things:
        return _Things(
            label=np.zeros(0, np.int64),
            centre=np.zeros((0, 3)),
            size=np.zeros((0, 3)),
            yaw=np.zeros(0),
            weight=np.zeros(0),
            worth=np.zeros(0),
            guessed=np.zeros(0),
        )

    @staticmethod
    def of(found: Detected, origin: NDArray[np.float64]) -> _Things:
        """Return detections of a frame; ``origin`` of their frame is in the map."""
        return _Things(
            label=found.label,
            centre=found.centre + origin,
            size=found.size,
            yaw=found.yaw,
            weight=found.weight,
            worth=found.worth,
            guessed=found.guessed,
        )

    def likely(self) -> NDArray[np.float64]:
        """Return the centres of those that are rather right than wrong."""
        return self.centre[self.weight > 0.5]

    def renumbered(self, labels: Sequence[str], names: Sequence[str]) -> _Things:
        """Return the things numbered by ``names`` instead of ``labels``, without unknown ones."""
        number = {name: index for index, name in enumerate(names)}
        label = np.array([number.get(labels[old], -1) for old in self.label], np.int64)
        known = label >= 0
        rest = (self.centre, self.size, self.yaw, self.weight, self.worth, self.guessed)
        return _Things(label[known], *(array[known] for array in rest))


@dataclass(frozen=True)
class _Sight:
    """What the network says of one frame; points (…, 3) float64 m in the map."""

    frame: PreparedFrame
    surface: NDArray[np.float64]
    free: NDArray[np.float64]
    found: _Things

    def local(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return map points in the optical frame."""
        return transform_points(invert_transform(self.frame.map_T_camera), points)


def encoded(
    runtime: Runtime,
    chunk: list[PreparedFrame],
    state: State,
    names: tuple[str, ...],
    *,
    floor: bool = True,
) -> tuple[Measured, State]:
    """Return what the model's network sees in a chunk of one camera, and its next state.

    Args:
        runtime: runs the network.
        chunk: at most as many frames as the model takes.
        state: of the camera's backbone; not changed.
        names: number the labels of the votes; the model's names that are not there are dropped.
        floor: whether z = 0 of the map is the floor, so that heights are known.
    """
    samples, origin, after = encode_chunk(runtime, chunk, state, floor=floor)
    sights = _sights(runtime, chunk, samples, origin, floor=floor)
    stamps = np.array([frame.stamp_ns for frame in chunk], np.int64)
    labels = runtime.manifest.labels
    looks = (Look(s.frame.map_T_camera, s.local(s.surface), s.found.likely()) for s in sights)
    return Measured(
        surface=np.concatenate([sight.surface for sight in sights]),
        surface_ns=np.repeat(stamps, [len(sight.surface) for sight in sights]),
        surface_weight=_live(samples.surface_weights, samples.surface_weights),
        values=_live(samples.surface_values, samples.surface_weights),
        free=np.concatenate([sight.free for sight in sights]),
        free_weight=_live(samples.free_weights, samples.free_weights),
        votes=_votes(stamps, [s.found.renumbered(labels, names) for s in sights], names),
        looks=tuple(looks) if labels else (),
    ), after


def percepts_of(
    runtime: Runtime, chunk: list[PreparedFrame], state: State
) -> tuple[list[Percept], State]:
    """Return what the model's network sees in a chunk of one camera as percepts, one per frame.

    They say what ``encoded`` says, in another form: for stores that are compared with the memory.
    """
    samples, origin, after = encode_chunk(runtime, chunk, state)
    labels = runtime.manifest.labels
    return [
        Percept(
            camera=sight.frame.camera,
            stamp_ns=sight.frame.stamp_ns,
            map_T_camera=sight.frame.map_T_camera,
            labels=tuple(labels[number] for number in sight.found.label),
            centre=sight.local(sight.found.centre),
            size=sight.found.size,
            yaw=sight.found.yaw,
            weight=sight.found.weight,
            worth=sight.found.worth,
            guessed=sight.found.guessed,
            surface=sight.local(sight.surface),
            free=sight.local(sight.free),
        )
        for sight in _sights(runtime, chunk, samples, origin, floor=True)
    ], after


class Perception:
    """The model's perception apart from a memory: chunks of any camera to percepts, in order."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        # Kept as a memory keeps it, so that both see the same.
        self._state = MemoryState.empty(runtime.manifest.embedding)

    def __call__(self, chunk: list[PreparedFrame]) -> list[Percept]:
        """Return the percepts of a chunk of one camera."""
        camera = chunk[0].camera
        state = self._state.backbone(camera) or self._runtime.initial_state()
        percepts, after = percepts_of(self._runtime, chunk, state)
        self._state = self._state.with_backbone(camera, after, most=MemoryConfig.cameras)
        return percepts


def perceived(chunk: list[Percept], names: tuple[str, ...]) -> Measured:
    """Return what a detector and a depth sensor said in a chunk; ``names`` number its labels."""
    number = {name: index for index, name in enumerate(names)}
    surface = [transform_points(p.map_T_camera, p.surface) for p in chunk]
    free = np.concatenate([transform_points(p.map_T_camera, p.free) for p in chunk])
    found = [
        _Things(
            label=np.array([number[name] for name in percept.labels], np.int64),
            centre=transform_points(percept.map_T_camera, percept.centre),
            size=percept.size,
            yaw=percept.yaw,
            weight=percept.weight,
            worth=percept.weight if percept.worth is None else percept.worth,
            guessed=_or_zero(percept.guessed, len(percept.labels)),
        )
        for percept in chunk
    ]
    stamps = np.array([percept.stamp_ns for percept in chunk], np.int64)
    surface_ns = np.repeat(stamps, [len(points) for points in surface])
    return Measured(
        surface=np.concatenate(surface),
        surface_ns=surface_ns,
        surface_weight=np.ones(len(surface_ns), np.float32),
        values=None,
        free=free,
        free_weight=np.ones(len(free), np.float32),
        votes=_votes(stamps, found, names),
        looks=tuple(
            Look(percept.map_T_camera, percept.surface, things.centre)
            for percept, things in zip(chunk, found, strict=True)
        ),
    )


def encode_chunk(
    runtime: Runtime, chunk: list[PreparedFrame], state: State, *, floor: bool = True
) -> tuple[Samples, NDArray[np.float64], State]:
    """Return samples, the place in the map that they are relative to, and the next state.

    ``floor``: whether z = 0 of the map is the floor.
    """
    # Coordinates near the camera keep float32 exact wherever in the map the robot is.
    origin = np.round(chunk[0].map_T_camera[:3, 3])
    samples, after = runtime.encode(_chunk_input(runtime.manifest, chunk, origin, floor), state)
    return samples, origin, after


def _sights(
    runtime: Runtime,
    chunk: list[PreparedFrame],
    samples: Samples,
    origin: NDArray[np.float64],
    *,
    floor: bool,
) -> list[_Sight]:
    """Return what is said of each frame of a chunk."""
    manifest, tokens = runtime.manifest, samples.tokens
    detector = Detector.from_manifest(manifest)
    found = [_Things.none() for _ in chunk]
    if tokens is not None:
        seen = seen_in(runtime, chunk, tokens, origin, detector, floor=floor)
        found = [_Things.of(one, origin) for one in seen]
    count = manifest.sample_grid[0] * manifest.sample_grid[1]
    sights = []
    for number, frame in enumerate(chunk):
        rows = slice(number * count, (number + 1) * count)
        surface = _live(samples.surface_points[rows], samples.surface_weights[rows])
        free = _live(samples.free_points[rows], samples.free_weights[rows])
        sights.append(_Sight(frame, surface + origin, free + origin, found[number]))
    return sights


def _or_zero(values: NDArray[np.float64] | None, count: int) -> NDArray[np.float64]:
    return np.zeros(count) if values is None else values


def _live(rows: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the rows of samples that exist."""
    return rows[weight > 0].astype(np.float32)


def _votes(stamps: NDArray[np.int64], found: list[_Things], names: tuple[str, ...]) -> Votes:
    """Return the votes of things of frames at ``stamps``; their centres are in the map."""
    all_of = {
        name: np.concatenate([getattr(things, name) for things in found])
        for name in ('label', 'centre', 'size', 'yaw', 'worth', 'guessed')
    }
    worth = evidence(all_of['worth'])
    return Votes(
        points=all_of['centre'],
        values=vote_values(
            label=all_of['label'],
            size=all_of['size'],
            yaw=all_of['yaw'],
            worth=worth,
            guessed=all_of['guessed'],
            labels=len(names),
        ),
        weights=worth,
        stamp_ns=np.repeat(stamps, [len(things.label) for things in found]),
    )


def _chunk_input(
    manifest: Manifest, chunk: list[PreparedFrame], origin: NDArray[np.float64], floor: bool
) -> ChunkInput:
    frames = manifest.chunk_frames
    image = np.zeros((frames, manifest.image_height, manifest.image_width, 3), np.uint8)
    depth = np.zeros((frames, manifest.tokens), np.float32)
    pose = np.zeros((frames, 3, 4), np.float32)
    height = np.zeros(frames, np.float32)
    for number, frame in enumerate(chunk):
        image[number] = frame.image
        depth[number] = frame.depth
        local = frame.map_T_camera[:3].copy()
        height[number] = local[2, 3]
        local[:, 3] -= origin
        pose[number] = local
    valid = (np.arange(frames) < len(chunk)).astype(np.float32)
    return ChunkInput(
        image=image,
        depth=depth,
        ray=chunk[0].ray,
        tile_T_camera=pose,
        frame_valid=valid,
        camera_height=height,
        heights=valid * np.float32(floor),
    )
