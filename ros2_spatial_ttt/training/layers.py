# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Layers of the backbone in torch. On export each custom layer becomes one ONNX local function.

Letters: B batch, F frames of a chunk, T = h w tokens of a frame (row-major), N = F T, d width, H
heads of e = d / H channels, m inner width of the fast weights, W window in frames, P pooled cells
of a frame. Maths and sources: ``memory/oracle_layers.py``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from ros2_spatial_ttt.memory.oracle_layers import NEWTON_SCHULZ

__all__ = [
    'DOMAIN',
    'UPDATE_RULES',
    'ChunkUpdate',
    'CustomLayer',
    'FastWeightUpdate',
    'SpatioTemporalConv',
    'carried',
    'custom_layer_calls',
    'fast_weight_read',
    'gelu',
    'head_features',
    'live_tokens',
    'rms_normalised',
]

DOMAIN = 'spatial_ttt'
UPDATE_RULES = ('gd', 'momentum', 'muon')
EPSILON = 1e-6


class CustomLayer(nn.Module):
    """A layer that leaves one node in an exported graph, which names a local function.

    A subclass sets ``inputs``, ``outputs`` (names), ``function_name`` and defines ``body`` and
    ``output_shapes``. What the body cannot tell from its inputs belongs into the name.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    function_name: str

    def forward(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        """Run ``body``; while a graph is exported, leave one node that names the function."""
        if not torch.onnx.is_in_onnx_export():
            return self.body(*arguments)
        shapes = self.output_shapes(*arguments)
        outputs = torch.onnx.ops.symbolic_multi_out(
            f'{DOMAIN}::{self.function_name}',
            arguments,
            dtypes=[arguments[0].dtype] * len(shapes),
            shapes=shapes,
            version=1,
        )
        return tuple(outputs)

    def body(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs by standard operators."""
        raise NotImplementedError

    def output_shapes(self, *arguments: Tensor) -> list[torch.Size]:
        """Return the shape of every output for these inputs."""
        raise NotImplementedError


def custom_layer_calls(
    module: nn.Module, arguments: Sequence[Tensor]
) -> list[tuple[CustomLayer, tuple[Tensor, ...]]]:
    """Return one call of each local function that ``module`` makes: the layer, its arguments.

    Raises ValueError where two calls of one name have different shapes: a body fits only one.
    """
    calls: dict[str, tuple[CustomLayer, tuple[Tensor, ...]]] = {}

    def note(layer: CustomLayer, given: tuple[Tensor, ...]) -> None:
        _, known = calls.setdefault(layer.function_name, (layer, given))
        shapes = [[tuple(tensor.shape) for tensor in call] for call in (known, given)]
        if shapes[0] != shapes[1]:
            raise ValueError(f'{layer.function_name}: called with {shapes[0]} and {shapes[1]}')

    layers = [part for part in module.modules() if isinstance(part, CustomLayer)]
    hooks = [layer.register_forward_pre_hook(note) for layer in layers]
    try:
        with torch.no_grad():
            module(*arguments)
    finally:
        for hook in hooks:
            hook.remove()
    return [(layer, tuple(t.detach() for t in given)) for layer, given in calls.values()]


