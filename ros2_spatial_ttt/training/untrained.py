# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The encoder: frames to samples of the spatial field, and example pictures to embeddings.

Letters: see ``training/samples.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as nnf
from scipy.stats import norm, qmc
from torch import Tensor, nn

from ros2_spatial_ttt.training.samples import SAMPLES, SampleMaker

__all__ = [
    'STRIDE',
    'WINDOW',
    'EncoderConfig',
    'ExampleEmbedder',
    'FrameEncoder',
    'UntrainedBackbone',
    'field_frequencies',
    'seeded_backbone',
]

# Largest differences of coordinates within a tile that the keys are made for.
TILE_DIFFERENCES_M = np.array([2.0, 2.0, 3.5])
SCRAMBLINGS = 128

STRIDE = 16  # input pixels between tokens
WINDOW = 48  # input pixels that one token sees, and the size of an example picture


@dataclass(frozen=True)
class EncoderConfig:
    """Sizes of the encoder and of the field it writes to.

    Attributes:
        image_width, image_height: pixels of the model's input.
        chunk_frames: F.
        embedding: E.
        free_margin_m: free space is sampled up to this far in front of a surface.
        depth_max_m: deeper measurements are ignored.
        seed: of every random number.
    """

    image_width: int = 320
    image_height: int = 240
    chunk_frames: int = 8
    embedding: int = 128
    free_margin_m: float = 0.25
    depth_max_m: float = 8.0
    seed: int = 20260101

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the token grid."""
        return self.image_height // STRIDE, self.image_width // STRIDE

    @property
    def tokens(self) -> int:
        """T."""
        return self.grid[0] * self.grid[1]


class UntrainedBackbone(nn.Module):
    """Random convolutions, rectified both ways and pooled; whitened, never trained.

    A token sees 3×3 cells of 16 px. The last projection holds the whitening, which is measured on
    rendered rooms (``export.calibrate``) so that no direction of the embedding dominates.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        rng = np.random.Generator(np.random.PCG64(config.seed))
        first = rng.standard_normal((32, 3, 7, 7))
        first[:24] -= first[:24].mean(axis=(2, 3), keepdims=True)
        first /= np.sqrt((first**2).sum(axis=(1, 2, 3), keepdims=True))
        second = rng.standard_normal((64, 64, 3, 3)) / np.sqrt(64 * 9)
        third = rng.standard_normal((config.embedding, 128, 3, 3)) / np.sqrt(128 * 9)
        self.first = nn.Parameter(torch.tensor(first, dtype=torch.float32))
        self.second = nn.Parameter(torch.tensor(second, dtype=torch.float32))
        self.third = nn.Parameter(torch.tensor(third, dtype=torch.float32))
        self.bias = nn.Parameter(torch.zeros(config.embedding))

    def cells(self, image: Tensor) -> Tensor:
        """Return pooled features of every 16 px cell, (F, 128, H/16, W/16); image in 0..1."""
        x = nnf.conv2d(_edge_padded(image - 0.5, 3), self.first, stride=2)
        x = _contrast_normalised(_rectified(x))
        x = nnf.avg_pool2d(x, 2)
        x = nnf.conv2d(_edge_padded(x, 1), self.second)
        x = _contrast_normalised(_rectified(x))
        return nnf.avg_pool2d(x, 4)

    def project(self, cells: Tensor, *, padding: int) -> Tensor:
        """Return unit embeddings (F, E, rows, columns) of 3×3 cells each."""
        x = nnf.conv2d(_edge_padded(cells, padding), self.third, self.bias)
        return x * torch.rsqrt((x * x).sum(dim=1, keepdim=True) + 1e-12)


def _edge_padded(x: Tensor, size: int) -> Tensor:
    """Repeat the border: zeros would draw edges around an example picture that no frame has."""
    return nnf.pad(x, (size, size, size, size), mode='replicate')


def _rectified(x: Tensor) -> Tensor:
    return torch.cat([torch.relu(x), torch.relu(-x)], dim=1)


