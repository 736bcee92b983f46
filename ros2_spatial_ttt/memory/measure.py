# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What a chunk says about the world, in the map: from the model's encoder or from percepts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.geometry import transform_points
from ros2_spatial_ttt.memory.doubts import Look
from ros2_spatial_ttt.memory.preprocess import PreparedFrame
from ros2_spatial_ttt.memory.votes import Votes, evidence, vote_values
from ros2_spatial_ttt.runtime.base import ChunkInput, Manifest, Runtime
from ros2_spatial_ttt.types import Percept

__all__ = ['Measured', 'encoded', 'perceived']


@dataclass(frozen=True)
class Measured:
    """What a chunk measured; points are float64 m in the map, rows in order of time.

    Attributes:
        surface: (n, 3). surface_ns: (n,). values: (n, C) looks of the surfaces; None without them.
        free: (m, 3). votes: things that were detected. looks: one per frame with detections.
    """

    surface: NDArray[np.float64]
    surface_ns: NDArray[np.int64]
    values: NDArray[np.float32] | None
    free: NDArray[np.float64]
    votes: Votes
    looks: tuple[Look, ...] = ()

    def part(self, surface: NDArray, free: NDArray, votes: NDArray) -> Measured:
        """Return these rows of each; all looks."""
        return Measured(
            surface=self.surface[surface],
            surface_ns=self.surface_ns[surface],
            values=None if self.values is None else self.values[surface],
            free=self.free[free],
            votes=self.votes.kept(votes),
            looks=self.looks,
        )


def encoded(runtime: Runtime, chunk: list[PreparedFrame], *, channels: int) -> Measured:
    """Return what the model's encoder sees in a chunk of one camera.

    Args:
        runtime: runs the encoder.
        chunk: at most as many frames as the model takes.
        channels: of the vote field.
    """
    # Coordinates near the camera keep float32 exact wherever in the map the robot is.
    origin = np.round(chunk[0].map_T_camera[:3, 3])
    samples = runtime.encode(_chunk_input(runtime.manifest, chunk, origin))
    stamps = np.array([frame.stamp_ns for frame in chunk], np.int64)
    surface = np.flatnonzero(samples.surface_weights > 0)
    free = np.flatnonzero(samples.free_weights > 0)
    return Measured(
        surface=samples.surface_points[surface] + origin,
        surface_ns=np.repeat(stamps, len(chunk[0].depth))[surface],
        values=samples.surface_values[surface],
        free=samples.free_points[free] + origin,
        votes=Votes.none(channels),
    )


def perceived(chunk: list[Percept], names: tuple[str, ...]) -> Measured:
    """Return what a detector and a depth sensor said in a chunk; ``names`` number its labels."""
    number = {name: index for index, name in enumerate(names)}
    surface = [transform_points(p.map_T_camera, p.surface) for p in chunk]
    centres = [transform_points(p.map_T_camera, p.centre) for p in chunk]
    labels = [number[name] for percept in chunk for name in percept.labels]
    stamps = np.array([percept.stamp_ns for percept in chunk], np.int64)
    votes = Votes(
        points=np.concatenate(centres),
        values=vote_values(
            np.array(labels, np.int64),
            np.concatenate([percept.size for percept in chunk]),
            np.concatenate([percept.yaw for percept in chunk]),
            labels=len(names),
        ),
        weights=evidence(np.concatenate([percept.weight for percept in chunk])),
        stamp_ns=np.repeat(stamps, [len(centre) for centre in centres]),
    )
    return Measured(
        surface=np.concatenate(surface),
        surface_ns=np.repeat(stamps, [len(points) for points in surface]),
        values=None,
        free=np.concatenate([transform_points(p.map_T_camera, p.free) for p in chunk]),
        votes=votes,
        looks=tuple(
            Look(percept.map_T_camera, percept.surface, centre)
            for percept, centre in zip(chunk, centres, strict=True)
        ),
    )


def _chunk_input(
    manifest: Manifest, chunk: list[PreparedFrame], origin: NDArray[np.float64]
) -> ChunkInput:
    frames = manifest.chunk_frames
    image = np.zeros((frames, manifest.image_height, manifest.image_width, 3), np.uint8)
    depth = np.zeros((frames, manifest.tokens), np.float32)
    pose = np.zeros((frames, 3, 4), np.float32)
    for number, frame in enumerate(chunk):
        image[number] = frame.image
        depth[number] = frame.depth
        local = frame.map_T_camera[:3].copy()
        local[:, 3] -= origin
        pose[number] = local
    valid = (np.arange(frames) < len(chunk)).astype(np.float32)
    return ChunkInput(
        image=image,
        depth=depth,
        ray=chunk[0].ray,
        tile_T_camera=pose,
        frame_valid=valid,
    )
