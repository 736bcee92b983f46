# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Calibration of detections and of what is held, on made-up material."""

from __future__ import annotations

import argparse
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.memory.detect import FEATURES, Detected, Detector
from ros2_spatial_ttt.query.intervals import Z90
from ros2_spatial_ttt.query.names import Reading
from ros2_spatial_ttt.query.usual import Usual
from ros2_spatial_ttt.training import tune
from ros2_spatial_ttt.training.held import APART_M, Held, joined
from ros2_spatial_ttt.training.usual import fit_sizes, fit_usual

NAMES = 3
DETECTOR = Detector((6, 8))


def home(seed, count=4000, weights=(-0.5, 1.5), easy=2.0, guessed=0.0):
    """Return a watched home whose detections are right by a logistic law of one feature."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, NAMES, count)
    features = np.zeros((count, len(FEATURES)))
    features[:, 0], features[:, 1] = 1.0, rng.standard_normal(count)
    features[:, FEATURES.index('guessed')] = guessed
    logit = features[:, :2] @ np.array(weights) + easy * (label == 0)
    right = rng.random(count) < 1.0 / (1.0 + np.exp(-logit))
    found = Detected(
        label=label,
        centre=np.zeros((count, 3)),
        size=np.ones((count, 3)),
        yaw=np.zeros(count),
        weight=np.zeros(count),
        worth=np.zeros(count),
        features=features,
        shares=np.zeros((count, NAMES)),
        box=np.zeros((count, 4), np.int64),
    )
    return SimpleNamespace(seen=(found,), right=(right,))


def test_probabilities_of_detections_are_those_of_the_homes():
    detector = tune.fit_detector([[home(0)], [home(1)]], DETECTOR, NAMES)
    other = home(2)
    chance = detector.weight(other.seen[0].label, other.seen[0].features)
    for low in np.arange(0.1, 0.9, 0.2):
        rows = (chance >= low) & (chance < low + 0.2)
        assert other.right[0][rows].mean() == pytest.approx(chance[rows].mean(), abs=0.06)
    assert detector.names[0] > detector.names[1] + 1.0


def test_what_was_seen_without_depth_has_probabilities_of_its_own():
    seen, guessed = home(0), home(1, weights=(-2.0, 0.5), easy=0.0, guessed=1.0)
    detector = tune.fit_detector([[seen, guessed]], DETECTOR, NAMES)
    for other in (home(2), home(3, weights=(-2.0, 0.5), easy=0.0, guessed=1.0)):
        chance = detector.weight(other.seen[0].label, other.seen[0].features)
        assert chance.mean() == pytest.approx(other.right[0].mean(), abs=0.03)
    alone = tune.fit_detector([[seen]], DETECTOR, NAMES)
    assert not alone.guessed_weights and alone.weights == detector.weights


def test_nothing_right_cannot_be_fitted():
    blind = home(0)
    blind.right[0][:] = False
    with pytest.raises(ConfigError, match='0 of them right'):
        tune.fit_detector([[blind]], DETECTOR, NAMES)


SIZE = np.array([1.2, 0.6, 0.8])


def held(seed, count=3000, error_m=0.08, easy=2.0):
    """Return what a made-up memory holds; things of name 0 are there more often than they seem."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, NAMES, count)
    features = np.stack([rng.normal(0.5, 1.5, count), *np.zeros((3, count))], axis=1)
    logit = 2.0 * features[:, 0] + easy * (label == 0)
    hit = rng.random(count) < 1.0 / (1.0 + np.exp(-logit))
    error = np.where(hit[:, None], error_m * rng.standard_normal((count, 3)), np.nan)
    size = np.where(hit[:, None], SIZE * np.exp(0.1 * rng.standard_normal((count, 3))), np.nan)
    measured = np.where(hit[:, None], size, SIZE) * np.exp(0.2 * rng.standard_normal((count, 3)))
    group, asked = np.arange(count), hit.astype(np.int64)
    return Held(
        label, features, hit, error, np.ones(count), measured, size, group, asked, named=label
    )


def test_confidence_and_error_are_those_of_the_homes():
    reading = tune.fit_reading(joined([held(0), held(1)]), NAMES)
    assert reading.score == pytest.approx(2.0, abs=0.2)
    assert reading.bias + reading.names[1] == pytest.approx(0.0, abs=0.2)
    assert reading.names[0] - reading.names[1] == pytest.approx(2.0, abs=0.3)
    assert reading.deviation(1.0) == pytest.approx(0.08, rel=0.1)


def test_nine_tenths_of_the_places_of_another_home_lie_in_their_intervals():
    reading, other = tune.fit_reading(held(0), NAMES), held(2)
    assert other.inside(reading)[other.hit].mean() == pytest.approx(0.9, abs=0.02)
    assert not other.inside(reading)[~other.hit].any()


def test_the_distance_that_ranks_best_is_taken():
    good, noise = held(0), held(1)
    rng = np.random.default_rng(2)
    noise.features[:] = rng.standard_normal(noise.features.shape)
    number = len(APART_M)
    reading = tune.best_reading([[noise] * (number - 1) + [good]], NAMES)
    assert reading.apart_m == APART_M[-1]


