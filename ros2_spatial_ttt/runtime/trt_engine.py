# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""One compiled graph: what goes in and out, and contexts that run it on a stream."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ros2_spatial_ttt.errors import ModelError
from ros2_spatial_ttt.runtime.cuda import NO_MEMORY, CudaStream, DeviceError
from ros2_spatial_ttt.runtime.trt_library import TensorRT
from ros2_spatial_ttt.runtime.unavailable import Unavailable

__all__ = ['Engine', 'EngineContext', 'TensorSpec']

# How TensorRT and the driver tell that memory ran out, not that it was accessed wrongly.
_MEMORY = re.compile(r'out ?of ?memory|bad_alloc|(gpu|device|free) memory', re.IGNORECASE)


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of an engine.

    Attributes:
        shape: -1 where it may change. most: the largest that an input may have; an output's is
            that of the largest inputs.
        dtype: of its numbers.
    """

    shape: tuple[int, ...]
    most: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        """Of the largest."""
        return int(np.prod(self.most, dtype=np.int64)) * self.dtype.itemsize


class Engine:
    """A deserialized engine. Its GPU must be active wherever it is used.

    Args:
        tensorrt: that built it. plan: its bytes. label: for messages.

    Raises:
        Unavailable: TensorRT does not start here. ModelError: it refuses the plan.
        DeviceError: there is no memory for it.
    """

    def __init__(self, tensorrt: TensorRT, plan: bytes, label: str) -> None:
        self.label = label
        self._tensorrt = tensorrt
        # The engine must not outlive the runtime that made it.
        self._runtime = _runtime(tensorrt, label)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            why = _complaint(tensorrt, label)
            raise ModelError(
                f'{label}: {tensorrt.name} {tensorrt.version} refuses the engine: '
                f"{why}; build it again with 'spatial-ttt build-engine --force'"
            )
        self.inputs: dict[str, TensorSpec] = {}
        self.outputs: dict[str, TensorSpec] = {}
        # Shapes of outputs are asked of a context; the first that is wanted gets it.
        self._contexts = [self._new_context()]
        self._describe(self._contexts[0])

    @property
    def fixed(self) -> bool:
        """Whether all shapes are fixed."""
        return all(-1 not in spec.shape for spec in self.inputs.values())

    def context(self) -> EngineContext:
        """Return a context with scratch memory of its own.

        Raises:
            DeviceError: there is no memory for it.
        """
        context = self._contexts.pop() if self._contexts else self._new_context()
        return EngineContext(self, context, self._tensorrt)

    def _new_context(self) -> Any:
        context = self._engine.create_execution_context()
        if context is None:
            raise DeviceError(
                f'{self.label}: no execution context: {self._tensorrt.complaint()}; close other '
                'programs that use the GPU'
            )
        return context

    def _describe(self, context: Any) -> None:
        module, engine = self._tensorrt.module, self._engine
        names = [engine.get_tensor_name(number) for number in range(engine.num_io_tensors)]
        inputs = [n for n in names if engine.get_tensor_mode(n) == module.TensorIOMode.INPUT]
        for name in inputs:
            shape = tuple(engine.get_tensor_shape(name))
            most = shape
            if -1 in shape:
                most = tuple(engine.get_tensor_profile_shape(name, 0)[2])
                context.set_input_shape(name, most)
            self.inputs[name] = TensorSpec(shape, most, self._dtype(name))
        for name in names:
            if name not in self.inputs:
                shape = tuple(engine.get_tensor_shape(name))
                most = tuple(context.get_tensor_shape(name))
                self.outputs[name] = TensorSpec(shape, most, self._dtype(name))

    def _dtype(self, name: str) -> np.dtype[Any]:
        return np.dtype(self._tensorrt.module.nptype(self._engine.get_tensor_dtype(name)))


def _runtime(tensorrt: TensorRT, label: str) -> Any:
    """Return what deserializes engines; TensorRT makes none where its driver does not start."""
    try:
        return tensorrt.module.Runtime(tensorrt.logger)
    except (TypeError, RuntimeError) as error:
        raise Unavailable(
            f'{tensorrt.name} does not start',
            f'{label}: {tensorrt.name} {tensorrt.version} has no runtime here: '
            f'{_complaint(tensorrt, label)}',
            'update the NVIDIA driver to one for the CUDA that it was built with; nvidia-smi '
            'shows both',
        ) from error


def _complaint(tensorrt: TensorRT, label: str) -> str:
    """Return why TensorRT failed.

    Raises:
        DeviceError: because memory ran out.
    """
    why = tensorrt.complaint()
    if _MEMORY.search(why):
        raise DeviceError(f'{label}: {why}; {NO_MEMORY}')
    return why


class EngineContext:
    """Runs an engine on one stream; used by one thread at a time."""

    def __init__(self, engine: Engine, context: Any, tensorrt: TensorRT) -> None:
        self._engine = engine
        self._context = context
        self._tensorrt = tensorrt

    def bind(self, addresses: Mapping[str, int]) -> None:
        """Set where inputs are read from and outputs written to."""
        for name, address in addresses.items():
            self._accept(self._context.set_tensor_address(name, address), name)

    def reshape(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Set the shapes of inputs that may change."""
        for name, shape in shapes.items():
            self._accept(self._context.set_input_shape(name, shape), f'{name} {shape}')

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of an output for the inputs' shapes."""
        return tuple(self._context.get_tensor_shape(name))

    def capturable(self, stream: CudaStream) -> bool:
        """Return whether the work may be captured; TensorRT for RTX first compiles kernels."""
        ask = getattr(self._context, 'is_stream_capturable', None)
        return ask is None or bool(ask(stream.handle))

    def enqueue(self, stream: CudaStream) -> None:
        """Put the engine's work on a stream."""
        self._accept(self._context.execute_async_v3(stream.handle), 'execution')

    def _accept(self, done: bool, what: str) -> None:
        if not done:
            raise DeviceError(
                f'{self._engine.label}: {what}: {self._tensorrt.complaint()}; restart the node, '
                'and if it comes back, build the engine again'
            )
