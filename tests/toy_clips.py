# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Clips of a made-up room and a network of the smallest size, to train in seconds."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import yaml

from ros2_spatial_ttt.training.model import PRESETS, ModelConfig
from ros2_spatial_ttt.training.scenes import (
    ClipFile,
    SceneOptions,
    encoded_frame,
    home_path,
    save_home,
)

# Pictures of so many px; the smallest that example pictures can be cut out of.
SIZE, FOCAL = 96, 60.0
# How toy homes are said to be filmed.
SCENES = SceneOptions(width=SIZE, height=SIZE, clips=2, frames=8)
# Optical axes of a camera that looks along the map's x axis.
LEVEL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
TINY = ModelConfig(
    stem=(4, 6, 8, 16, 16), semantic=8, appearance=8, chunk_frames=2, blocks=2, labels=()
)


def add_tiny_preset() -> None:
    """Make ``preset: tiny`` known."""
    labels = PRESETS['nano'].labels
    PRESETS['tiny'] = ModelConfig(**{**vars(TINY), 'labels': labels})


def toy_home(seed: int = 0, *, clips: int = 2, frames: int = 8) -> ClipFile:
    """Return clips of a robot that drives at three boxes in front of a wall."""
    rng = np.random.default_rng(seed)
    n = clips * frames
    tint = rng.integers(40, 220, (4, 3)).astype(np.uint8)
    packed = [_picture(rng, tint) for _ in range(n)]
    jpeg, depth_png, ids_png = zip(*packed, strict=True)
    pose = np.tile(np.eye(4), (n, 1, 1))
    pose[:, :3, :3] = LEVEL
    pose[:, :3, 3] = np.stack([0.05 * np.arange(n), np.zeros(n), np.full(n, 1.2)], axis=1)
    return ClipFile(
        jpeg=jpeg,
        depth_png=depth_png,
        ids_png=ids_png,
        clip=np.repeat(np.arange(clips), frames),
        focal=FOCAL,
        map_T_camera=pose,
        stamp_s=0.5 * np.arange(n),
        thing=np.array([1, 2, 3]),
        label=np.array([0, 0, 4]),
        centre=np.array([[3.0, 1.0, 0.4], [3.0, 0.0, 0.4], [3.0, -1.0, 0.4]]),
        size=np.full((3, 3), 0.5),
        yaw=np.zeros(3),
        epoch=np.zeros(3, np.int64),
        frame_epoch=np.zeros(n, np.int64),
        room=np.full(n, 1),
    )


def save_toy(path: Path, home: ClipFile, scenes: SceneOptions = SCENES) -> None:
    """Write the file of a toy home as ``tiny_config`` wants it, or as other scenes are."""
    save_home(path, home, asdict(scenes))


def toy_folder(folder, homes: int = 2, first: int = 30_000) -> None:
    """Write toy homes, and a held-out one of seed 0."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in [0, *range(first, first + homes)]:
        save_toy(home_path(folder, seed), toy_home(seed))


def tiny_config(path, **changes) -> None:
    """Write the config of a run of four steps on toy homes."""
    values = {
        'preset': 'tiny',
        'steps': 4,
        'homes': 2,
        'first_home': 30_000,
        'clips': 1,
        'frames': 2,
        'warmup': 1,
        'check_every': 2,
        'check_homes': 1,
        'save_every': 2,
        'scenes': asdict(SCENES),
        'backbone': {'cells': [3, 3], 'window': 2},
    }
    path.write_text(yaml.safe_dump({**values, **changes}), encoding='utf-8')


def _picture(rng: np.random.Generator, tint: np.ndarray) -> tuple:
    colour = np.broadcast_to(tint[0], (SIZE, SIZE, 3)).copy()
    depth, ids = np.full((SIZE, SIZE), 4.0, np.float32), np.zeros((SIZE, SIZE), np.uint16)
    for thing in (1, 2, 3):
        left = 28 * (thing - 1) + int(rng.integers(4, 10))
        box = (slice(40, 70), slice(left, left + 20))
        colour[box], depth[box], ids[box] = tint[thing], 2.5, thing
    noise = rng.integers(0, 20, colour.shape).astype(np.uint8)
    return encoded_frame(colour + noise, depth, ids)
