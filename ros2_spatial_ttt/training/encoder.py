# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A pretrained image backbone in place of the trunk, for users who have its weights.

Named ``timm:NAME`` or ``transformers:NAME``, where NAME may be a local folder. Its weights stay as
they are; what is learned on top is a projection, and everything after the trunk.
"""

from __future__ import annotations

import importlib
import math
from typing import Any

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.training.model import COARSE, STRIDE, ModelConfig, SpatialNet, Trunk

__all__ = ['LIBRARIES', 'PretrainedTrunk', 'load_encoder', 'put_encoder']

LIBRARIES = ('timm', 'transformers')
# Of the pictures of ImageNet, which these backbones were trained with.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PROBE_PX = 224


class Encoder(nn.Module):
    """A backbone of either library: normalised pictures (N, 3, H, W) to feature maps."""

    def __init__(self, library: str, model: nn.Module) -> None:
        super().__init__()
        self.library, self.model = library, model

    def forward(self, picture: Tensor) -> list[Tensor]:
        """Return feature maps (N, C, rows, columns), finest first."""
        said = self.model(picture)
        return list(said if self.library == 'timm' else said.feature_maps)


class PretrainedTrunk(nn.Module):
    """Stands in for ``model.Trunk``: the same outputs, from a backbone that is not trained.

    Args:
        config: of the network.
        encoder: its maps nearest to strides 8 and 16 are used, brought to the tokens' grid.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: ModelConfig, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder.eval().requires_grad_(False)
        self.register_buffer('mean', torch.tensor(MEAN)[:, None, None])
        self.register_buffer('deviation', torch.tensor(DEVIATION)[:, None, None])
        with torch.no_grad():
            maps = encoder(torch.zeros(1, 3, PROBE_PX, PROBE_PX))
        self.used = tuple(_nearest_stride(maps, stride) for stride in (STRIDE, COARSE))
        width = config.stem[2]
        self.project = nn.Conv2d(sum(maps[n].shape[1] for n in self.used), width, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.look = Trunk(config).look

    def train(self, mode: bool = True) -> PretrainedTrunk:
        """Set training mode of what is trained."""
        super().train(mode)
        self.encoder.eval()
        return self

    def forward(self, picture: Tensor) -> Tensor:
        """Return features (N, C, H/8, W/8) of pictures (N, 3, H, W) in 0..1."""
        return self.later((picture - self.mean) / self.deviation)

    def of_bytes(self, middle: float) -> nn.Module:
        """Return what stands before ``later`` for pictures of 0..255 less ``middle`` = 127.5."""
        scale = 1.0 / (255.0 * self.deviation)
        return _Normalised(scale, (middle / 255.0 - self.mean) / self.deviation)

    def later(self, x: Tensor) -> Tensor:
        """Return features (N, C, H/8, W/8) of pictures normalised as those of ImageNet."""
        grid = (x.shape[2] // STRIDE, x.shape[3] // STRIDE)
        maps = self.encoder(x)
        chosen = [_at(maps[number].float(), grid) for number in self.used]
        return torch.relu(self.norm(self.project(torch.cat(chosen, dim=1))))

    appearance = Trunk.appearance


class _Normalised(nn.Module):
    """Pictures times a scale plus an offset, both (3, 1, 1)."""

    scale: Tensor
    offset: Tensor

    def __init__(self, scale: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.register_buffer('scale', scale)
        self.register_buffer('offset', offset)

    def forward(self, picture: Tensor) -> Tensor:
        return picture * self.scale + self.offset


def _at(features: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return features (N, C, rows, columns) at the rows and columns of ``grid``."""
    if tuple(features.shape[2:]) == grid:
        return features
    return nnf.interpolate(features, size=grid, mode='bilinear', align_corners=False)


def put_encoder(net: SpatialNet, name: str) -> None:
    """Put a pretrained backbone in place of a network's trunk; see ``load_encoder``."""
    net.trunk = PretrainedTrunk(net.config, load_encoder(name))  # type: ignore[assignment]


def load_encoder(name: str) -> Encoder:
    """Return a pretrained backbone.

    Args:
        name: 'timm:NAME' or 'transformers:NAME'.

    Raises:
        ConfigError: the library is not installed, or has no such weights.
    """
    library, colon, model = name.partition(':')
    if not colon or library not in LIBRARIES:
        raise ConfigError(
            f'encoder: expected one of {LIBRARIES} and a name behind ":", got {name!r}'
        )
    try:
        module = importlib.import_module(library)
    except ImportError as error:
        raise ConfigError(
            f'encoder {name!r}: {library} cannot be imported ({error}); pip install {library}'
        ) from error
    try:
        return Encoder(library, _loaded(module, library, model))
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f'encoder {name!r}: expected a backbone whose weights are here or can be downloaded, '
            f'got {type(error).__name__}: {error}'
        ) from error


def _loaded(module: Any, library: str, model: str) -> nn.Module:
    if library == 'timm':
        return module.create_model(model, pretrained=True, features_only=True)
    stages = module.AutoConfig.from_pretrained(model).stage_names
    config = module.AutoConfig.from_pretrained(model, out_indices=list(range(len(stages))))
    # AutoBackbone.from_pretrained of transformers 5 takes no local folder, its classes do.
    return type(module.AutoBackbone.from_config(config)).from_pretrained(model, config=config)


def _nearest_stride(maps: list[Tensor], stride: int) -> int:
    """Return the number of the map nearest to a stride, of several the deepest."""

    def off(number: int) -> tuple[float, int]:
        own = PROBE_PX / maps[number].shape[3]
        return round(abs(math.log2(own / stride)), 2), -number

    return min(range(len(maps)), key=off)
