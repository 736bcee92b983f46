# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Engines on a real GPU, with plugins where their library is installed: the same numbers."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('onnxruntime')
pytest.importorskip('onnx')

from ros2_spatial_ttt import cli
from ros2_spatial_ttt.memory.field import GEOMETRY_CHANNELS, FieldState
from ros2_spatial_ttt.resources import model_directory
from ros2_spatial_ttt.runtime import open_runtime, parity
from ros2_spatial_ttt.runtime.base import load_manifest
from ros2_spatial_ttt.runtime.cuda import Gpu
from ros2_spatial_ttt.runtime.ort import OrtRuntime
from ros2_spatial_ttt.runtime.reference import ReferenceRuntime
from ros2_spatial_ttt.runtime.trt_library import load_tensorrt
from ros2_spatial_ttt.runtime.unavailable import Unavailable

pytestmark = [pytest.mark.gpu, pytest.mark.trt]

# Sums of float32 in another order, over a hundred chunks; the states are of order 1.
DRIFT = 2e-3
ROOT = Path(__file__).resolve().parents[2]
LIBRARY = 'libspatial_ttt_plugins.so'


@pytest.fixture(scope='module', params=['tensorrt', 'tensorrt_rtx'])
def trt(request, tmp_path_factory):
    """The runtime of nano on a freshly built engine."""
    try:
        Gpu.open()
        load_tensorrt(request.param)
    except Unavailable as error:
        pytest.skip(f'{error.reason}: {error}')
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp('engines')
        patch.setenv('SPATIAL_TTT_ENGINES', str(folder))
        words = ['build-engine', '--model', 'nano', '--backend', request.param]
        assert cli.main([*words, '--json', str(folder / 'report.json')]) == 0
        report = json.loads((folder / 'report.json').read_text())
        # A library that was built but not found would only make everything slower.
        if request.param == 'tensorrt' and built_library():
            assert len(report['nodes.plugin']) == 8 and not report['nodes.body']
        yield open_runtime('nano', request.param, threads=1)


def built_library() -> bool:
    """Return whether colcon built the plugins, here or in a workspace that is sourced."""
    sourced = os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
    folders = [ROOT / 'install', *(Path(prefix) / 'lib' for prefix in sourced if prefix)]
    named = os.environ.get('SPATIAL_TTT_PLUGIN_LIBRARY')
    return bool(named) or any(any(folder.rglob(LIBRARY)) for folder in folders)


@pytest.fixture(scope='module')
def manifest():
    return load_manifest(model_directory('nano'))


def relative(got, want):
    return np.abs(got - want).max() / max(float(np.abs(want).max()), 1.0)


def test_a_stream_gives_what_the_model_gave_where_it_was_exported(trt):
    name, error = next(iter(parity.worst(trt).items()))
    assert error <= 1.0, f'{name}: {error:.2f} of what is allowed'


def test_states_after_a_hundred_chunks_equal_those_of_onnx_runtime(trt, manifest):
    ort = OrtRuntime(manifest, threads=2)
    chunks = list(parity.chunks(manifest, parity.inputs(manifest)))
    got, want = trt.initial_state(), ort.initial_state()
    for number in range(100):
        got = trt.encode(chunks[number % 4], got)[1]
        want = ort.encode(chunks[number % 4], want)[1]
    for name, array in want.items():
        assert relative(got[name], array) <= DRIFT, name


@pytest.mark.parametrize('count', [1, 63, 64, 65, 2000])
def test_fields_equal_the_oracle(trt, manifest, count, rng):
    reference = ReferenceRuntime(manifest)
    got = want = FieldState.zeros(manifest.geometry_features, GEOMETRY_CHANNELS)
    for _ in range(3):
        points = rng.uniform(-2.0, 2.0, (count, 3)).astype(np.float32)
        values = np.ones((count, GEOMETRY_CHANNELS), np.float32)
        weights = rng.random(count).astype(np.float32)
        got = trt.update('geometry', got, points, values, weights)
        want = reference.update('geometry', want, points, values, weights)
    for name, tensor in want.tensors().items():
        assert relative(got.tensors()[name], tensor) <= 1e-3, name
    read = trt.read('geometry', got.weight, points)
    assert relative(read, reference.read('geometry', want.weight, points)) <= 1e-3


def test_a_chunk_takes_no_memory(trt, manifest):
    chunks = list(parity.chunks(manifest, parity.inputs(manifest)))
    state = trt.initial_state()
    for chunk in chunks:
        state = trt.encode(chunk, state)[1]
    taken = trt._backbone._gpu.allocated
    for chunk in [*chunks, *chunks]:
        state = trt.encode(chunk, state)[1]
    assert trt._backbone._gpu.allocated == taken
