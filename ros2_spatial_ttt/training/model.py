# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The network: pictures, and depth where there is any, to what stands where (DESIGN.md 3.1).

Letters: N frames, H×W pixels, h×w fine tokens at stride 8 with T = h w, t = T / 4 coarse tokens at
stride 16, K names, E channels of an appearance embedding.

An RGB trunk sees the picture alone; its appearance embedding can so be computed for an example
picture of one window too. Geometry is added to it, coarse tokens get context over time from hybrid
blocks (``backbone.py``), and dense heads speak for each fine token.

Level frame: at the camera, x along its heading, y to the left, z up.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from ros2_spatial_ttt.sim.world import CATEGORIES

__all__ = [
    'GEOMETRY',
    'PRESETS',
    'Heads',
    'ModelConfig',
    'Residual',
    'SpatialNet',
    'convolution',
    'geometry_channels',
]

STRIDE, COARSE, WINDOW = 8, 16, 48
GEOMETRY = 8  # channels of ``geometry_channels``
LEAST_DEPTH_M, MOST_DEPTH_M = 0.2, 12.0


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of the network.

    Attributes:
        image_width, image_height: px. stem: channels at strides 2, 4, 8, 16 and 32.
        labels: class table. semantic, appearance: widths of these embeddings.
        chunk_frames: F. blocks: hybrid blocks on the coarse tokens; 0 = none.
    """

    image_width: int = 320
    image_height: int = 240
    stem: tuple[int, int, int, int, int] = (24, 40, 80, 128, 192)
    labels: tuple[str, ...] = CATEGORIES
    semantic: int = 64
    appearance: int = 64
    chunk_frames: int = 8
    blocks: int = 4

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of fine tokens."""
        return self.image_height // STRIDE, self.image_width // STRIDE

    @property
    def coarse_grid(self) -> tuple[int, int]:
        """Rows and columns of coarse tokens."""
        return self.image_height // COARSE, self.image_width // COARSE

    @property
    def context_grid(self) -> tuple[int, int]:
        """Rows and columns of the tokens that the hybrid blocks see, each of 2×2 coarse ones."""
        rows, columns = self.coarse_grid
        return (rows + 1) // 2, (columns + 1) // 2


PRESETS: Mapping[str, ModelConfig] = {
    'nano': ModelConfig(),
    'base': ModelConfig(stem=(48, 96, 192, 512, 512), semantic=128, appearance=96, blocks=12),
}


@dataclass(frozen=True)
class Heads:
    """What is said of each fine token of N frames.

    Attributes:
        logits: (N, 1 + K, T) background, then the names.
        offset: (N, 3, T) m in the level frame, from the token's point to the centre of its thing.
        spread: (N, T) logarithm of the expected error of the offset, m.
        size: (N, 3, T) logarithm of longer and shorter horizontal edge and height, m.
        turn: (N, 2, T) cos and sin of twice the yaw of the longer edge in the level frame.
        depth: (N, T) logarithm of depth, m. depth_spread: (N, T) log of its expected log error.
        appearance: (N, E, t) unit embedding of the coarse tokens.
    """

    logits: Tensor
    offset: Tensor
    spread: Tensor
    size: Tensor
    turn: Tensor
    depth: Tensor
    depth_spread: Tensor
    appearance: Tensor

    @classmethod
    def of(cls, logits: Tensor, space: Tensor, looks: Tensor) -> Heads:
        """Return the heads from names (N, 1 + K, T), ``space`` (N, 11, T) and looks (N, E, t)."""
        return cls(
            logits=logits,
            offset=space[:, 0:3],
            spread=torch.clamp(space[:, 3], -4.0, 2.0),
            size=torch.clamp(space[:, 4:7], -4.5, 2.0),
            turn=space[:, 7:9],
            depth=torch.clamp(space[:, 9] + 1.0, -1.6, 2.5),
            depth_spread=torch.clamp(space[:, 10] - 1.0, -4.0, 1.0),
            appearance=looks,
        )


def geometry_channels(
    depth: Tensor,  # (N, T) m, 0 = not measured
    ray: Tensor,  # (T, 3) or (N, T, 3) optical frame, z = 1
    level_T_camera: Tensor,  # (N, 3, 3) rotation
    camera_height: Tensor,  # (N,) m above the floor
    heights: Tensor,  # (N,) 1 = that height is known
) -> Tensor:
    """Return what geometry tells of each token, (N, GEOMETRY, T).

    Direction of its ray in the level frame (3, unit), whether depth was measured, its logarithm,
    whether heights are known, the camera's height and the token's.
    """
    length = torch.sqrt((ray * ray).sum(dim=-1))  # (T,) or (N, T)
    direction = level_T_camera @ (ray / length[..., None]).transpose(-1, -2)  # (N, 3, T)
    there = (depth > 0).to(depth.dtype)
    near = torch.log(torch.clamp(depth, min=LEAST_DEPTH_M)) * there
    known = heights[:, None].expand_as(depth)
    floor = camera_height[:, None] * known
    above = (floor + depth * length * direction[:, 2]) * there * known
    rest = torch.stack([there, near, known, floor, above], dim=1)
    return torch.cat([direction, rest], dim=1)


