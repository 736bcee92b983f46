# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Which backend is chosen, and what each says that cannot run here."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import pytest

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

from fake_cuda import Code, FakeDriver, FakeEngine
from fake_tensorrt import Severity, make_tensorrt

from ros2_spatial_ttt.config import BACKENDS, MemoryConfig, from_flat
from ros2_spatial_ttt.errors import ModelError
from ros2_spatial_ttt.memory.pipeline import SpatialMemory
from ros2_spatial_ttt.resources import model_directory
from ros2_spatial_ttt.runtime import open_runtime
from ros2_spatial_ttt.runtime import trt as trt_runtime
from ros2_spatial_ttt.runtime.base import load_manifest
from ros2_spatial_ttt.runtime.cuda import DeviceError, Gpu
from ros2_spatial_ttt.runtime.engine_file import (
    EngineFile,
    Stamp,
    engine_directory,
    engine_path,
    graphs_of,
    write_engine,
)
from ros2_spatial_ttt.runtime.unavailable import Unavailable

pytestmark = pytest.mark.ort


@pytest.fixture
def cuda(monkeypatch):
    """Return a function that installs a driver as ``cuda.bindings.driver``; None = no package."""

    def install(driver) -> None:
        bindings = ModuleType('cuda.bindings')
        bindings.driver = driver
        parent = ModuleType('cuda')
        parent.bindings = bindings
        monkeypatch.setitem(sys.modules, 'cuda', parent if driver else None)
        monkeypatch.setitem(sys.modules, 'cuda.bindings', bindings if driver else None)

    return install


@pytest.fixture
def tensorrt(monkeypatch):
    """Return a function that installs modules by name; None = not installed."""

    def install(**modules) -> None:
        for name in ('tensorrt', 'tensorrt_rtx'):
            monkeypatch.setitem(sys.modules, name, modules.get(name))

    return install


@pytest.fixture(autouse=True)
def no_engines(tmp_path, monkeypatch):
    monkeypatch.setenv('SPATIAL_TTT_ENGINES', str(tmp_path))
    monkeypatch.delenv('SPATIAL_TTT_PLUGIN_LIBRARY', raising=False)


@pytest.fixture
def engine():
    """Write an engine of the smallest model for Orin and TensorRT 10.3; plans name the graphs."""
    manifest = load_manifest(model_directory('untrained'))
    stamp = Stamp(manifest.name, manifest.hash, 'tensorrt', '10.3.0', ('sm_87',), '')
    path = engine_path(engine_directory(), stamp)
    plans = {name: f'{name}.onnx'.encode() for name in graphs_of(manifest)}
    write_engine(EngineFile(path, stamp, plans))


class Runtimes:
    """What makes runtimes of a TensorRT whose driver complains; each refuses every plan."""

    def __init__(self, complaint: str, *, starts: bool) -> None:
        self.complaint = complaint
        self.starts = starts

    def __call__(self, logger):
        logger.log(Severity.ERROR, self.complaint)
        if not self.starts:
            raise TypeError('pybind11::init(): factory function returned nullptr')
        return SimpleNamespace(deserialize_cuda_engine=lambda plan: None)


def driver_without(**changes):
    return SimpleNamespace(
        **{
            'cuInit': lambda flags: (Code.CUDA_SUCCESS,),
            'cuDeviceGetCount': lambda: (Code.CUDA_SUCCESS, 0),
            'CUresult': Code,
            **changes,
        }
    )


def no_library(flags):
    raise RuntimeError('Failed to dlopen libcuda.so.1')


@pytest.mark.parametrize('name', ['tensorrt', 'tensorrt_rtx'])
def test_without_cuda_python_the_remedy_is_its_package(name, cuda):
    cuda(None)
    with pytest.raises(Unavailable, match=r'cuda-bindings is missing .*; pip install "ros2-spat'):
        open_runtime('nano', name, threads=1)


def test_without_a_driver_the_sentence_names_the_container_option(cuda):
    cuda(driver_without(cuInit=no_library))
    with pytest.raises(Unavailable, match=r'driver is not installed .*libcuda.*--runtime nvidia'):
        open_runtime('nano', 'tensorrt', threads=1)


