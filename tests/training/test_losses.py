# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What the losses weigh."""

from __future__ import annotations

import pytest

pytest.importorskip('torch')

import torch

from ros2_spatial_ttt.training.losses import (
    OTHER_PLACE_M,
    SAME_PLACE_M,
    Targets,
    appearance_loss,
    dense_losses,
)
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


# Looks: one example picture of clip 0 at the origin, tokens beside it.

ALIKE, UNLIKE = (1.0, 0.0), (0.0, 1.0)


def looks_loss(*tokens, neutral=()) -> tuple[float, float, torch.Tensor]:
    """Return loss, share found right and the pull on each token (look, metres away, clip)."""
    look = torch.tensor([look for look, _, _ in tokens], requires_grad=True)
    loss, right = appearance_loss(
        torch.tensor([ALIKE]),
        torch.zeros(1, 3),
        torch.tensor([0]),
        look,
        torch.tensor([[away, 0.0, 0.0] for _, away, _ in tokens]),
        torch.tensor([clip for _, _, clip in tokens]),
        torch.tensor([[number in neutral for number in range(len(tokens))]]),
    )
    loss.backward()
    return loss.item(), right.item(), look.grad[:, 0]


def test_the_same_place_is_drawn_nearer_and_another_pushed_away():
    same, between, other = 0.5 * SAME_PLACE_M, 0.5 * OTHER_PLACE_M, 2.0 * OTHER_PLACE_M
    _, _, pull = looks_loss(
        (UNLIKE, same, 0), (ALIKE, between, 0), (ALIKE, other, 0), (ALIKE, same, 1)
    )
    # Along -gradient a look moves: the positive towards the example, negatives from it.
    assert pull[0] < -0.1
    assert pull[1] == 0.0, 'a token between the two distances counts neither way'
    assert pull[2] > 0.1 and pull[3] > 0.1, 'further off, and of another clip'


def test_what_looks_as_it_should_costs_little():
    tokens = lambda near, far: ((near, 0.0, 0), (far, 2.0, 0))  # noqa: E731
    good, right, _ = looks_loss(*tokens(ALIKE, UNLIKE))
    bad, wrong, _ = looks_loss(*tokens(UNLIKE, ALIKE))
    # log(1 + exp(-+1 / temperature)).
    assert good == pytest.approx(0.0, abs=1e-5) and bad == pytest.approx(1.0 / 0.07, rel=1e-4)
    assert (right, wrong) == (1.0, 0.0)


def test_a_neutral_pair_counts_neither_way():
    tokens = ((ALIKE, 0.0, 0), (ALIKE, 2.0, 0), (UNLIKE, 3.0, 0))
    loss, _, pull = looks_loss(*tokens)
    without, right, spared = looks_loss(*tokens, neutral={1})
    assert loss > without + 0.5 and pull[1] > 0.1
    assert spared[1] == 0.0 and right == 1.0
    # With its only positive neutral, an example teaches nothing.
    nothing, right, pull = looks_loss(*tokens, neutral={0})
    assert (nothing, right) == (0.0, 0.0) and (pull == 0.0).all()


def test_several_tokens_of_the_place_count_alike():
    one, _, _ = looks_loss((ALIKE, 0.0, 0), (ALIKE, 2.0, 0))
    two, _, _ = looks_loss((ALIKE, 0.0, 0), (ALIKE, 0.1, 0), (ALIKE, 2.0, 0))
    assert two == pytest.approx(one, rel=1e-5)


def test_without_any_positive_the_loss_is_nothing():
    loss, right, pull = looks_loss((ALIKE, 2.0, 0), (ALIKE, 0.0, -1))
    assert (loss, right) == (0.0, 0.0) and (pull == 0.0).all()
