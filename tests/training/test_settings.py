# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The config of a run: what it allows, and what it says of the rest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip('torch')

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.training.scenes import SceneOptions
from ros2_spatial_ttt.training.settings import TrainConfig, load_config

pytestmark = pytest.mark.torch
CONFIGS = sorted((Path(__file__).resolve().parents[2] / 'config/train').glob('*.yaml'))


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_shipped_configs_are_valid(path):
    assert load_config(path).steps > 0


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('stepz: 3', r"unknown \['stepz'\]"),
        ('steps: many', "steps: expected int, got 'many'"),
        ('preset: pico', r"preset: expected one of .*'nano'.* got 'pico'"),
        ('steps: 0', 'steps: expected at least 1, got 0'),
        ('rate: -1.0', 'rate: expected more than 0, got -1.0'),
        ('without_depth: 1.5', r'without_depth: expected 0\.\.1, got 1.5'),
        ('homes: 0', 'expected homes or at least one recording'),
        ('scenes: {width: 321}', 'divisible by the patch of 16 px, got 321x240'),
        ('scenes: {wide: 320}', 'wide'),
        ('backbone: {update_rule: luck}', "update_rule must be one of .*'luck'"),
        ('backbone: {cells: [3, 5]}', 'must divide grid'),
        ('{stage: memory, chunks: 3}', 'at least the 24 frames of a stream, got 16'),
        ('loss: [1, 2]', 'mapping'),
        ('loss: {names: much}', "loss.names: expected float, got 'much'"),
        ('scenes: {frames: 2.5}', r'scenes.frames: expected int, got 2\.5'),
        ('steps: [', 'not a valid training config'),
        ('weight_decay: -3.0', r'weight_decay: expected at least 0, got -3\.0'),
        ('weight_decay: .nan', 'weight_decay: expected at least 0, got nan'),
        ('bags: recordings/monday', "expected a list of folders, got 'recordings/monday'; write"),
        ('bags: [monday, 2]', r"bags: expected a list of folders, got \['monday', 2\]"),
        (
            '{first_home: 0, homes: 5}',
            r'no home that is held out \(0\.\.9\), got 0\.\.4; begin at 10',
        ),
        ('first_home: 9', r'no home that is held out \(0\.\.9\), got 9\.\.1408'),
        ('{first_home: 99999, homes: 2}', r'seeds within 0\.\.99999.* got 99999\.\.100000'),
        ('first_home: -1', r'seeds within 0\.\.99999.* got -1\.\.1398'),
        ('- 1', 'not a valid training config'),
    ],
)
def test_a_config_that_cannot_be_is_refused(text, message, tmp_path):
    path = tmp_path / 'config.yaml'
    path.write_text(text, encoding='utf-8')
    with pytest.raises(ConfigError, match=message):
        load_config(path)


def test_a_config_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r'nowhere\.yaml'):
        load_config(tmp_path / 'nowhere.yaml')


@pytest.mark.parametrize('text', ['first_home: 10', '{first_home: 0, check_every: 0}'])
def test_homes_beside_those_that_are_held_out_are_taken(text, tmp_path):
    path = tmp_path / 'config.yaml'
    path.write_text(text, encoding='utf-8')
    assert load_config(path).homes == 1400


def test_every_violation_is_listed():
    with pytest.raises(ConfigError, match=r'steps: .*; .*rate: '):
        TrainConfig(steps=0, rate=-1.0)


def test_streams_grow_to_their_longest():
    config = TrainConfig(
        stage='memory', chunks=4, grow=0.5, steps=60, scenes=SceneOptions(frames=32)
    )
    lengths = [config.chunks_at(step) for step in range(60)]
    assert lengths == sorted(lengths)
    assert [lengths.count(n) for n in (1, 2, 3, 4)] == [10, 10, 10, 30]
    assert replace(config, grow=0.0).chunks_at(0) == 4
