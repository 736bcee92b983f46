# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The model on ONNX Runtime: its CPU provider, or by name that of CUDA or TensorRT."""

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
    under,
)
from ros2_spatial_ttt.runtime.unavailable import Unavailable

__all__ = ['PROVIDERS', 'OrtRuntime', 'session_options']

# Execution providers of each backend; nodes that the first does not take go to the next.
PROVIDERS = {
    'ort': ('CPUExecutionProvider',),
    'ort-cuda': ('CUDAExecutionProvider', 'CPUExecutionProvider'),
    'ort-tensorrt': (
        'TensorrtExecutionProvider',
        'CUDAExecutionProvider',
        'CPUExecutionProvider',
    ),
}

_SUMS = ['next_state/curvature', 'next_state/target']


class OrtRuntime:
    """Runs the graphs of a model folder.

    Updates and reads have their own sessions, hence their own threads: a question never queues
    behind an update. ``run`` may be called from several threads at once.

    Args:
        manifest: of the model. threads: of the sessions for chunks.
        name: one of ``PROVIDERS``.

    Raises:
        Unavailable: this ONNX Runtime has no such provider, or it finds no GPU.
        ModelError: a graph cannot be loaded.
    """

    def __init__(self, manifest: Manifest, *, threads: int, name: str = 'ort') -> None:
        self.name = name
        self.manifest = manifest
        _check_provider(name)
        self.omega = load_frequencies(manifest)
        self._initial = load_initial_state(manifest)
        self._encode = _session(manifest.folder / 'update.onnx', threads, name)
        self._inputs = {value.name for value in self._encode.get_inputs()}
        self._outputs = [value.name for value in self._encode.get_outputs()]
        # Many small calls: the writer runs several at once, which beats threads inside of one.
        self._update = {
            kind: _session(manifest.folder / f'{kind}_update.onnx', 1, name) for kind in self.omega
        }
        self._read = {
            kind: _session(manifest.folder / f'{kind}_read.onnx', 1, name) for kind in self.omega
        }
        self._embed = _session(manifest.folder / 'embed.onnx', 1, name)
        self._second_look = (
            _session(manifest.folder / 'second_look.onnx', threads, name)
            if manifest.second_look
            else None
        )

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
            tokens=Tokens(**under('tokens/', values)) if self.manifest.labels else None,
        )
        return samples, under('next_state/', values)

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

    def second_look(
        self,
        picture: NDArray[np.uint8],
        place: NDArray[np.float32],
        known: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """See ``Runtime.second_look``."""
        assert self._second_look is not None
        feed = {'picture': picture, 'place': place, 'known': known}
        names: NDArray[np.float32] = self._second_look.run(['names'], feed)[0]
        return names


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


def _session(path: Path, threads: int, name: str) -> onnxruntime.InferenceSession:
    options = session_options(threads)
    wanted = PROVIDERS[name]
    try:
        session = onnxruntime.InferenceSession(str(path), options, list(wanted))
    except Exception as error:
        raise ModelError(
            f'{path}: ONNX Runtime {onnxruntime.__version__} cannot load it: {error}; '
            "export it again with 'spatial-ttt export'"
        ) from error
    # ONNX Runtime falls back to the CPU and only prints that it does.
    if wanted[0] not in session.get_providers():
        raise Unavailable(
            f'{wanted[0]} does not start',
            f'{path}: ONNX Runtime runs it on {session.get_providers()}, expected {wanted[0]}',
            "see the lines above for the CUDA library that it misses, or use backend 'ort'",
        )
    return session


def _check_provider(name: str) -> None:
    wanted, offered = PROVIDERS[name][0], onnxruntime.get_available_providers()
    if wanted not in offered:
        raise Unavailable(
            f'ONNX Runtime without {wanted}',
            f'backend {name!r} needs {wanted}, ONNX Runtime {onnxruntime.__version__} here offers '
            f'{", ".join(offered)}',
            "install onnxruntime-gpu in place of onnxruntime, or use backend 'ort'",
        )
