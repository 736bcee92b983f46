# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""``spatial-ttt tune-examples``: fit what places found by an example picture are worth.

spatial-ttt tune-examples --model models/nano

Rendered rooms are toured, every other one with the faults of real cameras and poses. Pictures cut
from frames that were held out are asked of the memory of their own room and, as often, of the next
room's, where no answer is right. From both come the confidence of the field alone and that of what
keyframes show. The constants go into ``detector`` of the model's manifest.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ros2_spatial_ttt.config import MemoryConfig, ReadConfig
from ros2_spatial_ttt.exam.patch.pictures import Patch, cut_patches, role
from ros2_spatial_ttt.memory.pipeline import SpatialMemory
from ros2_spatial_ttt.memory.reader import Reader
from ros2_spatial_ttt.memory.votes import vote_frequencies
from ros2_spatial_ttt.query.confirm import Finding, Weighing
from ros2_spatial_ttt.query.names import Reading
from ros2_spatial_ttt.query.objects import ObjectRegistry
from ros2_spatial_ttt.query.source import MemorySource
from ros2_spatial_ttt.resources import model_directory
from ros2_spatial_ttt.sim.room import boxes
from ros2_spatial_ttt.training.augment import ClipLook, faulty_colour
from ros2_spatial_ttt.training.tune import logistic, write_constants
from ros2_spatial_ttt.types import Example, Frame, Query, QueryType

__all__ = ['SEEDS', 'Found', 'add_arguments', 'ask', 'fitted', 'run', 'toured']

SEEDS = range(3021, 3029)
# Pictures of a held-out frame that are asked for. An answer so near is right.
PICTURES, RIGHT_M = 6, 0.5
# Standard deviation of the faults of a pose along and about each axis: m, rad.
POSE_M, POSE_RAD = 0.009, 0.008
RIDGE = np.array([1e-3, 0.1, 0.1])

