# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Asks the fast weights for the whole scene so far; there only to train what they keep.

Letters: B streams, K names, Z kinds of rooms, L blocks with fast weights, H heads of e channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from ros2_spatial_ttt.training.backbone import BackboneConfig
from ros2_spatial_ttt.training.layers import fast_weight_read, rms_normalised
from ros2_spatial_ttt.training.losses import laplace

__all__ = ['Scene', 'SceneReader', 'SceneTargets', 'scene_losses']

RELATIONS, RELATION_WIDTH = 2, 16  # nearer, further left


@dataclass(frozen=True)
class SceneTargets:
    """``scene_targets.SceneTruth`` of B streams after one chunk, as tensors."""

    count: Tensor  # (B, K)
    centre: Tensor  # (B, K, 3) m
    size: Tensor  # (B, K, 3) m
    room: Tensor  # (B,) int64


@dataclass(frozen=True)
class Scene:
    """What the fast weights tell of the stream so far.

    Attributes:
        seen: (B, K) logit of whether there was such a thing. count: (B, K) log of how many.
        centre: (B, K, 3) m, nearest one in the present level frame. spread: (B, K) log of its
            expected error, m. size: (B, K, 3) log of its edges, m. room: (B, Z) logits.
        relation: (B, 2, K, K) logit that a row's thing is nearer, further left than a column's.
    """

    seen: Tensor
    count: Tensor
    centre: Tensor
    spread: Tensor
    size: Tensor
    room: Tensor
    relation: Tensor


class SceneReader(nn.Module):
    """One learned query per name, and one for the room, to the fast weights of all blocks."""

    def __init__(self, config: BackboneConfig, names: int, rooms: int, width: int = 128) -> None:
        super().__init__()
        self.blocks = [n for n in range(config.blocks) if config.is_hybrid(n)]
        head = config.width // config.heads
        self.query = nn.Parameter(torch.randn(len(self.blocks), config.heads, 1 + names, head))
        self.join = nn.Linear(len(self.blocks) * config.width, width)
        self.say = nn.Linear(width, 9)
        self.room = nn.Linear(width, rooms)
        self.relate = nn.Linear(width, 2 * RELATIONS * RELATION_WIDTH)

    def forward(self, state: dict[str, Tensor]) -> Scene:
        """Return the scene that a backbone's state holds; the state is only read."""
        answers = []
        for block, query in zip(self.blocks, self.query, strict=True):
            w0, w1, w2 = (state[f'block{block}.w{n}'] for n in range(3))
            unit = nnf.normalize(query, dim=-1)[None]
            answers.append(rms_normalised(fast_weight_read(w0, w1, w2, unit)))
        joined = torch.cat(answers, dim=1).transpose(1, 2).flatten(2)  # (B, 1 + K, L H e)
        hidden = nnf.gelu(self.join(joined)).float()
        room, things = hidden[:, 0], hidden[:, 1:]
        said = self.say(things)
        pair = self.relate(things).unflatten(2, (2, RELATIONS, RELATION_WIDTH))
        first, second = pair.permute(2, 0, 3, 1, 4)  # (B, R, K, r) each
        score = first @ second.transpose(2, 3)
        return Scene(
            seen=said[..., 0],
            count=said[..., 1],
            centre=said[..., 2:5],
            spread=torch.clamp(said[..., 5], -3.0, 2.0),
            size=said[..., 6:9],
            room=self.room(room),
            # A nearer than B is B not nearer than A.
            relation=score - score.transpose(2, 3),
        )


def scene_losses(scene: Scene, truth: SceneTargets) -> dict[str, Tensor]:
    """Return the loss of each answer, scalars."""
    seen = (truth.count > 0).float()
    weight = seen / seen.sum().clamp(min=1.0)
    count = (scene.count - torch.log(truth.count.clamp(min=1.0))).abs()
    error = (scene.centre - truth.centre).norm(dim=2)
    size = (scene.size - torch.log(truth.size)).abs().mean(dim=2)
    return {
        'scene_seen': nnf.binary_cross_entropy_with_logits(scene.seen, seen),
        'scene_count': (count * weight).sum(),
        'scene_centre': (laplace(error, scene.spread) * weight).sum(),
        'scene_size': (size * weight).sum(),
        'scene_room': _room_loss(scene.room, truth.room),
        'scene_relation': _relation_loss(scene.relation, truth.centre, seen),
    }


def _room_loss(logits: Tensor, room: Tensor) -> Tensor:
    known = (room >= 0).sum().clamp(min=1)
    return nnf.cross_entropy(logits, room, ignore_index=-1, reduction='sum') / known


def _relation_loss(logits: Tensor, centre: Tensor, seen: Tensor) -> Tensor:
    """Return the loss of nearer and further left between the nearest things of two names."""
    near, left = -centre.norm(dim=2), centre[..., 1]
    value = torch.stack([near, left], dim=1)
    truth = (value[..., :, None] > value[..., None, :]).float()
    both = (seen[:, :, None] * seen[:, None])[:, None] * (1.0 - torch.eye(seen.shape[1]).to(seen))
    each = nnf.binary_cross_entropy_with_logits(logits, truth, reduction='none') * both
    return each.sum() / (RELATIONS * both.sum()).clamp(min=1.0)
