# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Closed-form calibration of the untrained encoder on rendered rooms."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as nnf

from ros2_spatial_ttt.sim import boxes
from ros2_spatial_ttt.training.model import EncoderConfig, UntrainedBackbone

__all__ = ['whiten']


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
