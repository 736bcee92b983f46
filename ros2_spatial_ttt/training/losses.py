# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What the heads are trained for.

Letters as in ``model.py``. Losses on errors with a predicted spread are the negative
log-likelihood of a Laplace distribution, |error| / s + log s, so s learns the expected error.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as nnf
from torch import Tensor

from ros2_spatial_ttt.training.data import UNKNOWN
from ros2_spatial_ttt.training.model import Heads

__all__ = ['LossWeights', 'Targets', 'appearance_loss', 'dense_losses', 'laplace']

BACKGROUND_WEIGHT = 0.25
MOST_WEIGHT = 5.0  # of the one token of a thing
TEMPERATURE = 0.07
SAME_PLACE_M, OTHER_PLACE_M = 0.12, 0.5


@dataclass(frozen=True)
class LossWeights:
    """Weight of each loss in the sum."""

    names: float = 1.0
    offset: float = 0.5
    size: float = 0.3
    turn: float = 0.2
    depth: float = 0.3
    appearance: float = 0.3
    surprise: float = 0.1
    scene: float = 0.3


@dataclass(frozen=True)
class Targets:
    """Truth of N frames; see ``data.Clip`` for each.

    Attributes:
        label, thing: (N, T) int64, label -1 = not known. centre, size, point: (N, T, 3).
        turn: (N, T, 2).
        depth: (N, T) true, m. measured: (N, T) m, 0 = not. direction: (N, T, 3) of the token per
            metre of depth in the level frame. group: (N,) int64 number of the clip.
    """

    label: Tensor
    thing: Tensor
    centre: Tensor
    size: Tensor
    turn: Tensor
    point: Tensor
    depth: Tensor
    measured: Tensor
    direction: Tensor
    group: Tensor


def dense_losses(
    heads: Heads, truth: Targets, name_weights: Tensor | None = None
) -> dict[str, Tensor]:
    """Return the loss of each dense head, scalars.

    Args:
        heads: of N frames.
        truth: of the same.
        name_weights: (1 + K,) of the classes; None = background counts less than things.
    """
    if name_weights is None:
        name_weights = torch.ones(heads.logits.shape[1], device=heads.logits.device)
        name_weights[0] = BACKGROUND_WEIGHT
    there = truth.label > 0
    # Every thing of a frame counts alike to some degree, however few tokens it covers.
    share = _per_thing(truth.thing, there)
    names = nnf.cross_entropy(
        heads.logits, truth.label, weight=name_weights, ignore_index=UNKNOWN, reduction='none'
    )
    weight = torch.where(there, share, torch.ones_like(share))
    losses = {'names': (names * weight).mean()}
    weight = (share * there) / (share * there).sum().clamp(min=1e-6)
    point = truth.direction * _used_depth(heads, truth)[..., None]
    error = (point + heads.offset.transpose(1, 2) - truth.centre).norm(dim=2)
    losses['offset'] = (laplace(error, heads.spread) * weight).sum()
    size = (heads.size.transpose(1, 2) - torch.log(truth.size)).abs().mean(dim=2)
    losses['size'] = (size * weight).sum()
    turn = (heads.turn.transpose(1, 2) - truth.turn).square().sum(dim=2)
    losses['turn'] = (turn * weight).sum()
    seen = (truth.depth > 0.2) & (truth.depth < 12.0)
    depth = (heads.depth - torch.log(truth.depth.clamp(min=0.2))).abs()
    # Where depth is measured the head has nothing to tell.
    seen_weight = seen.float() * torch.where(truth.measured > 0, 0.1, 1.0)
    off = laplace(depth, heads.depth_spread) * seen_weight
    losses['depth'] = off.sum() / seen_weight.sum().clamp(min=1.0)
    return losses


def appearance_loss(
    anchor: Tensor,  # (A, E) embeddings of example pictures
    anchor_point: Tensor,  # (A, 3) m, what is in the middle of each
    anchor_group: Tensor,  # (A,) clip of each
    other: Tensor,  # (M, E) embeddings of tokens
    other_point: Tensor,  # (M, 3) m
    other_group: Tensor,  # (M,)
    neutral: Tensor,  # (A, M) bool, pairs that count neither way
) -> tuple[Tensor, Tensor]:
    """Return the contrastive loss of pictures against tokens, and the share found right.

    A token of the same clip within ``SAME_PLACE_M`` shows the same place (InfoNCE with several
    positives, Khosla et al. 2020); one nearer than ``OTHER_PLACE_M`` counts neither way.
    Both are in the coordinates of a map; tokens with group -1 are of no clip.
    """
    apart = torch.cdist(anchor_point, other_point)
    same_clip = anchor_group[:, None] == other_group[None]
    same = same_clip & (apart < SAME_PLACE_M) & ~neutral
    near = (same_clip & (apart < OTHER_PLACE_M)) | neutral
    logits = anchor @ other.T / TEMPERATURE
    negative = logits.masked_fill(near, -1e4)
    usable = same.any(dim=1)
    base = torch.logsumexp(negative, dim=1, keepdim=True)
    each = torch.logaddexp(logits, base.expand_as(logits)) - logits
    loss = (each * same).sum(dim=1) / same.sum(dim=1).clamp(min=1)
    count = usable.sum().clamp(min=1)
    with torch.no_grad():
        best = logits.masked_fill(neutral, -1e4).argmax(dim=1)
        right = torch.gather(near, 1, best[:, None])[:, 0] & usable
    return (loss * usable).sum() / count, right.sum() / count


def _per_thing(thing: Tensor, there: Tensor) -> Tensor:
    """Return a weight (N, T) by which a thing of n tokens counts as much as n^(1/4) of them.

    Large things are hardly ever missed and small ones often, so a thing counts nearly alike
    whatever it covers.
    """
    count = torch.zeros(len(thing), int(thing.max()) + 1, device=thing.device)
    count.scatter_add_(1, thing, torch.ones_like(thing, dtype=count.dtype))
    tokens = torch.gather(count, 1, thing).clamp(min=1.0)
    return torch.where(there, MOST_WEIGHT * tokens**-0.75, torch.ones_like(tokens))


def _used_depth(heads: Heads, truth: Targets) -> Tensor:
    """Return the depth (N, T) that points are made with: as measured, else as predicted."""
    predicted = torch.exp(heads.depth.detach())
    return torch.where(truth.measured > 0, truth.measured, predicted)


def laplace(error: Tensor, log_spread: Tensor) -> Tensor:
    """Return the negative log-likelihood of errors under predicted spreads, without constant."""
    return error * torch.exp(-log_spread) + log_spread
