# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The model on TensorRT or TensorRT for RTX: state stays on the GPU.

What crosses to the host per chunk are samples and tokens, which the memory works with, and one
number per array of state that tells whether it is finite. States are handed out as objects that
look like those of the other backends and copy themselves to the host when somebody reads them: a
snapshot, a hash. Fields are packed on the host between chunks, so they come and go.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.errors import ModelError
from ros2_spatial_ttt.memory.field import FieldState
from ros2_spatial_ttt.memory.oracle import exact_solution
from ros2_spatial_ttt.runtime.base import (
    ChunkInput,
    FieldKind,
    Manifest,
    Samples,
    State,
    Tokens,
    load_frequencies,
    load_initial_state,
    under,
)
from ros2_spatial_ttt.runtime.cuda import Gpu
from ros2_spatial_ttt.runtime.engine_file import Stamp, find_engine, graphs_of
from ros2_spatial_ttt.runtime.trt_engine import Engine
from ros2_spatial_ttt.runtime.trt_lane import Lane
from ros2_spatial_ttt.runtime.trt_library import load_plugins, load_tensorrt
from ros2_spatial_ttt.runtime.trt_state import Block, DeviceState, Layout, Pool

__all__ = ['SUMS', 'TrtRuntime', 'open_tensorrt']

# Output that the builder adds: the sum of each array of the next state, in the graph's order.
SUMS = 'next_state_sums'
_FIELDS: tuple[FieldKind, ...] = ('appearance', 'geometry')


def open_tensorrt(manifest: Manifest, name: str) -> TrtRuntime:
    """Return the runtime of a model.

    Args:
        manifest: of the model.
        name: 'tensorrt' or 'tensorrt_rtx'.

    Raises:
        Unavailable: no GPU, no TensorRT, or no engine that fits.
        ModelError: the engine cannot be used.
    """
    gpu = Gpu.open()
    tensorrt = load_tensorrt(name)
    plugins = load_plugins(tensorrt)
    asked = Stamp(
        model=manifest.name,
        model_hash=manifest.hash,
        backend=name,
        version=tensorrt.version,
        architectures=(gpu.architecture,),
        plugins=plugins.version,
    )
    file = find_engine(manifest, asked)
    missing = sorted(set(graphs_of(manifest)) - set(file.plans))
    if missing:
        raise ModelError(f'{file.path}: no engine of {missing}; build it again with --force')
    with gpu.active():
        engines = {
            graph: Engine(tensorrt, plan, f'{file.path.name}: {graph}')
            for graph, plan in file.plans.items()
        }
    return TrtRuntime(manifest, gpu, engines, name=name)


