# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A network of a preset with random weights, exported to be measured."""

from __future__ import annotations

import logging
import warnings
from dataclasses import replace
from pathlib import Path

import torch

from ros2_spatial_ttt.training.backbone import BackboneConfig, HybridBackbone
from ros2_spatial_ttt.training.chunk_encoder import folded
from ros2_spatial_ttt.training.export import Calibration, export_network
from ros2_spatial_ttt.training.model import PRESETS, SpatialNet
from ros2_spatial_ttt.training.scenes import SceneOptions
from ros2_spatial_ttt.training.settings import TrainConfig

__all__ = ['write_fresh']


def write_fresh(folder: Path, preset: str, pixels: tuple[int, int]) -> None:
    """Export a network with random weights.

    Args:
        folder: to write; its name is the model's.
        preset: of the network.
        pixels: width and height of pictures.

    Raises:
        ConfigError: the network cannot have pictures of this size.
    """
    width, height = pixels
    grid = replace(PRESETS[preset], image_width=width, image_height=height).context_grid
    cells = [_divisor(n, most) for n, most in zip(grid, BackboneConfig.cells, strict=True)]
    config = TrainConfig(
        preset=preset,
        scenes=SceneOptions(width=width, height=height),
        backbone={'cells': tuple(cells)},
    )
    torch.manual_seed(1)
    net = SpatialNet(config.model, HybridBackbone(config.blocks)).eval().requires_grad_(False)
    folded(net)
    logging.getLogger('torch.onnx').setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # The exporter warns of its own internals; its errors still raise.
        warnings.simplefilter('ignore')
        export_network(folder, folder.name, net, Calibration())


def _divisor(number: int, most: int) -> int:
    """Return the largest divisor of a number that is at most ``most``."""
    return next(n for n in range(most, 0, -1) if number % n == 0)