@pytest.mark.parametrize('code', [Code.CUDA_SUCCESS, Code.CUDA_ERROR_NO_DEVICE])
def test_without_a_gpu_the_sentence_says_how_many_there_are(code, cuda):
    cuda(driver_without(cuInit=lambda flags: (code,)))
    with pytest.raises(Unavailable, match=r'GPU 0 asked for, the driver shows 0 .*nvidia-smi'):
        open_runtime('nano', 'tensorrt', threads=1)


def test_without_tensorrt_the_remedy_is_how_to_install_it(cuda, tensorrt):
    cuda(FakeDriver())
    tensorrt()
    with pytest.raises(Unavailable, match=r"'tensorrt' cannot be imported .*JETSON\.md"):
        open_runtime('nano', 'tensorrt', threads=1)
    with pytest.raises(Unavailable, match=r"'tensorrt_rtx' cannot be imported .*pip install"):
        open_runtime('nano', 'tensorrt_rtx', threads=1)


def test_an_old_tensorrt_is_refused_with_both_versions(cuda, tensorrt):
    cuda(FakeDriver())
    tensorrt(tensorrt=make_tensorrt(version='8.6.1'))
    with pytest.raises(Unavailable, match=r'tensorrt 8\.6\.1 found, expected 10\.3 or later'):
        open_runtime('nano', 'tensorrt', threads=1)


def test_without_an_engine_the_command_that_builds_it_is_named(cuda, tensorrt, tmp_path):
    cuda(FakeDriver())
    tensorrt(tensorrt=make_tensorrt(version='10.3.0'))
    with pytest.raises(Unavailable) as error:
        open_runtime('nano', 'tensorrt', threads=1)
    assert 'tensorrt 10.3.0 on sm_87' in str(error.value) and str(tmp_path) in str(error.value)
    assert "'spatial-ttt build-engine --model nano --backend tensorrt'" in str(error.value)


def test_auto_takes_onnx_runtime_and_says_why_in_log_and_status(cuda, caplog):
    cuda(driver_without(cuInit=no_library))
    with caplog.at_level(logging.INFO):
        config = from_flat(MemoryConfig, {'model': 'untrained', 'backend': 'auto'})
        memory = SpatialMemory(config)
    assert memory.status().backend == 'ort (auto: no NVIDIA driver)'
    assert 'chose ONNX Runtime on the CPU: no NVIDIA driver' in caplog.text


def test_auto_names_every_reason(cuda, tensorrt):
    cuda(FakeDriver())
    tensorrt(tensorrt=make_tensorrt(version='10.3.0'))
    name = open_runtime('untrained', 'auto', threads=1).name
    assert name == 'ort (auto: no engine was built, tensorrt_rtx is not installed)'


def test_auto_leaves_a_gpu_that_another_process_has_for_itself(cuda, monkeypatch, caplog):
    driver = FakeDriver()
    taken = (Code.CUDA_ERROR_DEVICE_UNAVAILABLE, None)
    monkeypatch.setattr(driver, 'cuDevicePrimaryCtxRetain', lambda device: taken)
    cuda(driver)
    with caplog.at_level(logging.INFO):
        name = open_runtime('untrained', 'auto', threads=1).name
    assert name == 'ort (auto: tensorrt failed, tensorrt_rtx failed)'
    assert "'auto': not tensorrt: cuDevicePrimaryCtxRetain: CUDA error 46" in caplog.text
    with pytest.raises(DeviceError, match='DEVICE_UNAVAILABLE'):
        open_runtime('untrained', 'tensorrt', threads=1)


def test_auto_leaves_a_gpu_without_memory(cuda, tensorrt, engine, monkeypatch, caplog):
    driver = FakeDriver(capacity=1 << 10)
    cuda(driver)
    tensorrt(tensorrt=make_tensorrt(version='10.3.0'))
    folder = model_directory('untrained')
    monkeypatch.setattr(
        trt_runtime, 'Engine', lambda _, plan, label: FakeEngine(driver, folder / plan.decode())
    )
    with caplog.at_level(logging.INFO):
        name = open_runtime('untrained', 'auto', threads=1).name
    assert name == 'ort (auto: tensorrt failed, tensorrt_rtx is not installed)'
    assert 'OUT_OF_MEMORY; the GPU has too little free memory' in caplog.text


