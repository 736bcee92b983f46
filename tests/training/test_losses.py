# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What the losses weigh."""

from __future__ import annotations

import pytest

pytest.importorskip('torch')

import torch

from ros2_spatial_ttt.training.losses import Targets, dense_losses
from ros2_spatial_ttt.training.model import Heads

pytestmark = pytest.mark.torch

NAMES = 4


def truth_of(thing: torch.Tensor) -> Targets:
    """Return the truth of one frame whose tokens (T,) belong to these things of the first name."""
    tokens = len(thing)
    point = torch.zeros(1, tokens, 3)
    return Targets(
        label=(thing > 0).long()[None],
        thing=thing[None],
        centre=point,
        size=torch.ones_like(point),
        turn=torch.zeros(1, tokens, 2),
        point=point,
        depth=torch.ones(1, tokens),
        measured=torch.ones(1, tokens),
        direction=point,
        group=torch.zeros(1, dtype=torch.long),
    )


def test_a_thing_counts_nearly_alike_whatever_it_covers():
    thing = torch.tensor([0] * 20 + [1] + [2] * 16)
    logits = torch.zeros(1, 1 + NAMES, len(thing), requires_grad=True)
    space = torch.zeros(1, 11, len(thing))
    losses = dense_losses(Heads.of(logits, space, torch.zeros(1, 2, 1)), truth_of(thing))
    losses['names'].backward()
    pull = logits.grad[0].abs().sum(dim=0)
    small, large = (float(pull[thing == number].sum()) for number in (1, 2))
    # 16 tokens together pull twice as hard as one, not 16 times; and a thing harder than nothing.
    assert large == pytest.approx(2.0 * small, rel=1e-5)
    assert float(pull[0]) < float(pull[thing == 2].min())
