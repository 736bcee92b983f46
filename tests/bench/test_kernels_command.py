# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""``bench kernels`` where it cannot measure: a sentence before anything is measured."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

pytest.importorskip('torch', reason='operators are exported by PyTorch')
pytest.importorskip('onnxscript', reason='operators are exported by PyTorch')
pytest.importorskip('onnxruntime', reason='the fake driver runs engines with it')

import torch
from fake_cuda import Code, FakeDriver
from fake_tensorrt import make_tensorrt

from ros2_spatial_ttt import cli
from ros2_spatial_ttt.training import operators

pytestmark = pytest.mark.torch


@pytest.fixture
def refused(monkeypatch, capsys):
    """Return a function that gives what the command says with a driver."""
    bindings, parent = ModuleType('cuda.bindings'), ModuleType('cuda')
    parent.bindings = bindings
    monkeypatch.setitem(sys.modules, 'cuda', parent)
    monkeypatch.setitem(sys.modules, 'cuda.bindings', bindings)
    monkeypatch.setattr(operators, 'measured_ceilings', lambda _: pytest.fail('measured'))

    def run(driver) -> str:
        bindings.driver = driver
        assert cli.main(['bench', 'kernels', '--backend', 'tensorrt_rtx']) == 2
        return capsys.readouterr().err

    return run


def test_without_a_gpu(refused, monkeypatch):
    driver = FakeDriver()
    monkeypatch.setattr(driver, 'cuDeviceGetCount', lambda: (Code.CUDA_SUCCESS, 0))
    assert 'the driver shows 0 (no error); check nvidia-smi' in refused(driver)


def test_without_tensorrt(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, 'tensorrt_rtx', None)
    assert "'tensorrt_rtx' cannot be imported" in refused(FakeDriver())


def test_with_a_pytorch_that_finds_no_gpu(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, 'tensorrt_rtx', make_tensorrt(version='1.2.0'))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert 'here finds no GPU; install a PyTorch for this CUDA' in refused(FakeDriver())
