# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The backbone: hybrid blocks that give tokens context over the recent stream.

A hybrid block feeds the same q, k, v to attention over a short window and to fast weights (TTT),
after Spatial-TTT; every fourth block has the attention only. All that is carried between chunks
is an explicit state of fixed size, one per camera. Letters: see ``training/layers.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from ros2_spatial_ttt.training.attention import WindowAttention, pooling_matrix
from ros2_spatial_ttt.training.curvature import CurvatureUpdate
from ros2_spatial_ttt.training.layers import (
    UPDATE_RULES,
    FastWeightUpdate,
    SpatioTemporalConv,
    carried,
    fast_weight_read,
    gelu,
    head_features,
    rms_normalised,
)

__all__ = ['DECAY_MAX', 'RULES', 'STEPS', 'BackboneConfig', 'HybridBackbone', 'HybridBlock']

# First steps of the update, which keep what is written over tens of chunks (docs/LOG.md): momentum
# of gate 1/2 doubles a gradient, Muon's direction has a fixed size, that of curvature is the
# reciprocal of a ridge on features of length 0.1.
STEPS = {'gd': 2.0, 'momentum': 1.0, 'muon': 0.1, 'curvature': 100.0}
RULES = (*UPDATE_RULES, 'curvature')  # the last is for training only
DECAY_MAX = 0.2  # per chunk, towards the initial weights
ANCHOR_EVERY = 4


@dataclass(frozen=True)
class BackboneConfig:
    """Sizes and parts of the backbone.

    Attributes:
        width: d. grid: token rows and columns, (h, w). cells: pooled rows and columns, which
            must divide those of the grid. frames: F. blocks: how many.
        heads: of attention and of fast weights alike.
        inner_ratio: m / e of the fast weights. mlp_ratio: of the block's MLP.
        window: W, with the frame itself. sinks: learned keys per head.
        update_rule: one of ``RULES``.
        rate: the sum over a full chunk of a fresh layer's rates.
        use_conv, use_ttt, use_window, use_anchors: False takes the part out, for ablations;
            without the window a frame attends to itself only, without anchors every block is
            hybrid.
    """

    width: int = 128
    grid: tuple[int, int] = (8, 10)
    cells: tuple[int, int] = (4, 5)
    frames: int = 8
    blocks: int = 4
    heads: int = 4
    inner_ratio: int = 2
    mlp_ratio: int = 2
    window: int = 8
    sinks: int = 4
    update_rule: str = 'momentum'
    rate: float = 2.0
    use_conv: bool = True
    use_ttt: bool = True
    use_window: bool = True
    use_anchors: bool = True

    def validate(self) -> None:
        """Raise ValueError that names every fault."""
        faults = []
        if self.width % (2 * self.heads):
            faults.append(f'width must be a multiple of 2 heads, got {self.width}, {self.heads}')
        if any(size % cell for size, cell in zip(self.grid, self.cells, strict=True)):
            faults.append(f'cells {self.cells} must divide grid {self.grid}')
        if self.update_rule not in RULES:
            faults.append(f'update_rule must be one of {RULES}, got {self.update_rule!r}')
        for name in ('width', 'frames', 'blocks', 'heads', 'inner_ratio', 'mlp_ratio', 'window'):
            if getattr(self, name) < 1:
                faults.append(f'{name} must be at least 1, got {getattr(self, name)}')
        if faults:
            raise ValueError('backbone: ' + '; '.join(faults))

    @property
    def tokens(self) -> int:
        """T."""
        return self.grid[0] * self.grid[1]

    @property
    def past(self) -> int:
        """Frames of the attention's cache, W - 1."""
        return self.window - 1 if self.use_window else 0

    def is_hybrid(self, block: int) -> bool:
        """Return whether ``block`` has fast weights."""
        anchor = self.use_anchors and block % ANCHOR_EVERY == ANCHOR_EVERY - 1
        return self.use_ttt and not anchor


class RMSNorm(nn.Module):
    """Root-mean-square normalisation with a learned scale; standard operators at opset 18."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Return x (…, width) normalised."""
        return rms_normalised(x) * self.scale


