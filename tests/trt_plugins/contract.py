# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Drives a plugin as TensorRT does, through ``contract.cpp`` and TensorRT's public headers."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, c_char_p, c_int32, c_int64, c_size_t, c_void_p
from dataclasses import dataclass
from pathlib import Path

import ml_dtypes
import numpy as np

__all__ = ['Contract', 'Described', 'Refused']

# nvinfer1::DataType and PluginFieldType.
TYPES = {np.dtype(np.float32): 0, np.dtype(np.float16): 1, np.dtype(ml_dtypes.bfloat16): 7}
FIELD_FLOAT, FIELD_CHAR, FIELD_INT = 1, 6, 5


class Tensor(Structure):
    _fields_ = [('rank', c_int32), ('dims', c_int64 * 8), ('type', c_int32), ('data', c_void_p)]


class Attribute(Structure):
    _fields_ = [('name', c_char_p), ('type', c_int32), ('data', c_void_p), ('length', c_int32)]


class Call(Structure):
    _fields_ = [
        ('library', c_char_p),
        ('name', c_char_p),
        ('attributes', POINTER(Attribute)),
        ('attribute_count', c_int32),
        ('inputs', POINTER(Tensor)),
        ('input_count', c_int32),
        ('outputs', POINTER(Tensor)),
        ('output_count', c_int32),
        ('workspace', c_void_p),
        ('workspace_size', c_size_t),
        ('message', c_char_p),
        ('message_size', c_size_t),
    ]


class Refused(Exception):
    """A plugin or the driver said no; the text is what was logged."""


@dataclass(frozen=True)
class Described:
    """What a plugin says of its outputs: shapes, numpy types; and the bytes of workspace."""

    shapes: list[tuple[int, ...]]
    types: list[np.dtype]
    workspace: int


class Contract:
    """One plugin library, driven through the compiled ``contract.cpp``."""

    def __init__(self, driver: Path, plugins: Path) -> None:
        self.driver, self.plugins = ctypes.CDLL(str(driver)), plugins

    def describe(self, name: str, attributes: dict, inputs: list, outputs: int) -> Described:
        """Take a plugin from its creator to the runtime, without running it.

        Args:
            name: of the creator.
            attributes: int, float or str by name.
            inputs: (shape, numpy type) of each.
            outputs: their number.
        """
        tensors = [_tensor(shape, dtype) for shape, dtype in inputs]
        call, results = self._drive(name, attributes, tensors, [Tensor() for _ in range(outputs)])
        kinds = {number: dtype for dtype, number in TYPES.items()}
        return Described(
            [tuple(result.dims[: result.rank]) for result in results],
            [kinds[result.type] for result in results],
            call.workspace_size,
        )

    def run(self, name: str, attributes: dict, arrays: list[np.ndarray], memory, outputs: int):
        """Return the plugin's outputs for these arrays, computed in ``memory``."""
        described = self.describe(name, attributes, [(a.shape, a.dtype) for a in arrays], outputs)
        put = [memory.put(array) for array in arrays]
        tensors = [
            _tensor(array.shape, array.dtype, memory.address(handle))
            for array, handle in zip(arrays, put, strict=True)
        ]
        shapes = list(zip(described.shapes, described.types, strict=True))
        results = [memory.unset(*one) for one in shapes]
        filled = [_tensor(*one, memory.address(r)) for one, r in zip(shapes, results, strict=True)]
        workspace = memory.unset((described.workspace,), np.uint8)
        self._drive(name, attributes, tensors, filled, memory.address(workspace))
        return [memory.get(result) for result in results]

    def _drive(self, name, attributes, inputs, outputs, workspace=None):
        values = {name: _value(value) for name, value in attributes.items()}
        fields = (Attribute * len(values))(*(_attribute(*item) for item in values.items()))
        ins, outs = (Tensor * len(inputs))(*inputs), (Tensor * len(outputs))(*outputs)
        message = ctypes.create_string_buffer(4096)
        call = Call(
            *(str(self.plugins).encode(), name.encode(), fields, len(fields)),
            *(ins, len(ins), outs, len(outs), workspace, 0),
            *(ctypes.cast(message, c_char_p), len(message)),
        )
        if self.driver.contract_drive(ctypes.byref(call)):
            raise Refused(message.value.decode())
        return call, outs


def _tensor(shape, dtype, address=None) -> Tensor:
    return Tensor(len(shape), (c_int64 * 8)(*shape), TYPES[np.dtype(dtype)], address)


def _value(value) -> ctypes._SimpleCData | ctypes.Array:
    """Return a C value; it must live as long as attributes that point to it."""
    if isinstance(value, str):
        return ctypes.create_string_buffer(value.encode())
    return ctypes.c_float(value) if isinstance(value, float) else c_int32(value)


def _attribute(name: str, value) -> Attribute:
    kinds = {ctypes.c_float: FIELD_FLOAT, c_int32: FIELD_INT}
    kind = kinds.get(type(value), FIELD_CHAR)
    length = len(value) if kind == FIELD_CHAR else 1
    return Attribute(name.encode(), kind, ctypes.cast(ctypes.byref(value), c_void_p), length)
