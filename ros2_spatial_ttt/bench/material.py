# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks run on: frames of a rendered tour or of a recording, and questions."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.replay.bag import Bag
from ros2_spatial_ttt.sim.room import boxes
from ros2_spatial_ttt.types import Frame

__all__ = [
    'FLYING',
    'add_source_arguments',
    'at_rate',
    'example_pictures',
    'load_frames',
    'looped',
    'rendered_frames',
]

PICTURE_PX = 96
PAUSE_NS = 5_000_000_000
# Parameters that lift the gate's limits of speed, for tours that are played faster than walked.
FLYING = {'gate.max_speed': 100.0, 'gate.max_turn_rate': 100.0}


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose the frames."""
    parser.add_argument('--bag', type=Path, metavar='DIR', help='use the frames of this rosbag2')
    parser.add_argument('--seed', type=int, default=0, help='of the rendered room without --bag')
    parser.add_argument('--distinct', type=int, default=60, help='frames rendered or read at most')


def load_frames(arguments: argparse.Namespace) -> list[Frame]:
    """Return the frames that the options ask for, with depth in whole millimetres.

    Raises:
        ConfigError: the recording has no frame with colour, depth and pose.
    """
    if arguments.bag is None:
        return rendered_frames(arguments.distinct, seed=arguments.seed)
    with Bag(arguments.bag) as bag:
        frames = list(itertools.islice(bag.frames(), arguments.distinct))
    if not frames or frames[0].depth is None:
        raise ConfigError(f'{arguments.bag}: no frame with colour, aligned depth and pose')
    return [_in_millimetres(frame) for frame in frames]


def rendered_frames(count: int, *, seed: int, width: int = 640) -> list[Frame]:
    """Return ``count`` frames of one closed tour round a rendered room."""
    stream = boxes.frames(seed, count, width=width, height=width * 3 // 4)
    bar = tqdm(stream, total=count, desc='rendering', leave=False, disable=None)
    return [_in_millimetres(frame) for frame in bar]


def example_pictures(frames: list[Frame], count: int) -> list[NDArray[np.uint8]]:
    """Return ``count`` pictures (96, 96, 3) uint8 RGB from the middle of evenly spaced frames."""
    chosen = np.linspace(0, len(frames) - 1, count).astype(int)
    return [_middle(frames[i].colour) for i in chosen]


def looped(frames: list[Frame], count: int) -> Iterator[Frame]:
    """Yield ``count`` frames: ``frames`` again and again, with stamps that always increase.

    Five seconds pass between two rounds, so the way back to the start is no pose jump.
    """
    span_ns = frames[-1].stamp_ns - frames[0].stamp_ns + PAUSE_NS
    for index in range(count):
        round_, place = divmod(index, len(frames))
        frame = frames[place]
        yield dataclasses.replace(frame, stamp_ns=frame.stamp_ns + round_ * span_ns)


def at_rate(frames: list[Frame], rate_hz: float) -> list[Frame]:
    """Return the frames with stamps ``1 / rate_hz`` apart; the camera then flies, not walks."""
    period_ns, start_ns = round(1e9 / rate_hz), frames[0].stamp_ns
    return [
        dataclasses.replace(frame, stamp_ns=start_ns + index * period_ns)
        for index, frame in enumerate(frames)
    ]


def _in_millimetres(frame: Frame) -> Frame:
    if frame.depth is None or frame.depth.dtype == np.uint16:
        return frame
    metres = np.nan_to_num(frame.depth, nan=0.0, posinf=0.0, neginf=0.0)
    return dataclasses.replace(frame, depth=np.round(1e3 * metres).astype(np.uint16))


def _middle(colour: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = colour.shape[:2]
    y, x = (height - PICTURE_PX) // 2, (width - PICTURE_PX) // 2
    return np.ascontiguousarray(colour[y : y + PICTURE_PX, x : x + PICTURE_PX])
