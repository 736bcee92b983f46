# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The network as the robot runs it: one chunk of one camera and its state in, samples out.

Letters: F frames, T fine tokens of a frame at stride 8, t = T / 4 coarse ones at stride 16 (both
row-major), K names.

Level frame: at the camera, x along its heading, y to the left, z up.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ros2_spatial_ttt.training.memory_stage import with_context
from ros2_spatial_ttt.training.model import COARSE, Heads, SpatialNet, geometry_channels
from ros2_spatial_ttt.training.samples import SAMPLES, SampleMaker

__all__ = ['TOKENS', 'ChunkEncoder', 'PictureEmbedder', 'folded']

TOKENS = (
    'names',
    'centre',
    'spread',
    'size',
    'turn',
    'depth',
    'depth_spread',
    'point',
    'surprise',
)

# Bytes less this, over this, are -1..1.
MIDDLE = 127.5


class ChunkEncoder(nn.Module):
    """A chunk to samples of the fields, to tokens that name things, and to the next state.

    Args:
        net: with batch norms folded. Its backbone may be missing; then there is no state.
        free_margin_m: free space ends this far in front of a surface.
        depth_max_m: surfaces further away are not used.
        worst_depth: expected relative error at which a predicted depth makes no sample any more.
    """

    outputs = (*SAMPLES, *(f'tokens/{name}' for name in TOKENS))

    def __init__(
        self, net: SpatialNet, *, free_margin_m: float, depth_max_m: float, worst_depth: float
    ) -> None:
        super().__init__()
        self.net = net
        self.depth_max_m, self.worst_depth = depth_max_m, worst_depth
        rows, columns = net.config.coarse_grid
        self.pixels, self.said = net.trunk.of_bytes(MIDDLE), _said(net)
        self.samples = SampleMaker(
            net.config.chunk_frames, rows * columns, free_margin_m=free_margin_m
        )
        self.state_names: tuple[str, ...] = ()
        if net.backbone is not None:
            self.state_names = tuple(net.backbone.initial_state(1))

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the arguments; those of ``ChunkInput``, then the state."""
        own = ('image', 'depth', 'ray', 'tile_T_camera', 'frame_valid', 'camera_height', 'heights')
        return (*own, *(f'state/{name}' for name in self.state_names))

    def forward(
        self,
        image: Tensor,  # (F, H, W, 3) uint8 RGB
        depth: Tensor,  # (F, T) m along the optical axis, 0 = not measured
        ray: Tensor,  # (T, 3) direction of each fine token in the optical frame, z = 1
        tile_T_camera: Tensor,  # (F, 3, 4) optical frame to tile
        frame_valid: Tensor,  # (F,) 1 for a frame, 0 for padding
        camera_height: Tensor,  # (F,) m above the floor
        heights: Tensor,  # (F,) 1 = that height is known
        *state: Tensor,  # by ``state_names``
    ) -> tuple[Tensor, ...]:
        """Return what ``outputs`` names, then the next state."""
        live = frame_valid[:, None] > 0
        depth = torch.where(live, depth, 0.0)
        pose = torch.where(live[..., None], tile_T_camera, 0.0)
        centred = image.to(ray.dtype).permute(0, 3, 1, 2) - MIDDLE
        heading = _heading(pose)
        level_T_tile = _rotation(heading)
        level_T_camera = level_T_tile @ pose[:, :, :3]
        geometry = geometry_channels(depth, ray, level_T_camera, camera_height, heights)
        seen = self.net.trunk.later(self.pixels(centred))
        seen, fine, coarse = self.net.placed(seen, geometry)
        coarse, surprise, next_state = self._context(coarse, frame_valid, state)
        heads = self._heads(seen, fine, coarse)
        known, spread = _depth(depth, heads)
        tokens = _tokens(heads, known, spread, ray, pose, heading, level_T_tile)
        return (
            *self._samples(centred, heads, depth, ray, pose, frame_valid),
            *(_masked(token, frame_valid) for token in tokens),
            surprise,
            *next_state,
        )

    def _context(
        self, coarse: Tensor, frame_valid: Tensor, state: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        if self.net.backbone is None:
            return coarse, 0.0 * frame_valid, ()
        named = dict(zip(self.state_names, state, strict=True))
        coarse, after, surprise = with_context(self.net, coarse, frame_valid[None], named)
        return coarse, surprise[0], tuple(after[name] for name in self.state_names)

    def _heads(self, seen: Tensor, fine: Tensor, coarse: Tensor) -> Heads:
        said = self.said(self.net.merged(fine, coarse)).flatten(2)
        names = 1 + len(self.net.config.labels)
        looks = self.net.trunk.appearance(seen).flatten(2)
        return Heads.of(said[:, :names], said[:, names:], looks)

    def _samples(
        self,
        centred: Tensor,
        heads: Heads,
        depth: Tensor,
        ray: Tensor,
        pose: Tensor,
        frame_valid: Tensor,
    ) -> tuple[Tensor, ...]:
        measured = _lower_median(self._cells(depth))  # (F, t)
        predicted = _lower_median(self._cells(torch.exp(heads.depth)))
        error = self._cells(torch.exp(heads.depth_spread)).mean(dim=2)
        there = measured > 0
        known = torch.where(there, measured, predicted)
        spread = torch.where(there, 0.0, error)
        weight = torch.clamp(1.0 - spread / self.worst_depth, min=0.0)
        weight = weight * (known <= self.depth_max_m) * frame_valid[:, None]
        colour = self._colour(centred)
        looks = heads.appearance.transpose(1, 2)
        middle = self._cells(ray.T).mean(dim=2).T
        made: tuple[Tensor, ...] = self.samples(colour, looks, known, spread, weight, middle, pose)
        return made

    def _colour(self, centred: Tensor) -> Tensor:
        """Return the mean colour (F, t, 3), 0..1, of each coarse token."""
        # Rows first: sums of whole rows are what every processor is quick at.
        rows = centred.unflatten(2, (-1, COARSE)).mean(dim=3)
        cells = rows.unflatten(3, (-1, COARSE)).mean(dim=4)
        return ((cells + MIDDLE) / 255.0).flatten(2).transpose(1, 2)

    def _cells(self, fine: Tensor) -> Tensor:
        """Return fine tokens (X, T) as the four of each coarse one, (X, t, 4)."""
        rows, columns = self.net.config.coarse_grid
        cells = fine.reshape(-1, rows, 2, columns, 2).transpose(2, 3)
        return cells.reshape(-1, rows * columns, 4)


class PictureEmbedder(nn.Module):
    """Example pictures of one window each to embeddings like those that the field stores."""

    inputs = ('picture',)
    outputs = ('embedding',)

    def __init__(self, net: SpatialNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, picture: Tensor) -> Tensor:
        """Return unit embeddings (n, E) of pictures (n, 48, 48, 3) uint8 RGB."""
        return self.net.embed(picture.to(torch.float32).permute(0, 3, 1, 2) / 255.0)


def folded(module: nn.Module) -> nn.Module:
    """Fold every batch norm into the convolution before it, in place, and return the module."""
    for child in module.children():
        folded(child)
    if isinstance(module, nn.Sequential):
        for number in range(len(module) - 1):
            first, second = module[number], module[number + 1]
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                module[number] = fuse_conv_bn_eval(first.eval(), second.eval())
                module[number + 1] = nn.Identity()
    return module


def _said(net: SpatialNet) -> nn.Conv2d:
    """Return the heads' linear maps as one: names (through the semantic embedding), then space."""
    names = net.names.weight @ net.semantic.weight.flatten(1)
    bias = net.names.weight @ net.semantic.bias + net.names.bias
    joined = nn.Conv2d(names.shape[1], len(names) + net.space.out_channels, 1)
    with torch.no_grad():
        joined.weight.copy_(torch.cat([names[..., None, None], net.space.weight]))
        joined.bias.copy_(torch.cat([bias, net.space.bias]))
    return joined


