# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Asks the fast weights for the whole scene so far; there only to train what they keep.

Letters: B streams, K names, S things of a name, Z kinds of rooms, L blocks with fast weights, H
heads of e channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from ros2_spatial_ttt.training.backbone import BackboneConfig
from ros2_spatial_ttt.training.layers import fast_weight_read, rms_normalised
from ros2_spatial_ttt.training.losses import laplace
from ros2_spatial_ttt.training.scene_targets import SLOTS

__all__ = ['Scene', 'SceneReader', 'SceneTargets', 'scene_losses']

RELATIONS, RELATION_WIDTH = 3, 16  # nearer, further left, higher
SLOT_WIDTH = 8  # presence, centre, spread, size


@dataclass(frozen=True)
class SceneTargets:
    """``scene_targets.SceneTruth`` of B streams after one chunk, as tensors."""

    known: Tensor  # (B,)
    count: Tensor  # (B, K)
    centre: Tensor  # (B, K, S, 3) m
    size: Tensor  # (B, K, S, 3) m
    room: Tensor  # (B,) int64
    rooms: Tensor  # (B, Z)


@dataclass(frozen=True)
class Scene:
    """What the fast weights tell of the stream so far.

    Attributes:
        count: (B, K) log of how many things.
        seen: (B, K, S) logit of whether there were so many. centre: (B, K, S, 3) m, nearest first,
            in the present level frame. spread: (B, K, S) log of its expected error, m. size:
            (B, K, S, 3) log of its edges, m.
        room: (B, Z) logits of the present room. rooms: (B, Z) logit of each kind visited so far.
        relation: (B, 3, K, K) logit that a row's nearest thing is nearer, further left, higher
            than a column's.
    """

    count: Tensor
    seen: Tensor
    centre: Tensor
    spread: Tensor
    size: Tensor
    room: Tensor
    rooms: Tensor
    relation: Tensor


class SceneReader(nn.Module):
    """One learned query per name, and one for the rooms, to the fast weights of all blocks."""

    def __init__(self, config: BackboneConfig, names: int, rooms: int, width: int = 128) -> None:
        super().__init__()
        self.blocks = [n for n in range(config.blocks) if config.is_hybrid(n)]
        head = config.width // config.heads
        self.query = nn.Parameter(torch.randn(len(self.blocks), config.heads, 1 + names, head))
        self.join = nn.Linear(len(self.blocks) * config.width, width)
        self.count = nn.Linear(width, 1)
        self.say = nn.Linear(width, SLOTS * SLOT_WIDTH)
        self.room = nn.Linear(width, 2 * rooms)
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
        room, rooms = self.room(hidden[:, 0]).chunk(2, dim=1)
        things = hidden[:, 1:]
        said = self.say(things).unflatten(2, (SLOTS, SLOT_WIDTH))
        return Scene(
            count=self.count(things)[..., 0],
            seen=said[..., 0],
            centre=said[..., 1:4],
            spread=torch.clamp(said[..., 4], -3.0, 2.0),
            size=said[..., 5:8],
            room=room,
            rooms=rooms,
            relation=self._relations(things),
        )

    def _relations(self, things: Tensor) -> Tensor:
        """Return what is said of pairs of names (B, R, K, K) with features (B, K, width)."""
        pair = self.relate(things).unflatten(2, (2, RELATIONS, RELATION_WIDTH))
        first, second = pair.permute(2, 0, 3, 1, 4)  # (B, R, K, r) each
        score = first @ second.transpose(2, 3)
        # A nearer than B is B not nearer than A.
        return score - score.transpose(2, 3)


def scene_losses(scene: Scene, truth: SceneTargets) -> dict[str, Tensor]:
    """Return the loss of each answer, scalars; streams whose things have no names have none."""
    slots = torch.arange(SLOTS, device=truth.count.device)
    seen = (truth.count[..., None] > slots).float()  # (B, K, S)
    weight = seen / seen.sum().clamp(min=1.0)
    some = seen[..., 0]
    each = (scene.count - torch.log(truth.count.clamp(min=1.0))).abs()
    error = (scene.centre - truth.centre).norm(dim=3)
    size = (scene.size - torch.log(truth.size)).abs().mean(dim=3)
    return {
        'scene_seen': _presence_loss(scene.seen, seen, truth.known),
        'scene_count': (each * some).sum() / some.sum().clamp(min=1.0),
        'scene_centre': (laplace(error, scene.spread) * weight).sum(),
        'scene_size': (size * weight).sum(),
        'scene_room': _room_loss(scene.room, truth.room),
        'scene_rooms': _presence_loss(scene.rooms, truth.rooms, truth.rooms.amax(dim=1)),
        'scene_relation': _relation_loss(scene.relation, truth.centre[:, :, 0], some),
    }


def _presence_loss(logits: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """Return the loss of logits (B, …), a mean over the streams that are known (B,) = 1."""
    each = nnf.binary_cross_entropy_with_logits(logits, truth, reduction='none').flatten(1)
    return (each.mean(dim=1) * known).sum() / known.sum().clamp(min=1.0)


def _room_loss(logits: Tensor, room: Tensor) -> Tensor:
    known = (room >= 0).sum().clamp(min=1)
    return nnf.cross_entropy(logits, room, ignore_index=-1, reduction='sum') / known


def _relation_loss(logits: Tensor, centre: Tensor, seen: Tensor) -> Tensor:
    """Return the loss of the relations between the nearest things of two names.

    Args:
        logits: (B, R, K, K).
        centre: (B, K, 3) m.
        seen: (B, K) 1 = there is one.
    """
    value = torch.stack([-centre.norm(dim=2), centre[..., 1], centre[..., 2]], dim=1)
    truth = (value[..., :, None] > value[..., None, :]).float()
    both = (seen[:, :, None] * seen[:, None])[:, None] * (1.0 - torch.eye(seen.shape[1]).to(seen))
    each = nnf.binary_cross_entropy_with_logits(logits, truth, reduction='none') * both
    return each.sum() / (RELATIONS * both.sum()).clamp(min=1.0)
