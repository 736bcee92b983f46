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
from ros2_spatial_ttt.memory.detect import Detected, Detector
from ros2_spatial_ttt.memory.measure import encode_chunk
from ros2_spatial_ttt.memory.preprocess import CameraTokens, PreparedFrame
from ros2_spatial_ttt.memory.second_look import seen_in
from ros2_spatial_ttt.runtime.base import Manifest, Runtime, Samples
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
        surface: F points (n, 3) m of the optical frame, measured or predicted. poses: (F, 4, 4).
        stamps_ns: (F,).
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
                guessed=found.guessed,
                surface=self.surface[number],
                free=np.zeros((0, 3)),
            )


def watch(runtime: Runtime, seed: int, minutes: float) -> tuple[Watched, Watched]:
    """Return what a model sees on the tour of a training seed, at 2 Hz: with depth, without."""
    home = make_home(seed)
    tour = make_tour(home, TourOptions(minutes=minutes))
    episode = episode_of(home, tour)
    measured, guessed = _Watching(runtime), _Watching(runtime)
    chunk: list[PreparedFrame] = []
    for frame in _prepared(episode, runtime.manifest):
        chunk.append(frame)
        if len(chunk) == runtime.manifest.chunk_frames or frame.stamp_ns == tour.stamps_ns[-1]:
            measured.look(chunk)
            guessed.look([one.without_depth() for one in chunk])
            chunk = []
    stamps = tour.stamps_ns.tolist()
    begin, end = stamps[0], stamps[-1]
    evidence = Evidence(episode)
    known = tuple(
        evidence.at(stamp) for stamp in range(min(begin + EVERY_NS, end), end + 1, EVERY_NS)
    )
    things = [episode.things_at(stamp) for stamp in stamps]
    labels = runtime.manifest.labels
    both = (
        Watched(
            seen=tuple(watching.seen),
            right=tuple(
                right(found, labels, there)
                for found, there in zip(watching.seen, things, strict=True)
            ),
            surface=tuple(watching.surface),
            poses=episode.map_T_camera(_CAMERA),
            stamps_ns=tour.stamps_ns,
            known=known,
        )
        for watching in (measured, guessed)
    )
    return next(both), next(both)


def right(found: Detected, labels: Sequence[str], things: Sequence[Thing]) -> NDArray[np.bool_]:
    """Return which detections (n,) lie within ``FOUND_M`` of a thing of their name."""
    number = {name: index for index, name in enumerate(labels)}
    label = np.array([number.get(CATEGORIES[thing.label], -1) for thing in things], np.int64)
    centre = np.array([thing.centre for thing in things]).reshape(-1, 3)
    apart = np.linalg.norm(found.centre[:, None] - centre[None], axis=2)
    return np.asarray(((apart < FOUND_M) & (found.label[:, None] == label[None])).any(axis=1))


class _Watching:
    """Collects detections in the map and surface points of every frame, chunk by chunk."""

    def __init__(self, runtime: Runtime) -> None:
        self.seen: list[Detected] = []
        self.surface: list[Array] = []
        self._runtime = runtime
        self._detector = Detector.from_manifest(runtime.manifest)
        self._state = runtime.initial_state()

    def look(self, chunk: list[PreparedFrame]) -> None:
        samples, origin, self._state = encode_chunk(self._runtime, chunk, self._state)
        assert samples.tokens is not None
        seen = seen_in(self._runtime, chunk, samples.tokens, origin, self._detector, floor=True)
        for number, (frame, found) in enumerate(zip(chunk, seen, strict=True)):
            self.seen.append(replace(found, centre=found.centre + origin))
            self.surface.append(_surface(samples, number, frame.map_T_camera, origin))


def _surface(samples: Samples, number: int, map_T_camera: Array, origin: Array) -> Array:
    """Return the surface points of a frame that the memory takes, in its optical frame, (n, 3) m.

    Args:
        samples: of a chunk, relative to ``origin`` in the map.
        number: of the frame in the chunk.
        map_T_camera: (4, 4) of the frame.
        origin: (3,) m.
    """
    assert samples.tokens is not None
    count = len(samples.surface_weights) // len(samples.tokens.depth)
    part = slice(number * count, (number + 1) * count)
    points = samples.surface_points[part][samples.surface_weights[part] > 0]
    return transform_points(invert_transform(map_T_camera), points + origin)


def _prepared(episode: Episode, manifest: Manifest) -> Iterator[PreparedFrame]:
    camera: CameraTokens | None = None
    for item in frames_of(episode.home, episode.tour):
        if item.camera == _CAMERA:
            lens, most = item.frame.intrinsics, manifest.depth_max_m
            camera = camera or CameraTokens(lens, manifest, depth_max_m=most)
            yield camera.prepare(item.frame)
