# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Every plugin from creator to enqueue, driven as TensorRT drives it."""

from __future__ import annotations

import numpy as np
import pytest
from trt_plugins.comparing import prefix_mask
from trt_plugins.contract import Refused

from trt_plugins import test_fast_weight_update as fast
from trt_plugins import test_field_update as field
from trt_plugins import test_spatio_temporal_conv as conv

CONV = {'rows': 2, 'columns': 3, 'heads': 2}
FIELD = {'steps': 6, 'ridge': 1.0, 'decay': 0.99, 'mass_max': 4.0, 'weight_min': 0.02}


def conv_inputs(dtype=np.float32) -> list[np.ndarray]:
    arrays = conv.given(np.random.default_rng(1), 1, 4, (2, 3), 24, dtype)
    mask = prefix_mask([3], 4)
    return [arrays['tokens'], arrays['tail'], mask, arrays['kernel'], arrays['bias']]


def wide_inputs() -> list[np.ndarray]:
    arrays = conv.given(np.random.default_rng(1), 1, 1, (1, 1), 3 * 1028)
    mask = prefix_mask([1], 1)
    return [arrays['tokens'], arrays['tail'], mask, arrays['kernel'], arrays['bias']]


def fast_inputs(dtype=np.float32) -> list[np.ndarray]:
    weights, momenta, initial, tokens = fast.given(
        np.random.default_rng(2), 1, 2, 16, 8, 2, 5, dtype
    )
    return [*weights, *momenta, *initial, *tokens.values()]


def field_inputs(dtype=np.float32) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [*field.empty(24, 3), *field.samples_of(rng, 20, 3, dtype), field.omega_of(rng, 24)]


def described(contract, name, attributes, arrays, outputs):
    return contract.describe(name, attributes, [(a.shape, a.dtype) for a in arrays], outputs)


@pytest.mark.parametrize('dtype', [np.float32, np.float16], ids=['float', 'half'])
def test_convolution(contract, dtype):
    driver, memory = contract
    arrays = conv_inputs(dtype)
    outputs = driver.run('SpatioTemporalConv', CONV, arrays, memory, 4)
    assert [array.dtype for array in outputs] == [np.dtype(dtype)] * 3 + [np.dtype(np.float32)]
    got = dict(zip(('query', 'key', 'value', 'next_tail'), outputs, strict=True))
    given = dict(zip(('tokens', 'tail', 'frame_valid', 'kernel', 'bias'), arrays, strict=True))
    conv.check(got, given, [3], grid=(2, 3), heads=2, tolerance=conv.TOLERANCE[dtype])


@pytest.mark.parametrize('rule', ['Gd', 'Momentum', 'Muon'])
def test_fast_weights(contract, rule):
    driver, memory = contract
    arrays = fast_inputs()
    outputs = driver.run('FastWeightUpdate', {'rule': rule}, arrays, memory, 6)
    names = ('key', 'value', 'rates', 'gate', 'step', 'decay', 'frame_valid')
    tokens = dict(zip(names, arrays[9:], strict=True))
    groups = (arrays[:3], arrays[3:6], arrays[6:9])
    got = (outputs[:3], outputs[3:])
    fast.check(got, *groups, tokens, [2], rule=rule.lower(), tolerance=fast.FLOAT)


def test_field(contract):
    driver, memory = contract
    arrays = field_inputs()
    got = driver.run('FieldUpdate', FIELD, arrays, memory, 3)
    field.check(got, field.expected(arrays[:3], arrays[3:6], arrays[6]), field.FLOAT)


def test_products_may_be_narrower_than_tokens(contract):
    driver, memory = contract
    attributes = {'rule': 'Momentum', 'products': 'fp16'}
    arrays = fast_inputs()
    exact = driver.run('FastWeightUpdate', {'rule': 'Momentum'}, arrays, memory, 6)
    narrow = driver.run('FastWeightUpdate', attributes, arrays, memory, 6)
    assert 0.0 < np.abs(exact[0] - narrow[0]).max() < 1e-2


REFUSALS = {
    'creator': ('Conv3d', CONV, conv_inputs, 4, 'no creator'),
    'missing attribute': (
        *('SpatioTemporalConv', {'rows': 2}, conv_inputs, 4),
        'attribute columns must be set',
    ),
    'type of attribute': (
        *('SpatioTemporalConv', {**CONV, 'heads': '2'}, conv_inputs, 4),
        'attribute heads has another type',
    ),
    'shape': (
        *('SpatioTemporalConv', {**CONV, 'rows': 3}, conv_inputs, 4),
        'tokens must have shape (1, 4, 9, 24), got (1, 4, 6, 24)',
    ),
    'rule': ('FastWeightUpdate', {'rule': 'adam'}, fast_inputs, 6, "got 'adam'"),
    'products': (
        *('FastWeightUpdate', {'rule': 'Gd', 'products': 'int8'}, fast_inputs, 6),
        'products must be fp32, fp16 or bf16',
    ),
    'inputs': (
        *('FieldUpdate', FIELD, lambda: field_inputs()[:5], 3),
        'expected 7 inputs and 3 outputs, got 5 and 3',
    ),
    'width of a head': (
        *('SpatioTemporalConv', {'rows': 1, 'columns': 1, 'heads': 1}, wide_inputs, 4),
        'a head has at most 1024 channels',
    ),
    'steps': ('FieldUpdate', {'steps': 2000}, field_inputs, 3, 'steps must be 0 to 1000'),
}


@pytest.mark.parametrize('name,attributes,inputs,outputs,reason', REFUSALS.values(), ids=REFUSALS)
def test_refuses_with_a_sentence(contract, name, attributes, inputs, outputs, reason):
    with pytest.raises(Refused) as refused:
        described(contract[0], name, attributes, inputs(), outputs)
    assert reason in str(refused.value)


def test_refuses_types_it_cannot_take(contract):
    arrays = fast_inputs()
    arrays[0] = arrays[0].astype(np.float16)  # state is float
    with pytest.raises(Refused, match='type of tensor 0 refused'):
        described(contract[0], 'FastWeightUpdate', {'rule': 'Gd'}, arrays, 6)
    arrays = fast_inputs()
    arrays[10] = arrays[10].astype(np.float16)  # values as keys
    with pytest.raises(Refused, match='type of tensor 10 refused'):
        described(contract[0], 'FastWeightUpdate', {'rule': 'Gd'}, arrays, 6)
