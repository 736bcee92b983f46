# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Stage 2: what a stream shows. The blocks carry a state from chunk to chunk.

They are trained end to end, by what the heads say of each frame and by asking the state, after
each chunk, for the whole scene so far.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as nnf
from torch import Tensor

from ros2_spatial_ttt.training.backbone import HybridBackbone
from ros2_spatial_ttt.training.batches import Batch
from ros2_spatial_ttt.training.losses import LossWeights, dense_losses
from ros2_spatial_ttt.training.model import Heads, SpatialNet
from ros2_spatial_ttt.training.perception import accuracy, looks_loss, total_loss
from ros2_spatial_ttt.training.scene_reader import SceneReader, scene_losses

__all__ = ['memory_loss', 'with_context']


def with_context(
    net: SpatialNet, coarse: Tensor, frame_valid: Tensor, state: dict[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Return coarse features after the blocks, the next state and the surprise (B, F).

    The blocks see 2×2 coarse tokens as one; what they change is added to all four.

    Args:
        net: with its blocks.
        coarse: (B F, d, h, w) features of one chunk.
        frame_valid: (B, F), 1 for a frame, then 0 for padding.
        state: of B streams.
    """
    rows, columns = net.config.coarse_grid
    # A cell of an odd last row or column is the mean of what there is of it.
    pooled = nnf.avg_pool2d(coarse.float(), 2, ceil_mode=True, count_include_pad=False)
    tokens = pooled.flatten(2).transpose(1, 2).unflatten(0, frame_valid.shape)
    mixed, state, surprise = _blocks(net)(tokens, frame_valid, state)
    change = (mixed - tokens).flatten(0, 1).transpose(1, 2).unflatten(2, pooled.shape[2:])
    wide = nnf.interpolate(change, size=(rows, columns), mode='nearest')
    return coarse + wide, state, surprise


def memory_loss(
    net: SpatialNet,
    reader: SceneReader | None,
    batch: Batch,
    weights: LossWeights,
    *,
    detach_every: int,
    half: bool = True,
) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of a batch of streams and what to log, both means over chunks.

    Gradients go back through ``detach_every`` chunks (truncated back-propagation through time).
    ``reader`` is None where the blocks have no fast weights.
    """
    state = _blocks(net).initial_state(batch.clips)
    chunks, total = batch.chunks(), torch.zeros((), device=batch.image.device)
    sums: dict[str, float] = {}
    for number, part in enumerate(chunks):
        if number and number % detach_every == 0:
            state = {name: tensor.detach() for name, tensor in state.items()}
        heads, state, surprise = _chunk(net, part, state, half)
        losses, logged = dense_losses(heads, part.truth), {}
        losses['surprise'] = surprise.mean()
        if reader is not None:
            scene = scene_losses(reader(state), part.scenes[0])
            losses['scene'] = torch.stack([*scene.values()]).sum()
            logged = {name: float(loss.detach()) for name, loss in scene.items()}
        if heads.appearance.requires_grad:
            losses['appearance'], _ = looks_loss(net, part.picture, heads, part, half)
        logged |= accuracy(heads, part.truth)
        total = total + total_loss(losses, weights, logged) / len(chunks)
        for name, value in logged.items():
            sums[name] = sums.get(name, 0.0) + value / len(chunks)
    return total, sums


def _blocks(net: SpatialNet) -> HybridBackbone:
    return cast('HybridBackbone', net.backbone)


def _chunk(
    net: SpatialNet, part: Batch, state: dict[str, Tensor], half: bool
) -> tuple[Heads, dict[str, Tensor], Tensor]:
    """Return what is said of one chunk, the next state and the surprise (B, F)."""
    picture = part.picture
    valid = torch.ones(part.clips, len(picture) // part.clips, device=picture.device)
    with torch.autocast(picture.device.type, torch.bfloat16, enabled=half):
        seen, fine, coarse = net.features(picture, part.geometry)
        context, state, surprise = with_context(net, coarse, valid, state)
        return net.heads(seen, fine, context), state, surprise
