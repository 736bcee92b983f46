# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A toy of recall: landmarks of many chunks are written to fresh fast weights and looked up."""

from __future__ import annotations

import torch
import torch.nn.functional as nnf
from layer_inputs import FRAMES

from ros2_spatial_ttt.training.layers import ChunkUpdate, fast_weight_read

__all__ = ['recall']

HEADS, MARKS, WIDTH, INNER, CHUNKS = 32, 8, 32, 64, 24


def recall(update: ChunkUpdate, step: float, ages) -> list[float]:
    """Return how often a layer tells a chunk's landmarks apart, by age in chunks."""
    torch.manual_seed(0)
    shapes = {
        **{'0': (INNER, WIDTH), '1': (WIDTH, INNER), '2': (INNER, WIDTH)},
        **{'curvature': (INNER, INNER), 'target': (INNER, WIDTH)},
    }
    initial = [torch.randn(HEADS, *shapes[n]) * shapes[n][1] ** -0.5 for n in '012']
    kept = [name.removeprefix('next_').removeprefix('m') for name in update.outputs[3:]]
    state = [*(w[None] for w in initial), *(torch.zeros(1, HEADS, *shapes[n]) for n in kept)]
    key = nnf.normalize(torch.randn(CHUNKS, 1, HEADS, MARKS, WIDTH), dim=-1)
    value = torch.randn(CHUNKS, 1, HEADS, MARKS, WIDTH)
    rates, gate = torch.full((1, HEADS, MARKS, 3), 2.0 / MARKS), torch.full((1, HEADS, MARKS), 0.5)
    constants = torch.full((HEADS,), step), torch.zeros(HEADS), torch.ones(1, FRAMES)
    for k, v in zip(key, value, strict=True):
        state = update(*state, *initial, k, v, rates, gate, *constants)
    shares = []
    for age in ages:
        read = fast_weight_read(*state[:3], key[-1 - age])
        found = (read @ nnf.normalize(value[-1 - age], dim=-1).transpose(2, 3)).argmax(dim=-1)
        shares.append(float((found == torch.arange(MARKS)).float().mean()))
    return shares
