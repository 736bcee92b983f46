# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The TensorRT runtime, on a driver without a GPU and engines that ONNX Runtime computes.

All but the arithmetic is the real thing: what is copied when, which buffer is read and written,
what is captured. The engines' numbers are ONNX Runtime's, so results must be equal bit for bit.
"""

from __future__ import annotations

import gc

import numpy as np
import pytest

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

from fake_cuda import MOST, Code, FakeDriver, engines

from ros2_spatial_ttt.memory.field import GEOMETRY_CHANNELS, FieldState
from ros2_spatial_ttt.resources import model_directory
from ros2_spatial_ttt.runtime import parity
from ros2_spatial_ttt.runtime.base import is_finite, load_manifest
from ros2_spatial_ttt.runtime.cuda import DeviceError, Gpu
from ros2_spatial_ttt.runtime.engine_file import graphs_of
from ros2_spatial_ttt.runtime.ort import OrtRuntime
from ros2_spatial_ttt.runtime.trt import TrtRuntime

pytestmark = pytest.mark.ort


@pytest.fixture(scope='module')
def manifest():
    return load_manifest(model_directory('nano'))


@pytest.fixture(scope='module')
def chunks(manifest):
    """Four chunks: full, partial, nearly full, one frame."""
    return list(parity.chunks(manifest, parity.inputs(manifest)))


@pytest.fixture(scope='module')
def ort(manifest):
    return OrtRuntime(manifest, threads=1)


@pytest.fixture(scope='module')
def shared(manifest):
    """A driver with its engines; sessions are slow to make and keep nothing."""
    driver = FakeDriver()
    return driver, engines(driver, manifest.folder)


@pytest.fixture
def driver(shared):
    return shared[0]


@pytest.fixture
def trt(manifest, shared):
    driver, compiled = shared
    return TrtRuntime(manifest, Gpu(driver, 0), compiled, name='tensorrt')


def samples_of(manifest, count, seed=1):
    rng = np.random.default_rng([20260101, seed])
    points = rng.uniform(-2.0, 2.0, (count, 3)).astype(np.float32)
    values = np.ones((count, GEOMETRY_CHANNELS), np.float32)
    values[:, 1:] = rng.random((count, GEOMETRY_CHANNELS - 1)) > 0.5
    return points, values, rng.random(count).astype(np.float32)


def empty(manifest):
    return FieldState.zeros(manifest.geometry_features, GEOMETRY_CHANNELS)


def equal(got, want):
    return set(got) == set(want) and all(np.array_equal(got[name], want[name]) for name in want)


def test_a_stream_gives_what_the_model_gave_where_it_was_exported(trt):
    errors = parity.worst(trt)
    name, error = next(iter(errors.items()))
    assert error <= 1.0, f'{name}: {error:.2f} of what is allowed'


def test_encode_equals_onnx_runtime_bit_for_bit(trt, ort, chunks):
    state, expected = trt.initial_state(), ort.initial_state()
    # The second round runs from captured graphs.
    for chunk in [*chunks, *chunks[:2]]:
        (got, state), (want, expected) = trt.encode(chunk, state), ort.encode(chunk, expected)
        assert equal(vars(got.tokens), vars(want.tokens))
        assert np.array_equal(got.surface_values, want.surface_values)
        assert equal(state, expected)


def test_a_chunk_copies_no_state_and_takes_no_memory(trt, driver, chunks):
    state = trt.initial_state()
    counts = []
    for chunk in [*chunks, *chunks]:
        before = driver.moved.copy(), driver.calls.copy(), len(driver.memory)
        _, state = trt.encode(chunk, state)
        counts.append((driver.moved - before[0], driver.calls - before[1]))
        assert len(driver.memory) == before[2]
    feed = sum(getattr(chunk, name).nbytes for name in vars(chunk) if name in trt._encode._inputs)
    state_bytes = sum(array.nbytes for array in trt.initial_state().values())
    for moved, calls in counts:
        assert moved['cuMemcpyHtoDAsync'] == feed
        assert moved['cuMemcpyDtoHAsync'] == counts[0][0]['cuMemcpyDtoHAsync']
        assert calls['cuMemAlloc'] == calls['cuMemHostAlloc'] == 0
    moved = driver.moved.copy()
    assert state['block0.w0'].size and (driver.moved - moved)['cuMemcpyDtoHAsync'] >= state_bytes


def test_two_blocks_swap_and_each_direction_is_captured_once(trt, driver, chunks):
    state = trt.initial_state()
    calls = driver.calls.copy()
    for number in range(8):
        _, state = trt.encode(chunks[number % 4], state)
    calls = driver.calls - calls
    # The first run warms up; from the initial state there is one more pair of blocks.
    assert calls['cuStreamBeginCapture'] == 2
    assert calls['cuGraphLaunch'] == 7


def test_cameras_in_any_order_each_swap_two_blocks(trt, driver, chunks, rng):
    states = dict.fromkeys(range(8), trt.initial_state())

    def turns(count) -> int:
        """Give every camera so many chunks and return how many graphs were captured."""
        before = driver.calls['cuStreamBeginCapture']
        for camera in rng.permutation([*states] * count):
            states[camera] = trt.encode(chunks[3], states[camera])[1]
        return driver.calls['cuStreamBeginCapture'] - before

    # From the initial state, there and back; the first run of all warms up.
    assert turns(3) == 3 * len(states) - 1
    assert turns(4) == 0


def test_blocks_of_a_camera_that_is_gone_serve_the_next_one(trt, driver, chunks):
    def stream():
        state = trt.initial_state()
        for _ in range(3):
            state = trt.encode(chunks[3], state)[1]
        return state

    stream()
    taken = len(driver.memory)
    for _ in range(6):
        stream()
    assert len(driver.memory) == taken


def test_a_runtime_gives_back_its_streams_and_memory(manifest, shared):
    driver, compiled = shared
    gc.collect()
    before = driver.calls.copy(), len(driver.memory)
    TrtRuntime(manifest, Gpu(driver, 0), compiled, name='tensorrt')
    gc.collect()
    calls = driver.calls - before[0]
    assert calls['cuStreamCreateWithPriority'] == calls['cuStreamDestroy']
    # One a graph, and one for states.
    assert calls['cuStreamDestroy'] == len(graphs_of(manifest)) + 1
    assert len(driver.memory) == before[1]


def test_where_nothing_can_be_captured_the_engine_runs_without(trt, ort, driver, chunks, caplog):
    state, expected = trt.initial_state(), ort.initial_state()
    driver.captures = False
    try:
        for chunk in chunks:
            state, expected = trt.encode(chunk, state)[1], ort.encode(chunk, expected)[1]
    finally:
        driver.captures = True
    assert equal(dict(state), dict(expected))
    assert caplog.text.count('runs without a CUDA graph') == 1


def test_a_state_that_somebody_holds_never_changes(trt, chunks):
    held = trt.encode(chunks[0], trt.initial_state())[1]
    first = trt.encode(chunks[1], held)[1]
    later = first
    for chunk in chunks:
        later = trt.encode(chunk, later)[1]
    again = trt.encode(chunks[1], held)[1]
    assert equal(dict(first), dict(again))
    assert not equal(dict(first), dict(later))


def test_a_state_from_the_host_goes_on_like_one_of_the_device(trt, ort, chunks):
    want = ort.encode(chunks[0], ort.initial_state())[1]
    got = trt.encode(chunks[1], want)[1]
    assert equal(dict(got), dict(ort.encode(chunks[1], want)[1]))


def test_blocks_return_to_their_pool(trt, driver, ort):
    blocks = [trt._backbone.put(ort.initial_state()) for _ in range(9)]
    assert len({block.address for block in blocks}) == 9
    taken = len(driver.memory)
    del blocks
    gc.collect()
    again = [trt._backbone.put(ort.initial_state()) for _ in range(9)]
    assert len(driver.memory) == taken and len({block.address for block in again}) == 9


@pytest.mark.parametrize('count', [1, 63, 64, 65, MOST['samples']])
def test_fields_equal_onnx_runtime_bit_for_bit(trt, ort, manifest, count):
    got = want = empty(manifest)
    for seed in range(3):
        rows = samples_of(manifest, count, seed)
        got, want = trt.update('geometry', got, *rows), ort.update('geometry', want, *rows)
    assert equal(got.tensors(), want.tensors())


@pytest.mark.parametrize('kind', ['geometry', 'appearance'])
def test_of_a_field_only_its_sums_cross(trt, manifest, driver, kind):
    channels = {'geometry': GEOMETRY_CHANNELS, 'appearance': manifest.appearance_channels}[kind]
    points, _, weights = samples_of(manifest, 64)
    values = np.ones((64, channels), np.float32)
    field = FieldState.zeros(2 * len(trt.omega[kind]), channels)
    before = driver.moved.copy()
    got = trt.update(kind, field, points, values, weights)
    moved = driver.moved - before
    sums = got.curvature.nbytes + got.target.nbytes
    feed = points.nbytes + values.nbytes + weights.nbytes + trt.omega[kind].nbytes
    assert moved == {'cuMemcpyHtoDAsync': sums + feed, 'cuMemcpyDtoHAsync': sums}


def test_without_a_weight_a_field_stays_as_it_is(trt, manifest):
    points, values, weights = samples_of(manifest, 64)
    state = empty(manifest)
    assert trt.update('geometry', state, points, values, 0 * weights) is state


def test_more_samples_than_an_engine_takes_are_written_in_turn(trt, ort, manifest):
    most = MOST['samples']
    rows = samples_of(manifest, 2 * most + 5)
    want = empty(manifest)
    for begin in (0, most, 2 * most):
        want = ort.update('geometry', want, *(part[begin : begin + most] for part in rows))
    got = trt.update('geometry', empty(manifest), *rows)
    assert equal(got.tensors(), want.tensors())


@pytest.mark.parametrize('count', [0, 1, MOST['points'], 2 * MOST['points'] + 1])
def test_reads_equal_onnx_runtime_at_any_number_of_points(trt, ort, manifest, count):
    weight = ort.update('geometry', empty(manifest), *samples_of(manifest, 64)).weight
    points = samples_of(manifest, count, 2)[0]
    want, got = ort.read('geometry', weight, points), trt.read('geometry', weight, points)
    assert got.shape == want.shape
    # Rows of other batches are summed in another order.
    assert np.allclose(got, want, atol=1e-6)


def test_more_pictures_than_an_engine_takes(trt, ort, manifest, rng):
    size = manifest.window
    pictures = rng.integers(0, 256, (2 * MOST['pictures'] + 1, size, size, 3)).astype(np.uint8)
    assert np.allclose(trt.embed(pictures), ort.embed(pictures), atol=1e-6)


def test_an_update_that_is_not_finite_says_so(trt, chunks):
    state = dict(trt.encode(chunks[0], trt.initial_state())[1])
    assert is_finite(trt.encode(chunks[1], state)[1])
    state['block0.w1'] = state['block0.w1'] * np.float32(np.nan)
    assert not is_finite(trt.encode(chunks[1], state)[1])


def test_a_failed_run_raises_and_the_next_one_is_right(trt, ort, driver, chunks):
    state = trt.encode(chunks[0], trt.initial_state())[1]
    driver.broken = Code.CUDA_ERROR_ILLEGAL_ADDRESS
    try:
        with pytest.raises(DeviceError, match='ILLEGAL_ADDRESS; the GPU is lost .* restart'):
            trt.encode(chunks[1], state)
    finally:
        driver.broken = Code.CUDA_SUCCESS
    expected = ort.encode(chunks[1], ort.encode(chunks[0], ort.initial_state())[1])[1]
    assert equal(dict(trt.encode(chunks[1], state)[1]), dict(expected))


def test_too_little_memory_is_an_error_with_a_remedy(manifest, shared):
    small = FakeDriver(capacity=1 << 20)
    with pytest.raises(DeviceError, match='OUT_OF_MEMORY; the GPU has too little free memory'):
        TrtRuntime(manifest, Gpu(small, 0), shared[1], name='tensorrt')


def test_memory_that_runs_out_in_mid_stream_costs_one_chunk(trt, ort, driver, chunks):
    state = trt.encode(chunks[0], trt.initial_state())[1]
    room, driver.capacity = driver.capacity, 0  # another program took what was free
    held = [state]
    try:
        with pytest.raises(DeviceError, match='OUT_OF_MEMORY; the GPU has too little free memory'):
            while len(held) < 20:  # more cameras than there is memory for
                held.append(trt.encode(chunks[1], state)[1])
        # The camera that was there before goes on in the blocks that it has.
        del held[1:]
        gc.collect()
        again = trt.encode(chunks[1], state)[1]
    finally:
        driver.capacity = room
    expected = ort.encode(chunks[1], ort.encode(chunks[0], ort.initial_state())[1])[1]
    assert equal(dict(again), dict(expected))
