# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The comparison of the whole update: PyTorch computes what the model folder's graph computes."""

from __future__ import annotations

import argparse
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('psutil', reason='the benchmarks need psutil')
pytest.importorskip('torch', reason='the comparison is with PyTorch')
pytest.importorskip('onnxscript', reason='the model is exported by PyTorch')
pytest.importorskip('onnxruntime', reason='ONNX Runtime runs the model')

import torch

from ros2_spatial_ttt.bench import model
from ros2_spatial_ttt.errors import ModelError
from ros2_spatial_ttt.resources import model_directory
from ros2_spatial_ttt.runtime.base import Samples, load_manifest
from ros2_spatial_ttt.runtime.ort import OrtRuntime
from ros2_spatial_ttt.training.whole_update import network_of_folder, whole_update

pytestmark = [pytest.mark.torch, pytest.mark.ort]

OPTIONS = argparse.Namespace(threads=1, seconds=0.01)


@pytest.fixture(scope='module')
def runtime(tiny_model):
    return OrtRuntime(load_manifest(tiny_model[0]), threads=1)


@pytest.fixture(scope='module')
def update(runtime):
    chunk = model.example_chunk(runtime.manifest)
    return chunk, whole_update(runtime.manifest, chunk, runtime.initial_state())


def test_pytorch_computes_what_the_graph_computes(runtime, update):
    chunk, whole = update
    samples, state = runtime.encode(chunk, runtime.initial_state())
    want = {name: getattr(samples, name) for name in Samples.arrays()}
    want |= {f'tokens/{name}': value for name, value in vars(samples.tokens).items()}
    want |= {f'next_state/{name}': value for name, value in state.items()}
    got = whole.outputs()
    assert set(got) == set(want)
    for name, expected in want.items():
        # Float32 sums in another order, through some twenty layers.
        scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
        assert np.abs(got[name] - expected).max(initial=0.0) < 1e-4 * scale, name


def test_work_and_traffic_cover_convolutions_weights_and_state(update):
    _, whole = update
    net = whole.encoder.net
    rows, columns = net.config.grid
    merge = net.merge.body[0].weight
    assert whole.flops > 2 * merge.numel() * rows * columns * net.config.chunk_frames
    held = sum(p.nbytes for p in net.parameters()) + sum(t.nbytes for t in whole.inputs.values())
    assert whole.bytes > held


def test_every_way_is_measured_beside_the_ceilings(runtime, update):
    results = model.compared(runtime, update[0], OPTIONS)
    for way in ('runtime', 'eager'):
        assert results[f'whole.{way}_ms'] > 0.0
        ratio = results[f'whole.{way}_tflops'] / results[f'whole.{way}_gbs']
        assert ratio == pytest.approx(1e-3 * update[1].flops / update[1].bytes)
    assert results['ceiling.fp32_tflops'] > 0.0 and results['ceiling.gbs'] > 0.0
    table = model._comparison(results | {'backend': runtime.name})
    for line in ('whole.runtime', 'whole.eager', 'ceiling.fp32', 'ceiling.copy'):
        assert f'| {line} ' in table


@pytest.mark.skipif(torch.cuda.is_available(), reason='PyTorch finds a GPU here')
def test_a_pytorch_that_finds_no_gpu_is_not_compared_with_one():
    runtime = SimpleNamespace(name='tensorrt_rtx')
    assert 'finds no GPU' in model.compared(runtime, None, OPTIONS)['not_compared']


def test_a_model_without_a_network_says_why_it_is_not_compared():
    manifest = load_manifest(model_directory('untrained'))
    with pytest.raises(ModelError, match=r"'untrained' holds network 'untrained'.*nano"):
        network_of_folder(manifest)
    results = model.compared(OrtRuntime(manifest, threads=1), None, OPTIONS)
    assert 'no trained network' in model._comparison(results)
