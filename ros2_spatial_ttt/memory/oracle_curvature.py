# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The fast weights' curvature rule as plain float64 numpy: a loop over tokens.

The network f_W(x) = W1 h(x), h(x) = silu(W0 x) * W2 x, is linear in W1, so W1 can be solved for
with the past kept in the loss, as the field is (``memory/oracle.py``)::

    A <- keep A + sum_i rate_i h(k_i) h(k_i)^T         keep = 1 - decay n / F of n of F frames
    B <- keep B + sum_i rate_i h(k_i) v_i^T
    W1 -> argmin sum_i rate_i |W1 h(k_i) - v_i|^2 + |W1 - W1_init|^2 / step

by some steps of conjugate gradients from the last W1. W0 and W2 stay as they were learned.
Letters: see ``memory/oracle_layers.py``.
"""

from __future__ import annotations

import numpy as np

from ros2_spatial_ttt.memory.oracle import conjugate_gradient, exact_solution
from ros2_spatial_ttt.memory.oracle_layers import Array, silu

__all__ = ['curvature_update']


def curvature_update(
    weights: tuple[Array, ...],
    curvature: Array,
    target: Array,
    initial: Array,
    key: Array,
    value: Array,
    rates: Array,
    *,
    step: Array,
    decay: Array,
    valid: int,
    frames: int,
    steps: int | None,
) -> tuple[Array, Array, Array]:
    """Return the next W1, A and B; the old ones where no frame is valid.

    Args:
        weights: W0, W1, W2 of shapes (H, m, e), (H, e, m), (H, m, e).
        curvature: A (H, m, m).
        target: B (H, m, e).
        initial: learned W1 (H, e, m).
        key: (H, N, e).
        value: (H, N, e).
        rates: (H, N).
        step: (H,), the reciprocal of the ridge.
        decay: (H,) per chunk.
        valid: real frames, first.
        frames: of a full chunk.
        steps: of conjugate gradients; None = solve exactly.
    """
    w0, w1, w2 = weights
    if valid == 0:
        return w1, curvature, target
    share = valid / frames
    out = [np.array(x, np.float64) for x in (w1, curvature, target)]
    for head in range(len(key)):
        keep = 1.0 - decay[head] * share
        a, b = keep * out[1][head], keep * out[2][head]
        for token in range(round(key.shape[1] * share)):
            k, v = key[head, token], value[head, token]
            h = silu(w0[head] @ k) * (w2[head] @ k)
            a += rates[head, token] * np.outer(h, h)
            b += rates[head, token] * np.outer(h, v)
        system = step[head] * a
        wanted = initial[head].T.astype(np.float64) + step[head] * b
        if steps is None:
            solved = exact_solution(system, wanted, ridge=1.0)
        else:
            start = out[0][head].T
            solved = conjugate_gradient(system, wanted, start, ridge=1.0, steps=steps)
        out[0][head] = solved.T
        out[1][head], out[2][head] = a, b
    return out[0], out[1], out[2]
