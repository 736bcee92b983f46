# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A custom part of ``operators`` through its C launcher, in the memory of PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import Structure
from typing import Any

import torch
from torch import Tensor

from ros2_spatial_ttt.errors import SpatialTTTError
from ros2_spatial_ttt.training.launchers import (
    RULES,
    SIZES,
    STORAGE,
    Addresses,
    Launchers,
    kernels_library,
)
from ros2_spatial_ttt.training.operators import Operator, Run

__all__ = ['Launched', 'launched_ways']

# Names in the library.
_NAMES = {'SpatioTemporalConv': 'conv', 'FastWeightUpdate': 'fast', 'FieldUpdate': 'field'}


def launched_ways(operator: Operator) -> dict[str, Run]:
    """Return how the launcher runs on the GPU as 'kernel', where the library is installed."""
    library = kernels_library()
    if library is None:
        return {}
    return {'kernel': Launched(Launchers(library), operator, 'cuda')}


class Launched:
    """Runs an operator so many times and waits; on 'cuda' as a CUDA graph, as the robot does.

    Args:
        launchers: of the library.
        operator: with its inputs.
        device: 'cuda', or 'cpu' for a library that is emulated.

    Attributes:
        outputs: of the last run, by name.

    Raises:
        SpatialTTTError: the operator does not take these sizes, or cannot be launched.
    """

    def __init__(self, launchers: Launchers, operator: Operator, device: str) -> None:
        self._launchers, self._name = launchers, _NAMES[type(operator.layer).__name__]
        self._sizes = _sizes(self._name, operator)
        refused = launchers.refusal(self._name, self._sizes)
        if refused:
            raise SpatialTTTError(f'{operator.name}: {refused}')
        self._inputs = {name: t.contiguous().to(device) for name, t in operator.inputs.items()}
        shapes = operator.layer.output_shapes(*operator.inputs.values())
        self.outputs = {
            name: torch.empty(shape, device=device, dtype=operator.stored(name))
            for name, shape in zip(operator.layer.outputs, shapes, strict=True)
        }
        nbytes = launchers.workspace(self._name, self._sizes)
        self._workspace = torch.empty(nbytes, device=device, dtype=torch.uint8)
        self._graph = self._captured() if device == 'cuda' else None

    def __call__(self, times: int) -> None:
        """Run so many times, until all is done."""
        for _ in range(times):
            if self._graph is None:
                self._launch(0)
            else:
                self._graph.replay()
        if self._graph is not None:
            torch.cuda.synchronize()

    def _captured(self) -> torch.cuda.CUDAGraph:
        # The first launch of a kernel loads it, which a capture does not allow.
        self._launch(torch.cuda.current_stream().cuda_stream)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._launch(torch.cuda.current_stream().cuda_stream)
        return graph

    def _launch(self, stream: int) -> None:
        self._launchers.launch(self._name, self._sizes, self._addresses(), stream)

    def _addresses(self) -> Addresses:
        at = {name: t.data_ptr() for name, t in {**self._inputs, **self.outputs}.items()}
        if self._name == 'conv':
            return at
        if self._name == 'fast':
            at = _grouped(at)
        return {**at, 'workspace': self._workspace.data_ptr()}


def _grouped(at: dict[str, int]) -> dict[str, Any]:
    """Return addresses with those of the three matrices of each kind side by side."""
    names = {'w': 'weight', 'm': 'momentum', 'initial': 'initial'}
    names |= {'next_w': 'next_weight', 'next_m': 'next_momentum'}
    groups = {group: [at.pop(f'{name}{i}') for i in range(3)] for name, group in names.items()}
    return {**at, **groups}


def _sizes(name: str, operator: Operator) -> Structure:
    values = {'conv': _conv, 'fast': _fast, 'field': _field}[name](operator)
    return SIZES[name](*values)


def _storage(operator: Operator) -> int:
    return STORAGE[str(operator.dtype).removeprefix('torch.')]


def _conv(operator: Operator) -> Sequence[float]:
    layer: Any = operator.layer
    batch, frames, _, channels = operator.inputs['tokens'].shape
    width = channels // (3 * layer.heads)
    return batch, frames, *layer.grid, layer.heads, width, _storage(operator)


def _fast(operator: Operator) -> Sequence[float]:
    layer: Any = operator.layer
    a: dict[str, Tensor] = operator.inputs
    kind = _storage(operator)
    return (
        *a['w0'].shape,
        a['key'].shape[2],
        a['frame_valid'].shape[1],
        *(RULES[layer.rule], kind, kind),
    )


def _field(operator: Operator) -> Sequence[float]:
    layer: Any = operator.layer
    rule, samples = layer.rule, len(operator.inputs['points'])
    constants = (rule.ridge, rule.decay, rule.mass_max, rule.weight_min)
    return *operator.inputs['target'].shape, samples, rule.steps, _storage(operator), *constants
