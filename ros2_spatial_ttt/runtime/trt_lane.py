# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A lane: one context of an engine with a stream, device buffers and pinned staging of its own.

Lanes wait for nobody: questions have other lanes than updates. All memory is taken when a lane is
made. Where all shapes are fixed, copies and engine are captured once per pair of states into a
CUDA graph, and one launch runs them.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.runtime.cuda import (
    CudaGraph,
    CudaStream,
    DeviceError,
    DeviceMemory,
    Gpu,
    PinnedMemory,
)
from ros2_spatial_ttt.runtime.trt_engine import Engine, TensorSpec

__all__ = ['Lane']

_LOG = logging.getLogger(__name__)

# Two for each of at most 64 cameras while nobody holds an old state, and one for its first chunk.
_GRAPHS = 3 * 64


class Lane:
    """Runs an engine on arrays of the host and on state of the device.

    Args:
        gpu: that is active in no thread for good. engine: what runs.
        resident: names of inputs and outputs whose addresses come with each call.
        urgent: goes before lanes that are not.
    """

    def __init__(
        self, gpu: Gpu, engine: Engine, resident: Collection[str], *, urgent: bool
    ) -> None:
        self._gpu = gpu
        self._engine = engine
        self._lock = threading.Lock()
        self._warm = False
        self._fixed = engine.fixed
        self._graphs: OrderedDict[tuple[int, ...], CudaGraph] = OrderedDict()
        with gpu.active():
            self._stream = CudaStream(gpu, urgent=urgent)
            self._context = engine.context()
            self._inputs, self._outputs = (
                {name: _Staged(gpu, spec) for name, spec in specs.items() if name not in resident}
                for specs in (engine.inputs, engine.outputs)
            )
            staged = {**self._inputs, **self._outputs}
            self._context.bind({name: one.device.address for name, one in staged.items()})

    def most(self, name: str) -> int:
        """Return the most rows of an input."""
        return self._engine.inputs[name].most[0]

    def run(self, feed: Mapping[str, NDArray], resident: Mapping[str, int]) -> dict[str, NDArray]:
        """Run once and return the staged outputs; waits for the device.

        Args:
            feed: every staged input.
            resident: address of every other input and output.

        Raises:
            DeviceError: the GPU failed; no output is valid.
        """
        with self._lock, self._gpu.active():
            for name, staged in self._inputs.items():
                staged.fill(feed[name])
            if not self._engine.fixed:
                self._context.reshape({name: feed[name].shape for name in self._inputs})
            for name, staged in self._outputs.items():
                staged.shape = self._context.shape(name)
            self._start(resident)
            self._gpu.synchronize(self._stream)
            return {name: staged.host.copy() for name, staged in self._outputs.items()}

    def _start(self, resident: Mapping[str, int]) -> None:
        key = tuple(resident.values())
        graph = self._graphs.get(key) or self._captured(key, resident)
        if graph is None:
            self._enqueue(resident)
        else:
            self._graphs.move_to_end(key)
            self._gpu.launch(graph, self._stream)
        # TensorRT wants to have run once before it is captured.
        self._warm = True

    def _captured(self, key: tuple[int, ...], resident: Mapping[str, int]) -> CudaGraph | None:
        """Return the graph of a run, kept for the next; None where there is none yet or ever."""
        ready = self._warm and self._fixed and self._context.capturable(self._stream)
        if not ready:
            return None
        try:
            graph = self._gpu.capture(lambda: self._enqueue(resident), self._stream)
        except DeviceError as error:
            _LOG.warning('%s: runs without a CUDA graph: %s', self._engine.label, error)
            self._fixed = False
            return None
        self._graphs[key] = graph
        while len(self._graphs) > _GRAPHS:
            self._graphs.popitem(last=False)
        return graph

    def _enqueue(self, resident: Mapping[str, int]) -> None:
        for staged in self._inputs.values():
            self._gpu.upload(staged.device.address, staged.host, self._stream)
        self._context.bind(resident)
        self._context.enqueue(self._stream)
        for staged in self._outputs.values():
            self._gpu.download(staged.host, staged.device.address, self._stream)


class _Staged:
    """An input or output on its way: device memory, and pinned memory of the same size."""

    def __init__(self, gpu: Gpu, spec: TensorSpec) -> None:
        self.device = DeviceMemory(gpu, max(spec.nbytes, 1))
        self._pinned = PinnedMemory(gpu, max(spec.nbytes, 1))
        self._dtype = spec.dtype
        self.shape = spec.most

    @property
    def host(self) -> NDArray:
        """The pinned memory in the shape of this call."""
        nbytes = int(np.prod(self.shape, dtype=np.int64)) * self._dtype.itemsize
        return self._pinned.bytes[:nbytes].view(self._dtype).reshape(self.shape)

    def fill(self, array: NDArray) -> None:
        """Copy an array of the host."""
        self.shape = array.shape
        self.host[...] = array
