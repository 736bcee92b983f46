# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A network of a few tokens with random weights, its model folder, and chunks to feed it with."""

from __future__ import annotations

import numpy as np
import torch
from filelock import FileLock  # comes with PyTorch

from ros2_spatial_ttt.runtime.base import ChunkInput
from ros2_spatial_ttt.training.backbone import BackboneConfig, HybridBackbone
from ros2_spatial_ttt.training.chunk_encoder import ChunkEncoder, folded
from ros2_spatial_ttt.training.export import Calibration, export_network
from ros2_spatial_ttt.training.field_layers import FieldRule
from ros2_spatial_ttt.training.graphs import FieldConfig
from ros2_spatial_ttt.training.model import ModelConfig, SpatialNet

__all__ = ['CALIBRATION', 'CONFIG', 'FIELD', 'chunk_of', 'encoder_of', 'make_net', 'write_model']

CONFIG = ModelConfig(
    image_width=64,
    image_height=48,
    stem=(8, 8, 12, 16, 16),
    labels=('chair', 'table', 'lamp'),
    semantic=8,
    appearance=8,
)
BLOCKS = BackboneConfig(
    width=16,
    grid=CONFIG.context_grid,
    cells=(1, 2),
    frames=CONFIG.chunk_frames,
    blocks=4,
    heads=2,
    window=4,
    sinks=2,
)
FIELD = FieldConfig(appearance_features=16, geometry_features=16, rule=FieldRule())
CALIBRATION = Calibration(worst_depth=3.0)


def make_net(seed: int = 5) -> SpatialNet:
    """Return a network whose every part speaks: nothing is 0 or 1 as in a fresh one."""
    torch.manual_seed(seed)
    net = SpatialNet(CONFIG, HybridBackbone(BLOCKS)).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for name, value in net.state_dict().items():
        noise = torch.randn(value.shape, generator=generator) * 0.15
        if 'running_var' in name:
            value.copy_(1.0 + noise.abs())
        elif value.is_floating_point():
            value.add_(noise)
    return net


def encoder_of(net: SpatialNet) -> ChunkEncoder:
    """Return the encoder that ``write_model`` exports."""
    c = CALIBRATION
    return ChunkEncoder(
        net,
        free_margin_m=c.free_margin_m,
        depth_max_m=c.depth_max_m,
        worst_depth=c.worst_depth,
    )


def write_model(folder) -> SpatialNet:
    """Export the network unless it is there, and return it, batch norms folded.

    All processes of a test run may share the folder: the export takes a minute.
    """
    net = make_net()
    folded(net)
    with FileLock(f'{folder}.lock'):
        if not folder.exists():
            export_network(folder, 'tiny', net, CALIBRATION, field=FIELD)
    return net


def chunk_of(number: int, valid: int) -> ChunkInput:
    """Return a random chunk with ``valid`` frames; every third has no depth."""
    rng = np.random.default_rng([20260101, number])
    frames, tokens = CONFIG.chunk_frames, CONFIG.grid[0] * CONFIG.grid[1]
    live = (np.arange(frames) < valid).astype(np.float32)
    depth = rng.uniform(0.5, 6.0, (frames, tokens)) * (rng.random((frames, tokens)) > 0.3)
    depth[::3] = 0.0
    image = rng.integers(0, 256, (frames, CONFIG.image_height, CONFIG.image_width, 3))
    ray = np.concatenate([rng.uniform(-0.6, 0.6, (tokens, 2)), np.ones((tokens, 1))], axis=1)
    pose = np.stack([_pose(rng) for _ in range(frames)])
    height = pose[:, 2, 3] * live
    return ChunkInput(
        image=(image * live[:, None, None, None]).astype(np.uint8),
        depth=(depth * live[:, None]).astype(np.float32),
        ray=ray.astype(np.float32),
        tile_T_camera=(pose * live[:, None, None]).astype(np.float32),
        frame_valid=live,
        camera_height=height.astype(np.float32),
        heights=live,
    )


def _pose(rng) -> np.ndarray:
    """Return a camera (3, 4) that looks somewhere; the first axis of a QR is as good as any."""
    rotation = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    rotation[:, 0] *= np.sign(np.linalg.det(rotation))
    return np.concatenate([rotation, rng.uniform(-1.0, 1.0, (3, 1)) + [[0], [0], [1.2]]], axis=1)
