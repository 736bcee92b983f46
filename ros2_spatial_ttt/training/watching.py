# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What a model sees on tours of training homes, and what of that is right: material for tuning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.exam.asking.evidence import Evidence, Known
from ros2_spatial_ttt.geometry import invert_transform, transform_points
from ros2_spatial_ttt.memory.detect import Detected, Detector, detections
from ros2_spatial_ttt.memory.measure import encode_chunk
from ros2_spatial_ttt.memory.preprocess import CameraTokens, PreparedFrame
from ros2_spatial_ttt.runtime.base import Manifest, Runtime
from ros2_spatial_ttt.sim.episode import Episode, episode_of
from ros2_spatial_ttt.sim.home import make_home
from ros2_spatial_ttt.sim.stream import frames_of
from ros2_spatial_ttt.sim.tour import TourOptions, make_tour
from ros2_spatial_ttt.sim.world import CATEGORIES, Thing
from ros2_spatial_ttt.types import Percept

__all__ = ['FOUND_M', 'Watched', 'watch']

FOUND_M = 0.5
EVERY_NS = 60 * 10**9  # of the stream between two looks at what was shown
_CAMERA = 0

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Watched:
    """What a model sees on a tour of F frames.

    Attributes:
        seen: F detections of a frame, centres in the map. right: F times (n,), which of them are.
        surface: F points (n, 3) m of the optical frame. poses: (F, 4, 4). stamps_ns: (F,).
        known: what the tour had shown, minute by minute.
    """

    seen: tuple[Detected, ...]
    right: tuple[NDArray[np.bool_], ...]
    surface: tuple[Array, ...]
    poses: Array
    stamps_ns: NDArray[np.int64]
    known: tuple[Known, ...]

    def percepts(self, detector: Detector, labels: Sequence[str]) -> Iterator[Percept]:
        """Yield what the memory is told, with the probabilities of a detector."""
        for number, found in enumerate(self.seen):
            pose = self.poses[number]
            yield Percept(
                camera='tuned',
                stamp_ns=int(self.stamps_ns[number]),
                map_T_camera=pose,
                labels=tuple(labels[label] for label in found.label),
                centre=transform_points(invert_transform(pose), found.centre),
                size=found.size,
                yaw=found.yaw,
                weight=detector.weight(found.label, found.features),
                worth=detector.worth(found.label, found.features),
                surface=self.surface[number],
                free=np.zeros((0, 3)),
            )


def watch(runtime: Runtime, seed: int, minutes: float) -> Watched:
    """Return what a model sees on the tour of a training seed, at 2 Hz."""
    home = make_home(seed)
    tour = make_tour(home, TourOptions(minutes=minutes))
    episode = episode_of(home, tour)
    seen, surface = _look(runtime, episode)
    stamps = tour.stamps_ns.tolist()
    begin, end = stamps[0], stamps[-1]
    evidence = Evidence(episode)
    return Watched(
        seen=tuple(seen),
        right=tuple(
            right(found, runtime.manifest.labels, episode.things_at(stamp))
            for found, stamp in zip(seen, stamps, strict=True)
        ),
        surface=tuple(surface),
        poses=episode.map_T_camera(_CAMERA),
        stamps_ns=tour.stamps_ns,
        known=tuple(
            evidence.at(stamp) for stamp in range(min(begin + EVERY_NS, end), end + 1, EVERY_NS)
        ),
    )


def right(found: Detected, labels: Sequence[str], things: Sequence[Thing]) -> NDArray[np.bool_]:
    """Return which detections (n,) lie within ``FOUND_M`` of a thing of their name."""
    number = {name: index for index, name in enumerate(labels)}
    label = np.array([number.get(CATEGORIES[thing.label], -1) for thing in things], np.int64)
    centre = np.array([thing.centre for thing in things]).reshape(-1, 3)
    apart = np.linalg.norm(found.centre[:, None] - centre[None], axis=2)
    return np.asarray(((apart < FOUND_M) & (found.label[:, None] == label[None])).any(axis=1))


def _look(runtime: Runtime, episode: Episode) -> tuple[list[Detected], list[Array]]:
    """Return detections in the map and surface points of every frame of a tour."""
    manifest, detector = runtime.manifest, Detector.from_manifest(runtime.manifest)
    state, chunk = runtime.initial_state(), []
    seen: list[Detected] = []
    surface: list[Array] = []
    for frame in _prepared(episode, manifest):
        chunk.append(frame)
        surface.append(_surface(frame, manifest.grid))
        if len(chunk) < manifest.chunk_frames and len(surface) < len(episode.tour):
            continue
        samples, origin, state = encode_chunk(runtime, chunk, state)
        assert samples.tokens is not None
        for number in range(len(chunk)):
            found = detections(samples.tokens, number, detector)
            seen.append(replace(found, centre=found.centre + origin))
        chunk = []
    return seen, surface


def _prepared(episode: Episode, manifest: Manifest) -> Iterator[PreparedFrame]:
    camera: CameraTokens | None = None
    for item in frames_of(episode.home, episode.tour):
        if item.camera == _CAMERA:
            lens, most = item.frame.intrinsics, manifest.depth_max_m
            camera = camera or CameraTokens(lens, manifest, depth_max_m=most)
            yield camera.prepare(item.frame)


def _surface(frame: PreparedFrame, grid: tuple[int, int]) -> Array:
    """Return measured points of every fourth token in the optical frame, (n, 3) m."""
    depth = frame.depth.reshape(grid)[::2, ::2].ravel()
    ray = frame.ray.reshape(*grid, 3)[::2, ::2].reshape(-1, 3)
    return np.asarray(ray[depth > 0] * depth[depth > 0, None], np.float64)
