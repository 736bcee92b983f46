# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""From depth at tokens to samples of the spatial field, as every encoder writes them.

Letters: F frames, T tokens per frame (row-major over a grid), N = F T samples of a kind, E
embedding width, C = 7 + E channels of the appearance field (``memory/field.py``).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ['SAMPLES', 'SampleMaker', 'free_fractions', 'kept']

SAMPLES = (
    'surface_points',
    'surface_values',
    'surface_weights',
    'free_points',
    'free_weights',
)


class SampleMaker(nn.Module):
    """Surface samples where depth is known, free space before them.

    Args:
        frames: F. tokens: T.
        free_margin_m: free space is sampled up to this far in front of a surface.
    """

    fraction: Tensor

    def __init__(self, frames: int, tokens: int, *, free_margin_m: float) -> None:
        super().__init__()
        self.free_margin_m = free_margin_m
        self.register_buffer('fraction', free_fractions(frames, tokens), persistent=False)

    def forward(
        self,
        colour: Tensor,  # (F, T, 3) RGB, 0..1
        embedding: Tensor,  # (F, T, E)
        depth: Tensor,  # (F, T) m along the optical axis
        spread: Tensor,  # (F, T) expected relative error of depth; 0 where measured
        weight: Tensor,  # (F, T) 0 = there is no surface
        ray: Tensor,  # (T, 3) optical frame, z = 1
        tile_T_camera: Tensor,  # (F, 3, 4)
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return surface points (N, 3), values (N, C), weights (N,), free points and weights."""
        origin = tile_T_camera[:, None, :, 3]
        direction = ray @ tile_T_camera[:, :, :3].transpose(1, 2)  # (F, T, 3), per m of depth
        length = torch.sqrt((ray * ray).sum(dim=1))  # (T,)
        near = depth * (1.0 - spread) - self.free_margin_m / length
        free_depth = torch.clamp(near, min=0.0) * self.fraction
        free_weight = weight * (free_depth > 0)
        view = -direction / length[:, None]
        value = torch.cat([torch.ones_like(weight)[..., None], colour, view, embedding], dim=2)
        return (
            kept(origin + direction * depth[..., None], weight).flatten(0, 1),
            kept(value, weight).flatten(0, 1),
            weight.flatten(),
            kept(origin + direction * free_depth[..., None], free_weight).flatten(0, 1),
            free_weight.flatten(),
        )


def kept(values: Tensor, weight: Tensor) -> Tensor:
    """Return values (F, T, X), 0 where weight (F, T) is 0: a NaN of padding must not spread."""
    return torch.where(weight[..., None] > 0, values, 0.0)


def free_fractions(frames: int, tokens: int) -> Tensor:
    """Return how far along its ray each token samples free space, (F, T), 0..1.

    A golden-ratio sequence over tokens and frames; the cube root makes samples even in volume, as
    rays thin out with distance; every third lies right in front of the surface and sharpens it.
    """
    index = np.arange(frames * tokens)
    fraction = np.cbrt((index * 0.6180339887498949) % 1.0)
    fraction[index % 3 == 0] = 1.0
    return torch.tensor(fraction.reshape(frames, -1), dtype=torch.float32)
