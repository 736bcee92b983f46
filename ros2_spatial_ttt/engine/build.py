# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""From graphs to engines.

Networks are strongly typed: the types are those of the ONNX graphs, in which the exporter has put
half precision where it does no harm. TF32 is off, as the memory's solves need all of float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ros2_spatial_ttt.engine.graphs import Graph
from ros2_spatial_ttt.errors import ModelError
from ros2_spatial_ttt.runtime.trt import SUMS
from ros2_spatial_ttt.runtime.trt_library import TensorRT

__all__ = ['EngineBuilder', 'PROFILES']

# Rows of each dimension that is not fixed, by its name in the graph: least, usual, most. A chunk
# of 8 frames has 4800 samples, most of them in one tile; questions read a tile's 4096 places.
# Some four things are detected in a frame.
PROFILES = {
    'samples': (1, 2048, 8192),
    'points': (1, 4096, 16384),
    'pictures': (1, 4, 32),
    'detections': (1, 32, 128),
}
_STATE = 'next_state/'


class EngineBuilder:
    """Builds engines with one TensorRT.

    Args:
        tensorrt: the library.
        architectures: to build for, as 'sm_89'; none = the GPU of this machine.
        cache: of timings of an earlier build.
        progress: is told the name of each phase.

    Raises:
        ModelError: there is no builder, mostly for want of a GPU.
    """

    def __init__(
        self,
        tensorrt: TensorRT,
        *,
        architectures: Sequence[str] = (),
        cache: bytes = b'',
        progress: Callable[[str], None] = lambda phase: None,
    ) -> None:
        self._tensorrt = tensorrt
        module = tensorrt.module
        try:
            self._builder = module.Builder(tensorrt.logger)
        except (TypeError, RuntimeError) as error:
            raise ModelError(
                f'{tensorrt.name} {tensorrt.version} has no builder here: '
                f'{tensorrt.complaint()}; it needs the GPU that it builds for'
            ) from error
        self._architectures = [_capability(tensorrt, name) for name in architectures]
        self._monitor = _monitor(module, progress)
        self._cache = None
        # Without a GPU nothing is timed.
        if tensorrt.name == 'tensorrt':
            self._cache = self._builder.create_builder_config().create_timing_cache(cache)

    def build(self, graph: Graph) -> bytes:
        """Return the engine of a graph.

        Raises:
            ModelError: TensorRT cannot read it, or cannot build it.
        """
        network, config = self._parsed(graph), self._configured()
        if graph.name == 'update':
            _add_sums(self._tensorrt.module, network)
        self._add_profile(network, config)
        plan = self._builder.build_serialized_network(network, config)
        if plan is None:
            raise ModelError(
                f'{graph.path}: {self._tensorrt.name} {self._tensorrt.version} cannot build it: '
                f'{self._tensorrt.complaint()}'
            )
        return bytes(plan)

    def timings(self) -> bytes:
        """Return the cache of timings, to be kept for the next build; b'' without one."""
        return b'' if self._cache is None else bytes(self._cache.serialize())

    def _configured(self) -> Any:
        config = self._builder.create_builder_config()
        config.clear_flag(self._tensorrt.module.BuilderFlag.TF32)
        config.progress_monitor = self._monitor
        if self._architectures:
            config.num_compute_capabilities = len(self._architectures)
        for index, capability in enumerate(self._architectures):
            config.set_compute_capability(capability, index)
        if self._cache is not None:
            config.set_timing_cache(self._cache, ignore_mismatch=False)
        return config

    def _parsed(self, graph: Graph) -> Any:
        module = self._tensorrt.module
        # TensorRT 11 knows no other networks and has no such flag.
        typed = getattr(module.NetworkDefinitionCreationFlag, 'STRONGLY_TYPED', None)
        network = self._builder.create_network(0 if typed is None else 1 << int(typed))
        parser = module.OnnxParser(network, self._tensorrt.logger)
        if not parser.parse(graph.model.SerializeToString(), str(graph.path)):
            errors = [parser.get_error(number) for number in range(parser.num_errors)]
            why = '; '.join(f'{error.node_name()}: {error.desc()}' for error in errors)
            raise ModelError(
                f'{graph.path}: {self._tensorrt.name} {self._tensorrt.version} cannot read it: '
                f'{why or self._tensorrt.complaint()}; export the model again'
            )
        return network

    def _add_profile(self, network: Any, config: Any) -> None:
        inputs = [network.get_input(number) for number in range(network.num_inputs)]
        free = [tensor for tensor in inputs if -1 in tuple(tensor.shape)]
        if not free:
            return
        profile = self._builder.create_optimization_profile()
        for tensor in free:
            names = [tensor.get_dimension_name(axis) for axis in range(len(tensor.shape))]
            sizes = [
                PROFILES[name] if n < 0 else (n, n, n)
                for n, name in zip(tensor.shape, names, strict=True)
            ]
            profile.set_shape(tensor.name, *zip(*sizes, strict=True))
        config.add_optimization_profile(profile)


def _add_sums(module: Any, network: Any) -> None:
    """Add the output ``SUMS``: one sum per array of the next state, in their order."""
    outputs = [network.get_output(number) for number in range(network.num_outputs)]
    sums = []
    for tensor in outputs:
        if tensor.name.startswith(_STATE):
            axes = (1 << len(tensor.shape)) - 1
            total = network.add_reduce(tensor, module.ReduceOperation.SUM, axes, keep_dims=False)
            row = network.add_shuffle(total.get_output(0))
            row.reshape_dims = (1,)
            sums.append(row.get_output(0))
    if sums:
        joined = network.add_concatenation(sums)
        joined.axis = 0
        joined.get_output(0).name = SUMS
        network.mark_output(joined.get_output(0))


def _capability(tensorrt: TensorRT, architecture: str) -> Any:
    """Return the compute capability of an architecture such as 'sm_89'."""
    known = tensorrt.module.ComputeCapability.__members__
    name = architecture.upper().replace('_', '')
    if name not in known:
        names = ', '.join(f'sm_{one[2:]}' for one in known if one.startswith('SM'))
        raise ModelError(
            f'--architecture {architecture}: {tensorrt.name} {tensorrt.version} builds for '
            f'{names}; other GPUs need --backend tensorrt, on the machine itself'
        )
    return known[name]


def _monitor(module: Any, progress: Callable[[str], None]) -> Any:
    """Return a monitor of TensorRT that tells the name of each phase."""

    class Monitor(module.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            module.IProgressMonitor.__init__(self)

        def phase_start(self, phase: str, parent: str, steps: int) -> None:
            """Begin a phase; TensorRT calls this from any of its threads."""
            progress(phase)

        def phase_finish(self, phase: str) -> None:
            """End a phase."""

        def step_complete(self, phase: str, step: int) -> bool:
            """Go on after a step."""
            return True

    return Monitor()
