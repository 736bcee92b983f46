# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The second look on the TensorRT runtime; driver and engines as in test_trt_runtime."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

from fake_cuda import MOST, FakeDriver, engines
from second_look_model import cut_outs

from ros2_spatial_ttt.runtime import parity
from ros2_spatial_ttt.runtime.base import load_manifest
from ros2_spatial_ttt.runtime.cuda import Gpu
from ros2_spatial_ttt.runtime.engine_file import graphs_of
from ros2_spatial_ttt.runtime.ort import OrtRuntime
from ros2_spatial_ttt.runtime.trt import TrtRuntime

pytestmark = [pytest.mark.ort, pytest.mark.torch]


@pytest.fixture(scope='module')
def manifest(second_look_model):
    return load_manifest(second_look_model[0])


@pytest.fixture(scope='module')
def ort(manifest):
    return OrtRuntime(manifest, threads=1)


@pytest.fixture(scope='module')
def driver():
    return FakeDriver()


@pytest.fixture(scope='module')
def trt(manifest, driver):
    compiled = engines(driver, manifest.folder)
    assert set(compiled) == set(graphs_of(manifest))
    return TrtRuntime(manifest, Gpu(driver, 0), compiled, name='tensorrt')


@pytest.mark.parametrize('count', [0, 1, MOST['detections'], 2 * MOST['detections'] + 1])
def test_it_equals_onnx_runtime_at_any_number_of_detections(trt, ort, manifest, count):
    given = cut_outs(len(manifest.labels), count)
    got, want = trt.second_look(*given), ort.second_look(*given)
    assert got.shape == want.shape
    # Rows of other batches are summed in another order.
    bound = 0.0 if count in (1, MOST['detections']) else 1e-6
    assert np.abs(got - want).max(initial=0.0) <= bound


def test_only_the_rows_of_a_call_cross(trt, manifest, driver):
    given = cut_outs(len(manifest.labels), 2)
    taken, before = len(driver.memory), driver.moved.copy()
    names = trt.second_look(*given)
    up = sum(array.nbytes for array in given)
    assert driver.moved - before == {'cuMemcpyHtoDAsync': up, 'cuMemcpyDtoHAsync': names.nbytes}
    assert len(driver.memory) == taken


def test_the_stored_numbers_hold(trt):
    errors = parity.worst(trt)
    name, error = next(iter(errors.items()))
    assert error <= 1.0, f'{name}: {error:.2f} of what is allowed'
    assert 'second_look' in errors
