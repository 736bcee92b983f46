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

    Positions count from the oldest frame of the cache; as only their differences act, no stream is
    ever too long for them, and a key is turned once for all frames that see it.
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
        now = torch.arange(frames) + self.past
        positions = {
            'query_table': _over_time(token, now),
            'key_table': _over_time(pool @ token, torch.arange(frames + self.past)),
            # A sink stands at row and column 0 of the frame that asks.
            'sink_table': _over_time(torch.zeros(sinks, 3), now),
        }
        for name, where in positions.items():
            table = rotary_table(where, (window, *grid), head)
            self.register_buffer(name, table, persistent=False)
        slots = torch.arange(frames)[:, None] + torch.arange(window)
        sink = torch.arange(frames * sinks).unflatten(0, (frames, sinks))
        cell = frames * sinks + slots[..., None] * len(pool) + torch.arange(len(pool))
        places = torch.cat([sink, cell.flatten(1)], dim=1)
        self.register_buffer('pool', pool, persistent=False)
        self.register_buffer('slots', slots, persistent=False)  # (F, W) of cache and chunk
        # (F, sinks + W P) of the sinks of all frames, then the cells of cache and chunk
        self.register_buffer('places', places, persistent=False)

    def initial_state(self, batch: int) -> dict[str, Tensor]:
        """Return an empty cache: pooled keys and values of the W - 1 frames before."""
        shape = (batch, self.past, len(self.pool), self.query_scale.numel() * self.heads)
        return {name: self.pool.new_zeros(shape) for name in ('keys', 'values') if self.past}

    def forward(
        self,
        query: Tensor,
        pooled: Tensor,
        flags: Tensor,
        frame_valid: Tensor,
        state: dict[str, Tensor],
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the attended values (B, F, T, d) and the next cache.

        Args:
            query: (B, F, T, d).
            pooled: (B, F, P, 2d), keys and values, both pooled by ``pool``.
            flags: (B, W - 1 + F), 1 for each real frame of cache and chunk.
            frame_valid: (B, F).
            state: as ``initial_state`` names it, keys and values (B, W - 1, P, d).
        """
        query = rms_normalised(query.unflatten(3, (self.heads, -1))) * self.query_scale
        key, value = pooled.chunk(2, dim=3)  # (B, F, P, d)
        key = rms_normalised(key.unflatten(3, (self.heads, -1))) * self.key_scale
        seen = {'keys': key.flatten(3), 'values': value}
        seen = {name: fresh.to(self.pool.dtype) for name, fresh in seen.items()}
        seen.update({name: torch.cat([old, seen[name]], dim=1) for name, old in state.items()})
        mixed = self._attend(query, seen['keys'], seen['values'], flags)
        return mixed, {name: carried(seen[name], self.past, frame_valid) for name in state}

    def _attend(self, query: Tensor, keys: Tensor, values: Tensor, flags: Tensor) -> Tensor:
        """Return what queries (B, F, T, H, e) find at keys and values (B, W - 1 + F, P, d)."""
        batch, frames = query.shape[:2]
        query = _rotated(query.flatten(1, 2), self.query_table)
        query = query.transpose(1, 2).unflatten(2, (frames, -1)).flatten(0, 1)  # (B H, F, T, e)
        sink_key, sink_value = (
            sink.transpose(0, 1).repeat(frames, 1, 1) for sink in (self.sink_key, self.sink_value)
        )
        key = _rotated(self._cells(keys), self.key_table)
        mixed = nnf.scaled_dot_product_attention(
            query,
            self._windows(key, _rotated(sink_key, self.sink_table)),
            self._windows(self._cells(values), sink_value),
            self._bias(flags, keys.shape[2]).to(query.dtype),
        )
        return mixed.unflatten(0, (batch, self.heads)).permute(0, 2, 3, 1, 4).flatten(3)

    def _bias(self, flags: Tensor, cells: int) -> Tensor:
        """Return what is added to scores, (B H, F, 1, sinks + W P), of flags (B, W - 1 + F)."""
        seen = flags.index_select(1, self.slots.flatten()).unflatten(1, self.slots.shape)
        bias = ((1.0 - seen) * MASKED).repeat_interleave(cells, dim=2)
        bias = nnf.pad(bias, (self.sink_key.shape[1], 0))[:, None, :, None]
        return bias.expand(-1, self.heads, -1, -1, -1).flatten(0, 1)

    def _cells(self, cached: Tensor) -> Tensor:
        """Return (B, W - 1 + F, P, d) as heads of all cells, (B, (W - 1 + F) P, H, e)."""
        return cached.flatten(1, 2).unflatten(2, (self.heads, -1))

    def _windows(self, x: Tensor, sinks: Tensor) -> Tensor:
        """Return what each frame sees of cells (B, X, H, e), (B H, F, sinks + W P, e).

        ``sinks`` (F sinks, H, e) come first.
        """
        every = torch.cat([sinks.to(x.dtype).expand(len(x), -1, -1, -1), x], dim=1)
        seen = every.transpose(1, 2).index_select(2, self.places.flatten())
        return seen.unflatten(2, self.places.shape).flatten(0, 1)


def _over_time(positions: Tensor, frames: Tensor) -> Tensor:
    """Return positions (X, 3) in each of the frames (Y,), (Y X, 3)."""
    every = positions.repeat(len(frames), 1)
    every[:, 0] = frames.repeat_interleave(len(positions))
    return every