def _contrast_normalised(x: Tensor) -> Tensor:
    energy = (x * x).mean(dim=1, keepdim=True)
    energy = nnf.avg_pool2d(energy, 5, stride=1, padding=2, count_include_pad=False)
    return x * torch.rsqrt(energy + 1e-3)


def seeded_backbone(config: EncoderConfig) -> UntrainedBackbone:
    """Return the backbone of ``config.seed``, with neutral whitening, ready for calibration."""
    return UntrainedBackbone(config).eval().requires_grad_(False)


class FrameEncoder(nn.Module):
    """Frames of one camera to samples: surface where depth was measured, free space before it."""

    inputs = ('image', 'depth', 'ray', 'tile_T_camera', 'frame_valid')
    outputs = SAMPLES

    def __init__(self, config: EncoderConfig, backbone: nn.Module) -> None:
        super().__init__()
        self.config = config
        self.backbone = backbone
        self.samples = SampleMaker(
            config.chunk_frames, config.tokens, free_margin_m=config.free_margin_m
        )

    def forward(
        self,
        image: Tensor,  # (F, H, W, 3) uint8 RGB
        depth: Tensor,  # (F, T) m along the optical axis, 0 = not measured
        ray: Tensor,  # (T, 3) direction of each token in the optical frame, z = 1
        tile_T_camera: Tensor,  # (F, 3, 4) optical frame to tile
        frame_valid: Tensor,  # (F,) 1 for a frame, 0 for padding
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return surface points (N, 3), values (N, C), weights (N,), free points and weights."""
        picture = image.to(torch.float32).permute(0, 3, 1, 2) / 255.0
        embedding = self.backbone.project(self.backbone.cells(picture), padding=1)
        colour = nnf.avg_pool2d(picture, STRIDE)
        measured = (depth > 0) & (depth <= self.config.depth_max_m)
        return self.samples(
            colour.flatten(2).transpose(1, 2),
            embedding.flatten(2).transpose(1, 2),
            depth,
            torch.zeros_like(depth),
            measured.to(depth.dtype) * frame_valid[:, None],
            ray,
            tile_T_camera,
        )


class ExampleEmbedder(nn.Module):
    """Example pictures of one window each to embeddings like those that the field stores."""

    inputs = ('picture',)
    outputs = ('embedding',)

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, picture: Tensor) -> Tensor:
        """Return unit embeddings (N, E) of pictures (N, 48, 48, 3) uint8 RGB."""
        image = picture.to(torch.float32).permute(0, 3, 1, 2) / 255.0
        return self.backbone.project(self.backbone.cells(image), padding=0).flatten(1)


def field_frequencies(features: int, scales_m: tuple[float, ...], seed: int) -> np.ndarray:
    """Return omega (D/2, 3) in rad/m: equal shares of Gaussian kernels of each length scale.

    A scrambled Sobol sequence through the normal quantile; of several scramblings the one whose
    kernel is nearest to the true one over the differences within a tile. Independent draws differ
    so much at this D that some call a tenth of the unseen points observed (docs/LOG.md).
    """
    scale = np.resize(np.asarray(scales_m), features // 2)
    differences = qmc.Sobol(3, seed=seed).random(2048) * 2.0 - 1.0
    differences = differences * TILE_DIFFERENCES_M
    distance2 = (differences**2).sum(axis=1)
    target = np.mean([np.exp(-0.5 * distance2 / s**2) for s in scales_m], axis=0)
    best, least = np.zeros(0), np.inf
    for attempt in range(SCRAMBLINGS):
        uniform = qmc.Sobol(3, seed=seed + attempt).random(features // 2)
        omega = norm.ppf(np.clip(uniform, 1e-6, 1.0 - 1e-6)) / scale[:, None]
        error = float(np.mean((np.cos(differences @ omega.T).mean(axis=1) - target) ** 2))
        if error < least:
            best, least = omega, error
    return best.astype(np.float32)