def test_a_driver_too_old_for_tensorrt_is_a_sentence_and_auto_goes_on(cuda, tensorrt, engine):
    cuda(FakeDriver())
    starts_not = Runtimes('CUDA initialization failure with error: 35', starts=False)
    tensorrt(tensorrt=make_tensorrt(version='10.3.0', runtime=starts_not))
    with pytest.raises(Unavailable, match=r'no runtime here: .*error: 35; update the NVIDIA dri'):
        open_runtime('untrained', 'tensorrt', threads=1)
    name = open_runtime('untrained', 'auto', threads=1).name
    assert name == 'ort (auto: tensorrt does not start, tensorrt_rtx is not installed)'


@pytest.mark.parametrize('starts', [True, False])
def test_an_engine_that_finds_no_memory_is_not_to_be_built_again(cuda, tensorrt, engine, starts):
    cuda(FakeDriver())
    full = Runtimes('Error Code 2: OutOfMemory (Requested size was 99 bytes.)', starts=starts)
    tensorrt(tensorrt=make_tensorrt(version='10.3.0', runtime=full))
    with pytest.raises(DeviceError, match='OutOfMemory .*; the GPU has too little free memory'):
        open_runtime('untrained', 'tensorrt', threads=1)


def test_an_engine_that_tensorrt_refuses_is_to_be_built_again(cuda, tensorrt, engine):
    cuda(FakeDriver())
    refuses = Runtimes('Version tag does not match', starts=True)
    tensorrt(tensorrt=make_tensorrt(version='10.3.0', runtime=refuses))
    with pytest.raises(ModelError, match=r'tag does not match; build it again .*--force'):
        open_runtime('untrained', 'tensorrt', threads=1)


def test_an_engine_without_a_graph_of_the_model_is_to_be_built_again(cuda, tensorrt, engine):
    cuda(FakeDriver())
    tensorrt(tensorrt=make_tensorrt(version='10.3.0'))
    manifest = replace(load_manifest(model_directory('untrained')), second_look=True)
    with pytest.raises(ModelError, match=r"no engine of \['second_look'\]; build it .*--force"):
        trt_runtime.open_tensorrt(manifest, 'tensorrt')


def test_auto_takes_tensorrt_where_it_runs(monkeypatch, caplog):
    class Runs:
        name = 'tensorrt_rtx'

    def opens(manifest, name):
        if name == 'tensorrt':
            raise Unavailable('tensorrt is not installed', 'no module', 'install it')
        return Runs()

    monkeypatch.setattr(trt_runtime, 'open_tensorrt', opens)
    with caplog.at_level(logging.INFO):
        assert open_runtime('untrained', 'auto', threads=1).name == 'tensorrt_rtx'
    assert "'auto': not tensorrt: no module" in caplog.text
    assert "'auto': chose tensorrt_rtx" in caplog.text


@pytest.mark.parametrize(
    ('name', 'provider'),
    [
        ('onnxruntime-cuda', 'CUDAExecutionProvider'),
        ('ort-cuda', 'CUDAExecutionProvider'),
        ('onnxruntime-tensorrt', 'TensorrtExecutionProvider'),
    ],
)
def test_a_provider_that_onnx_runtime_lacks_is_no_reason_to_take_another(name, provider):
    import onnxruntime

    if provider in onnxruntime.get_available_providers():
        pytest.skip(f'this ONNX Runtime has {provider}')
    with pytest.raises(Unavailable, match=rf'needs {provider}.*offers .*CPU.*onnxruntime-gpu'):
        open_runtime('untrained', name, threads=1)


def test_long_names_mean_the_same():
    assert open_runtime('untrained', 'onnxruntime', threads=1).name == 'ort'


def test_every_backend_is_a_choice_of_the_parameter():
    for name in BACKENDS:
        assert from_flat(MemoryConfig, {'backend': name}).backend == name


def test_a_gpu_tells_its_architecture(cuda):
    cuda(FakeDriver())
    assert Gpu.open().architecture == 'sm_87'
