# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The field's update rule in torch. On export the update becomes one ONNX local function.

Letters: N samples, M points, D features, C channels. Maths and sources: ``memory/oracle.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ros2_spatial_ttt.training.layers import CustomLayer

__all__ = ['FieldRead', 'FieldRule', 'FieldUpdate', 'conjugate_gradient', 'fourier_features']


@dataclass(frozen=True)
class FieldRule:
    """Constants of the update.

    Attributes:
        ridge: lambda, in units of sample weight.
        decay: gamma per chunk, 1 = never forget by itself.
        mass_max: written mass at which new samples reach their smallest weight.
        weight_min: that smallest factor.
        steps: conjugate-gradient steps per chunk, K.
    """

    ridge: float = 1.0
    decay: float = 1.0
    mass_max: float = 60.0
    weight_min: float = 0.02
    steps: int = 6


def fourier_features(points: Tensor, omega: Tensor) -> Tensor:
    """Return phi of points (N, 3) for omega (D/2, 3) in rad/m, (N, D)."""
    phase = points @ omega.T
    return torch.cat([torch.cos(phase), torch.sin(phase)], dim=1) * omega.shape[0] ** -0.5


class FieldUpdate(CustomLayer):
    """One chunk into the field: A, B, W and samples in, next A, B, W out."""

    inputs = ('curvature', 'target', 'weight', 'points', 'values', 'weights', 'omega')
    outputs = ('next_curvature', 'next_target', 'next_weight')

    def __init__(self, rule: FieldRule) -> None:
        super().__init__()
        self.rule = rule
        self.function_name = f'FieldUpdateK{rule.steps}'

    def output_shapes(self, *arguments: Tensor) -> list[torch.Size]:
        """Return the shapes of A, B and W, which stay."""
        return [tensor.shape for tensor in arguments[:3]]

    def body(
        self,
        curvature: Tensor,  # (D, D)
        target: Tensor,  # (D, C)
        weight: Tensor,  # (D, C)
        points: Tensor,  # (N, 3) m
        values: Tensor,  # (N, C)
        weights: Tensor,  # (N,)
        omega: Tensor,  # (D/2, 3) rad/m
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the next (A, B, W); all unchanged where every weight is 0."""
        rule = self.rule
        live = (weights.sum() > 0).to(weights.dtype)
        key = fourier_features(points, omega)
        mass = key @ target[:, 0]
        fresh = torch.clamp(1.0 - mass / rule.mass_max, rule.weight_min, 1.0)
        weighted = (key * (weights * fresh)[:, None]).T  # (D, N)
        decay = 1.0 - live * (1.0 - rule.decay)
        next_curvature = decay * curvature + weighted @ key
        next_target = decay * target + weighted @ values
        solved = self._solve(next_curvature, next_target, weight)
        return next_curvature, next_target, weight + live * (solved - weight)

    def _solve(self, curvature: Tensor, target: Tensor, start: Tensor) -> Tensor:
        return conjugate_gradient(
            lambda x: curvature @ x + self.rule.ridge * x,
            target,
            start,
            steps=self.rule.steps,
            product=lambda x, y: (x * y).sum(),
        )


def conjugate_gradient(
    system: Callable[[Tensor], Tensor],
    target: Tensor,
    start: Tensor,
    *,
    steps: int,
    product: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """Return x after some steps of conjugate gradients to system(x) = target from ``start``.

    Args:
        system: linear, symmetric and positive.
        target: of any shape.
        start: of the same.
        steps: how many.
        product: inner product of two such tensors; columns that share one share their steps.
    """
    x = start
    residual = target - system(x)
    direction = residual
    energy = product(residual, residual)
    for _ in range(steps):
        image = system(direction)
        step = energy / torch.clamp(product(direction, image), min=1e-30)
        x = x + step * direction
        residual = residual - step * image
        energy_next = product(residual, residual)
        direction = residual + energy_next / torch.clamp(energy, min=1e-30) * direction
        energy = energy_next
    return x


class FieldRead(nn.Module):
    """What a field says at points: standard operators only, so no local function."""

    inputs = ('state/weight', 'points', 'omega')
    outputs = ('values',)

    def forward(self, weight: Tensor, points: Tensor, omega: Tensor) -> Tensor:
        """Return (M, C) for W (D, C), points (M, 3) m in the tile and omega (D/2, 3) rad/m."""
        return fourier_features(points, omega) @ weight
