# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A second look with random weights, and a model folder that has it."""

from __future__ import annotations

import shutil

import numpy as np
import torch
from filelock import FileLock  # comes with PyTorch

from ros2_spatial_ttt.memory.second_look import CROP, KNOWN
from ros2_spatial_ttt.resources import model_directory
from ros2_spatial_ttt.runtime.base import load_manifest
from ros2_spatial_ttt.training.artefact import add_second_look
from ros2_spatial_ttt.training.chunk_encoder import folded
from ros2_spatial_ttt.training.second_look import SecondLook

__all__ = ['cut_outs', 'make_second_look', 'write_model']


def make_second_look(names: int, seed: int = 5) -> SecondLook:
    """Return a network whose every part speaks: nothing is 0 or 1 as in a fresh one."""
    torch.manual_seed(seed)
    net = SecondLook(names).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for name, value in net.state_dict().items():
        noise = torch.randn(value.shape, generator=generator)
        if 'running_var' in name or name == 'deviation':
            value.copy_(0.5 + noise.abs())
        elif value.is_floating_point() and value.dim() < 2:
            value.add_(0.2 * noise)
        elif name == 'names.weight':
            value.copy_(0.2 * noise)
        elif value.dim() == 4:
            value.mul_(2.5)  # so that what goes in is as loud behind eight layers
    return net


def cut_outs(names: int, count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return picture, place and known of detections, in squares of 8 px; some are sure."""
    rng = np.random.default_rng([20260101, seed])
    picture, place = (
        array.repeat(8, axis=1).repeat(8, axis=2)
        for array in (
            rng.integers(0, 256, (count, CROP // 8, CROP // 8, 3)).astype(np.uint8),
            rng.uniform(-1.0, 1.0, (count, CROP // 8, CROP // 8, 4)),
        )
    )
    place[..., 3] = place[..., 3] > 0.0
    shares = rng.dirichlet(np.full(1 + names, 0.5), count)[:, 1:]
    known = np.concatenate([rng.uniform(-2.0, 2.0, (count, KNOWN)), shares], axis=1)
    return picture, (place * place[..., 3:]).astype(np.float32), known.astype(np.float32)


def write_model(folder) -> SecondLook:
    """Copy nano, give it this second look unless it is there, and return that, batch norms folded.

    All processes of a test run may share the folder.
    """
    nano = model_directory('nano')
    net = make_second_look(len(load_manifest(nano).labels))
    folded(net)
    with FileLock(f'{folder}.lock'):
        if not folder.exists():
            aside = shutil.copytree(nano, folder.with_name(f'{folder.name}.aside'))
            add_second_look(aside, net, {'weights': 'random'})
            aside.rename(folder)
    return net
