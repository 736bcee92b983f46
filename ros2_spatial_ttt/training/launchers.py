# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The C launchers of ``trt_plugins`` without TensorRT: their structures, and how to call them.

Structures mirror the headers ``trt_plugins/*/launcher.h``.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping, Sequence
from ctypes import POINTER, Structure, c_char_p, c_float, c_int32, c_size_t, c_void_p
from pathlib import Path

from ros2_spatial_ttt.errors import SpatialTTTError
from ros2_spatial_ttt.resources import library_places

__all__ = ['RULES', 'SIZES', 'STORAGE', 'TENSORS', 'Addresses', 'Launchers', 'kernels_library']

_LIBRARY = 'libspatial_ttt_kernels.so'
_VARIABLE = 'SPATIAL_TTT_KERNELS'

# SpatialTttType and SpatialTttRule by name.
STORAGE = {'float32': 0, 'float16': 1, 'bfloat16': 2}
RULES = {'gd': 0, 'momentum': 1, 'muon': 2}

# Where tensors lie: one address by name, or three of matrices that belong together.
Addresses = Mapping[str, int | Sequence[int]]


def _of(kind: type, names: str) -> list[tuple[str, type]]:
    return [(name, kind) for name in names.split()]


class _ConvSizes(Structure):
    _fields_ = _of(c_int32, 'batch frames rows columns heads width type')


class _FastSizes(Structure):
    _fields_ = _of(c_int32, 'batch heads inner width tokens frames rule type products')


class _FieldSizes(Structure):
    _fields_ = [
        *_of(c_int32, 'features channels samples steps type'),
        *_of(c_float, 'ridge decay mass_max weight_min'),
    ]


class _ConvTensors(Structure):
    _fields_ = _of(c_void_p, 'tokens tail frame_valid kernel bias query key value next_tail')


class _FastTensors(Structure):
    _fields_ = [
        *_of(c_void_p * 3, 'weight momentum initial'),
        *_of(c_void_p, 'key value rates gate step decay frame_valid'),
        *_of(c_void_p * 3, 'next_weight next_momentum'),
        ('workspace', c_void_p),
    ]


class _FieldTensors(Structure):
    _fields_ = [
        *_of(c_void_p, 'curvature target weight points values weights omega'),
        *_of(c_void_p, 'next_curvature next_target next_weight workspace'),
    ]


# By the operator's name in the library.
SIZES: dict[str, type[Structure]] = {'conv': _ConvSizes, 'fast': _FastSizes, 'field': _FieldSizes}
TENSORS: dict[str, type[Structure]] = {
    'conv': _ConvTensors,
    'fast': _FastTensors,
    'field': _FieldTensors,
}


def kernels_library() -> Path | None:
    """Return the library of ``SPATIAL_TTT_KERNELS``, else the one that colcon installed, if any.

    Raises:
        SpatialTTTError: the variable names no file.
    """
    if os.environ.get(_VARIABLE):
        named = Path(os.environ[_VARIABLE])
        if not named.is_file():
            raise SpatialTTTError(
                f'{_VARIABLE}={named}: no such file; build it with trt_plugins/compile.sh, or '
                'unset the variable'
            )
        return named
    return next((path for path in library_places(_LIBRARY) if path.is_file()), None)


class Launchers:
    """The launchers of one library.

    Args:
        path: of the library.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._library = path, ctypes.CDLL(str(path))
        for name, sizes in SIZES.items():
            refusal = self._function(name, 'refusal')
            refusal.argtypes, refusal.restype = [POINTER(sizes)], c_char_p
        for name in ('fast', 'field'):
            workspace = self._function(name, 'workspace')
            workspace.argtypes, workspace.restype = [POINTER(SIZES[name])], c_size_t

    def refusal(self, name: str, sizes: Structure) -> str | None:
        """Return why an operator does not take these sizes; None where it does."""
        sentence = self._function(name, 'refusal')(sizes)
        return None if sentence is None else sentence.decode()

    def workspace(self, name: str, sizes: Structure) -> int:
        """Return the bytes of workspace that an operator needs; 0 where sizes are refused."""
        return 0 if name == 'conv' else int(self._function(name, 'workspace')(sizes))

    def launch(self, name: str, sizes: Structure, addresses: Addresses, stream: int) -> None:
        """Enqueue an operator.

        Raises:
            SpatialTTTError: the launcher returned an error of CUDA.
        """
        pointers = {
            key: where if isinstance(where, int) else (c_void_p * 3)(*where)
            for key, where in addresses.items()
        }
        tensors = TENSORS[name](**pointers)
        error = getattr(self._library, f'spatial_ttt_{name}')(
            ctypes.byref(sizes), ctypes.byref(tensors), c_void_p(stream)
        )
        if error:
            raise SpatialTTTError(f'spatial_ttt_{name}: CUDA error {error}')

    def _function(self, name: str, what: str) -> ctypes._NamedFuncPointer:
        return getattr(self._library, f'spatial_ttt_{name}_{what}')
