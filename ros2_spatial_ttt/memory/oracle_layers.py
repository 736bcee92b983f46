# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The maths of the backbone's layers as plain float64 numpy: loops over tokens, no cleverness.

One stream, so no batch. Letters: F frames of a chunk, T = h w tokens of a frame (row-major), N = F
T, d width, H heads of e = d / H channels, m inner width, W window in frames, P pooled cells.

A fast-weight layer (test-time training; Sun et al. 2024, chunked as in LaCT, on video as in
Spatial-TTT) is a network f_W(x) = W1 (silu(W0 x) * W2 x) per head whose weights are the memory::

    read    y = f_W(q)                                      weights before the chunk
    write   D = -sum_i rate_i grad_W (-<f_W(k_i), v_i>)     at the weights before the chunk
            M <- D + mean_i(gate_i) M                       gd: M <- D
            U = M                                           muon: singular values of M to about 1
            W <- rows of (W + decay (W_init - W) + step U), each as long as that of W_init

A partial chunk of n frames takes n / F of the decay, and of Muon's step, whose size no sum over
tokens makes small. Sources of the parts: Muon (Jordan et al. 2024), rotary positions (Su et al.
2021), sinks (Xiao et al. 2023).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import erf
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    'NEWTON_SCHULZ',
    'LayerSizes',
    'fast_weight_read',
    'fast_weight_update',
    'head_features',
    'hybrid_block',
    'orthogonalised',
    'spatio_temporal_conv',
    'window_attention',
]

# Numbers in of any width; every result is float64.
Array = NDArray[Any]
# Coefficients a, b, c of five quintic Newton-Schulz steps (LaCT).
NEWTON_SCHULZ = (
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
)
EPSILON = 1e-6  # under the root of every normalisation


@dataclass(frozen=True)
class LayerSizes:
    """What a block's parameters do not tell.

    Attributes:
        grid, cells: rows and columns of tokens and of pooled cells.
        frames: F. heads: H. window: W, with the frame itself.
        rule: gd, momentum or muon.
        rate: of one token at softplus 1. step: largest. decay: largest, per chunk.
    """

    grid: tuple[int, int]
    cells: tuple[int, int]
    frames: int
    heads: int
    window: int
    rule: str
    rate: float
    step: float
    decay: float


def spatio_temporal_conv(
    tokens: Array, tail: Array, kernel: Array, bias: Array, *, grid: tuple[int, int], valid: int
) -> tuple[Array, Array]:
    """Return the causal depthwise 3×3×3 convolution (F, T, C) and the next tail (2, T, C).

    Args:
        tokens: (F, T, C).
        tail: (2, T, C), the two frames before.
        kernel: (3, C, 1, 3, 3), oldest frame first.
        bias: (C,).
        grid: rows, columns.
        valid: real frames, first.
    """
    rows, columns = grid
    film = np.concatenate([tail, tokens]).astype(np.float64)
    pictures = film.reshape(len(film), rows, columns, -1)
    mixed = np.zeros((len(tokens), rows, columns, film.shape[2])) + bias
    for frame, row, column in np.ndindex(len(tokens), rows, columns):
        for tap, dy, dx in np.ndindex(3, 3, 3):
            y, x = row + dy - 1, column + dx - 1
            if 0 <= y < rows and 0 <= x < columns:
                weight = kernel[tap, :, 0, dy, dx]
                mixed[frame, row, column] += weight * pictures[frame + tap, y, x]
    return mixed.reshape(tokens.shape), film[valid : valid + 2]


