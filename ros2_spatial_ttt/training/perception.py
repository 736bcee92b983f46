# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Stage 1: what one frame shows. Heads on each frame alone; appearance across frames of a clip."""

from __future__ import annotations

import torch
import torch.nn.functional as nnf
from torch import Tensor

from ros2_spatial_ttt.training.batches import Batch
from ros2_spatial_ttt.training.losses import (
    LossWeights,
    Targets,
    appearance_loss,
    dense_losses,
)
from ros2_spatial_ttt.training.model import WINDOW, Heads, SpatialNet

__all__ = ['accuracy', 'looks_loss', 'perception_loss', 'total_loss']

# Example pictures per frame; margin around a window for scale and turn.
ANCHORS, MARGIN = 4, 10


def perception_loss(
    net: SpatialNet, batch: Batch, weights: LossWeights, *, half: bool = True
) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of a batch and what to log; ``half``: convolutions in bfloat16."""
    picture = batch.picture
    with torch.autocast(picture.device.type, torch.bfloat16, enabled=half):
        heads = net(picture, batch.geometry)
    losses = dense_losses(heads, batch.truth)
    losses['appearance'], found = looks_loss(net, picture, heads, batch, half)
    logged = {'appearance_found': float(found), **accuracy(heads, batch.truth)}
    return total_loss(losses, weights, logged), logged


def total_loss(
    losses: dict[str, Tensor], weights: LossWeights, logged: dict[str, float]
) -> Tensor:
    """Return the weighted sum; each part is added to ``logged``."""
    logged.update({name: float(loss.detach()) for name, loss in losses.items()})
    return torch.stack([getattr(weights, name) * loss for name, loss in losses.items()]).sum()


@torch.no_grad()
def accuracy(heads: Heads, truth: Targets) -> dict[str, float]:
    """Return the share of tokens named rightly, of things and of background."""
    right = heads.logits.argmax(dim=1) == truth.label
    there, nothing = truth.label > 0, truth.label == 0
    return {
        'things_right': float((right & there).sum() / there.sum().clamp(min=1)),
        'background_right': float((right & nothing).sum() / nothing.sum().clamp(min=1)),
    }


def looks_loss(
    net: SpatialNet, picture: Tensor, heads: Heads, batch: Batch, half: bool
) -> tuple[Tensor, Tensor]:
    """Return the contrastive loss of example pictures against the tokens of other frames."""
    rows, columns = net.config.grid
    generator = torch.Generator().manual_seed(batch.step)
    frames, height, width = len(picture), rows * 8, columns * 8
    frame = torch.arange(frames).repeat_interleave(ANCHORS)
    reach = WINDOW // 2 + MARGIN
    low, high = reach // 8 + 1, (reach + 7) // 8 + 1
    row = torch.randint(low, rows - high, (len(frame),), generator=generator)
    column = torch.randint(low, columns - high, (len(frame),), generator=generator)
    shift = torch.randint(-3, 4, (2, len(frame)), generator=generator)
    top = (row * 8 + 4 + shift[0] - reach).clamp(0, height - 2 * reach)
    left = (column * 8 + 4 + shift[1] - reach).clamp(0, width - 2 * reach)
    windows = torch.stack(
        [
            picture[n, :, y : y + 2 * reach, x : x + 2 * reach]
            for n, y, x in zip(frame.tolist(), top.tolist(), left.tolist(), strict=True)
        ]
    )
    with torch.autocast(picture.device.type, torch.bfloat16, enabled=half):
        anchor = net.embed(_disturbed(windows, generator))
    point = batch.truth.point.reshape(frames, rows, columns, 3)
    coarse, crisp = _coarse(point)
    group = batch.truth.group
    tokens = coarse.shape[1]
    # A crop's own frame shows the very same pixels: nothing to learn from.
    own = frame[:, None] == torch.arange(frames).repeat_interleave(tokens)[None]
    there = batch.truth.depth.reshape(frames, rows, columns)[:, ::2, ::2] > 0
    usable = crisp.flatten() & there.flatten()
    return appearance_loss(
        anchor,
        point[frame, row, column],
        group[frame],
        heads.appearance.transpose(1, 2).flatten(0, 1),
        coarse.flatten(0, 1),
        torch.where(usable, group.repeat_interleave(tokens), -1),
        own.to(group.device),
    )


def _coarse(point: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean point (N, t, 3) of each 2×2 tokens, and whether they are one surface."""
    frames, rows, columns, _ = point.shape
    four = point.reshape(frames, rows // 2, 2, columns // 2, 2, 3).transpose(2, 3).flatten(3, 4)
    mean = four.mean(dim=3)
    spread = (four - mean[:, :, :, None]).norm(dim=4).amax(dim=3)
    return mean.flatten(1, 2), (spread < 0.25).flatten(1, 2)


def _disturbed(windows: Tensor, generator: torch.Generator) -> Tensor:
    """Return windows (n, 3, 48, 48) as another camera at another time may show them."""
    n, _, size, _ = windows.shape

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        drawn = low + (high - low) * torch.rand(n, *shape, generator=generator)
        return drawn.to(windows.device)

    scale = WINDOW / size * torch.exp(uniform(-0.18, 0.18))
    angle = uniform(-0.15, 0.15)
    cos, sin, zero = scale * torch.cos(angle), scale * torch.sin(angle), torch.zeros_like(angle)
    turn = torch.stack([cos, -sin, zero, sin, cos, zero], dim=1).reshape(n, 2, 3)
    grid = nnf.affine_grid(turn, [n, 3, WINDOW, WINDOW], align_corners=False)
    out = nnf.grid_sample(windows, grid, mode='bilinear', align_corners=False)
    gain = torch.exp(uniform(-0.35, 0.35, 1, 1, 1) + uniform(-0.1, 0.1, 3, 1, 1))
    out = (out - 0.5) * torch.exp(uniform(-0.3, 0.3, 1, 1, 1)) + 0.5
    grain = torch.randn(out.shape, generator=generator).to(out.device)
    noise = grain * uniform(0.0, 0.04, 1, 1, 1)
    return (out * gain + noise).clamp(0.0, 1.0)
