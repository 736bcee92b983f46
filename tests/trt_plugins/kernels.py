# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The launchers of ``trt_plugins`` as functions of numpy arrays, on a GPU or emulated.

Structures mirror the headers ``trt_plugins/*/launcher.h``. Outputs and workspace are filled with
NaN before every call.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import POINTER, Structure, c_char_p, c_float, c_int32, c_size_t, c_void_p
from pathlib import Path

import ml_dtypes
import numpy as np

__all__ = ['STORAGE', 'GpuMemory', 'HostMemory', 'Kernels']

# SpatialTttType by numpy type.
STORAGE = {np.dtype(np.float32): 0, np.dtype(np.float16): 1, np.dtype(ml_dtypes.bfloat16): 2}
RULES = {'gd': 0, 'momentum': 1, 'muon': 2}


def _structure(name: str, **fields) -> type[Structure]:
    return type(name, (Structure,), {'_fields_': list(fields.items())})


def _of(kind, names: str) -> dict:
    return dict.fromkeys(names.split(), kind)


ConvSizes = _structure('ConvSizes', **_of(c_int32, 'batch frames rows columns heads width type'))
ConvTensors = _structure(
    'ConvTensors',
    **_of(c_void_p, 'tokens tail frame_valid kernel bias query key value next_tail'),
)
FastSizes = _structure(
    'FastSizes', **_of(c_int32, 'batch heads inner width tokens frames rule type products')
)
FastTensors = _structure(
    'FastTensors',
    **_of(c_void_p * 3, 'weight momentum initial'),
    **_of(c_void_p, 'key value rates gate step decay frame_valid'),
    **_of(c_void_p * 3, 'next_weight next_momentum'),
    workspace=c_void_p,
)
FieldSizes = _structure(
    'FieldSizes',
    **_of(c_int32, 'features channels samples steps type'),
    **_of(c_float, 'ridge decay mass_max weight_min'),
)
FieldTensors = _structure(
    'FieldTensors',
    **_of(c_void_p, 'curvature target weight points values weights omega'),
    **_of(c_void_p, 'next_curvature next_target next_weight workspace'),
)


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
        self.library, self.memory = ctypes.CDLL(str(library)), memory
        self.observer: Callable[[Callable[[int], None]], None] | None = None
        for name, sizes in (('conv', ConvSizes), ('fast', FastSizes), ('field', FieldSizes)):
            refusal = getattr(self.library, f'spatial_ttt_{name}_refusal')
            refusal.argtypes, refusal.restype = [POINTER(sizes)], c_char_p
        for name, sizes in (('fast', FastSizes), ('field', FieldSizes)):
            workspace = getattr(self.library, f'spatial_ttt_{name}_workspace')
            workspace.argtypes, workspace.restype = [POINTER(sizes)], c_size_t

    def conv(self, tokens, tail, frame_valid, kernel, bias, *, grid, heads) -> dict:
        """Return query, key, value (B, H, N, e) and next_tail; see ``SpatioTemporalConv``."""
        batch, frames, count, channels = tokens.shape
        width = channels // (3 * heads)
        sizes = ConvSizes(batch, frames, *grid, heads, width, STORAGE[tokens.dtype])
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
        return self._call('conv', sizes, ConvTensors, given, wanted)

    def fast(self, weights, momenta, initial, tokens, *, rule, products=None, in_place=False):
        """Return next (weights, momenta); tokens: key … frame_valid by name.

        products: numpy type in which matrices are multiplied; that of the keys where None.
        """
        batch, heads, inner, width = weights[0].shape
        key = tokens['key']
        products = key.dtype if products is None else np.dtype(products)
        sizes = FastSizes(
            *(batch, heads, inner, width, key.shape[2], tokens['frame_valid'].shape[1]),
            *(RULES[rule], STORAGE[key.dtype], STORAGE[products]),
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
        arrays['workspace'] = unset((self._workspace('fast', sizes),), np.uint8)
        self._launch('fast', sizes, FastTensors, arrays)
        return tuple(
            tuple(self.memory.get(array) for array in arrays[name])
            for name in ('next_weight', 'next_momentum')
        )

    def field(self, state, samples, omega, *, rule, in_place=False) -> tuple[np.ndarray, ...]:
        """Return next A, B, W for state (A, B, W), samples (points, values, weights), a rule."""
        names = ('curvature', 'target', 'weight')
        points, values, weights = samples
        sizes = FieldSizes(
            *(*state[1].shape, len(points), rule['steps'], STORAGE[values.dtype]),
            *(rule[name] for name in ('ridge', 'decay', 'mass_max', 'weight_min')),
        )
        given = dict(zip(names, state, strict=True))
        given.update(points=points, values=values, weights=weights, omega=omega)
        wanted = {f'next_{name}': (given[name].shape, np.float32) for name in names}
        wanted['workspace'] = ((self._workspace('field', sizes),), np.uint8)
        shared = {f'next_{name}': name for name in names} if in_place else {}
        result = self._call('field', sizes, FieldTensors, given, wanted, shared)
        return tuple(result[f'next_{name}'] for name in names)

    def refusal(self, operator: str, **sizes) -> str | None:
        """Return why an operator does not take these sizes."""
        kind = {'conv': ConvSizes, 'fast': FastSizes, 'field': FieldSizes}[operator]
        sentence = getattr(self.library, f'spatial_ttt_{operator}_refusal')(kind(**sizes))
        return None if sentence is None else sentence.decode()

    def _workspace(self, operator: str, sizes: Structure) -> int:
        return getattr(self.library, f'spatial_ttt_{operator}_workspace')(sizes)

    def _call(self, operator, sizes, kind, given, wanted, shared=None) -> dict:
        arrays = {name: self.memory.put(array) for name, array in given.items()}
        for name, (shape, dtype) in wanted.items():
            source = (shared or {}).get(name)
            arrays[name] = arrays[source] if source else self.memory.unset(shape, dtype)
        self._launch(operator, sizes, kind, arrays)
        return {name: self.memory.get(arrays[name]) for name in wanted if name != 'workspace'}

    def _launch(self, operator: str, sizes: Structure, kind: type[Structure], arrays) -> None:
        address = self.memory.address
        pointers = {
            name: (c_void_p * 3)(*map(address, array))
            if isinstance(array, list)
            else address(array)
            for name, array in arrays.items()
        }
        launcher = getattr(self.library, f'spatial_ttt_{operator}')
        tensors = kind(**pointers)

        def launch(stream: int) -> None:
            error = launcher(ctypes.byref(sizes), ctypes.byref(tensors), c_void_p(stream))
            if error:
                raise RuntimeError(f'spatial_ttt_{operator}: CUDA error {error}')

        launch(0)
        if self.observer is not None:
            self.observer(launch)
