# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The curvature rule of the fast weights in torch, for training and comparisons; not exported.

Letters: see ``training/layers.py``. Maths: ``memory/oracle_curvature.py``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as nnf
from torch import Tensor

from ros2_spatial_ttt.training.layers import CustomLayer, full_precision

__all__ = ['CurvatureUpdate']

# As many as the field takes; each chunk starts from the solution of the one before.
SOLVER_STEPS = 6


class CurvatureUpdate(CustomLayer):
    """One chunk into W1 by ridge regression on the features that W0 and W2 make, which stay.

    Takes what ``FastWeightUpdate`` takes, with curvature and target in place of the momenta, and
    uses of the rates those of w1 alone. A chunk without a valid frame changes no bit.
    """

    inputs = (
        *('w0', 'w1', 'w2', 'curvature', 'target', 'initial0', 'initial1', 'initial2'),
        *('key', 'value', 'rates', 'gate', 'step', 'decay', 'frame_valid'),
    )
    outputs = ('next_w0', 'next_w1', 'next_w2', 'next_curvature', 'next_target')
    function_name = f'FastWeightCurvatureK{SOLVER_STEPS}'

    def output_shapes(self, *arguments: Tensor) -> list[torch.Size]:
        """Return the shapes of weights, curvature and target, which stay."""
        return [tensor.shape for tensor in arguments[:5]]

    def body(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        """Return the next w0, w1, w2, curvature, target.

        Args:
            arguments: by ``inputs``: w0, w2 (B, H, m, e) and w1 (B, H, e, m); curvature
                (B, H, m, m), target (B, H, m, e); the rest as ``FastWeightUpdate`` takes it.
        """
        dtype = arguments[0].dtype
        with full_precision(arguments[0]):
            named = {n: a.to(dtype) for n, a in zip(self.inputs, arguments, strict=True)}
            return self._chunk(**named)

    def _chunk(self, **a: Tensor) -> tuple[Tensor, ...]:
        batch, frames = a['frame_valid'].shape
        count = a['key'].shape[2] // frames
        mask = a['frame_valid'][:, None, :, None].expand(-1, 1, -1, count).reshape(batch, 1, -1, 1)
        seen = a['frame_valid'].sum(dim=1)[:, None, None, None]  # (B, 1, 1, 1)
        step, decay = a['step'][:, None, None], a['decay'][:, None, None]
        gated, linear = (a['key'] @ a[name].transpose(2, 3) for name in ('w0', 'w2'))
        inner = nnf.silu(gated) * linear  # (B, H, N, m)
        weighted = (inner * a['rates'][..., 1:2] * mask).transpose(2, 3)  # (B, H, m, N)
        keep = 1.0 - decay * seen / frames
        curvature = keep * a['curvature'] + weighted @ inner
        target = keep * a['target'] + weighted @ a['value']
        wanted = a['initial1'].transpose(1, 2) + step * target
        solved = _solved(step * curvature, wanted, a['w1'].transpose(2, 3)).transpose(2, 3)
        fresh = {'w1': solved, 'curvature': curvature, 'target': target}
        fresh = {name: torch.where(seen > 0, new, a[name]) for name, new in fresh.items()}
        return a['w0'], fresh['w1'], a['w2'], fresh['curvature'], fresh['target']


def _solved(curvature: Tensor, wanted: Tensor, start: Tensor) -> Tensor:
    """Return x after ``SOLVER_STEPS`` of conjugate gradients to (curvature + 1) x = wanted.

    All (B, H, m, e) but the curvature (B, H, m, m).
    """
    x = start
    residual = wanted - (curvature @ x + x)
    direction, energy = residual, _energy(residual, residual)
    for _ in range(SOLVER_STEPS):
        image = curvature @ direction + direction
        along = energy / _energy(direction, image).clamp(min=1e-30)
        x = x + along * direction
        residual = residual - along * image
        after = _energy(residual, residual)
        direction = residual + after / energy.clamp(min=1e-30) * direction
        energy = after
    return x


def _energy(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(dim=(2, 3), keepdim=True)