class FastWeightBranch(nn.Module):
    """The TTT branch of a block: features, reading of the old weights, writing of the next.

    Reads what earlier chunks wrote, then writes: causal, as the attention sees the own chunk.
    """

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        d, heads = config.width, config.heads
        e, m = d // heads, d // heads * config.inner_ratio
        self.heads, self.tokens, self.use_conv = heads, config.tokens, config.use_conv
        self.rate = config.rate / (config.frames * config.tokens)
        self.step_initial = STEPS[config.update_rule]
        self.w0 = nn.Parameter(torch.randn(heads, m, e) * e**-0.5)
        self.w1 = nn.Parameter(torch.randn(heads, e, m) * m**-0.5)
        self.w2 = nn.Parameter(torch.randn(heads, m, e) * e**-0.5)
        if config.use_conv:
            self.conv = SpatioTemporalConv(config.grid, heads)
            kernel = torch.zeros(3, 3 * d, 1, 3, 3)
            kernel[2, :, 0, 1, 1] = 1.0
            self.kernel, self.bias = nn.Parameter(kernel), nn.Parameter(torch.zeros(3 * d))
        self.update: CurvatureUpdate | FastWeightUpdate = CurvatureUpdate()
        if config.update_rule != 'curvature':
            self.update = FastWeightUpdate(config.update_rule)
        self.fast_state = tuple(name.removeprefix('next_') for name in self.update.outputs)
        self.rates = nn.Linear(d, 4 * heads)  # per head: w0, w1, w2 and the momentum's gate
        nn.init.zeros_(self.rates.weight)
        with torch.no_grad():
            bias = torch.full((heads, 4), math.log(math.e - 1.0))  # softplus of it is 1
            bias[:, 3] = 0.0
            self.rates.bias.copy_(bias.flatten())
        self.step = nn.Parameter(torch.zeros(heads))
        # From about 700 chunks of memory in the first head to 20 in the last.
        self.decay = nn.Parameter(torch.linspace(-5.0, -1.0, heads))
        self.scale = nn.Parameter(torch.ones(d))
        self.gate = nn.Linear(d, d)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def initial_state(self, batch: int) -> dict[str, Tensor]:
        """Return the learned weights, what was written and, with the convolution, its tail: 0."""
        heads, inner, width = self.w0.shape
        weights = {name: getattr(self, name).repeat(batch, 1, 1, 1) for name in ('w0', 'w1', 'w2')}
        sums = {f'm{i}': weights[f'w{i}'].shape for i in range(3)}
        sums |= {'curvature': (batch, heads, inner, inner), 'target': (batch, heads, inner, width)}
        written = {name: self.w0.new_zeros(sums[name]) for name in self.fast_state[3:]}
        state = {**weights, **written}
        if self.use_conv:
            channels = self.kernel.shape[1]
            state['tail'] = self.kernel.new_zeros(batch, 2, self.tokens, channels)
        return state

    def forward(
        self, x: Tensor, qkv: Tensor, frame_valid: Tensor, state: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the gated reading (B, F, T, d) and the next state.

        Args:
            x: (B, F, T, d) normalised input of the block.
            qkv: (B, F, T, 3d) made from it.
            frame_valid: (B, F).
            state: as ``initial_state`` names it.
        """
        frames = x.shape[1]
        query, key, value, fresh = self._features(qkv, frame_valid, state)
        read = fast_weight_read(state['w0'], state['w1'], state['w2'], query)
        read = rms_normalised(read).unflatten(2, (frames, -1)).permute(0, 2, 3, 1, 4).flatten(3)
        rates, gate = self._rates(x)
        updated = self.update(
            *(state[name] for name in self.fast_state),
            *(self.w0, self.w1, self.w2),
            *(key, value, rates, gate),
            2.0 * self.step_initial * torch.sigmoid(self.step),
            DECAY_MAX * torch.sigmoid(self.decay),
            frame_valid,
        )
        fresh.update(zip(self.fast_state, updated, strict=True))
        return read * self.scale * nnf.silu(self.gate(x)), fresh

    def _features(
        self, qkv: Tensor, frame_valid: Tensor, state: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
        if self.use_conv:
            q, k, v, tail = self.conv(qkv, state['tail'], frame_valid, self.kernel, self.bias)
            return q, k, v, {'tail': tail}
        stacked = qkv.unflatten(3, (3, self.heads, -1)).permute(3, 0, 4, 1, 2, 5).flatten(3, 4)
        return *head_features(stacked), {}

    def _rates(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return rates (B, H, N, 3) and momentum gates (B, H, N) of tokens x (B, F, T, d)."""
        raw = self.rates(x).flatten(1, 2).unflatten(2, (self.heads, 4)).transpose(1, 2)
        return nnf.softplus(raw[..., :3]) * self.rate, torch.sigmoid(raw[..., 3])


class HybridBlock(nn.Module):
    """Attention and, unless the block is an anchor, fast weights side by side; then an MLP."""

    def __init__(self, config: BackboneConfig, *, hybrid: bool) -> None:
        super().__init__()
        d, hidden = config.width, config.width * config.mlp_ratio
        self.norm, self.mlp_norm = RMSNorm(d), RMSNorm(d)
        self.qkv = nn.Linear(d, 3 * d, bias=False)
        self.attention = WindowAttention(
            config.grid,
            config.cells,
            d,
            config.heads,
            window=config.past + 1,
            frames=config.frames,
            sinks=config.sinks,
        )
        self.fast = FastWeightBranch(config) if hybrid else None
        self.out = nn.Linear(d, d, bias=False)
        self.mlp_in, self.mlp_out = nn.Linear(d, hidden), nn.Linear(hidden, d)
        # A fresh block changes little: what the trunk learned without it stays valid.
        for layer in (self.out, self.mlp_out):
            nn.init.normal_(layer.weight, std=0.02 / math.sqrt(2 * config.blocks))
        nn.init.zeros_(self.mlp_out.bias)

    def initial_state(self, batch: int) -> dict[str, Tensor]:
        """Return the state before the first chunk."""
        fast = {} if self.fast is None else self.fast.initial_state(batch)
        return {**self.attention.initial_state(batch), **fast}

    def forward(
        self, x: Tensor, flags: Tensor, frame_valid: Tensor, state: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the next x (B, F, T, d) and state; flags as ``WindowAttention`` takes them."""
        normed, width = self.norm(x), x.shape[3]
        cache = {name: state[name] for name in ('keys', 'values') if name in state}
        if self.fast is None:
            # Only pooled keys and values are used: pooling comes before their product.
            query = nnf.linear(normed, self.qkv.weight[:width])
            pooled = nnf.linear(self.attention.pool @ normed, self.qkv.weight[width:])
            mixed, fresh = self.attention(query, pooled, flags, frame_valid, cache)
        else:
            qkv = self.qkv(normed)
            query, pooled = qkv[..., :width], (self.attention.pool @ qkv)[..., width:]
            mixed, fresh = self.attention(query, pooled, flags, frame_valid, cache)
            read, weights = self.fast(normed, qkv, frame_valid, state)
            mixed, fresh = mixed + read, {**fresh, **weights}
        x = x + self.out(mixed)
        return x + self.mlp_out(gelu(self.mlp_in(self.mlp_norm(x)))), fresh


class HybridBackbone(nn.Module):
    """Hybrid blocks over chunks of frames, with a prediction of each next frame."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        config.validate()
        self.config = config
        self.blocks = nn.ModuleList(
            HybridBlock(config, hybrid=config.is_hybrid(block)) for block in range(config.blocks)
        )
        d = config.width
        self.predict_norm = RMSNorm(d)
        self.predict_in, self.predict_out = nn.Linear(d, 2 * d), nn.Linear(2 * d, d)
        nn.init.zeros_(self.predict_out.weight)
        nn.init.zeros_(self.predict_out.bias)
        pool = pooling_matrix(config.grid, config.cells)
        self.register_buffer('pool', pool, persistent=False)
        self._shapes = {n: tuple(t.shape[1:]) for n, t in self.initial_state(1).items()}

    def initial_state(self, batch: int) -> dict[str, Tensor]:
        """Return the state of ``batch`` cameras before their first chunk, by flat name.

        All float32: seen (B, W - 1), which frames of the attention's cache are real; prediction
        (B, 1, P, d) of the next frame; block<i>.<name> of each block. The fast weights start as
        the learned ones, so gradients reach those through the state.
        """
        like, past = self.pool, self.config.past
        state = {'prediction': like.new_zeros(batch, 1, len(like), self.config.width)}
        if past:
            state['seen'] = like.new_zeros(batch, past)
        for index, block in enumerate(self.blocks):
            own = block.initial_state(batch)
            state.update({f'block{index}.{name}': tensor for name, tensor in own.items()})
        return state

    def forward(
        self, tokens: Tensor, frame_valid: Tensor, state: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Return tokens with context, the next state and the surprise of each frame.

        Args:
            tokens: (B, F, T, d); what stands in padded frames does not matter.
            frame_valid: (B, F) float, 1 for each frame of the chunk, then 0 for padding.
            state: as ``initial_state`` or the last call returned it; not changed.

        Returns:
            tokens (B, F, T, d), meaningless in padded frames; the next state, with gradients;
            surprise (B, F), 0..2 and 0 in padded frames, which is also the loss to train the
            prediction by: its target takes no gradient.
        """
        self._check(tokens, frame_valid, state)
        frame_valid = frame_valid.to(self.pool.dtype)
        tokens = torch.where(frame_valid[..., None, None] > 0, tokens, torch.zeros_like(tokens))
        flags, fresh = frame_valid, {}
        if 'seen' in state:
            flags = torch.cat([state['seen'], frame_valid], dim=1)
            fresh['seen'] = carried(flags, self.config.past, frame_valid)
        x = tokens
        for index, block in enumerate(self.blocks):
            prefix = f'block{index}.'
            own = {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}
            x, after = block(x, flags, frame_valid, own)
            fresh.update({prefix + name: tensor for name, tensor in after.items()})
        surprise, fresh['prediction'] = self._surprise(tokens, x, frame_valid, state['prediction'])
        return x, {name: fresh[name] for name in state}, surprise

    def _check(self, tokens: Tensor, frame_valid: Tensor, state: dict[str, Tensor]) -> None:
        config, batch = self.config, tokens.shape[0]
        want = (batch, config.frames, config.tokens, config.width)
        if tuple(tokens.shape) != want or tuple(frame_valid.shape) != want[:2]:
            raise ValueError(
                f'backbone: tokens must be (B, {config.frames}, {config.tokens}, {config.width}) '
                f'and frame_valid (B, {config.frames}); got {tuple(tokens.shape)} and '
                f'{tuple(frame_valid.shape)}'
            )
        if state.keys() != self._shapes.keys():
            odd = sorted(state.keys() ^ self._shapes.keys())
            raise ValueError(f'backbone: state lacks or should not have {odd}; see initial_state')
        for name, shape in self._shapes.items():
            if tuple(state[name].shape) != (batch, *shape):
                raise ValueError(
                    f'backbone: state of batch {batch} must have {name} {(batch, *shape)}; '
                    f'got {tuple(state[name].shape)}'
                )

    def _surprise(
        self, tokens: Tensor, x: Tensor, frame_valid: Tensor, prediction: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the surprise (B, F) and the prediction (B, 1, P, d) after the last frame.

        A frame is predicted as the one before plus what the network adds: a fresh one is
        surprised by all that changes. The first frame ever has no prediction: surprise 1.
        """
        target = (self.pool @ tokens).detach().to(prediction.dtype)
        known = self.predict_norm(self.pool @ x)
        change = self.predict_out(gelu(self.predict_in(known)))
        both = torch.cat([prediction, target + change.to(prediction.dtype)], dim=1)
        cosine = (_unit(both[:, :-1]) * _unit(target)).sum(dim=3)
        return (1.0 - cosine).mean(dim=2) * frame_valid, carried(both, 1, frame_valid)


def _unit(x: Tensor) -> Tensor:
    # Not a sum with 1e-12: the exporter takes so small a constant for 0 and drops it.
    return x * torch.rsqrt((x * x).sum(dim=-1, keepdim=True).clamp(min=1e-12))
