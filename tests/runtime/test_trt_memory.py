# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A whole memory whose state lives on a device: same hash, snapshots and answers as on the CPU."""

from __future__ import annotations

import pytest

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

from fake_cuda import Code, FakeDriver, engines

from ros2_spatial_ttt.config import MemoryConfig, from_flat
from ros2_spatial_ttt.memory.pipeline import SpatialMemory
from ros2_spatial_ttt.resources import model_directory
from ros2_spatial_ttt.runtime.base import load_manifest
from ros2_spatial_ttt.runtime.cuda import DeviceError, Gpu
from ros2_spatial_ttt.runtime.ort import OrtRuntime
from ros2_spatial_ttt.runtime.trt import TrtRuntime
from ros2_spatial_ttt.sim.room import boxes
from ros2_spatial_ttt.types import Example, Query, QueryType

pytestmark = pytest.mark.ort

# A chunk of eight and one of what is left.
FRAMES = 10


@pytest.fixture(scope='module')
def tour():
    return list(boxes.frames(7, FRAMES, width=320, height=240))


@pytest.fixture(scope='module')
def driver():
    return FakeDriver()


@pytest.fixture(scope='module')
def runtimes(driver):
    """One runtime per backend: they keep nothing of what they are asked."""
    manifest = load_manifest(model_directory('nano'))
    compiled = engines(driver, manifest.folder)
    return {
        'ort': OrtRuntime(manifest, threads=1),
        'tensorrt': TrtRuntime(manifest, Gpu(driver, 0), compiled, name='tensorrt'),
    }


@pytest.fixture
def make(runtimes):
    """Return a maker of memories by backend."""

    def make(backend: str) -> SpatialMemory:
        config = from_flat(MemoryConfig, {'model': 'nano', 'backend': backend})
        return SpatialMemory(config, runtime=runtimes[backend])

    return make


def fed(memory, frames):
    for frame in frames:
        result = memory.feed_frame(frame)
        assert result.accepted, result.message
    memory.flush()
    return memory


def test_a_memory_on_a_device_is_the_memory_of_the_cpu(make, tour, tmp_path, driver):
    want, got = fed(make('ort'), tour), fed(make('tensorrt'), tour)
    assert got.status().backend == 'tensorrt'
    # Samples of a large tile are written in turn here, which changes the last bits.
    query = Query(QueryType.LOCATE, examples=(Example(tour[4].colour, (20, 90, 48, 48)),))
    first, second = want.query(query), got.query(query)
    assert first.code == second.code
    assert first.confidence == pytest.approx(second.confidence, abs=0.01)

    path = tmp_path / 'memory.safetensors'
    got.save(path)
    on_cpu, on_device = make('ort'), make('tensorrt')
    for memory in (on_cpu, on_device):
        memory.load(path)
    hashes = {memory.status(with_hash=True).state_hash for memory in (got, on_cpu, on_device)}
    assert len(hashes) == 1


def test_bytes_of_a_state_are_those_in_which_it_is_kept(make, runtimes):
    numbers = sum(array.size for array in runtimes['ort'].initial_state().values())
    host, device = make('ort'), make('tensorrt')
    # Half precision on the host, float32 on the device.
    assert device.state_bytes - host.state_bytes == 2 * numbers * host.config.cameras


def test_a_lost_gpu_raises_and_leaves_the_memory_as_it_was(make, tour, driver):
    memory = fed(make('tensorrt'), tour[:8])
    before = memory.status(with_hash=True)
    driver.broken = Code.CUDA_ERROR_ILLEGAL_ADDRESS
    try:
        with pytest.raises(DeviceError, match='the GPU is lost'):
            fed(memory, tour[8:])
    finally:
        driver.broken = Code.CUDA_SUCCESS
    after = memory.status(with_hash=True)
    assert (after.chunks, after.state_hash) == (before.chunks, before.state_hash)
