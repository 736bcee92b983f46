# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The curvature rule of the fast weights in torch, for training and comparisons; not exported.

Letters: see ``training/layers.py``. Maths: ``memory/oracle_curvature.py``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as nnf
from torch import Tensor

from ros2_spatial_ttt.training.field_layers import conjugate_gradient
from ros2_spatial_ttt.training.layers import ChunkUpdate, live_tokens

__all__ = ['CurvatureUpdate']

# As many as the field takes; each chunk starts from the solution of the one before.
SOLVER_STEPS = 6


class CurvatureUpdate(ChunkUpdate):
    """One chunk into W1 by ridge regression on the features that W0 and W2 make, which stay.

    It keeps curvature (B, H, m, m) and target (B, H, m, e), and uses of the rates those of w1
    alone. A chunk without a valid frame changes no bit.
    """

    inputs = (
        *('w0', 'w1', 'w2', 'curvature', 'target', 'initial0', 'initial1', 'initial2'),
        *('key', 'value', 'rates', 'gate', 'step', 'decay', 'frame_valid'),
    )
    outputs = ('next_w0', 'next_w1', 'next_w2', 'next_curvature', 'next_target')
    function_name = f'FastWeightCurvatureK{SOLVER_STEPS}'

    def _chunk(self, **a: Tensor) -> tuple[Tensor, ...]:
        frames = a['frame_valid'].shape[1]
        mask = live_tokens(a['frame_valid'], a['key'].shape[2])[..., None]
        seen = a['frame_valid'].sum(dim=1)[:, None, None, None]  # (B, 1, 1, 1)
        step, decay = a['step'][:, None, None], a['decay'][:, None, None]
        gated, linear = (a['key'] @ a[name].transpose(2, 3) for name in ('w0', 'w2'))
        inner = nnf.silu(gated) * linear  # (B, H, N, m)
        weighted = (inner * a['rates'][..., 1:2] * mask).transpose(2, 3)  # (B, H, m, N)
        keep = 1.0 - decay * seen / frames
        curvature = keep * a['curvature'] + weighted @ inner
        target = keep * a['target'] + weighted @ a['value']
        wanted = a['initial1'].transpose(1, 2) + step * target
        weight = conjugate_gradient(
            lambda x: step * (curvature @ x) + x,
            wanted,
            a['w1'].transpose(2, 3),
            steps=SOLVER_STEPS,
            product=lambda x, y: (x * y).sum(dim=(2, 3), keepdim=True),
        )
        fresh = {'w1': weight.transpose(2, 3), 'curvature': curvature, 'target': target}
        fresh = {name: torch.where(seen > 0, new, a[name]) for name, new in fresh.items()}
        return a['w0'], fresh['w1'], a['w2'], fresh['curvature'], fresh['target']