def head_features(mixed: Array, heads: int) -> tuple[Array, Array, Array]:
    """Return q, k (unit length) and v, each (H, N, e), of convolved q, k, v (F, T, 3d)."""
    active = silu(mixed.reshape(-1, 3, heads, mixed.shape[-1] // (3 * heads)))
    query, key, value = (np.moveaxis(active[:, part], 1, 0) for part in range(3))
    return _unit(query), _unit(key), value.copy()


def fast_weight_read(weights: tuple[Array, ...], query: Array) -> Array:
    """Return f_W of every query (H, N, e); weights W0, W2 (H, m, e) and W1 (H, e, m)."""
    (w0, w1, w2), read = weights, np.zeros(query.shape)
    for head, token in np.ndindex(*query.shape[:2]):
        q = query[head, token]
        read[head, token] = w1[head] @ (silu(w0[head] @ q) * (w2[head] @ q))
    return read


def fast_weight_update(
    weights: tuple[Array, ...],
    momenta: tuple[Array, ...],
    initial: tuple[Array, ...],
    key: Array,
    value: Array,
    rates: Array,
    gate: Array,
    *,
    step: Array,
    decay: Array,
    rule: str,
    valid: int,
    frames: int,
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Return the weights and momenta after one chunk; the old ones where no frame is valid.

    Args:
        weights: W0, W2 (H, m, e) and W1 (H, e, m), in the order W0, W1, W2.
        momenta: of the same shapes.
        initial: of the same shapes.
        key: (H, N, e).
        value: (H, N, e).
        rates: (H, N, 3).
        gate: (H, N).
        step: (H,).
        decay: (H,) per chunk.
        rule: gd, momentum or muon.
        valid: real frames, first.
        frames: of a full chunk.
    """
    if valid == 0:
        return weights, momenta
    share = valid / frames
    count = round(key.shape[1] * share)
    new_weights = [np.array(w, np.float64) for w in weights]
    new_momenta = [np.array(m, np.float64) for m in momenta]
    for head in range(len(key)):
        own = tuple(w[head].astype(np.float64) for w in weights)
        sums = descent(own, key[head, :count], value[head, :count], rates[head, :count])
        kept = 0.0 if rule == 'gd' else float(np.mean(gate[head, :count]))
        for i in range(3):
            moved = sums[i] + kept * momenta[i][head]
            direction = orthogonalised(moved) * share if rule == 'muon' else moved
            start = initial[i][head].astype(np.float64)
            forgotten = own[i] + decay[head] * share * (start - own[i])
            new_momenta[i][head] = moved
            new_weights[i][head] = _as_long_as(forgotten + step[head] * direction, start)
    return tuple(new_weights), tuple(new_momenta)


def descent(
    weights: tuple[Array, ...], keys: Array, values: Array, rates: Array
) -> tuple[Array, Array, Array]:
    """Return the descent directions of one head's W0, W1, W2, token by token."""
    w0, w1, w2 = weights
    d0, d1, d2 = np.zeros(w0.shape), np.zeros(w1.shape), np.zeros(w2.shape)
    for k, v, (rate0, rate1, rate2) in zip(keys, values, rates, strict=True):
        a, u = w0 @ k, w2 @ k
        sigma = 1.0 / (1.0 + np.exp(-a))
        g = w1.T @ v
        d0 += rate0 * np.outer(g * u * sigma * (1.0 + a * (1.0 - sigma)), k)
        d1 += rate1 * np.outer(v, a * sigma * u)
        d2 += rate2 * np.outer(g * a * sigma, k)
    return d0, d1, d2


def orthogonalised(matrix: Array) -> Array:
    """Return five Newton-Schulz steps on ``matrix``, which bring its singular values near 1."""
    wide = matrix.shape[0] <= matrix.shape[1]
    x = matrix if wide else matrix.T
    x = x / (np.sqrt(np.sum(x * x) + 1e-14) + 1e-7)
    for a, b, c in NEWTON_SCHULZ:
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if wide else x.T


def window_attention(
    parameters: Mapping[str, Array],
    qkv: Array,
    cache: Mapping[str, Array],
    seen: Array,
    *,
    sizes: LayerSizes,
    valid: int,
) -> tuple[Array, dict[str, Array]]:
    """Return the attended values (F, T, d) and the next cache.

    Args:
        parameters: query_scale, key_scale (e,), sink_key, sink_value (H, sinks, e).
        qkv: (F, T, 3d).
        cache: keys, values (W - 1, P, d) of the frames before, or empty.
        seen: (W - 1,) 1 where the cache holds a real frame.
        sizes: see ``LayerSizes``.
        valid: real frames, first.
    """
    width, past, pool = qkv.shape[2] // 3, sizes.window - 1, _pooling(sizes)
    keys, values = list(cache.get('keys', ())), list(cache.get('values', ()))
    for frame in qkv:
        keys.append(_scaled_heads(pool @ frame[:, width:-width], parameters['key_scale']))
        values.append(pool @ frame[:, -width:])
    mixed = np.zeros((len(qkv), len(qkv[0]), width))
    for frame in range(valid):
        queries = _scaled_heads(qkv[frame, :, :width], parameters['query_scale'])
        real = [slot for slot in range(frame, frame + sizes.window) if slot >= past or seen[slot]]
        context = [(slot - frame - past, keys[slot], values[slot]) for slot in real]
        for token in range(len(queries)):
            mixed[frame, token] = _attended(parameters, queries[token], token, context, sizes)
    after = {'keys': keys[valid : valid + past], 'values': values[valid : valid + past]}
    return mixed, {name: np.array(frames) for name, frames in after.items() if past}


def _attended(
    parameters: Mapping[str, Array],
    query: Array,
    token: int,
    frames: list[tuple[int, Array, Array]],
    sizes: LayerSizes,
) -> Array:
    """Return what one token (d,) reads: per head a softmax over sinks and cells of ``frames``."""
    e = len(query) // sizes.heads
    cell_rows, cell_columns = sizes.cells
    height, width = sizes.grid[0] // cell_rows, sizes.grid[1] // cell_columns
    read = []
    for head in range(sizes.heads):
        own = slice(head * e, (head + 1) * e)
        q = _rotated(query[own], (0, *divmod(token, sizes.grid[1])), sizes)
        scores = [float(q @ key) for key in parameters['sink_key'][head]]
        values = list(parameters['sink_value'][head])
        for age, keys, contents in frames:
            for cell in range(len(keys)):
                row, column = divmod(cell, cell_columns)
                centre = (row * height + (height - 1) / 2, column * width + (width - 1) / 2)
                scores.append(float(q @ _rotated(keys[cell, own], (age, *centre), sizes)))
                values.append(contents[cell, own])
        weight = np.exp((np.array(scores) - max(scores)) / np.sqrt(e))
        read.append(weight @ np.array(values) / weight.sum())
    return np.concatenate(read)


def _rotated(x: Array, position: tuple[float, float, float], sizes: LayerSizes) -> Array:
    """Turn pairs (i, i + e/2) of x (e,): first those of time, then of rows, then of columns."""
    pairs = len(x) // 2
    time, row = pairs // 4, (pairs - pairs // 4) // 2
    angle = np.zeros(pairs)
    first = 0
    spans = (sizes.window, *sizes.grid)
    for count, place, span in zip((time, row, pairs - time - row), position, spans, strict=True):
        for i in range(count):
            slower = i / (count - 1) if count > 1 else 0.0
            angle[first + i] = place * max(span, 1) ** -slower
        first += count
    real, imaginary = x[:pairs], x[pairs:]
    turned = (
        real * np.cos(angle) - imaginary * np.sin(angle),
        imaginary * np.cos(angle) + real * np.sin(angle),
    )
    return np.concatenate(turned)


def hybrid_block(
    parameters: Mapping[str, Array],
    tokens: Array,
    seen: Array,
    state: Mapping[str, Array],
    *,
    sizes: LayerSizes,
    valid: int,
) -> tuple[Array, dict[str, Array]]:
    """Return tokens (F, T, d) after one block and its next state.

    Args:
        parameters: by the names of ``training.backbone.HybridBlock``; without those of ``fast``
            the block is an anchor, without its kernel there is no convolution.
        tokens: (F, T, d); those of padded frames come back meaningless.
        seen: (W - 1,) 1 where the cache holds a real frame.
        state: keys, values, w0, …, m2, tail, as far as the block has them, without batch.
        sizes: see ``LayerSizes``.
        valid: real frames, first.
    """
    p = {name: array.astype(np.float64) for name, array in parameters.items()}
    normed = _rms(tokens) * p['norm.scale']
    qkv = normed @ p['qkv.weight'].T
    cache = {name: state[name] for name in ('keys', 'values') if name in state}
    mixed, after = window_attention(
        _below(p, 'attention.'), qkv, cache, seen, sizes=sizes, valid=valid
    )
    if 'fast.w0' in p:
        read, fast = _fast_branch(_below(p, 'fast.'), normed, qkv, state, sizes, valid)
        mixed, after = mixed + read, {**after, **fast}
    x = tokens + mixed @ p['out.weight'].T
    hidden = _rms(x) * p['mlp_norm.scale'] @ p['mlp_in.weight'].T + p['mlp_in.bias']
    return x + _gelu(hidden) @ p['mlp_out.weight'].T + p['mlp_out.bias'], after


def _fast_branch(
    p: Mapping[str, Array],
    normed: Array,
    qkv: Array,
    state: Mapping[str, Array],
    sizes: LayerSizes,
    valid: int,
) -> tuple[Array, dict[str, Array]]:
    frames, count, width = normed.shape
    after: dict[str, Array] = {}
    if 'kernel' in p:
        qkv, after['tail'] = spatio_temporal_conv(
            qkv, state['tail'], p['kernel'], p['bias'], grid=sizes.grid, valid=valid
        )
    query, key, value = head_features(qkv, sizes.heads)
    weights = tuple(state[f'w{i}'] for i in range(3))
    read = np.moveaxis(_rms(fast_weight_read(weights, query)), 0, 1).reshape(frames, count, width)
    raw = normed @ p['rates.weight'].T + p['rates.bias']
    raw = np.moveaxis(raw.reshape(-1, sizes.heads, 4), 1, 0)
    new_weights, momenta = fast_weight_update(
        weights,
        tuple(state[f'm{i}'] for i in range(3)),
        tuple(p[f'w{i}'] for i in range(3)),
        key,
        value,
        np.log1p(np.exp(raw[..., :3])) * sizes.rate,
        _sigmoid(raw[..., 3]),
        step=sizes.step * _sigmoid(p['step']),
        decay=sizes.decay * _sigmoid(p['decay']),
        rule=sizes.rule,
        valid=valid,
        frames=frames,
    )
    after.update({f'w{i}': new_weights[i] for i in range(3)})
    after.update({f'm{i}': momenta[i] for i in range(3)})
    gate = normed @ p['gate.weight'].T + p['gate.bias']
    return read * p['scale'] * silu(gate), after


def silu(x: Array) -> Array:
    """Return x sigmoid(x)."""
    return x * _sigmoid(x)


def _sigmoid(x: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-np.asarray(x, np.float64)))


def _gelu(x: Array) -> Array:
    return 0.5 * x * (1.0 + np.vectorize(erf)(x / np.sqrt(2.0)))


def _unit(x: Array) -> Array:
    return x / np.sqrt(np.sum(x * x, axis=-1, keepdims=True) + EPSILON)


def _rms(x: Array) -> Array:
    x = np.asarray(x, np.float64)
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + EPSILON)


def _scaled_heads(x: Array, scale: Array) -> Array:
    """Normalise every head of x (X, d) and scale its channels."""
    return (_rms(x.reshape(len(x), -1, len(scale))) * scale).reshape(x.shape)


def _as_long_as(matrix: Array, model: Array) -> Array:
    """Return ``matrix`` with every row as long as that of ``model``."""
    want, have = (np.sum(x * x, axis=1, keepdims=True) + 1e-12 for x in (model, matrix))
    return matrix * np.sqrt(want / have)


def _pooling(sizes: LayerSizes) -> Array:
    """Return (P, T): the mean over each cell."""
    (rows, columns), (cell_rows, cell_columns) = sizes.grid, sizes.cells
    pool = np.zeros((cell_rows * cell_columns, rows * columns))
    for row, column in np.ndindex(rows, columns):
        cell = row * cell_rows // rows * cell_columns + column * cell_columns // columns
        pool[cell, row * columns + column] = len(pool) / pool.shape[1]
    return pool


def _below(parameters: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    return {n.removeprefix(prefix): p for n, p in parameters.items() if n.startswith(prefix)}
