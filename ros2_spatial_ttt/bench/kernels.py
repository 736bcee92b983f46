# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The three custom parts alone: a backend against PyTorch, and against what the device can do.

spatial-ttt bench kernels --backend tensorrt --size published
spatial-ttt bench kernels --backend ort --size nano

On a GPU in float, half and bfloat16: the C launchers as a CUDA graph where their library is
installed, engines of bodies and of plugins launch by launch and as a CUDA graph, and PyTorch.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.exam import report
from ros2_spatial_ttt.runtime.base import Manifest
from ros2_spatial_ttt.runtime.cuda import CudaStream, DeviceMemory, Gpu, PinnedMemory
from ros2_spatial_ttt.runtime.trt_engine import Engine
from ros2_spatial_ttt.runtime.trt_library import NAMES, Plugins, load_plugins, load_tensorrt
from ros2_spatial_ttt.runtime.unavailable import Unavailable

__all__ = ['add_arguments', 'engine_runs', 'on_device', 'rated', 'run', 'summary', 'table']

# Runs so many times, then waits until all is done.
Run = Callable[[int], None]
# What a result of an operator may be compared with, in the order of the table.
WAYS = (
    *('runtime', 'kernel', 'plugin_graph', 'plugin', 'body_graph', 'body'),
    *('ort', 'graph', 'compiled', 'eager'),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``spatial-ttt bench kernels``."""
    parser.add_argument('--backend', default='ort', choices=('ort', *NAMES))
    parser.add_argument('--size', default='nano', choices=('nano', 'base', 'published'))
    parser.add_argument('--rule', default='momentum', choices=('gd', 'momentum', 'muon'))
    parser.add_argument('--seconds', type=float, default=1.0, help='of measuring each')


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure every part and return flat results: milliseconds, TFLOP/s, GB/s.

    Raises:
        Unavailable: the backend or PyTorch has no GPU here.
    """
    # PyTorch is what the parts are compared with; nothing else here needs it.
    from ros2_spatial_ttt.training import operators as parts
    from ros2_spatial_ttt.training.launched import launched_ways

    device = 'cpu' if arguments.backend == 'ort' else 'cuda'
    if device == 'cuda':
        _require_gpu(arguments.backend)
    ceilings = parts.measured_ceilings(device)
    results: dict[str, Any] = {
        'backend': arguments.backend,
        'size': arguments.size,
        'ceiling.gbs': ceilings.gbs,
        **{f'ceiling.{name}_tflops': value for name, value in ceilings.tflops.items()},
    }
    for operator in parts.operators(parts.SIZES[arguments.size], arguments.rule):
        narrow = [operator.narrowed(short) for short in ('fp16', 'bf16')]
        for one in (operator, *(narrow if device == 'cuda' else ())):
            ways = _engines(operator, one.short, arguments.backend) | one.pytorch(device)
            if device == 'cuda':
                ways |= launched_ways(one)
            for way, once in ways.items():
                results |= rated(f'{one.name}.{way}', once, arguments.seconds, one)
    return results


def _require_gpu(backend: str) -> None:
    """Refuse before anything is measured: later failures of PyTorch say less."""
    from ros2_spatial_ttt.training.operators import no_gpu

    Gpu.open()
    load_tensorrt(backend)
    missing = no_gpu()
    if missing:
        raise Unavailable(
            'PyTorch without CUDA',
            f'the parts are compared with PyTorch on the GPU, {missing}',
            'install a PyTorch for this CUDA (pytorch.org), or measure with --backend ort',
        )


def _engines(operator: Any, precision: str, backend: str) -> dict[str, Run]:
    """Return how a backend runs an operator in a precision, where models are exported in it."""
    graph = operator.graph(precision)
    if graph is None:
        return {}
    feed = {name: tensor.numpy() for name, tensor in operator.inputs.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'part.onnx'
        path.write_bytes(graph.SerializeToString())
        if backend == 'ort':
            return _onnx_runtime(path, feed)
        return _parts(path, feed, backend, precision=precision)


def on_device(gpu: Gpu, engine: Engine, feed: Mapping[str, NDArray]) -> dict[str, Run]:
    """Return how an engine runs on inputs that are on the device already.

    By way: '' launch by launch; 'graph' as a CUDA graph, where TensorRT lets it be captured.
    """
    with gpu.active():
        stream, context = CudaStream(gpu, urgent=False), engine.context()
        specs = {**engine.inputs, **engine.outputs}
        memory = {name: DeviceMemory(gpu, spec.nbytes) for name, spec in specs.items()}
        for name, array in feed.items():
            staging = PinnedMemory(gpu, array.nbytes)
            staging.bytes[...] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
            gpu.upload(memory[name].address, staging.bytes, stream)
            gpu.synchronize(stream)
        context.bind({name: one.address for name, one in memory.items()})

    def repeated(once: Callable[[], None]) -> Run:
        def run(times: int) -> None:
            # The memory lives as long as this function.
            assert len(memory) == len(specs)
            with gpu.active():
                for _ in range(times):
                    once()
                gpu.synchronize(stream)

        return run

    runs = {'': repeated(lambda: context.enqueue(stream))}
    runs[''](1)  # TensorRT wants to have run once before it is captured
    with gpu.active():
        if context.capturable(stream):
            graph = gpu.capture(lambda: context.enqueue(stream), stream)
            runs['graph'] = repeated(lambda: gpu.launch(graph, stream))
    return runs


def _parts(
    path: Path, feed: Mapping[str, NDArray], name: str, *, precision: str
) -> dict[str, Run]:
    from ros2_spatial_ttt.resources import model_directory
    from ros2_spatial_ttt.runtime.base import load_manifest

    manifest = load_manifest(model_directory('nano'))
    return engine_runs(path, feed, name, replace(manifest, precision=precision))


def engine_runs(
    path: Path, feed: Mapping[str, NDArray], name: str, manifest: Manifest
) -> dict[str, Run]:
    """Return a graph's bodies compiled, and its plugins where their library is installed.

    Each launch by launch, and as a CUDA graph where it may be captured.

    Args:
        path: of the graph.
        feed: its inputs.
        name: of the TensorRT.
        manifest: has the constants of the plugins.
    """
    from ros2_spatial_ttt.engine.build import EngineBuilder
    from ros2_spatial_ttt.engine.graphs import load_graph
    from ros2_spatial_ttt.engine.plugins import plugin_calls

    gpu, tensorrt = Gpu.open(), load_tensorrt(name)
    plugins = load_plugins(tensorrt)
    runs = {}
    for way, offered in (('body', Plugins()), ('plugin', plugins)):
        graph = load_graph(path, plugin_calls(manifest, offered))
        if graph.nodes[way]:
            with gpu.active():
                builder = EngineBuilder(tensorrt)
                engine = Engine(tensorrt, builder.build(graph), f'{path.name} ({way})')
            for how, one in on_device(gpu, engine, feed).items():
                runs[f'{way}_{how}' if how else way] = one
    return runs


def _onnx_runtime(path: Path, feed: Mapping[str, NDArray]) -> dict[str, Run]:
    import onnxruntime

    from ros2_spatial_ttt.runtime.ort import session_options

    session = onnxruntime.InferenceSession(str(path), session_options(2), ['CPUExecutionProvider'])
    inputs = {value.name for value in session.get_inputs()}
    given = {name: array for name, array in feed.items() if name in inputs}

    def run(times: int) -> None:
        for _ in range(times):
            session.run(None, given)

    return {'ort': run}


def rated(name: str, run: Run, seconds: float, operator: Any) -> dict[str, float]:
    """Return median milliseconds of a run, and with the operator's work TFLOP/s and GB/s."""
    ms = _milliseconds(run, seconds)
    return {
        f'{name}_ms': ms,
        f'{name}_tflops': operator.flops / ms / 1e9,
        f'{name}_gbs': operator.bytes / ms / 1e6,
    }


def _milliseconds(run: Run, seconds: float) -> float:
    """Return the median time of one run; a batch of runs is long enough to be timed."""
    run(2)
    begin = time.perf_counter()
    run(1)
    batch = max(1, round(0.005 / max(time.perf_counter() - begin, 1e-6)))
    took = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or not took:
        begin = time.perf_counter()
        run(batch)
        took.append(1e3 * (time.perf_counter() - begin) / batch)
    return float(np.median(took))


def summary(results: dict[str, Any]) -> str:
    """Return the results as a Markdown table."""
    return table(results, f'{results["size"]}, {results["backend"]}')


def table(results: dict[str, Any], title: str) -> str:
    """Return times and rates of results, then the ceilings, as a Markdown table."""
    n = report.format_number
    rows = []
    for key, ms in results.items():
        if key.endswith('_ms'):
            name = key.removesuffix('_ms')
            tflops, gbs = results[f'{name}_tflops'], results[f'{name}_gbs']
            rows.append((name, n(ms, 3), n(tflops, 3), n(gbs, 1)))
    rows.sort(key=lambda row: (row[0].split('.')[0], WAYS.index(row[0].split('.')[1])))
    best = [(k, v) for k, v in results.items() if k.startswith('ceiling.') and 'tflops' in k]
    rows += [(k.removesuffix('_tflops'), '', n(v, 3), '') for k, v in best]
    rows.append(('ceiling.copy', '', '', n(results['ceiling.gbs'], 1)))
    return report.markdown_table((title, 'ms', 'TFLOP/s', 'GB/s'), rows)
