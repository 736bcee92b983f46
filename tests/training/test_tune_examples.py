# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""``tune-examples``: confidences of places found by a picture become the shares of right ones."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from ros2_spatial_ttt.cli import main
from ros2_spatial_ttt.query.confirm import Finding, Match, Weighing
from ros2_spatial_ttt.resources import model_directory
from ros2_spatial_ttt.runtime.base import load_manifest
from ros2_spatial_ttt.training.tune_examples import Found, fitted, table

TRUTH = Weighing(bias=-12.0, agreement=5.0, look=9.0, half=0.6, slope=10.0)


def found(rng) -> Found:
    """Return an answer that is right as often as ``TRUTH`` says."""
    score, agreement, look = rng.uniform((0.2, 0.5, 0.3), (1.0, 1.0, 1.0))
    match = Match(np.zeros(3), None, agreement, look, True)
    sure = [TRUTH.of_field(score), TRUTH.of_match(match)]
    right, hit = rng.random(2) < 1.0 / (1.0 + np.exp(-np.array(sure)))
    return Found(True, score, bool(right), Finding(None, sure[1], match), 0.1 if hit else 2.0)


def test_the_chances_that_made_the_answers_are_found_again():
    rng = np.random.default_rng(0)
    answers = [found(rng) for _ in range(4000)]
    fit = fitted(answers, Weighing(silent=-1.5))
    assert fit.silent == -1.5
    assert fit.half == pytest.approx(TRUTH.half, abs=0.05)
    assert fit.slope == pytest.approx(TRUTH.slope, rel=0.15)
    for agreement, look in ((0.6, 0.5), (0.9, 0.9), (0.95, 0.6)):
        match = Match(np.zeros(3), None, agreement, look, True)
        assert fit.of_match(match) == pytest.approx(TRUTH.of_match(match), abs=0.4)
    elsewhere = replace(answers[0], own=False)
    assert 'pictures 4000' in table([*answers, elsewhere], fit)


def led(rng, truth: Weighing) -> Found:
    """Return an answer with a rival, right as often as ``truth`` says of both."""
    parts = np.sort(rng.uniform((0.5, 0.3), (1.0, 1.0), (2, 2)), axis=0)
    rival, match = (Match(np.zeros(3), None, *row, True) for row in parts.tolist())
    odds, other = truth.of_match(match), truth.of_match(rival)
    hit = rng.random() < 1.0 / (1.0 + np.exp(-odds - truth.lead * (odds - other)))
    score, right = rng.random(), rng.random() < 0.5
    best, second = Finding(None, odds, match), Finding(None, other, rival)
    return Found(True, score, bool(right), best, 0.1 if hit else 2.0, second)


@pytest.mark.parametrize('lead', [0.0, 0.8])
def test_what_a_lead_over_the_next_place_is_worth_is_found_again(lead):
    rng, truth = np.random.default_rng(1), replace(TRUTH, lead=lead)
    fit = fitted([led(rng, truth) for _ in range(6000)], Weighing())
    assert fit.lead == pytest.approx(lead, abs=0.25)
    ahead, close = ((0.95, 0.9), (0.6, 0.4)), ((0.9, 0.8), (0.88, 0.78))
    for best, next_best in (ahead, close):
        odds = []
        for weighing in (truth, fit):
            first, second = (
                weighing.of_match(Match(np.zeros(3), None, *row, True))
                for row in (best, next_best)
            )
            odds.append(first + weighing.lead * (first - second))
        assert odds[1] == pytest.approx(odds[0], abs=0.6)


@pytest.mark.ort
def test_the_command_writes_what_answers_are_weighed_by(tmp_path, capsys):
    folder = tmp_path / 'model'
    shutil.copytree(model_directory('untrained'), folder)
    words = ['tune-examples', '--model', str(folder), '--rooms', '3', '--frames', '12']
    assert main(words) == 0
    assert 'said to be found' in capsys.readouterr().out
    before, after = load_manifest(model_directory('untrained')), load_manifest(folder)
    assert after.hash == before.hash
    weighing = Weighing.from_manifest(after)
    assert weighing != Weighing.from_manifest(before)
    assert weighing.agreement > 0.0 and weighing.look > 0.0
