# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""One NVIDIA GPU through the CUDA driver: memory, streams, graphs. Nothing here knows TensorRT.

NVIDIA's cuda-python and not PyCUDA, which cannot capture a stream into a graph
(inducer/pycuda#424), comes without wheels, and cannot be imported where there is no driver.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.errors import SpatialTTTError
from ros2_spatial_ttt.runtime.unavailable import Unavailable

__all__ = [
    'NO_MEMORY',
    'CudaGraph',
    'CudaStream',
    'DeviceError',
    'DeviceMemory',
    'Gpu',
    'PinnedMemory',
]

_LOST = (
    'the GPU is lost to this process; restart the node, and look for Xid lines in dmesg if it '
    'comes back'
)
# What to do where memory runs out.
NO_MEMORY = (
    'the GPU has too little free memory: close other programs that use it, or lower memory.cameras'
)
# What to do about an error of the driver, by its name without CUDA_ERROR_.
_REMEDIES = {
    'OUT_OF_MEMORY': NO_MEMORY,
    **dict.fromkeys(
        (
            *('DEINITIALIZED', 'DEVICE_UNAVAILABLE', 'ECC_UNCORRECTABLE', 'ILLEGAL_ADDRESS'),
            *('LAUNCH_TIMEOUT', 'CONTEXT_IS_DESTROYED', 'HARDWARE_STACK_ERROR', 'LAUNCH_FAILED'),
            *('ILLEGAL_INSTRUCTION', 'MISALIGNED_ADDRESS', 'EXTERNAL_DEVICE', 'UNKNOWN'),
        ),
        _LOST,
    ),
}


class DeviceError(SpatialTTTError):
    """The GPU failed at run time; the message says what to do."""


class Gpu:
    """A GPU and its primary context, which TensorRT uses as well.

    Addresses are plain integers. Copies need pinned host memory and return before they are done.
    All but the constructor need ``active()`` around them, or bring it along.
    """

    def __init__(self, driver: Any, number: int) -> None:
        self._driver = driver
        self._device = self._call('cuDeviceGet', number)
        attribute = driver.CUdevice_attribute
        major, minor = (
            self._call('cuDeviceGetAttribute', name, self._device)
            for name in (
                attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
            )
        )
        self.architecture = f'sm_{major}{minor}'
        # Kept until the process ends: engines that outlive this object need it, too.
        self._context = self._call('cuDevicePrimaryCtxRetain', self._device)
        # Bytes of device memory that were ever taken: constant after warm-up.
        self.allocated = 0

    @staticmethod
    def open(number: int = 0) -> Gpu:
        """Return a GPU of this machine.

        Raises:
            Unavailable: cuda-python, the driver or the GPU is missing.
        """
        try:
            from cuda.bindings import driver
        except ImportError as error:
            raise Unavailable(
                'cuda-python is not installed',
                f'the Python package cuda-bindings is missing ({error})',
                'pip install "ros2-spatial-ttt[tensorrt]"',
            ) from error
        try:
            code = int(driver.cuInit(0)[0])
        except RuntimeError as error:
            raise Unavailable(
                'no NVIDIA driver',
                f'the NVIDIA driver is not installed or not visible ({error})',
                'install it, or start the container with --runtime nvidia (docs/JETSON.md)',
            ) from error
        count = 0 if code else int(driver.cuDeviceGetCount()[1])
        if count <= number:
            raise Unavailable(
                'no NVIDIA GPU',
                f'GPU {number} asked for, the driver shows {count} '
                f'({driver.CUresult(code).name if code else "no error"})',
                'check nvidia-smi and CUDA_VISIBLE_DEVICES',
            )
        return Gpu(driver, number)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Make this GPU current in the calling thread."""
        self._call('cuCtxPushCurrent', self._context)
        try:
            yield
        finally:
            self._call('cuCtxPopCurrent')

    def allocate(self, nbytes: int) -> int:
        """Return the address of new device memory."""
        address = int(self._call('cuMemAlloc', nbytes))
        self.allocated += nbytes
        return address

    def free(self, address: int) -> None:
        """Give device memory back."""
        with self.active():
            self._call('cuMemFree', address)

    def allocate_pinned(self, nbytes: int) -> int:
        """Return the address of new page-locked host memory."""
        return int(self._call('cuMemHostAlloc', nbytes, 0))

    def free_pinned(self, address: int) -> None:
        """Give page-locked host memory back."""
        with self.active():
            self._call('cuMemFreeHost', address)

    def stream(self, *, urgent: bool) -> int:
        """Return a new stream that waits for no other; an urgent one goes before others."""
        least, greatest = self._call('cuCtxGetStreamPriorityRange')
        flags = int(self._driver.CUstream_flags.CU_STREAM_NON_BLOCKING)
        return int(self._call('cuStreamCreateWithPriority', flags, greatest if urgent else least))

    def free_stream(self, handle: int) -> None:
        """Give a stream back; what is still on it is done first."""
        with self.active():
            self._call('cuStreamDestroy', handle)

    def upload(self, address: int, source: NDArray, stream: CudaStream) -> None:
        """Copy pinned host memory to the device."""
        self._call('cuMemcpyHtoDAsync', address, source.ctypes.data, source.nbytes, stream.handle)

    def download(self, target: NDArray, address: int, stream: CudaStream) -> None:
        """Copy device memory to pinned host memory."""
        self._call('cuMemcpyDtoHAsync', target.ctypes.data, address, target.nbytes, stream.handle)

    def synchronize(self, stream: CudaStream) -> None:
        """Wait until all work of a stream is done; raises what went wrong in it."""
        self._call('cuStreamSynchronize', stream.handle)

    def capture(self, work: Callable[[], None], stream: CudaStream) -> CudaGraph:
        """Return a graph of what ``work`` puts on a stream; nothing of it runs yet."""
        # Other threads go on allocating and launching meanwhile.
        mode = self._driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self._call('cuStreamBeginCapture', stream.handle, mode)
        try:
            work()
        finally:
            graph = self._call('cuStreamEndCapture', stream.handle)
        try:
            return CudaGraph(self, int(self._call('cuGraphInstantiate', graph, 0)))
        finally:
            self._call('cuGraphDestroy', graph)

    def launch(self, graph: CudaGraph, stream: CudaStream) -> None:
        """Put a captured graph on a stream."""
        self._call('cuGraphLaunch', graph.handle, stream.handle)

    def free_graph(self, handle: int) -> None:
        """Give a graph back."""
        with self.active():
            self._call('cuGraphExecDestroy', handle)

    def _call(self, function: str, *arguments: Any) -> Any:
        """Call the driver and return what it returns beside its error code."""
        code, *values = getattr(self._driver, function)(*arguments)
        if int(code):
            name = str(code.name).removeprefix('CUDA_ERROR_')
            remedy = _REMEDIES.get(name, 'this is a defect; report it with the log')
            raise DeviceError(f'{function}: CUDA error {int(code)} {name}; {remedy}')
        return values[0] if len(values) == 1 else tuple(values)


class CudaStream:
    """A stream that waits for no other; gone with this object.

    Args:
        gpu: that runs it. urgent: goes before streams that are not.
    """

    def __init__(self, gpu: Gpu, *, urgent: bool) -> None:
        self.handle = gpu.stream(urgent=urgent)
        weakref.finalize(self, gpu.free_stream, self.handle).atexit = False


class CudaGraph:
    """A captured graph; gone with this object."""

    def __init__(self, gpu: Gpu, handle: int) -> None:
        self.handle = handle
        weakref.finalize(self, gpu.free_graph, handle).atexit = False


class DeviceMemory:
    """Device memory; gone with this object."""

    def __init__(self, gpu: Gpu, nbytes: int) -> None:
        self.address = gpu.allocate(nbytes)
        weakref.finalize(self, gpu.free, self.address).atexit = False


class PinnedMemory:
    """Page-locked host memory as bytes; gone with this object.

    Attributes:
        bytes: (nbytes,) uint8, not to be kept longer than this object.
    """

    def __init__(self, gpu: Gpu, nbytes: int) -> None:
        address = gpu.allocate_pinned(nbytes)
        self.bytes: NDArray[np.uint8] = np.ctypeslib.as_array(
            (ctypes.c_uint8 * nbytes).from_address(address)
        )
        weakref.finalize(self, gpu.free_pinned, address).atexit = False
