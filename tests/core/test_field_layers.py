# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The field's update as a layer that gradients pass: they are those of finite differences."""

from __future__ import annotations

import pytest

pytest.importorskip('torch')

import torch
from torch import Tensor

from ros2_spatial_ttt.training.field_layers import FieldRule, FieldUpdate

pytestmark = pytest.mark.torch

FEATURES, CHANNELS = 12, 3
UPDATE = FieldUpdate(FieldRule(decay=0.98))


def samples(generator: torch.Generator, count: int) -> list[Tensor]:
    """Return points, values and weights in float64; the first channel is the mass."""
    points, values = (
        torch.randn(count, width, generator=generator, dtype=torch.float64)
        for width in (3, CHANNELS)
    )
    values[:, 0] = 1.0
    return [points, values, torch.rand(count, generator=generator, dtype=torch.float64) + 0.1]


def field(generator: torch.Generator, omega: Tensor, *, empty: bool) -> list[Tensor]:
    """Return A, B and W, empty or after a chunk of ten samples."""
    state = [torch.zeros(FEATURES, n).double() for n in (FEATURES, CHANNELS, CHANNELS)]
    return state if empty else list(UPDATE(*state, *samples(generator, 10), omega))


def inputs(count: int, *, empty: bool) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """Return state, samples and frequencies."""
    generator = torch.Generator().manual_seed(count)
    omega = 2.0 * torch.randn(FEATURES // 2, 3, generator=generator, dtype=torch.float64)
    state = field(generator, omega, empty=empty)
    return state, samples(generator, count), omega


# One sample is solved by one step: the five after it divide what is nothing by nothing.
@pytest.mark.parametrize('count', [1, 5, 20])
@pytest.mark.parametrize('empty', [True, False], ids=['empty', 'used'])
def test_gradients_are_those_of_finite_differences(count, empty):
    state, chunk, omega = inputs(count, empty=empty)
    given = [tensor.requires_grad_() for tensor in chunk]
    assert torch.autograd.gradcheck(lambda *chunk: UPDATE(*state, *chunk, omega), given)


def test_gradients_by_the_state_and_the_frequencies_are_too():
    state, chunk, omega = inputs(5, empty=False)
    given = [tensor.requires_grad_() for tensor in (*state, omega)]
    assert torch.autograd.gradcheck(lambda *s: UPDATE(*s[:3], *chunk, s[3]), given)


def test_gradients_go_back_through_chunks():
    """From an empty field, by the samples of the first of three chunks."""
    state, first, omega = inputs(4, empty=True)
    later = [samples(torch.Generator().manual_seed(seed), 4) for seed in (1, 2)]

    def after(*chunk: Tensor) -> Tensor:
        now = UPDATE(*state, *chunk, omega)
        for other in later:
            now = UPDATE(*now, *other, omega)
        return now[2]

    given = [tensor.requires_grad_() for tensor in first]
    assert torch.autograd.gradcheck(after, given)
    assert all(grad.abs().max() > 0 for grad in torch.autograd.grad(after(*given).sum(), given))


def test_a_chunk_without_weight_passes_the_state_s_gradients_only():
    state, (points, values, weights), omega = inputs(4, empty=False)
    given = [tensor.requires_grad_() for tensor in (*state, values)]
    after = UPDATE(*state, points, values, 0.0 * weights, omega)
    *kept, nothing = torch.autograd.grad(sum(tensor.sum() for tensor in after), given)
    assert all(torch.equal(grad, torch.ones_like(grad)) for grad in kept)
    assert not nothing.any()


@pytest.mark.parametrize('count', [1, 5, 20])
@pytest.mark.parametrize('empty', [True, False], ids=['empty', 'used'])
def test_gradients_in_float32_are_those_in_float64(count, empty):
    """To a few rounding errors: steps after the solution do not magnify them."""
    state, chunk, omega = inputs(count, empty=empty)
    pull = torch.randn(FEATURES, CHANNELS, generator=torch.Generator().manual_seed(0)).double()
    found = []
    for dtype in (torch.float32, torch.float64):
        given = [tensor.to(dtype).requires_grad_() for tensor in chunk]
        fixed = [tensor.to(dtype) for tensor in state]
        weight = UPDATE(*fixed, *given, omega.to(dtype))[2]
        found.append(torch.autograd.grad((weight * pull.to(dtype)).sum(), given))
    for rough, exact in zip(*found, strict=True):
        assert float((rough - exact).norm() / exact.norm()) < 2e-5