class TrtRuntime:
    """Runs the engines of a model.

    Args:
        manifest: of the model. gpu: that runs them. engines: by graph. name: for ~/status.
    """

    def __init__(
        self, manifest: Manifest, gpu: Gpu, engines: Mapping[str, Engine], *, name: str
    ) -> None:
        self.name = name
        self.manifest = manifest
        self.omega = load_frequencies(manifest)
        self._backbone = Pool(gpu, Layout(manifest.state))
        resident = _resident(self._backbone)
        self._encode = Lane(gpu, engines['update'], resident, urgent=False)
        self._update, self._read = (
            {kind: Lane(gpu, engines[f'{kind}_{what}'], (), urgent=urgent) for kind in _FIELDS}
            for what, urgent in (('update', False), ('read', True))
        )
        self._embed = Lane(gpu, engines['embed'], (), urgent=True)
        self._second_look = (
            Lane(gpu, engines['second_look'], (), urgent=False) if manifest.second_look else None
        )
        first = load_initial_state(manifest)
        self._initial = DeviceState(self._backbone.put(first), finite=True)

    def initial_state(self) -> State:
        """See ``Runtime.initial_state``."""
        return self._initial

    def encode(self, chunk: ChunkInput, state: State) -> tuple[Samples, State]:
        """See ``Runtime.encode``; the next state is on the device."""
        before = self._state_block(state)
        # Every stream of chunks begins with the same state, which therefore belongs to none.
        after = self._backbone.take(None if state is self._initial else before)
        values = self._encode.run(vars(chunk), _swap(before, after))
        samples = Samples(
            **{name: values[name] for name in Samples.arrays()},
            tokens=Tokens(**under('tokens/', values)) if self.manifest.labels else None,
        )
        return samples, DeviceState(after, finite=_finite(values))

    def update(
        self,
        kind: FieldKind,
        state: FieldState,
        points: NDArray[np.float32],
        values: NDArray[np.float32],
        weights: NDArray[np.float32],
    ) -> FieldState:
        """See ``Runtime.update``; more rows than the engine takes at once are written in turn."""
        if not weights.any():
            return state
        lane, most = self._update[kind], self._update[kind].most('points')
        tensors = state.tensors()
        for row in range(0, len(points), most):
            rows = slice(row, row + most)
            feed = {f'state/{name}': tensor for name, tensor in tensors.items()}
            feed |= {'points': points[rows], 'values': values[rows], 'weights': weights[rows]}
            feed['omega'] = self.omega[kind]
            # Of the sums alone: engines have no solution (engine/graphs.py).
            tensors = tensors | under('next_state/', lane.run(feed, {}))
        # As on the CPU. A graph's few steps towards it are for fields that stay on a device.
        curvature, target = tensors['curvature'], tensors['target']
        weight = exact_solution(curvature, target, ridge=self.manifest.rule['ridge'])
        return FieldState(curvature, target, weight.astype(np.float32))

    def read(
        self, kind: FieldKind, weight: NDArray[np.float32], points: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """See ``Runtime.read``."""
        feed = {'state/weight': weight, 'omega': self.omega[kind]}
        return _by_rows(self._read[kind], {'points': points}, feed)['values']

    def embed(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See ``Runtime.embed``."""
        return _by_rows(self._embed, {'picture': pictures}, {})['embedding']

    def second_look(
        self,
        picture: NDArray[np.uint8],
        place: NDArray[np.float32],
        known: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """See ``Runtime.second_look``."""
        assert self._second_look is not None
        rows: dict[str, NDArray] = {'picture': picture, 'place': place, 'known': known}
        return _by_rows(self._second_look, rows, {})['names']

    def _state_block(self, state: State) -> Block:
        if isinstance(state, DeviceState) and state.block.pool is self._backbone:
            return state.block
        return self._backbone.put(state)


def _resident(pool: Pool) -> set[str]:
    """Return the names of a graph that states of a pool are bound to."""
    return {f'{side}/{name}' for side in ('state', 'next_state') for name in pool.layout.shapes}


def _swap(before: Block, after: Block) -> dict[str, int]:
    """Return the addresses of an update from one block into another."""
    return before.addresses('state/') | after.addresses('next_state/')


def _finite(values: Mapping[str, NDArray]) -> bool:
    """Return whether the next state is finite; a graph without state has no sums."""
    return SUMS not in values or bool(np.isfinite(values[SUMS]).all())


def _by_rows(
    lane: Lane, rows: Mapping[str, NDArray], feed: Mapping[str, NDArray]
) -> dict[str, NDArray]:
    """Run a lane over the rows of some inputs, as many at once as the engine takes.

    Without rows one row of zeros goes through and out again, which keeps the shapes.

    Args:
        lane: that runs.
        rows: inputs of as many rows each.
        feed: the other inputs.
    """
    count, most = len(next(iter(rows.values()))), min(map(lane.most, rows))
    if not count:
        rows = {name: np.zeros((1, *one.shape[1:]), one.dtype) for name, one in rows.items()}
    parts = [
        lane.run({**feed, **{name: one[row : row + most] for name, one in rows.items()}}, {})
        for row in range(0, max(count, 1), most)
    ]
    return {key: np.concatenate([part[key] for part in parts])[:count] for key in parts[0]}