Array = NDArray[np.float64]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``spatial-ttt tune-examples``."""
    parser.add_argument('--model', required=True, help='name or folder of the model')
    parser.add_argument('--rooms', type=int, default=len(SEEDS), help='rendered rooms (8)')
    parser.add_argument('--frames', type=int, default=60, help='frames of each tour (60)')


def run(args: argparse.Namespace) -> int:
    """Fit the constants and write them into the manifest.

    Raises:
        ConfigError: the manifest cannot be written. ModelError: no such model.
    """
    folder = model_directory(args.model)
    seeds = SEEDS[: max(args.rooms, 2)]
    rooms = [toured(folder, seed, args.frames) for seed in tqdm(seeds, unit='room')]
    found = [one for number in tqdm(range(len(rooms)), unit='room') for one in ask(rooms, number)]
    weighing = fitted(found, Weighing.from_manifest(rooms[0].memory.manifest))
    write_constants(folder, weighing.to_manifest())
    print(table(found, weighing))
    return 0


@dataclass(frozen=True)
class Room:
    """A memory of a room, and pictures of it that it has not seen."""

    memory: SpatialMemory
    pictures: Sequence[Patch]


@dataclass(frozen=True)
class Found:
    """The best answers to one picture.

    Attributes:
        own: asked of the memory of its own room. score: of the field's best place.
        right: that place is right. best: what keyframes leave and add. error: m, of the best.
        rival: the next best that keyframes leave and add, if there is one.
    """

    own: bool
    score: float
    right: bool
    best: Finding
    error: float
    rival: Finding | None = None


def toured(folder: Path, seed: int, frames: int) -> Room:
    """Return the memory of a tour through a rendered room, with faults where the seed is even."""
    memory = SpatialMemory(MemoryConfig(model=str(folder)))
    pictures: list[Patch] = []
    for index, frame in enumerate(_taken(seed, frames)):
        if role(index) == 'held_out':
            pictures += cut_patches(frame, index, count=PICTURES, seed=seed)
        elif role(index) == 'fed':
            memory.feed_frame(frame)
    memory.flush()
    return Room(memory, pictures)


def _taken(seed: int, count: int) -> Iterator[Frame]:
    rng = np.random.default_rng([seed, 5])
    look = ClipLook.draw(rng, strength=1.0, without_depth=0.0)
    for frame in boxes.frames(seed, count):
        if seed % 2:
            yield frame
            continue
        pose = frame.map_T_camera.copy()
        pose[:3, :3] = pose[:3, :3] @ cv2.Rodrigues(rng.normal(0.0, POSE_RAD, 3))[0]
        pose[:3, 3] += rng.normal(0.0, POSE_M, 3)
        yield replace(frame, colour=faulty_colour(frame.colour, look, rng), map_T_camera=pose)


def ask(rooms: Sequence[Room], number: int) -> Iterator[Found]:
    """Yield what the pictures of a room find in its own memory and in that of the next room."""
    others = ((True, rooms[number].memory), (False, rooms[(number + 1) % len(rooms)].memory))
    for own, memory in others:
        alone, whole = (_source(memory, confirm) for confirm in (False, True))
        for patch in rooms[number].pictures:
            query = Query(QueryType.LOCATE, examples=(Example(patch.picture),))
            field = alone.findings(query.examples[0], query)[0]
            best, *rivals = whole.findings(query.examples[0], query)[:2]
            errors = [np.linalg.norm(one.peak.position - patch.point) for one in (field, best)]
            right, error = own and errors[0] <= RIGHT_M, errors[1] if own else np.inf
            rival = rivals[0] if rivals else None
            yield Found(own, field.peak.score, bool(right), best, float(error), rival)


def _source(memory: SpatialMemory, confirm: bool) -> MemorySource:
    votes = memory.config.votes
    reader = Reader(memory.runtime, memory.grid, vote_frequencies(votes.features, votes.scale_m))
    config = replace(memory.config, read=ReadConfig(confirm=confirm))
    return MemorySource(config, memory.runtime, reader, Reading(), ObjectRegistry(), memory.state)


def fitted(found: Sequence[Found], weighing: Weighing) -> Weighing:
    """Return the weighing by which confidences are the shares of right answers."""
    score = np.array([[1.0, one.score] for one in found])
    bias, slope = logistic(score, np.array([one.right for one in found]), RIDGE[:2])
    weighing = replace(weighing, half=float(-bias / slope), slope=float(slope))
    return _led(found, _matching(found, weighing))


def _matching(found: Sequence[Found], weighing: Weighing) -> Weighing:
    """Return the weighing by which matches alone are as sure as they are often right."""
    matches = [(one.best.match, one.error <= RIGHT_M) for one in found]
    features = np.array([[1.0, m.agreement, m.look] for m, _ in matches if m is not None])
    right = np.array([right for m, right in matches if m is not None])
    bias, agreement, look = logistic(features, right, RIDGE).tolist()
    return replace(weighing, bias=bias, agreement=agreement, look=look, lead=0.0)


def _led(found: Sequence[Found], weighing: Weighing) -> Weighing:
    """Return the weighing with what it is worth that a match is ahead of its best rival."""
    led = [one for one in found if one.best.match is not None]
    features = np.array([[1.0, *_odds(one, weighing)] for one in led])
    right = np.array([one.error <= RIGHT_M for one in led])
    bias, scale, lead = logistic(features, right, RIDGE).tolist()
    return replace(
        weighing,
        bias=bias + scale * weighing.bias,
        agreement=scale * weighing.agreement,
        look=scale * weighing.look,
        lead=lead / scale,
    )


def _before_lead(finding: Finding, weighing: Weighing) -> float:
    """Return the log-odds of a place alone; what is no match, keyframes saw and did not match."""
    if finding.match is None:
        return weighing.of_field(finding.peak.score) + weighing.silent
    return weighing.of_match(finding.match)


def table(found: Sequence[Found], weighing: Weighing) -> str:
    """Return what was fitted and how well, as lines of text."""
    own = [one for one in found if one.own]
    odds = {id(one): _log_odds(one, weighing) for one in found}
    right = np.array([one.error <= RIGHT_M for one in own])
    sure = np.array([odds[id(one)] > 0.0 for one in own])
    other = np.array([odds[id(one)] > 0.0 for one in found if not one.own])
    near = np.mean([one.error <= RIGHT_M / 2 for one in own])
    return '\n'.join(
        (
            f'pictures {len(own)}, best answer within {RIGHT_M / 2} m {near:.3f}, within '
            f'{RIGHT_M} m {right.mean():.3f} (field alone {np.mean([o.right for o in own]):.3f})',
            f'said to be found: right {np.mean(sure & right):.3f}, wrong '
            f'{np.mean(sure & ~right):.3f}, in another room {other.mean():.3f}',
            ', '.join(f'{name} {value:.3g}' for name, value in vars(weighing).items()),
        )
    )


def _odds(found: Found, weighing: Weighing) -> tuple[float, float]:
    """Return the log-odds of the best answer alone, and by how much it is ahead of the next."""
    odds = _before_lead(found.best, weighing)
    return odds, 0.0 if found.rival is None else odds - _before_lead(found.rival, weighing)


def _log_odds(found: Found, weighing: Weighing) -> float:
    odds, ahead = _odds(found, weighing)
    return odds + weighing.lead * ahead
