# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Image backbones of transformers of the smallest size, randomly initialised."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

__all__ = ['save_encoder']


def save_encoder(kind: str, folder: Path) -> None:
    """Write one of convolutions ('resnet') or of patches ('dinov2') to a folder."""
    transformers = pytest.importorskip('transformers')
    torch.manual_seed(0)
    if kind == 'resnet':
        sizes = {'embedding_size': 4, 'hidden_sizes': [4, 6, 8, 10], 'depths': [1, 1, 1, 1]}
        config = transformers.ResNetConfig(**sizes, layer_type='basic')
        model = transformers.ResNetBackbone(config)
    else:
        config = transformers.Dinov2Config(
            hidden_size=16, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=1
        )
        model = transformers.Dinov2Backbone(config)
    model.save_pretrained(folder)
