# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The network with the loss of its stage: one module, from a batch to a number."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ros2_spatial_ttt.training.backbone import HybridBackbone
from ros2_spatial_ttt.training.batches import Batch
from ros2_spatial_ttt.training.encoder import put_encoder
from ros2_spatial_ttt.training.memory_stage import memory_loss
from ros2_spatial_ttt.training.model import SpatialNet
from ros2_spatial_ttt.training.perception import perception_loss
from ros2_spatial_ttt.training.scene_reader import SceneReader
from ros2_spatial_ttt.training.scenes import ROOM_KINDS
from ros2_spatial_ttt.training.settings import TrainConfig

__all__ = ['Objective']

# Parts of the network before the blocks.
BEFORE_BLOCKS = ('trunk', 'geometry', 'join', 'down', 'deep', 'around')


class Objective(nn.Module):
    """What a step of a stage minimises.

    In the stage 'memory' the statistics of all batch norms stay as they were learned, and all
    before the blocks stays too unless it has a learning rate.
    """

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.config = config
        net = SpatialNet(config.model)
        if config.encoder:
            put_encoder(net, config.encoder)
        self.net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.reader: SceneReader | None = None
        if config.stage == 'memory':
            self.net.backbone = HybridBackbone(config.blocks)
            if any(config.blocks.is_hybrid(n) for n in range(config.blocks.blocks)):
                self.reader = SceneReader(config.blocks, len(config.model.labels), len(ROOM_KINDS))
            for parameter in self.before_blocks():
                trained = config.trunk_rate > 0.0 and parameter.requires_grad
                parameter.requires_grad_(trained)

    def before_blocks(self) -> list[nn.Parameter]:
        """Return the parameters of all before the blocks."""
        return [p for name in BEFORE_BLOCKS for p in getattr(self.net, name).parameters()]

    def train(self, mode: bool = True) -> Objective:
        """Set training mode; batch norms follow batches in the stage 'perception' alone."""
        super().train(mode)
        self.net.train(mode and self.config.stage == 'perception')
        return self

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """Return the loss of a batch and what to log."""
        config = self.config
        if config.stage == 'perception':
            return perception_loss(self.net, batch, config.loss, half=config.half)
        return memory_loss(
            self.net,
            self.reader,
            batch,
            config.loss,
            detach_every=config.detach_every,
            half=config.half,
        )

    def groups(self) -> list[dict]:
        """Return AdamW's groups: biases and scales do not decay; ``factor`` of the rate."""
        config = self.config
        early = {id(p) for p in self.before_blocks()} if config.stage == 'memory' else set()
        groups = []
        for factor, is_early in ((1.0, False), (config.trunk_rate, True)):
            members = [
                p for p in self.parameters() if p.requires_grad and (id(p) in early) == is_early
            ]
            for decay, is_matrix in ((config.weight_decay, True), (0.0, False)):
                chosen = [p for p in members if (p.ndim > 1) == is_matrix]
                if chosen:
                    groups.append({'params': chosen, 'weight_decay': decay, 'factor': factor})
        return groups
