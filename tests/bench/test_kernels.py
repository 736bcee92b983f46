# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of the custom parts: what is compared is the same maths, at any size."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('torch', reason='operators are exported by PyTorch')
pytest.importorskip('onnxscript', reason='operators are exported by PyTorch')
pytest.importorskip('onnxruntime', reason='ONNX Runtime runs the operators')

import onnx
import onnxruntime
import torch
from fake_cuda import FakeDriver, FakeEngine

from ros2_spatial_ttt.bench import kernels
from ros2_spatial_ttt.runtime.cuda import Gpu
from ros2_spatial_ttt.training import operators as parts

pytestmark = pytest.mark.torch

TINY = parts.Size(2, (2, 3), 2, 4, 6, 16, 5, 33)
NAMES = ('spatio_temporal_conv', 'fast_weight_update', 'field_update')


@pytest.fixture(scope='module')
def tiny():
    return {operator.name: operator for operator in parts.operators(TINY, 'muon')}


@pytest.fixture(scope='module')
def files(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp('parts')
    for name, operator in tiny.items():
        (folder / f'{name}.onnx').write_bytes(operator.graph().SerializeToString())
    return folder


@pytest.mark.parametrize('name', NAMES)
def test_the_graph_and_pytorch_compute_the_same(tiny, files, name):
    operator = tiny[name]
    session = onnxruntime.InferenceSession(str(files / f'{name}.onnx'))
    got = session.run(None, {key: value.numpy() for key, value in operator.inputs.items()})
    with torch.no_grad():
        want = operator.layer.body(*operator.inputs.values())
    for one, other in zip(got, want, strict=True):
        # Float32 sums in another order, through five Newton-Schulz steps or six of a solve.
        assert np.allclose(one, other.numpy(), atol=2e-4)


@pytest.mark.parametrize('name', NAMES)
def test_an_engine_runs_on_inputs_that_stay_on_the_device(tiny, files, name):
    driver = FakeDriver()
    engine = FakeEngine(driver, files / f'{name}.onnx')
    feed = {key: value.numpy() for key, value in tiny[name].inputs.items()}
    runs = kernels.on_device(Gpu(driver, 0), engine, feed)
    moved = dict(driver.moved)
    assert set(runs) == {'', 'graph'}
    for run in runs.values():
        run(3)
    assert dict(driver.moved) == moved


def test_engines_are_measured_in_the_precisions_that_are_exported(tiny, files, monkeypatch):
    exported = {name: onnx.load(files / f'{name}.onnx') for name in NAMES}
    monkeypatch.setattr(parts.Operator, '_exported', lambda operator: exported[operator.name])

    def ways(name, precision):
        return set(kernels._engines(tiny[name], precision, 'ort'))

    for name in NAMES:
        assert ways(name, 'fp32') == {'ort'}
        assert ways(name, 'bf16') == set()
    assert ways('fast_weight_update', 'fp16') == {'ort'}
    assert ways('field_update', 'fp16') == set()


def test_work_and_traffic_are_those_of_the_sizes():
    conv, fast, field = parts.operators(parts.SIZES['published'], 'momentum')
    assert conv.flops == 2 * 27 * 8 * 331 * 3 * 4 * 512
    assert fast.flops == 12 * 4 * 2648 * 512 * 512
    # The product of the features is the most of it, and only half of it is needed.
    assert field.flops == pytest.approx(4800 * 2048**2, rel=0.3)
    assert conv.bytes > 4 * 2 * 8 * 331 * 3 * 4 * 512


def test_results_are_rates_of_the_median_time(tiny):
    results = kernels.rated('x', lambda times: None, 0.01, tiny['field_update'])
    assert set(results) == {'x_ms', 'x_tflops', 'x_gbs'}
    ratio = tiny['field_update'].flops / tiny['field_update'].bytes
    assert results['x_tflops'] / results['x_gbs'] == pytest.approx(ratio / 1e3)


def test_the_table_has_a_line_for_every_way_and_ceiling():
    results = {'size': 'nano', 'backend': 'tensorrt', 'ceiling.gbs': 4000.0}
    results |= {'ceiling.fp32_tflops': 50.0}
    for way in ('eager', 'plugin', 'kernel', 'plugin_graph'):
        results |= {f'field_update.{way}_{unit}': 1.0 for unit in ('ms', 'tflops', 'gbs')}
    lines = kernels.summary(results).splitlines()
    assert [line.split('|')[1].strip() for line in lines[2:]] == [
        *('field_update.kernel', 'field_update.plugin_graph', 'field_update.plugin'),
        *('field_update.eager', 'ceiling.fp32', 'ceiling.copy'),
    ]
