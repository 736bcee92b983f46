# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Calibration of the untrained encoder on rendered rooms: whitening and confidence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as nnf
from numpy.typing import NDArray
from scipy.optimize import minimize

from ros2_spatial_ttt.config import MemoryConfig, ReadConfig
from ros2_spatial_ttt.memory.pipeline import SpatialMemory
from ros2_spatial_ttt.sim.room import boxes
from ros2_spatial_ttt.training.untrained import WINDOW, EncoderConfig, UntrainedBackbone
from ros2_spatial_ttt.types import Example, Frame, Query, QueryType

__all__ = ['found_score', 'whiten']


def whiten(
    backbone: UntrainedBackbone,
    config: EncoderConfig,
    seeds: Sequence[int],
    *,
    frames: int = 24,
    shrink: float = 0.1,
) -> None:
    """Fold mean and whitening of the embedding into the last convolution, in place.

    Args:
        backbone: with a random, neutral last convolution.
        config: its sizes.
        seeds: of the rendered rooms.
        frames: rendered per room.
        shrink: share of the mean variance added to every direction, so that noise is not blown up.
    """
    size = (config.image_width, config.image_height)
    cells = []
    for seed in seeds:
        for frame in boxes.frames(seed, frames, width=2 * size[0], height=2 * size[1]):
            small = cv2.resize(frame.colour, size, interpolation=cv2.INTER_AREA)
            image = torch.from_numpy(small).permute(2, 0, 1)[None].float() / 255.0
            cells.append(backbone.cells(image))
    features = nnf.conv2d(torch.cat(cells), backbone.third).transpose(0, 1).flatten(1).double()
    mean = features.mean(dim=1, keepdim=True)
    covariance = (features - mean) @ (features - mean).T / features.shape[1]
    values, vectors = np.linalg.eigh(covariance.numpy())
    values = values + shrink * values.mean()
    matrix = torch.from_numpy((vectors / np.sqrt(values)) @ vectors.T)
    third = matrix @ backbone.third.double().flatten(1)
    backbone.third.data = third.float().reshape_as(backbone.third).contiguous()
    backbone.bias.data = -(matrix @ mean).flatten().float()


def found_score(
    folder: Path, seeds: Sequence[int], *, frames: int = 60, within_m: float = 0.5
) -> tuple[float, float]:
    """Return (half, slope) of the logistic from read score to the chance that an answer is right.

    Each room is toured, every fifth frame held out; example pictures from those frames are asked
    of their own room (right when within ``within_m`` of the truth) and of the next room (never
    right), in equal numbers.

    Args:
        folder: exported model; its present ``found_score`` does not matter.
        seeds: of the rendered rooms, at least two.
        frames: rendered per room.
        within_m: largest error of a right answer.
    """
    memories, examples = [], []
    for seed in seeds:
        # ``found_score`` is of the field alone; keyframes add their own log odds to it.
        alone = ReadConfig(confirm=False)
        memory = SpatialMemory(MemoryConfig(model=str(folder), read=alone))
        rng = np.random.Generator(np.random.PCG64(seed))
        held_out: list[tuple[Example, NDArray[np.float64]]] = []
        for number, frame in enumerate(boxes.frames(seed, frames)):
            if number % 5 == 0:
                held_out += [_example(frame, rng) for _ in range(8)]
            else:
                memory.feed_frame(frame)
        memory.flush()
        memories.append(memory)
        examples.append(held_out)
    scores, right = [], []
    for number, held_out in enumerate(examples):
        for example, truth in held_out:
            own = _best(memories[number], example)
            other = _best(memories[(number + 1) % len(memories)], example)
            scores += [own[0], other[0]]
            right += [float(np.linalg.norm(own[1] - truth) <= within_m), 0.0]
    return _logistic(np.array(scores), np.array(right))


def _example(frame: Frame, rng: np.random.Generator) -> tuple[Example, NDArray[np.float64]]:
    assert frame.depth is not None
    k, half = frame.intrinsics, WINDOW
    while True:
        u = int(rng.integers(half, k.width - half))
        v = int(rng.integers(half, k.height - half))
        depth = float(frame.depth[v, u])
        if 0 < depth < 8:
            break
    point = frame.map_T_camera @ [(u - k.cx) / k.fx * depth, (v - k.cy) / k.fy * depth, depth, 1]
    picture = np.ascontiguousarray(frame.colour[v - half : v + half, u - half : u + half])
    return Example(picture), point[:3]


def _best(memory: SpatialMemory, example: Example) -> tuple[float, NDArray[np.float64]]:
    """Return the read score, recovered from the confidence, and place of the best answer."""
    answer = memory.query(Query(QueryType.LOCATE, examples=(example,), max_results=1))
    half, slope = memory.manifest.found_score
    best = answer.instances[0]
    confidence = np.clip(best.confidence, 1e-9, 1 - 1e-9)
    return half + float(np.log(confidence / (1 - confidence))) / slope, best.position


def _logistic(score: NDArray[np.float64], right: NDArray[np.float64]) -> tuple[float, float]:
    def loss(parameters: NDArray[np.float64]) -> float:
        logit = np.clip(parameters[1] * (score - parameters[0]), -30, 30)
        return float(np.mean(np.logaddexp(0.0, logit) - right * logit))

    half, slope = minimize(loss, np.array([0.6, 10.0]), method='Nelder-Mead').x
    return round(float(half), 3), round(float(slope), 2)
