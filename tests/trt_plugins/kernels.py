# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The launchers of ``trt_plugins`` as functions of numpy arrays, on a GPU or emulated.

Outputs and workspace are filled with NaN before every call.
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import Structure
from pathlib import Path

import ml_dtypes
import numpy as np

from ros2_spatial_ttt.training import launchers

__all__ = ['STORAGE', 'GpuMemory', 'HostMemory', 'Kernels']

# SpatialTttType by numpy type.
STORAGE = {
    np.dtype(kind): launchers.STORAGE[np.dtype(kind).name]
    for kind in (np.float32, np.float16, ml_dtypes.bfloat16)
}


class HostMemory:
    """Device memory of the emulator: host memory, aligned as a GPU's allocator does."""

    def put(self, array: np.ndarray) -> np.ndarray:
        copy = self._aligned(array.nbytes).view(array.dtype).reshape(array.shape)
        copy[...] = array
        return copy

    def unset(self, shape: tuple[int, ...], dtype) -> np.ndarray:
        """Return an array of NaN."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        array = self._aligned(size)
        array[...] = 0xFF
        return array.view(dtype).reshape(shape)

    def get(self, array: np.ndarray) -> np.ndarray:
        return array.copy()

    def address(self, array: np.ndarray) -> int:
        return array.ctypes.data

    @staticmethod
    def _aligned(size: int) -> np.ndarray:
        raw = np.empty(size + 256, np.uint8)
        start = -raw.ctypes.data % 256
        return raw[start : start + size]


class GpuMemory:
    """Device memory through torch, as bytes: numpy keeps the types."""

    def __init__(self, torch) -> None:
        self.torch = torch

    def put(self, array: np.ndarray) -> tuple:
        data = np.ascontiguousarray(array).view(np.uint8).reshape(-1).copy()
        return self.torch.from_numpy(data).cuda(), array.shape, array.dtype

    def unset(self, shape: tuple[int, ...], dtype) -> tuple:
        """Return an array of NaN."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        data = self.torch.full((size,), 0xFF, dtype=self.torch.uint8, device='cuda')
        return data, shape, np.dtype(dtype)

    def get(self, handle: tuple) -> np.ndarray:
        data, shape, dtype = handle
        self.torch.cuda.synchronize()
        return data.cpu().numpy().view(dtype).reshape(shape)

    def address(self, handle: tuple) -> int:
        return handle[0].data_ptr()


class Kernels:
    """The launchers of one library, with the memory they work on.

    Attributes:
        observer: called after each launch with a function of a stream (its address) that launches
            the same again; to measure it.
    """

    def __init__(self, library: Path, memory: HostMemory | GpuMemory) -> None:
        self.launchers, self.memory = launchers.Launchers(library), memory
        self.observer: Callable[[Callable[[int], None]], None] | None = None

    def conv(self, tokens, tail, frame_valid, kernel, bias, *, grid, heads) -> dict:
        """Return query, key, value (B, H, N, e) and next_tail; see ``SpatioTemporalConv``."""
        batch, frames, count, channels = tokens.shape
        width = channels // (3 * heads)
        sizes = launchers.SIZES['conv'](batch, frames, *grid, heads, width, STORAGE[tokens.dtype])
        given = {
            'tokens': tokens,
            'tail': tail,
            'frame_valid': frame_valid,
            'kernel': kernel,
            'bias': bias,
        }
        head = (batch, heads, frames * count, width)
        wanted = dict.fromkeys(('query', 'key', 'value'), (head, tokens.dtype))
        wanted['next_tail'] = (tail.shape, np.float32)
        return self._call('conv', sizes, given, wanted)

    def fast(self, weights, momenta, initial, tokens, *, rule, products=None, in_place=False):
        """Return next (weights, momenta); tokens: key … frame_valid by name.

        products: numpy type in which matrices are multiplied; that of the keys where None.
        """
        batch, heads, inner, width = weights[0].shape
        key = tokens['key']
        products = key.dtype if products is None else np.dtype(products)
        sizes = launchers.SIZES['fast'](
            *(batch, heads, inner, width, key.shape[2], tokens['frame_valid'].shape[1]),
            *(launchers.RULES[rule], STORAGE[key.dtype], STORAGE[products]),
        )
        put, unset = self.memory.put, self.memory.unset
        arrays = {
            'weight': [put(w) for w in weights],
            'momentum': [put(m) for m in momenta],
            'initial': [put(w) for w in initial],
            **{name: put(array) for name, array in tokens.items()},
        }
        for kind in ('weight', 'momentum'):
            nexts = [unset(w.shape, np.float32) for w in weights]
            arrays[f'next_{kind}'] = arrays[kind] if in_place else nexts
        arrays['workspace'] = unset((self.launchers.workspace('fast', sizes),), np.uint8)
        self._launch('fast', sizes, arrays)
        return tuple(
            tuple(self.memory.get(array) for array in arrays[name])
            for name in ('next_weight', 'next_momentum')
        )

    def field(self, state, samples, omega, *, rule, in_place=False) -> tuple[np.ndarray, ...]:
        """Return next A, B, W for state (A, B, W), samples (points, values, weights), a rule."""
        names = ('curvature', 'target', 'weight')
        points, values, weights = samples
        sizes = launchers.SIZES['field'](
            *(*state[1].shape, len(points), rule['steps'], STORAGE[values.dtype]),
            *(rule[name] for name in ('ridge', 'decay', 'mass_max', 'weight_min')),
        )
        given = dict(zip(names, state, strict=True))
        given.update(points=points, values=values, weights=weights, omega=omega)
        wanted = {f'next_{name}': (given[name].shape, np.float32) for name in names}
        wanted['workspace'] = ((self.launchers.workspace('field', sizes),), np.uint8)
        shared = {f'next_{name}': name for name in names} if in_place else {}
        result = self._call('field', sizes, given, wanted, shared)
        return tuple(result[f'next_{name}'] for name in names)

    def refusal(self, operator: str, **sizes) -> str | None:
        """Return why an operator does not take these sizes."""
        return self.launchers.refusal(operator, launchers.SIZES[operator](**sizes))

    def workspace(self, operator: str, **sizes) -> int:
        """Return the bytes of workspace that an operator asks for at these sizes."""
        return self.launchers.workspace(operator, launchers.SIZES[operator](**sizes))

    def _call(self, operator, sizes, given, wanted, shared=None) -> dict:
        arrays = {name: self.memory.put(array) for name, array in given.items()}
        for name, (shape, dtype) in wanted.items():
            source = (shared or {}).get(name)
            arrays[name] = arrays[source] if source else self.memory.unset(shape, dtype)
        self._launch(operator, sizes, arrays)
        return {name: self.memory.get(arrays[name]) for name in wanted if name != 'workspace'}

    def _launch(self, operator: str, sizes: Structure, arrays) -> None:
        address = self.memory.address
        addresses = {
            name: [address(one) for one in array] if isinstance(array, list) else address(array)
            for name, array in arrays.items()
        }

        def launch(stream: int) -> None:
            self.launchers.launch(operator, sizes, addresses, stream)

        launch(0)
        if self.observer is not None:
            self.observer(launch)
