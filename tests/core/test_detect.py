# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""From tokens to detections: what agrees is one thing, what does not is several."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from ros2_spatial_ttt.memory.detect import FEATURES, Detector, detections
from ros2_spatial_ttt.runtime.base import Tokens

GRID = (6, 8)
BED, LAMP, MUG = 0, 1, 2
LABELS = ('bed', 'lamp', 'mug')
DETECTOR = Detector(GRID)


def scene(*things, noise=0.0, seed=0):
    """Return tokens of one frame; a thing is (rows, columns, name, centre, size, yaw)."""
    count = GRID[0] * GRID[1]
    rng = np.random.default_rng(seed)
    tokens = {
        'names': np.tile(np.array([1.0, 0.0, 0.0, 0.0]), (count, 1)),
        'centre': np.zeros((count, 3)),
        'spread': np.full(count, 0.5),
        'size': np.ones((count, 3)),
        'turn': np.zeros((count, 2)),
        'depth': np.full(count, 2.0),
        'depth_spread': np.zeros(count),
        'point': np.zeros((count, 3)),
    }
    for rows, columns, name, centre, size, yaw in things:
        at = np.add.outer(np.arange(*rows) * GRID[1], np.arange(*columns)).ravel()
        tokens['names'][at] = 0.02
        tokens['names'][at, 1 + name] = 0.94
        tokens['centre'][at] = centre + noise * rng.standard_normal((len(at), 3))
        tokens['spread'][at] = 0.05
        tokens['size'][at] = size
        tokens['turn'][at] = np.cos(2 * yaw), np.sin(2 * yaw)
    shown = {name: value[None].astype(np.float32) for name, value in tokens.items()}
    return Tokens(**shown, surprise=np.zeros(1, np.float32))


def bed(rows=(2, 6), columns=(0, 4), centre=(2.0, 1.0, 0.3), name=BED):
    return rows, columns, name, np.array(centre), (2.0, 1.5, 0.6), 0.4


def lamp(column=6, centre=(2.0, -1.0, 0.8)):
    return (1, 3), (column, column + 1), LAMP, np.array(centre), (0.2, 0.2, 0.5), 0.0


def test_tokens_that_agree_are_one_thing_with_its_box():
    found = detections(scene(bed(), noise=0.05), 0, DETECTOR)
    assert found.label.tolist() == [BED]
    assert found.centre[0] == pytest.approx([2.0, 1.0, 0.3], abs=0.05)
    assert found.size[0] == pytest.approx([2.0, 1.5, 0.6], rel=1e-3)
    assert found.yaw[0] == pytest.approx(0.4, abs=1e-3)


def test_a_lamp_beside_a_bed_is_a_second_thing():
    found = detections(scene(bed(), lamp()), 0, DETECTOR)
    assert sorted(found.label.tolist()) == [BED, LAMP]


def test_two_lamps_are_told_apart_by_their_centres():
    far, near = (2.0, -1.0, 0.8), (2.0, -1.4, 0.8)
    assert len(detections(scene(lamp(5, far), lamp(7, near)), 0, DETECTOR)) == 2
    assert len(detections(scene(lamp(5, far), lamp(7, far)), 0, DETECTOR)) == 1


def test_the_name_is_that_of_most_evidence():
    """Tokens that take a part of a bed for a mug do not make a mug of its shape."""
    found = detections(scene(bed(), bed(rows=(2, 3), name=MUG)), 0, DETECTOR)
    assert found.label.tolist() == [BED]


def test_tokens_that_expect_to_err_make_no_second_thing():
    """A part at the border of the picture guesses the centre badly, and says so."""
    tokens = scene(bed(), bed(rows=(5, 6), centre=(2.6, 1.5, 0.3)))
    assert len(detections(tokens, 0, DETECTOR)) == 2
    tokens.spread[0, 5 * GRID[1] : 5 * GRID[1] + 4] = 0.8
    assert len(detections(tokens, 0, DETECTOR)) == 1


def test_background_and_padding_hold_nothing():
    assert len(detections(scene(), 0, DETECTOR)) == 0
    empty = scene()
    blank = {name: np.zeros_like(value) for name, value in vars(empty).items()}
    nothing = detections(Tokens(**blank), 0, DETECTOR)
    assert nothing.centre.shape == (0, 3)


def test_probability_follows_the_weights_and_the_name():
    sceptic = replace(
        DETECTOR, weights=(-3.0, *[0.0] * (len(FEATURES) - 1)), names=(4.0, 0.0, 0.0)
    )
    found = detections(scene(bed(), lamp()), 0, sceptic)
    assert found.label.tolist() == [BED, LAMP]  # surest first
    assert found.weight == pytest.approx([1 / (1 + np.exp(-1.0)), 1 / (1 + np.exp(3.0))])


def test_a_vote_of_a_sure_look_at_much_of_a_thing_counts_most():
    sure = replace(DETECTOR, weights=(2.0, *[0.0] * (len(FEATURES) - 1)))
    unsure = replace(DETECTOR, weights=(0.0, *[0.0] * (len(FEATURES) - 1)))
    much, little = scene(bed()), scene(bed(rows=(2, 3), columns=(0, 2)))
    worth = {
        (look, d.weights[0]): detections(tokens, 0, d).worth[0]
        for look, tokens in (('much', much), ('little', little))
        for d in (sure, unsure)
    }
    assert worth['much', 2.0] == 1.0
    # Half as likely to be right is far less than half the vote.
    assert worth['little', 0.0] < 0.2 * worth['little', 2.0]
    assert worth['little', 2.0] < 0.5 * worth['much', 2.0]


def test_where_depth_is_predicted_other_weights_tell_the_probability():
    zeros = [0.0] * (len(FEATURES) - 1)
    own = replace(
        DETECTOR,
        weights=(2.0, *zeros),
        guessed_weights=(-2.0, *zeros),
        guessed_names=(0.0, 1.0, 0.0),
    )
    measured, mixed = scene(bed()), scene(bed())
    assert detections(measured, 0, own).weight == pytest.approx([1 / (1 + np.exp(-2.0))])
    measured.depth_spread[:] = 0.1
    said = -2.0 + own.guessed_names[BED]
    assert detections(measured, 0, own).weight == pytest.approx([1 / (1 + np.exp(-said))])
    # Half of the picture was measured: between the two.
    mixed.depth_spread.reshape(-1, *GRID)[..., ::2] = 0.1
    between = float(detections(mixed, 0, own).weight[0])
    assert 1 / (1 + np.exp(-said)) < between < 1 / (1 + np.exp(-2.0))


def test_constants_go_through_a_manifest():
    weights = tuple(np.linspace(-1.0, 1.0, len(FEATURES)).tolist())
    measured = replace(DETECTOR, apart=0.21, names=(0.5, -0.5, 0.0))
    both = replace(measured, guessed_weights=weights, guessed_names=(0.0, 1.0, 2.0))
    for own in (measured, both):
        manifest = SimpleNamespace(grid=GRID, labels=LABELS, detector=own.to_manifest(LABELS))
        assert Detector.from_manifest(manifest) == own
    untuned = SimpleNamespace(grid=GRID, labels=LABELS, detector={})
    assert Detector.from_manifest(untuned).weights == DETECTOR.weights