def test_what_was_seen_without_depth_has_a_confidence_and_an_error_of_its_own():
    def guessed(seed):
        worse = held(seed, error_m=0.24, easy=-1.5)
        worse.features[:, 3] = 1.0
        return worse

    number = len(APART_M)
    homes = [([held(seed)] * number, [guessed(seed + 10)] * number) for seed in range(2)]
    reading = tune.both_readings(homes, NAMES)
    for other in (held(5), guessed(5)):
        assert other.confidence(reading).mean() == pytest.approx(other.hit.mean(), abs=0.03)
        assert other.inside(reading)[other.hit].mean() == pytest.approx(0.9, abs=0.02)


def test_questions_of_several_homes_stay_apart():
    parts = [held(0, count=5), held(1, count=7)]
    assert joined(parts).group.tolist() == list(range(12))
    assert len(joined(parts).asked) == 12


def test_no_home_is_judged_by_what_was_fitted_on_it():
    homes = list(range(8))
    for number, part in enumerate(tune.fitted_on_others(homes, list)):
        assert number not in part and len(part) >= 6
    assert tune.fitted_on_others([0], list) == [[0]]


def test_the_table_tells_what_is_held_with_confidence():
    homes, parts = [home(0), home(1)], [held(0), held(1)]
    pairs = [[one] for one in homes]
    detectors = tune.fitted_on_others(pairs, lambda of: tune.fit_detector(of, DETECTOR, NAMES))
    readings = [tune.fit_reading(part, NAMES) for part in reversed(parts)]
    readings = [replace(reading, apart_m=APART_M[0]) for reading in readings]
    empty = held(5, count=0)
    of_homes = [[part] + [empty] * (len(APART_M) - 1) for part in parts]
    lines = tune.table(homes, detectors, of_homes, readings)
    told = np.concatenate([p.confidence(r) > 0.5 for p, r in zip(parts, readings, strict=True)])
    hit = joined(parts).hit
    assert f'recall {told[hit].mean():.3f}, precision {hit[told].mean():.3f}' in lines
    assert 'detections 8000' in lines


def test_constants_are_put_beside_what_the_manifest_says(tmp_path):
    path = tmp_path / 'manifest.yaml'
    path.write_text(yaml.safe_dump({'name': 'x', 'detector': {'own': 1.0, 'read.bias': 0.0}}))
    own = Reading(bias=0.25, names=(0.5, -1.0))
    tune.write_constants(tmp_path, own.to_manifest(('mug', 'bed')))
    manifest = yaml.safe_load(path.read_text())
    assert manifest['name'] == 'x' and manifest['detector']['own'] == 1.0
    assert manifest['detector']['read.name.bed'] == -1.0
    assert Reading.from_manifest(manifest['detector'], ('mug', 'bed')) == own
    both = own.with_guessed(Reading(bias=-1.5, error_m=0.3, names=(0.25, 0.75)))
    tune.write_constants(tmp_path, both.to_manifest(('mug', 'bed')))
    manifest = yaml.safe_load(path.read_text())
    assert Reading.from_manifest(manifest['detector'], ('mug', 'bed')) == both
    assert [item.name for item in tmp_path.iterdir()] == ['manifest.yaml']


@pytest.mark.parametrize('seeds', ['', '3', '4:4', 'a:b', '100000:100002', '0:-1'])
def test_seeds_that_are_not_of_training_homes_are_refused(seeds):
    with pytest.raises(ConfigError, match='training homes'):
        tune.run(argparse.Namespace(model='untrained', seeds=seeds, minutes=1.0, processes=1))


def test_a_model_without_names_is_refused():
    with pytest.raises(ConfigError, match='knows no names'):
        tune.run(argparse.Namespace(model='untrained', seeds='0:1', minutes=1.0, processes=1))


def test_what_is_usual_is_that_of_the_homes():
    homes = [{'mug': [(0.1, 0.08, 0.1)] * 3}, {'bed': [(2.0, 1.0, 0.5), (2.2, 1.1, 0.6)]}]
    part = held(0)
    part.asked[:] = 2 * part.hit
    usual = fit_usual(('mug', 'bed', 'never seen'), homes, part)
    mug, bed, other = usual
    assert (mug.long, mug.wide, mug.high) == pytest.approx((0.1, 0.08, 0.1)) and mug.vary < 0.05
    assert bed.long == pytest.approx(np.sqrt(2.0 * 2.2)) and 0.03 < bed.vary < 0.12
    assert other.vary > 0.5, 'a name that no home has may be of any size'
    assert mug.number == pytest.approx(2.0, abs=0.01) and mug.held == pytest.approx(0.5, abs=0.01)


def test_sizes_of_another_home_lie_in_their_intervals():
    usual = (Usual(*SIZE, vary=0.1, number=1.0, held=1.0),) * NAMES
    reading = replace(tune.fit_reading(held(0), NAMES), usual=usual)
    fitted, other = fit_sizes(held(0), reading), held(2)
    assert fitted.size_error == pytest.approx(0.2, rel=0.1)
    inside = []
    for row in np.flatnonzero(other.hit):
        sure = other.confidence(fitted)[row]
        size, error = fitted.weighed(other.label[row], other.measured[row], sure)
        off = np.log(size.max() / other.size[row].max())
        inside.append(abs(off) <= Z90 * error)
    assert 0.86 <= np.mean(inside) <= 0.96
