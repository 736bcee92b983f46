# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Calibration of detections and of what is held, on made-up material."""

from __future__ import annotations

import argparse
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.memory.detect import FEATURES, Detected, Detector
from ros2_spatial_ttt.query.names import Reading
from ros2_spatial_ttt.training import tune

NAMES = 3


def home(seed, count=4000, weights=(-0.5, 1.5), easy=2.0):
    """Return a watched home whose detections are right by a logistic law of one feature."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, NAMES, count)
    features = np.zeros((count, len(FEATURES)))
    features[:, 0], features[:, 1] = 1.0, rng.standard_normal(count)
    logit = features[:, :2] @ np.array(weights) + easy * (label == 0)
    right = rng.random(count) < 1.0 / (1.0 + np.exp(-logit))
    found = Detected(
        label=label,
        centre=np.zeros((count, 3)),
        size=np.ones((count, 3)),
        yaw=np.zeros(count),
        weight=np.zeros(count),
        features=features,
    )
    return SimpleNamespace(seen=(found,), right=(right,))


def test_probabilities_of_detections_are_those_of_the_homes():
    detector = tune.fit_detector([home(0), home(1)], Detector((6, 8)), NAMES)
    other = home(2)
    chance = detector.weight(other.seen[0].label, other.seen[0].features)
    for low in np.arange(0.1, 0.9, 0.2):
        rows = (chance >= low) & (chance < low + 0.2)
        assert other.right[0][rows].mean() == pytest.approx(chance[rows].mean(), abs=0.06)
    assert detector.names[0] > detector.names[1] + 1.0


def test_nothing_right_cannot_be_fitted():
    blind = home(0)
    blind.right[0][:] = False
    with pytest.raises(ConfigError, match='0 of them right'):
        tune.fit_detector([blind], Detector((6, 8)), NAMES)


def held(seed, count=3000, error_m=0.08):
    """Return what a made-up memory holds; one thing in three is asked for and missing."""
    rng = np.random.default_rng(seed)
    features = np.stack([rng.normal(0.5, 1.5, count), np.zeros(count)], axis=1)
    hit = rng.random(count) < 1.0 / (1.0 + np.exp(-2.0 * features[:, 0]))
    error = np.where(hit[:, None], error_m * rng.standard_normal((count, 3)), np.nan)
    group = np.arange(count)
    asked = hit.astype(np.int64)
    return tune.Held(features, hit, error, np.ones(count), group, asked)


def test_confidence_and_error_are_those_of_the_homes():
    reading = tune.fit_reading([held(0), held(1)])
    assert reading.score == pytest.approx(2.0, abs=0.2)
    assert reading.bias == pytest.approx(0.0, abs=0.2)
    assert reading.deviation(1.0) == pytest.approx(0.08, rel=0.1)


def test_the_distance_that_ranks_best_is_taken():
    good, noise = held(0), held(1)
    rng = np.random.default_rng(2)
    noise.features[:] = rng.standard_normal(noise.features.shape)
    number = len(tune.APART_M)
    reading, parts = tune.best_reading([[noise] * (number - 1) + [good]])
    assert reading.apart_m == tune.APART_M[-1]
    assert parts[0] is good


def test_constants_are_put_beside_what_the_manifest_says(tmp_path):
    path = tmp_path / 'manifest.yaml'
    path.write_text(yaml.safe_dump({'name': 'x', 'detector': {'own': 1.0, 'read.bias': 0.0}}))
    tune.write_constants(tmp_path, Reading(bias=0.25).to_manifest())
    manifest = yaml.safe_load(path.read_text())
    assert manifest['name'] == 'x' and manifest['detector']['own'] == 1.0
    assert Reading.from_manifest(manifest['detector']) == Reading(bias=0.25)
    assert [item.name for item in tmp_path.iterdir()] == ['manifest.yaml']


@pytest.mark.parametrize('seeds', ['', '3', '4:4', 'a:b', '100000:100002', '0:-1'])
def test_seeds_that_are_not_of_training_homes_are_refused(seeds):
    with pytest.raises(ConfigError, match='training homes'):
        tune.run(argparse.Namespace(model='untrained', seeds=seeds, minutes=1.0, processes=1))


def test_a_model_without_names_is_refused():
    with pytest.raises(ConfigError, match='knows no names'):
        tune.run(argparse.Namespace(model='untrained', seeds='0:1', minutes=1.0, processes=1))