def _heading(pose: Tensor) -> Tensor:
    """Return cos and sin (F, 2) of the heading; of a camera that looks straight up or down, 0."""
    ahead = pose[:, :2, 2]
    length = torch.sqrt((ahead * ahead).sum(dim=1, keepdim=True))
    along = torch.stack([torch.ones_like(ahead[:, 0]), torch.zeros_like(ahead[:, 0])], dim=1)
    return torch.where(length > 1e-6, ahead / torch.clamp(length, min=1e-6), along)


def _rotation(heading: Tensor) -> Tensor:
    """Return level_T_tile (F, 3, 3) of headings (F, 2)."""
    cos, sin = heading[:, 0], heading[:, 1]
    zero, one = torch.zeros_like(cos), torch.ones_like(cos)
    return torch.stack([cos, sin, zero, -sin, cos, zero, zero, zero, one], 1).reshape(-1, 3, 3)


def _depth(depth: Tensor, heads: Heads) -> tuple[Tensor, Tensor]:
    """Return depth (F, T), measured else predicted, and its expected relative error."""
    there = depth > 0
    spread = torch.exp(heads.depth_spread)
    return (
        torch.where(there, depth, torch.exp(heads.depth)),
        torch.where(there, 0.0, spread),
    )


def _tokens(
    heads: Heads,
    depth: Tensor,
    depth_spread: Tensor,
    ray: Tensor,
    pose: Tensor,
    heading: Tensor,
    level_T_tile: Tensor,
) -> tuple[Tensor, ...]:
    """Return all of ``TOKENS`` but the surprise; level quantities turned into the tile."""
    along = pose[:, :, :3] @ ray.T  # (F, 3, T)
    point = pose[:, :, 3:] + along * depth[:, None]
    centre = point + level_T_tile.transpose(1, 2) @ heads.offset
    cos, sin = heading[:, :1], heading[:, 1:]
    double_cos, double_sin = cos * cos - sin * sin, 2.0 * sin * cos
    x, y = heads.turn[:, 0], heads.turn[:, 1]
    turn = torch.stack([x * double_cos - y * double_sin, x * double_sin + y * double_cos], dim=2)
    return (
        torch.softmax(heads.logits, dim=1).transpose(1, 2),
        centre.transpose(1, 2),
        torch.exp(heads.spread),
        torch.exp(heads.size).transpose(1, 2),
        turn,
        depth,
        depth_spread,
        point.transpose(1, 2),
    )


def _masked(token: Tensor, frame_valid: Tensor) -> Tensor:
    """Return 0 in frames of padding."""
    shape = (len(frame_valid), *(1 for _ in token.shape[1:]))
    return torch.where(frame_valid.reshape(shape) > 0, token, 0.0)


def _lower_median(four: Tensor) -> Tensor:
    """Return the lower median of the positive of each four (X, t, 4), 0 where there is none.

    A mean would put a point of an edge between the near and the far surface.
    """
    a, b, c, d = torch.where(four > 0, four, 1e9).unbind(dim=2)
    low, high = torch.minimum(a, b), torch.maximum(a, b)
    low_too, high_too = torch.minimum(c, d), torch.maximum(c, d)
    first = torch.minimum(low, low_too)
    second = torch.minimum(torch.maximum(low, low_too), torch.minimum(high, high_too))
    count = (four > 0).to(four.dtype).sum(dim=2)
    middle = torch.where(count > 2.5, second, first)
    return torch.where(count > 0.5, middle, 0.0)
