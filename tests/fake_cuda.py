# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A CUDA driver without a GPU, and engines that ONNX Runtime computes in its memory.

Device memory is host memory, filled with NaN. As on a GPU, work waits in its stream until somebody
synchronizes, and reads staging memory only then. Every access is checked against what was
allocated, and the current context against the thread.
"""

from __future__ import annotations

import ctypes
import itertools
import threading
from collections import Counter
from enum import IntEnum
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime

from ros2_spatial_ttt.engine.graphs import load_graph
from ros2_spatial_ttt.runtime.trt import SUMS
from ros2_spatial_ttt.runtime.trt_engine import TensorSpec

__all__ = ['FakeDriver', 'FakeEngine', 'engines']

# Rows of dimensions that are not fixed: few, so that tests need more than one run.
MOST = {'samples': 192, 'points': 128, 'pictures': 3, 'detections': 3}
_TYPES = {'tensor(float)': np.float32, 'tensor(uint8)': np.uint8}


class Code(IntEnum):
    """The errors of the driver that tests use."""

    CUDA_SUCCESS = 0
    CUDA_ERROR_OUT_OF_MEMORY = 2
    CUDA_ERROR_DEVICE_UNAVAILABLE = 46
    CUDA_ERROR_NO_DEVICE = 100
    CUDA_ERROR_INVALID_VALUE = 1
    CUDA_ERROR_ILLEGAL_ADDRESS = 700


class FakeDriver:
    """The functions of ``cuda.bindings.driver`` that this package calls.

    Attributes:
        calls: how often each was called. moved: bytes copied, by function.
        capacity: bytes of device memory. broken: code that every synchronization returns.
        captures: whether streams can be captured.
    """

    CUresult = Code
    CUdevice_attribute = SimpleNamespace(
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR=8,
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR=7,
    )
    CUstream_flags = SimpleNamespace(CU_STREAM_NON_BLOCKING=1)
    CUstreamCaptureMode = SimpleNamespace(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL=1)

    def __init__(self, capacity: int = 1 << 40) -> None:
        self.capacity = capacity
        self.broken = Code.CUDA_SUCCESS
        self.captures = True
        self.calls = Counter()
        self.moved = Counter()
        self.memory = {}
        self._handles = itertools.count(1)
        self._streams, self._captures, self._graphs = {}, {}, {}
        self._contexts = threading.local()
        self._lock = threading.Lock()

    # Device and context.

    def cuInit(self, flags):  # noqa: N802
        return (Code.CUDA_SUCCESS,)

    def cuDeviceGetCount(self):  # noqa: N802
        return Code.CUDA_SUCCESS, 1

    def cuDeviceGet(self, number):  # noqa: N802
        return Code.CUDA_SUCCESS, number

    def cuDeviceGetAttribute(self, attribute, device):  # noqa: N802
        return Code.CUDA_SUCCESS, attribute

    def cuDevicePrimaryCtxRetain(self, device):  # noqa: N802
        return Code.CUDA_SUCCESS, 'context'

    def cuCtxPushCurrent(self, context):  # noqa: N802
        self._contexts.depth = getattr(self._contexts, 'depth', 0) + 1
        return (Code.CUDA_SUCCESS,)

    def cuCtxPopCurrent(self):  # noqa: N802
        self._contexts.depth -= 1
        return Code.CUDA_SUCCESS, 'context'

    def cuCtxGetStreamPriorityRange(self):  # noqa: N802
        return Code.CUDA_SUCCESS, 0, -5

    # Memory.

    def cuMemAlloc(self, nbytes):  # noqa: N802
        self._called('cuMemAlloc')
        with self._lock:
            if nbytes + sum(len(one) for one in self.memory.values()) > self.capacity:
                return Code.CUDA_ERROR_OUT_OF_MEMORY, None
        return Code.CUDA_SUCCESS, self._new(nbytes)

    def cuMemHostAlloc(self, nbytes, flags):  # noqa: N802
        self._called('cuMemHostAlloc')
        return Code.CUDA_SUCCESS, self._new(nbytes)

    def cuMemFree(self, address):  # noqa: N802
        self._called('cuMemFree')
        return (Code.CUDA_SUCCESS if self.memory.pop(address, None) is not None else 1,)

    cuMemFreeHost = cuMemFree  # noqa: N815

    def cuMemcpyHtoDAsync(self, device, host, nbytes, stream):  # noqa: N802
        return self._copy('cuMemcpyHtoDAsync', device, host, nbytes, stream)

    def cuMemcpyDtoHAsync(self, host, device, nbytes, stream):  # noqa: N802
        return self._copy('cuMemcpyDtoHAsync', host, device, nbytes, stream)

    # Streams and graphs.

    def cuStreamCreateWithPriority(self, flags, priority):  # noqa: N802
        self._called('cuStreamCreateWithPriority')
        handle = next(self._handles)
        self._streams[handle] = []
        return Code.CUDA_SUCCESS, handle

    def cuStreamDestroy(self, stream):  # noqa: N802
        self._called('cuStreamDestroy')
        return (Code.CUDA_SUCCESS if self._streams.pop(stream, None) is not None else 1,)

    def cuStreamSynchronize(self, stream):  # noqa: N802
        self._called('cuStreamSynchronize')
        assert stream not in self._captures, 'synchronizing breaks a capture'
        work, self._streams[stream] = self._streams[stream], []
        for one in work:
            one()
        return (self.broken,)

    def cuStreamBeginCapture(self, stream, mode):  # noqa: N802
        self._called('cuStreamBeginCapture')
        if not self.captures:
            return (Code.CUDA_ERROR_INVALID_VALUE,)
        self._captures[stream] = []
        return (Code.CUDA_SUCCESS,)

    def cuStreamEndCapture(self, stream):  # noqa: N802
        return Code.CUDA_SUCCESS, self._captures.pop(stream)

    def cuGraphInstantiate(self, graph, flags):  # noqa: N802
        handle = next(self._handles)
        self._graphs[handle] = graph
        return Code.CUDA_SUCCESS, handle

    def cuGraphDestroy(self, graph):  # noqa: N802
        return (Code.CUDA_SUCCESS,)

    def cuGraphLaunch(self, handle, stream):  # noqa: N802
        self._called('cuGraphLaunch')
        for one in self._graphs[handle]:
            self.submit(stream, one)
        return (Code.CUDA_SUCCESS,)

    def cuGraphExecDestroy(self, handle):  # noqa: N802
        self._graphs.pop(handle)
        return (Code.CUDA_SUCCESS,)

    # What an engine needs.

    def submit(self, stream, work) -> None:
        """Put work on a stream, or into the graph that is being captured from it."""
        self._captures.get(stream, self._streams[stream]).append(work)

    def array(self, address, shape, dtype) -> np.ndarray:
        """Return an array in memory, all of which was allocated."""
        nbytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        assert any(
            begin <= address and address + nbytes <= begin + len(one)
            for begin, one in list(self.memory.items())
        ), 'outside of what was allocated'
        raw = (ctypes.c_uint8 * nbytes).from_address(address)
        return np.frombuffer(raw, np.uint8).view(dtype).reshape(shape)

    def _called(self, function: str) -> None:
        assert getattr(self._contexts, 'depth', 0), f'{function}: no current context'
        with self._lock:
            self.calls[function] += 1

    def _new(self, nbytes: int) -> int:
        one = np.full(nbytes, 0xFF, np.uint8)
        self.memory[one.ctypes.data] = one
        return one.ctypes.data

    def _copy(self, function, target, source, nbytes, stream):
        self._called(function)

        def work() -> None:
            self.moved[function] += nbytes
            into = self.array(target, (nbytes,), np.uint8)
            into[...] = self.array(source, (nbytes,), np.uint8)

        self.submit(stream, work)
        return (Code.CUDA_SUCCESS,)


class FakeEngine:
    """What ``trt_engine.Engine`` offers, for a graph that ONNX Runtime runs."""

    def __init__(self, driver: FakeDriver, path: Path) -> None:
        self.driver = driver
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.label = path.name
        # Updates of fields as engines are built of them. The other graphs are not changed, and
        # have weights in files beside them.
        source = str(path)
        if path.stem in ('geometry_update', 'appearance_update'):
            source = load_graph(path).model.SerializeToString()
        self.session = onnxruntime.InferenceSession(source, options, ['CPUExecutionProvider'])
        self.inputs = {one.name: _spec(one) for one in self.session.get_inputs()}
        self.outputs = {one.name: _spec(one) for one in self.session.get_outputs()}
        self.states = [name for name in self.outputs if name.startswith('next_state/')]
        if path.stem == 'update' and self.states:
            shape = (len(self.states),)
            self.outputs[SUMS] = TensorSpec(shape, shape, np.dtype(np.float32))

    @property
    def fixed(self) -> bool:
        return all(-1 not in spec.shape for spec in self.inputs.values())

    def context(self) -> FakeContext:
        return FakeContext(self)


class FakeContext:
    """What ``trt_engine.EngineContext`` offers."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine
        self._addresses = {}
        self._shapes = {name: spec.most for name, spec in engine.inputs.items()}
        self.enqueued = 0

    def bind(self, addresses) -> None:
        assert set(addresses) <= {*self._engine.inputs, *self._engine.outputs}
        self._addresses |= addresses

    def reshape(self, shapes) -> None:
        for name, shape in shapes.items():
            assert all(n <= m for n, m in zip(shape, self._engine.inputs[name].most, strict=True))
        self._shapes |= shapes

    def shape(self, name):
        rows = self._shapes.get('points', self._shapes.get('picture', (0,)))[0]
        return tuple(rows if n < 0 else n for n in self._engine.outputs[name].shape)

    def capturable(self, stream) -> bool:
        return True

    def enqueue(self, stream) -> None:
        """Addresses and shapes count as they are now, contents as they are then."""
        self.enqueued += 1
        handle = stream.handle
        engine, bound, shapes = self._engine, dict(self._addresses), dict(self._shapes)
        out_shapes = {name: self.shape(name) for name in engine.outputs}
        assert set(bound) == {*engine.inputs, *engine.outputs}, 'every tensor has an address'

        def array(name, shape, spec):
            return engine.driver.array(bound[name], shape, spec.dtype)

        def work() -> None:
            # A GPU may write an output before it has read all inputs.
            for name, spec in engine.outputs.items():
                array(name, out_shapes[name], spec).view(np.uint8)[...] = 0xFF
            feed = {n: array(n, shapes[n], spec).copy() for n, spec in engine.inputs.items()}
            names = [name for name in engine.outputs if name != SUMS]
            values = dict(zip(names, engine.session.run(names, feed), strict=True))
            if SUMS in engine.outputs:
                values[SUMS] = np.array([values[n].sum() for n in engine.states], np.float32)
            for name, spec in engine.outputs.items():
                array(name, out_shapes[name], spec)[...] = values[name]

        engine.driver.submit(handle, work)


def engines(driver: FakeDriver, folder: Path) -> dict[str, FakeEngine]:
    """Return an engine for every graph of a model folder."""
    return {path.stem: FakeEngine(driver, path) for path in folder.glob('*.onnx')}


def _spec(value) -> TensorSpec:
    shape = tuple(n if isinstance(n, int) else -1 for n in value.shape)
    most = tuple(n if isinstance(n, int) else MOST[n] for n in value.shape)
    return TensorSpec(shape, most, np.dtype(_TYPES[value.type]))