class SpatioTemporalConv(CustomLayer):
    """Causal depthwise 3×3×3 convolution of q, k, v, then SiLU and unit length of q and k.

    Time: the frame and the two before it, carried between chunks as ``tail``. Space: zeros beyond
    the border, which a convolution pads for free where repeated borders cost a copy; unit length
    evens out the smaller sums there. Starts as the identity on the newest frame.
    """

    inputs = ('tokens', 'tail', 'frame_valid', 'kernel', 'bias')
    outputs = ('query', 'key', 'value', 'next_tail')

    def __init__(self, grid: tuple[int, int], heads: int) -> None:
        super().__init__()
        self.grid, self.heads = grid, heads
        self.function_name = f'SpatioTemporalConv{grid[0]}x{grid[1]}Heads{heads}'

    def output_shapes(self, tokens: Tensor, tail: Tensor, *_: Tensor) -> list[torch.Size]:
        """Return the shapes of query, key, value and the tail."""
        batch, frames, count, channels = tokens.shape
        width = channels // (3 * self.heads)
        head = torch.Size((batch, self.heads, frames * count, width))
        return [head, head, head, tail.shape]

    def body(
        self,
        tokens: Tensor,  # (B, F, T, 3d) q, k, v side by side
        tail: Tensor,  # (B, 2, T, 3d) the two frames before
        frame_valid: Tensor,  # (B, F) 1 for a frame, then 0 for padding
        kernel: Tensor,  # (3, 3d, 1, 3, 3) oldest frame first
        bias: Tensor,  # (3d,)
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return query, key, value (B, H, N, e) and the next tail."""
        frames, channels = tokens.shape[1], tokens.shape[3]
        both = torch.cat([tail, tokens.to(tail.dtype)], dim=1)
        # Channels stay last outside of the convolutions: runtimes then fold the turning of axes
        # into the blocked layout that a convolution wants anyway.
        images = both.unflatten(2, self.grid)  # (B, F + 2, h, w, 3d)
        taps = [
            nnf.conv2d(
                images[:, tap : tap + frames].flatten(0, 1).permute(0, 3, 1, 2),
                kernel[tap],
                bias if tap == 2 else None,
                padding=1,
                groups=channels,
            )
            for tap in range(3)
        ]
        mixed = taps[0].add_(taps[1]).add_(taps[2]).permute(0, 2, 3, 1).flatten(1, 2)
        heads = mixed.unflatten(2, (3, self.heads, -1)).unflatten(0, (-1, frames))
        stacked = heads.permute(3, 0, 4, 1, 2, 5).flatten(3, 4)  # (3, B, H, N, e)
        return *head_features(stacked), carried(both, 2, frame_valid)


def head_features(stacked: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return SiLU of stacked q, k, v (3, B, H, N, e), q and k of unit length."""
    active = nnf.silu(stacked)
    pair, value = active[:2], active[2]
    width = pair.shape[-1]
    # Unit length is a root mean square of 1 / sqrt(e): one kernel in ONNX Runtime.
    scale = torch.full((width,), width**-0.5, dtype=pair.dtype, device=pair.device)
    pair = _normalised(pair, EPSILON / width) * scale
    return pair[0], pair[1], value


def carried(both: Tensor, keep: int, frame_valid: Tensor) -> Tensor:
    """Return the last ``keep`` real frames of ``both`` (B, keep + F, …), which ends in a chunk."""
    batch, length = both.shape[:2]
    count = frame_valid.sum(dim=1).to(torch.int64)
    start = count + length * torch.arange(batch, device=both.device)
    index = start[:, None] + torch.arange(keep, device=both.device)
    return both.flatten(0, 1).index_select(0, index.flatten()).unflatten(0, (batch, keep))


class ChunkUpdate(CustomLayer):
    """One chunk into fast weights, by the rule of a subclass: weights and what the rule keeps.

    Inputs begin with the state, outputs are the next one, in the same order and shapes.
    """

    def output_shapes(self, *arguments: Tensor) -> list[torch.Size]:
        """Return the shapes of the state, which stay."""
        return [tensor.shape for tensor in arguments[: len(self.outputs)]]

    def body(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        """Return the next state.

        Args:
            arguments: by ``inputs``: w0, w2 (B, H, m, e) and w1 (B, H, e, m); what the rule keeps;
                initial weights as w0 to w2 without B; key, value (B, H, N, e); rates (B, H, N, 3)
                of the tokens for w0, w1, w2; gate (B, H, N) of the momentum, 0..1; step, decay
                (H,); frame_valid (B, F), 1 for a frame, then 0 for padding.
        """
        dtype = arguments[0].dtype
        with full_precision(arguments[0]):
            named = {n: a.to(dtype) for n, a in zip(self.inputs, arguments, strict=True)}
            return self._chunk(**named)

    def _chunk(self, **a: Tensor) -> tuple[Tensor, ...]:
        raise NotImplementedError


def live_tokens(frame_valid: Tensor, tokens: int) -> Tensor:
    """Return 1 for the tokens of real frames, (B, 1, N), of frame_valid (B, F) and N tokens."""
    batch, frames = frame_valid.shape
    each = frame_valid[:, None, :, None].expand(-1, 1, -1, tokens // frames)
    return each.reshape(batch, 1, -1)


class FastWeightUpdate(ChunkUpdate):
    """One chunk into the fast weights: W, momentum M and tokens in, next W and M out.

    Gradients of -<f_W(k), v> with f_W(x) = W1 (silu(W0 x) * W2 x), all at the weights before the
    chunk. A chunk without a valid frame changes no bit.
    """

    inputs = (
        *('w0', 'w1', 'w2', 'm0', 'm1', 'm2', 'initial0', 'initial1', 'initial2'),
        *('key', 'value', 'rates', 'gate', 'step', 'decay', 'frame_valid'),
    )
    outputs = ('next_w0', 'next_w1', 'next_w2', 'next_m0', 'next_m1', 'next_m2')

    def __init__(self, rule: str) -> None:
        super().__init__()
        self.rule = rule
        self.function_name = f'FastWeightUpdate{rule.capitalize()}'

    def _chunk(self, **a: Tensor) -> tuple[Tensor, ...]:
        frames, tokens = a['frame_valid'].shape[1], a['key'].shape[2]
        count = tokens // frames
        mask = live_tokens(a['frame_valid'], tokens)
        seen = a['frame_valid'].sum(dim=1)[:, None, None, None]  # (B, 1, 1, 1)
        weights = (a['w0'], a['w1'], a['w2'])
        gradients = _descent(weights, a['key'], a['value'], a['rates'] * mask[..., None])
        momenta = (a['m0'], a['m1'], a['m2'])
        if self.rule == 'gd':
            moved = gradients
        else:
            gate = (a['gate'] * mask).sum(dim=2)[..., None, None] / (seen * count).clamp(min=1.0)
            moved = tuple(d + gate * m for d, m in zip(gradients, momenta, strict=True))
        step, decay = a['step'][:, None, None], a['decay'][:, None, None] * seen / frames
        directions = moved
        if self.rule == 'muon':
            directions, step = _orthogonalised(moved), step * seen / frames
        updated = [
            _row_normalised(w + decay * (initial - w) + step * u, initial)
            for w, initial, u in zip(
                weights, (a['initial0'], a['initial1'], a['initial2']), directions, strict=True
            )
        ]
        olds, news = (*weights, *momenta), (*updated, *moved)
        return tuple(torch.where(seen > 0, n, o) for n, o in zip(news, olds, strict=True))


def full_precision(like: Tensor) -> AbstractContextManager:
    """Return a context without autocast, which would round the state to 8 bits of mantissa."""
    device = like.device.type
    if torch.is_autocast_enabled(device):
        return torch.autocast(device, enabled=False)
    return nullcontext()


def _descent(
    weights: tuple[Tensor, ...], key: Tensor, value: Tensor, rates: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return descent directions of w0, w1, w2, summed over tokens times their rates."""
    w0, w1, w2 = weights
    a, u = key @ w0.transpose(2, 3), key @ w2.transpose(2, 3)  # (B, H, N, m)
    sigma = torch.sigmoid(a)
    s = a * sigma
    g = value @ w1
    slope = sigma + s * (1.0 - sigma)  # of silu at a
    # A token's rate goes to the narrower factor, of e channels instead of m.
    d0 = (g * u * slope).transpose(2, 3) @ (key * rates[..., 0:1])
    d1 = (value * rates[..., 1:2]).transpose(2, 3) @ (s * u)
    d2 = (g * s).transpose(2, 3) @ (key * rates[..., 2:3])
    return d0, d1, d2


def _orthogonalised(momenta: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Return the three matrices with singular values near 1: five Newton-Schulz steps (Muon)."""
    m0, m1, m2 = momenta
    x = torch.stack([m0.transpose(2, 3), m1, m2.transpose(2, 3)], dim=1)  # (B, 3, H, e, m)
    x = x / (torch.sqrt((x * x).sum(dim=(3, 4), keepdim=True) + 1e-14) + 1e-7)
    for a, b, c in NEWTON_SCHULZ:
        gram = x @ x.transpose(3, 4)
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x[:, 0].transpose(2, 3), x[:, 1], x[:, 2].transpose(2, 3)


def _row_normalised(weight: Tensor, initial: Tensor) -> Tensor:
    """Return ``weight`` with every row as long as that of ``initial``."""
    want = (initial * initial).sum(dim=-1, keepdim=True)
    have = (weight * weight).sum(dim=-1, keepdim=True)
    return weight * torch.sqrt((want + 1e-12) / (have + 1e-12))


def fast_weight_read(w0: Tensor, w1: Tensor, w2: Tensor, query: Tensor) -> Tensor:
    """Return f_W of query (B, H, N, e), (B, H, N, e)."""
    inner = nnf.silu(query @ w0.transpose(2, 3)) * (query @ w2.transpose(2, 3))
    return inner @ w1.transpose(2, 3)


def gelu(x: Tensor) -> Tensor:
    """Return the GELU of ``x``; in a graph by the operators that ONNX Runtime fuses to one."""
    if torch.onnx.is_in_onnx_export():
        return x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0)))
    return nnf.gelu(x)


def rms_normalised(x: Tensor) -> Tensor:
    """Return ``x`` over its root mean square along the last axis."""
    return _normalised(x, EPSILON)


def _normalised(x: Tensor, epsilon: float) -> Tensor:
    # In this form, times a scale, ONNX Runtime has it as one kernel.
    return x / torch.sqrt(x.pow(2).mean(dim=-1, keepdim=True) + epsilon)
