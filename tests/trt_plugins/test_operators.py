# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The plugins do what the local functions of the shipped models do, and are found by their names.

ONNX Runtime runs the bodies.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
import yaml

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

import onnx
from onnx_bodies import functions, run_body
from trt_plugins.build_libraries import PLUGINS, ROOT
from trt_plugins.comparing import assert_near, prefix_mask

from trt_plugins import test_fast_weight_update as fast
from trt_plugins import test_field_update as field
from trt_plugins import test_spatio_temporal_conv as conv

pytestmark = pytest.mark.ort

OPERATORS = yaml.safe_load((PLUGINS / 'operators.yaml').read_text())
MODELS = sorted((ROOT / 'models').glob('*/*.onnx'))
# Two orders of float sums.
BOTH_FLOAT = 2e-5
# The constants that bodies hold and names do not tell.
BODY_RULE = {'ridge': 1.0, 'decay': 1.0, 'mass_max': 60.0, 'weight_min': 0.02, 'steps': 6}


@pytest.mark.parametrize('path', MODELS, ids=lambda path: f'{path.parent.name}/{path.stem}')
def test_every_function_has_one_plugin_with_its_inputs_and_outputs(path):
    for name, function in functions(path).items():
        matching = [one for one in OPERATORS if re.fullmatch(one['function'], name)]
        assert len(matching) == 1, name
        for kind in ('input', 'output'):
            formal = [value.rpartition('.')[2] for value in getattr(function, kind)]
            assert formal == matching[0][f'{kind}s'], name


@pytest.mark.torch
def test_the_table_follows_the_layers():
    from ros2_spatial_ttt.training.field_layers import FieldRule, FieldUpdate
    from ros2_spatial_ttt.training.layers import FastWeightUpdate, SpatioTemporalConv

    layers = [SpatioTemporalConv((8, 10), 4), FastWeightUpdate('muon'), FieldUpdate(FieldRule())]
    for layer, operator in zip(layers, OPERATORS, strict=True):
        assert re.fullmatch(operator['function'], layer.function_name)
        assert list(layer.inputs) == operator['inputs']
        assert list(layer.outputs) == operator['outputs']
    for name, value in BODY_RULE.items():
        assert getattr(FieldRule(), name) == value, name


@pytest.mark.parametrize('kind', ['appearance', 'geometry'])
def test_field_equals_the_body(kernels, kind):
    path = ROOT / 'models' / 'nano' / f'{kind}_update.onnx'
    function = functions(path)['FieldUpdateK6']
    values = {v.name: v.type.tensor_type.shape.dim for v in onnx.load(path).graph.input}
    features, channels = (dim.dim_value for dim in values['state/target'])
    rng = np.random.default_rng(1)
    omega, state = field.omega_of(rng, features), field.empty(features, channels)
    names = ('curvature', 'target', 'weight', 'points', 'values', 'weights')
    for count in (40, 65):
        samples = field.samples_of(rng, count, channels)
        inputs = dict(zip(names, (*state, *samples), strict=True))
        body = run_body(function, {**inputs, 'omega': omega})
        state = kernels.field(state, samples, omega, rule=BODY_RULE)
        for name, got, want in zip('ABW', state, body, strict=True):
            assert_near(got, want, BOTH_FLOAT, name)


def test_convolution_equals_the_body(kernels):
    function = functions(ROOT / 'models/nano/update.onnx')['SpatioTemporalConv8x10Heads4']
    arrays = conv.given(np.random.default_rng(2), 1, 8, (8, 10), 384)
    arrays['frame_valid'] = prefix_mask([5], 8)
    body = run_body(function, arrays)
    got = kernels.conv(**arrays, grid=(8, 10), heads=4)
    for want, (name, array) in zip(body, got.items(), strict=True):
        assert_near(array, want, BOTH_FLOAT, name)


def test_fast_weights_equal_the_body(kernels):
    function = functions(ROOT / 'models/nano/update.onnx')['FastWeightUpdateMomentum']
    weights, momenta, initial, tokens = fast.given(np.random.default_rng(3), 1, 4, 64, 32, 8, 80)
    tokens['frame_valid'] = prefix_mask([7], 8)
    inputs = dict(zip(OPERATORS[1]['inputs'], (*weights, *momenta, *initial), strict=False))
    body = run_body(function, {**inputs, **tokens})
    got = kernels.fast(weights, momenta, initial, tokens, rule='momentum')
    for i in range(3):
        assert_near(got[0][i], body[i], BOTH_FLOAT, f'w{i}')
        assert_near(got[1][i], body[3 + i], BOTH_FLOAT, f'm{i}')
