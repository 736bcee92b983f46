# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Attention over a sliding window of frames whose keys are pooled, with a cache of fixed size.

Letters: see ``training/layers.py``. Maths: ``memory/oracle_layers.py``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from ros2_spatial_ttt.training.layers import carried, rms_normalised

__all__ = ['WindowAttention', 'pooling_matrix', 'rotary_table']

# What a masked key's score is lowered by: its softmax weight is exactly 0, and a row of nothing
# but masked keys (a padded frame) stays finite.
MASKED = -1e4


def pooling_matrix(grid: tuple[int, int], cells: tuple[int, int]) -> Tensor:
    """Return (P, T): the mean over each of the equal cells that ``grid`` is divided into."""
    row = torch.arange(grid[0]) * cells[0] // grid[0]
    column = torch.arange(grid[1]) * cells[1] // grid[1]
    cell = (row[:, None] * cells[1] + column).flatten()
    members = nnf.one_hot(cell, cells[0] * cells[1]).T.to(torch.get_default_dtype())
    return members / members.sum(dim=1, keepdim=True)


def rotary_table(positions: Tensor, ranges: tuple[int, int, int], width: int) -> Tensor:
    """Return cosines and signed sines for rotating heads, (2, X, e).

    Args:
        positions: (X, 3) frame, row, column, in frames and tokens.
        ranges: largest differences; an axis turns by 1 rad per unit at its fastest pair of
            channels down to 1 rad per range at its slowest. No position is ever outside.
        width: e; a quarter of the pairs is for time, the rest for rows and columns alike.
    """
    pairs = width // 2
    time, row = pairs // 4, (pairs - pairs // 4) // 2
    angles = []
    for axis, count in enumerate((time, row, pairs - time - row)):
        exponent = torch.linspace(0.0, 1.0, count) if count > 1 else torch.zeros(count)
        angles.append(positions[:, axis : axis + 1] * max(ranges[axis], 1) ** -exponent)
    angle = torch.cat(angles, dim=1)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    return torch.stack([torch.cat([cosine, cosine], 1), torch.cat([-sine, sine], 1)])


def _rotated(x: Tensor, table: Tensor) -> Tensor:
    """Turn x (…, X, H, e) by a table (2, X, e)."""
    half = x.shape[-1] // 2
    swapped = torch.cat([x[..., half:], x[..., :half]], dim=-1)
    return x * table[0, :, None] + swapped * table[1, :, None]


class WindowAttention(nn.Module):
    """Every token attends to pooled cells of its frame and the W - 1 before it, and to sinks.

    Positions are relative to the frame that asks, so no stream is ever too long for them. The
    frames before come from a cache of fixed size.
    """

    def __init__(
        self,
        grid: tuple[int, int],
        cells: tuple[int, int],
        width: int,
        heads: int,
        window: int,
        frames: int,
        sinks: int,
    ) -> None:
        super().__init__()
        self.heads, self.window, self.past = heads, window, window - 1
        head = width // heads
        self.query_scale = nn.Parameter(torch.ones(head))
        self.key_scale = nn.Parameter(torch.ones(head))
        self.sink_key = nn.Parameter(torch.randn(heads, sinks, head))
        self.sink_value = nn.Parameter(torch.zeros(heads, sinks, head))
        pool = pooling_matrix(grid, cells)
        row, column = torch.meshgrid(*(torch.arange(n) for n in grid), indexing='ij')
        token = torch.stack([torch.zeros(row.numel()), row.flatten(), column.flatten()], dim=1)
        cell = (pool @ token).repeat(window, 1)
        cell[:, 0] = (torch.arange(window) - self.past).repeat_interleave(len(pool))
        ranges = (window, *grid)
        slots = torch.arange(frames)[:, None] + torch.arange(window)
        self.register_buffer('pool', pool, persistent=False)
        self.register_buffer('query_table', rotary_table(token, ranges, head), persistent=False)
        self.register_buffer('key_table', rotary_table(cell, ranges, head), persistent=False)
        self.register_buffer('slots', slots, persistent=False)  # (F, W) of cache and chunk

    def initial_state(self, batch: int) -> dict[str, Tensor]:
        """Return an empty cache: pooled keys and values of the W - 1 frames before."""
        shape = (batch, self.past, len(self.pool), self.query_scale.numel() * self.heads)
        return {name: self.pool.new_zeros(shape) for name in ('keys', 'values') if self.past}

    def forward(
        self, qkv: Tensor, flags: Tensor, frame_valid: Tensor, state: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the attended values (B, F, T, d) and the next cache.

        Args:
            qkv: (B, F, T, 3d).
            flags: (B, W - 1 + F), 1 for each real frame of cache and chunk.
            frame_valid: (B, F).
            state: as ``initial_state`` names it, keys and values (B, W - 1, P, d).
        """
        width = qkv.shape[3] // 3
        query = rms_normalised(qkv[..., :width].unflatten(3, (self.heads, -1)))
        _, key, value = (self.pool @ qkv).split(width, dim=3)  # (B, F, P, d)
        key = rms_normalised(key.unflatten(3, (self.heads, -1))) * self.key_scale
        seen = {'keys': key.flatten(3), 'values': value}
        seen = {name: fresh.to(self.pool.dtype) for name, fresh in seen.items()}
        seen.update({name: torch.cat([old, seen[name]], dim=1) for name, old in state.items()})
        query = _rotated(query * self.query_scale, self.query_table)
        mixed = self._attend(query, seen['keys'], seen['values'], flags)
        return mixed, {name: carried(seen[name], self.past, frame_valid) for name in state}

    def _attend(self, query: Tensor, keys: Tensor, values: Tensor, flags: Tensor) -> Tensor:
        batch, frames = query.shape[:2]
        cells = keys.shape[2]
        key = self._windows(keys)
        key = self._with_sinks(_rotated(key, self.key_table), self.sink_key)
        value = self._with_sinks(self._windows(values), self.sink_value)
        bias = (
            1.0 - flags.index_select(1, self.slots.flatten()).unflatten(1, self.slots.shape)
        ).repeat_interleave(cells, dim=2) * MASKED
        bias = nnf.pad(bias, (self.sink_key.shape[1], 0)).flatten(0, 1)[:, None, None]
        mixed = nnf.scaled_dot_product_attention(
            query.flatten(0, 1).transpose(1, 2), key, value, bias.to(query.dtype)
        )
        return mixed.transpose(1, 2).flatten(2).unflatten(0, (batch, frames))

    def _windows(self, cached: Tensor) -> Tensor:
        """Return what each frame sees of (B, W - 1 + F, P, d), (B F, W P, H, e)."""
        windows = cached.index_select(1, self.slots.flatten()).unflatten(1, self.slots.shape)
        return windows.flatten(2, 3).flatten(0, 1).unflatten(2, (self.heads, -1))

    def _with_sinks(self, x: Tensor, sinks: Tensor) -> Tensor:
        """Return (B F, H, sinks + W P, e)."""
        heads = x.transpose(1, 2)
        return torch.cat([sinks.to(x.dtype).expand(len(x), -1, -1, -1), heads], dim=2)
