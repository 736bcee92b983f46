# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The kernels, emulated on the CPU and on a GPU where there is one.

On a GPU the libraries come from SPATIAL_TTT_KERNELS and SPATIAL_TTT_PLUGINS (paths), else from
the installed package.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from trt_plugins.build_libraries import ROOT, build_contract, build_emulated, tensorrt_headers
from trt_plugins.contract import Contract
from trt_plugins.kernels import GpuMemory, HostMemory, Kernels

BACKENDS = [pytest.param('emulated'), pytest.param('gpu', marks=pytest.mark.gpu)]


@pytest.fixture(params=['forward', 'reverse'])
def order(request, monkeypatch) -> str:
    """In which order the emulator runs the threads of a block."""
    monkeypatch.setenv('EMULATOR_ORDER', request.param)
    return request.param


@pytest.fixture(params=BACKENDS)
def kernels(request) -> Kernels:
    if request.param == 'gpu':
        return Kernels(_compiled_kernels(), _gpu())
    return Kernels(_emulated(None), HostMemory())


@pytest.fixture
def compiled() -> Kernels:
    """The launchers as CUDA's compiler made them, on the memory of the host."""
    return Kernels(_compiled_kernels(), HostMemory())


@pytest.fixture(params=BACKENDS)
def contract(request) -> tuple[Contract, HostMemory | GpuMemory]:
    headers = tensorrt_headers()
    if headers is None:
        pytest.skip('no TensorRT headers: set TENSORRT_INCLUDE_DIR to the folder of NvInfer.h')
    if request.param == 'gpu':
        memory, plugins = _gpu(), _installed('SPATIAL_TTT_PLUGINS', 'libspatial_ttt_plugins.so')
    else:
        memory, plugins = HostMemory(), _emulated(headers)
    return Contract(build_contract(headers), plugins), memory


def _emulated(headers: Path | None) -> Path:
    if shutil.which(os.environ.get('CXX', 'g++')) is None:
        pytest.skip('no C++ compiler: install g++ or set CXX')
    return build_emulated(headers)


def _gpu() -> GpuMemory:
    torch = pytest.importorskip('torch', reason='PyTorch allocates the memory of the GPU')
    if not torch.cuda.is_available():
        pytest.skip('no NVIDIA GPU, or a PyTorch without CUDA')
    return GpuMemory(torch)


def _compiled_kernels() -> Path:
    return _installed('SPATIAL_TTT_KERNELS', 'libspatial_ttt_kernels.so')


def _installed(variable: str, name: str) -> Path:
    path = Path(os.environ.get(variable, ROOT / 'install/spatial_ttt/lib' / name))
    if not path.is_file():
        pytest.skip(f'{path} does not exist: build with CUDA, see docs/TRT_PLUGINS.md')
    return path
