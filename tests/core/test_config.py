# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Parameters: every violation is named at once; flat names and values survive a round trip."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ros2_spatial_ttt.config import (
    GateConfig,
    MemoryConfig,
    from_flat,
    parameters,
    to_flat,
    validate,
)
from ros2_spatial_ttt.errors import ConfigError

DEFAULTS = to_flat(MemoryConfig())


def any_valid(item, value):
    meta = item.metadata
    if meta['choices']:
        return st.sampled_from(meta['choices'])
    if isinstance(value, str):
        return st.text(max_size=20)
    if isinstance(value, bool):
        return st.booleans()
    if isinstance(value, int):
        return st.integers(meta['low'], meta['high'])
    return st.floats(meta['low'], meta['high'])


VALID = st.fixed_dictionaries(
    {}, optional={name: any_valid(item, value) for name, item, value in parameters(MemoryConfig())}
)


@given(VALID)
def test_every_valid_config_survives_the_round_trip(values):
    config = from_flat(MemoryConfig, values)
    assert to_flat(config) == {**DEFAULTS, **values}
    assert from_flat(MemoryConfig, to_flat(config)) == config


def test_defaults_are_valid_and_documented():
    validate(MemoryConfig())
    for name, item, value in parameters(MemoryConfig()):
        assert item.metadata['doc'].endswith('.'), name
        if isinstance(value, int | float) and not isinstance(value, bool):
            assert item.metadata['low'] < item.metadata['high'], name


def test_all_violations_are_listed_at_once():
    bad = {
        'no.such': 1,
        'threads': 0,
        'gate.max_speed': -1.0,
        'gate.time_jump': 'explode',
        'tiles.places': 12.5,
        'backend': 7,
    }
    with pytest.raises(ConfigError) as error:
        from_flat(MemoryConfig, bad)
    assert str(error.value).count(';') == len(bad) - 1
    for name in bad:
        assert f'{name}: ' in str(error.value)


@pytest.mark.parametrize(
    ('name', 'value', 'words'),
    [
        ('gate.max_speed', 0.0, 'expected 0.1..100.0 m/s, got 0.0'),
        ('gate.max_speed', float('nan'), 'got nan'),
        ('gate.max_speed', float('inf'), 'got inf'),
        ('gate.max_speed', '3', 'expected float'),
        ('gate.max_speed', True, 'expected float'),
        ('threads', 1.0, 'expected int'),
        ('threads', True, 'expected int'),
        ('threads', 0, 'expected 1..256, got 0'),
        ('backend', 'cuda', "expected one of ['auto', 'ort', "),
        ('gate', {}, 'gate: no such parameter'),
        ('Threads', 2, 'Threads: no such parameter'),
    ],
)
def test_a_violation_says_what_was_expected_and_given(name, value, words):
    with pytest.raises(ConfigError) as error:
        from_flat(MemoryConfig, {name: value})
    assert words in str(error.value)


def test_a_whole_number_is_taken_for_a_float():
    config = from_flat(MemoryConfig, {'gate.max_speed': 2})
    assert config.gate.max_speed == 2.0 and type(config.gate.max_speed) is float


@pytest.mark.parametrize('edge', ['low', 'high'])
def test_both_bounds_are_inclusive(edge):
    for name, item, _ in parameters(MemoryConfig()):
        if item.metadata['low'] is not None:
            value = item.metadata[edge]
            assert to_flat(from_flat(MemoryConfig, {name: value}))[name] == value


def test_a_config_made_by_hand_is_checked_too():
    with pytest.raises(ConfigError, match='gate.frozen_frames: expected 0..1000, got -1'):
        validate(replace(MemoryConfig(), gate=GateConfig(frozen_frames=-1)))
