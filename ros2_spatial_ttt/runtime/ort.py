# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The model on ONNX Runtime's CPU provider."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
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
)

__all__ = ['OrtRuntime', 'session_options']

_SUMS = ['next_state/curvature', 'next_state/target']


class OrtRuntime:
    """Runs the graphs of a model folder.

    Updates and reads have their own sessions, hence their own threads: a question never queues
    behind an update. ``run`` may be called from several threads at once.
    """

    name = 'ort'

    def __init__(self, manifest: Manifest, *, threads: int) -> None:
        self.manifest = manifest
        self.omega = load_frequencies(manifest)
        self._initial = load_initial_state(manifest)
        self._encode = _session(manifest.folder / 'update.onnx', threads)
        self._inputs = {value.name for value in self._encode.get_inputs()}
        self._outputs = [value.name for value in self._encode.get_outputs()]
        # Many small calls: the writer runs several at once, which beats threads inside of one.
        self._update = {
            kind: _session(manifest.folder / f'{kind}_update.onnx', 1) for kind in self.omega
        }
        self._read = {
            kind: _session(manifest.folder / f'{kind}_read.onnx', 1) for kind in self.omega
        }
        self._embed = _session(manifest.folder / 'embed.onnx', 1)

    def initial_state(self) -> State:
        """See ``Runtime.initial_state``."""
        return self._initial

    def encode(self, chunk: ChunkInput, state: State) -> tuple[Samples, State]:
        """See ``Runtime.encode``."""
        feed = {name: value for name, value in vars(chunk).items() if name in self._inputs}
        feed |= {f'state/{name}': value for name, value in state.items()}
        values = dict(zip(self._outputs, self._encode.run(self._outputs, feed), strict=True))
        samples = Samples(
            **{name: values[name] for name in Samples.arrays()},
            tokens=Tokens(**_under('tokens/', values)) if self.manifest.labels else None,
        )
        return samples, _under('next_state/', values)

    def update(
        self,
        kind: FieldKind,
        state: FieldState,
        points: NDArray[np.float32],
        values: NDArray[np.float32],
        weights: NDArray[np.float32],
    ) -> FieldState:
        """See ``Runtime.update``."""
        if not weights.any():
            return state
        feed = {f'state/{name}': tensor for name, tensor in state.tensors().items()}
        feed |= {'points': points, 'values': values, 'weights': weights, 'omega': self.omega[kind]}
        curvature, target = self._update[kind].run(_SUMS, feed)
        # The graph's own solution is a few steps towards this one, for devices without a solver.
        weight = exact_solution(curvature, target, ridge=self.manifest.rule['ridge'])
        return FieldState(curvature, target, weight.astype(np.float32))

    def read(
        self, kind: FieldKind, weight: NDArray[np.float32], points: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """See ``Runtime.read``."""
        feed = {'state/weight': weight, 'points': points, 'omega': self.omega[kind]}
        values: NDArray[np.float32] = self._read[kind].run(['values'], feed)[0]
        return values

    def embed(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See ``Runtime.embed``."""
        embedding: NDArray[np.float32] = self._embed.run(['embedding'], {'picture': pictures})[0]
        return embedding


def _under(prefix: str, values: dict[str, NDArray]) -> dict[str, NDArray]:
    """Return the arrays whose name begins with a prefix, by the rest of it."""
    return {k.removeprefix(prefix): v for k, v in values.items() if k.startswith(prefix)}


def session_options(threads: int) -> onnxruntime.SessionOptions:
    """Return the options of every session: quiet, on so many threads, kind to other programs."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # A pattern would be kept for every number of rows ever seen: a leak, as rows come and go.
    options.enable_mem_pattern = False
    # The robot's other programs need the cores between chunks.
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    return options


def _session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = session_options(threads)
    try:
        return onnxruntime.InferenceSession(str(path), options, ['CPUExecutionProvider'])
    except Exception as error:
        raise ModelError(
            f'{path}: ONNX Runtime {onnxruntime.__version__} cannot load it: {error}; '
            "export it again with 'spatial-ttt export'"
        ) from error
