# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The C launchers in the benchmark of the custom parts: the same maths as PyTorch, in every type.

The kernels are emulated; see tests/trt_plugins/emulator.
"""

from __future__ import annotations

import os
import shutil

import pytest

pytest.importorskip('torch', reason='the operators are PyTorch')
pytest.importorskip('onnxscript', reason='operators are exported by PyTorch')

import torch
from trt_plugins.build_libraries import build_emulated

from ros2_spatial_ttt.errors import SpatialTTTError
from ros2_spatial_ttt.training import operators as parts
from ros2_spatial_ttt.training.launched import Launched
from ros2_spatial_ttt.training.launchers import Launchers, kernels_library

pytestmark = pytest.mark.torch

TINY = parts.Size(2, (2, 3), 2, 4, 6, 16, 5, 33)
# Sums in another order, through five Newton-Schulz steps or six of a solve; 11 and 8 bits of the
# numbers that are multiplied or stored.
TOLERANCE = {'fp32': 2e-4, 'fp16': 4e-3, 'bf16': 3e-2}


@pytest.fixture(scope='module')
def launchers():
    if shutil.which(os.environ.get('CXX', 'g++')) is None:
        pytest.skip('no C++ compiler: install g++ or set CXX')
    return Launchers(build_emulated(None))


@pytest.mark.parametrize('short', TOLERANCE)
@pytest.mark.parametrize('number', range(3), ids=['conv', 'fast', 'field'])
def test_a_launcher_computes_what_pytorch_computes(launchers, number, short):
    operator = parts.operators(TINY, 'muon')[number].narrowed(short)
    launched = Launched(launchers, operator, 'cpu')
    for output in launched.outputs.values():
        output.fill_(torch.nan)
    launched(1)
    with torch.no_grad():
        want = operator.layer.body(*(tensor.float() for tensor in operator.inputs.values()))
    for (name, got), wanted in zip(launched.outputs.items(), want, strict=True):
        assert got.dtype == operator.stored(name)
        scale = float(wanted.abs().max())
        assert float((got.float() - wanted).abs().max()) <= TOLERANCE[short] * scale, name


def test_sizes_that_a_launcher_does_not_take_are_told(launchers):
    wide = parts.Size(1, (1, 1), 1, 1028, 4, 16, 2, 3)
    with pytest.raises(SpatialTTTError, match='spatio_temporal_conv: a head has at most 1024'):
        Launched(launchers, parts.operators(wide, 'gd')[0], 'cpu')


def test_a_library_that_is_named_must_exist(monkeypatch, tmp_path):
    monkeypatch.setenv('SPATIAL_TTT_KERNELS', str(tmp_path / 'none.so'))
    with pytest.raises(SpatialTTTError, match=r'none\.so: no such file'):
        kernels_library()


def test_narrow_tokens_move_fewer_bytes_and_the_same_work():
    whole = parts.operators(TINY, 'gd')[0]
    half = whole.narrowed('fp16')
    assert half.name == 'spatio_temporal_conv_fp16' and half.flops == whole.flops
    # Tokens in; query, key and value out.
    assert whole.bytes - half.bytes == 2 * 2 * whole.inputs['tokens'].numel()
