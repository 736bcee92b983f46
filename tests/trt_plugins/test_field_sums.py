# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A field's update without steps: the sums alone, as engines run it."""

from __future__ import annotations

import numpy as np
import pytest
from trt_plugins.contract import Refused

from trt_plugins import test_field_update as field

RULE = {**field.RULE, 'steps': 0}


@pytest.fixture
def given():
    """A field that holds something, samples and frequencies."""
    rng = np.random.default_rng(7)
    omega = field.omega_of(rng, 24)
    first = field.expected(field.empty(24, 3), field.samples_of(rng, 20, 3), omega)
    return [array.astype(np.float32) for array in first], field.samples_of(rng, 33, 3), omega


def check_sums(got, given) -> None:
    state, samples, omega = given
    want = field.expected(state, samples, omega)
    field.check((*got[:2], state[2]), (*want[:2], state[2]), field.FLOAT)
    np.testing.assert_array_equal(got[2], state[2])


def test_the_launcher_leaves_the_solution(kernels, given):
    state, samples, omega = given
    check_sums(kernels.field(tuple(state), samples, omega, rule=RULE), given)


@pytest.mark.tensorrt_headers
def test_the_plugin_leaves_the_solution(contract, given):
    driver, memory = contract
    state, samples, omega = given
    check_sums(driver.run('FieldUpdate', RULE, [*state, *samples, omega], memory, 3), given)


@pytest.mark.tensorrt_headers
def test_steps_are_never_left_out(contract, given):
    state, samples, omega = given
    inputs = [(array.shape, array.dtype) for array in (*state, *samples, omega)]
    attributes = {name: value for name, value in RULE.items() if name != 'steps'}
    with pytest.raises(Refused, match='conjugate-gradient steps must be 0 to 1000'):
        contract[0].describe('FieldUpdate', attributes, inputs, 3)