def convolution(inputs: int, outputs: int, *, size: int = 3, stride: int = 1) -> nn.Sequential:
    """Return convolution, batch norm and ReLU; the size shrinks by ``stride`` alone."""
    padding = (size - stride + 1) // 2
    kernel = nn.Conv2d(inputs, outputs, size, stride, padding, bias=False)
    return nn.Sequential(kernel, nn.BatchNorm2d(outputs), nn.ReLU())


class Residual(nn.Module):
    """x + convolution of x, then ReLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return as much as came in, (n, C, h, w)."""
        return torch.relu(x + self.body(x))


class Trunk(nn.Module):
    """Pictures to features at stride 8, and to the appearance embedding at stride 16."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        half, quarter, eighth, _, _ = config.stem
        self.first = convolution(3, half, size=4, stride=2)
        self.second = convolution(half, quarter, size=3, stride=2)
        self.third = convolution(quarter, eighth, size=3, stride=2)
        self.fourth = Residual(eighth)
        self.look = nn.Sequential(convolution(eighth, 96), nn.Conv2d(96, config.appearance, 1))

    def forward(self, picture: Tensor) -> Tensor:
        """Return features (N, C, H/8, W/8) of pictures (N, 3, H, W) in 0..1."""
        return self.later(self.first(2.0 * picture - 1.0))

    def of_bytes(self, middle: float) -> nn.Module:
        """Return what stands before ``later`` for pictures of 0..255 less ``middle`` = 127.5."""
        scaled = copy.deepcopy(self.first)
        with torch.no_grad():
            scaled[0].weight /= middle
        return scaled

    def later(self, x: Tensor) -> Tensor:
        """Return features (N, C, H/8, W/8) of what ``first`` says, (N, C, H/2, W/2)."""
        return self.fourth(self.third(self.second(x)))

    def appearance(self, features: Tensor) -> Tensor:
        """Return unit embeddings (N, E, H/16, W/16) of the trunk's features."""
        x = self.look(nnf.avg_pool2d(features, 2)).float()
        return x * torch.rsqrt((x * x).sum(dim=1, keepdim=True) + 1e-12)


class SpatialNet(nn.Module):
    """The whole network; ``backbone`` is put in by the second stage of training."""

    def __init__(self, config: ModelConfig, backbone: nn.Module | None = None) -> None:
        super().__init__()
        self.config = config
        _, _, fine, coarse, far = config.stem
        self.trunk = Trunk(config)
        self.geometry = nn.Conv2d(GEOMETRY, fine, 1)
        self.join = convolution(fine, fine, size=1)
        self.down = convolution(fine, coarse, stride=2)
        self.deep = Residual(coarse)
        self.around = nn.Sequential(
            convolution(coarse, far, stride=2),
            Residual(far),
            Residual(far),
            convolution(far, coarse, size=1),
        )
        self.backbone = backbone
        self.wide = nn.Sequential(convolution(coarse, coarse), convolution(coarse, fine, size=1))
        self.merge = Residual(fine)
        self.semantic = nn.Conv2d(fine, config.semantic, 1)
        self.names = nn.Linear(config.semantic, 1 + len(config.labels))
        self.space = nn.Conv2d(fine, 11, 1)

    def features(self, picture: Tensor, geometry: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return trunk features, fine features and coarse features.

        Args:
            picture: (N, 3, H, W) in 0..1.
            geometry: (N, GEOMETRY, T).
        """
        return self.placed(self.trunk(picture), geometry)

    def placed(self, seen: Tensor, geometry: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what ``features`` does, of trunk features (N, C, H/8, W/8)."""
        rows, columns = self.config.grid
        placed = self.geometry(geometry.reshape(len(geometry), GEOMETRY, rows, columns))
        fine = self.join(seen + placed)
        coarse = self.deep(self.down(fine))
        around = nnf.interpolate(self.around(coarse), size=self.config.coarse_grid, mode='nearest')
        return seen, fine, coarse + around

    def heads(self, seen: Tensor, fine: Tensor, coarse: Tensor) -> Heads:
        """Return what all heads say; arguments as ``features`` returns them, after the blocks."""
        merged = self.merged(fine, coarse)
        semantic = self.semantic(merged).flatten(2).transpose(1, 2)
        space = self.space(merged).flatten(2).float()
        logits = self.names(semantic).transpose(1, 2).float()
        return Heads.of(logits, space, self.trunk.appearance(seen).flatten(2))

    def merged(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Return what the heads speak from, (N, C, h, w)."""
        wide = nnf.interpolate(self.wide(coarse), scale_factor=2.0, mode='nearest')
        return self.merge(fine + wide)

    def forward(self, picture: Tensor, geometry: Tensor) -> Heads:
        """Return what is said of N frames that have nothing to do with each other (stage 1)."""
        return self.heads(*self.features(picture, geometry))

    def embed(self, picture: Tensor) -> Tensor:
        """Return the embedding (n, E) of the middle of example pictures (n, 3, 48, 48) in 0..1."""
        looks = self.trunk.appearance(self.trunk(picture))
        return looks[:, :, looks.shape[2] // 2, looks.shape[3] // 2]
