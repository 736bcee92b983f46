# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The command ``spatial-ttt build-engine``.

spatial-ttt build-engine --model nano
spatial-ttt build-engine --model nano --backend tensorrt_rtx --architecture sm_89 --json out.json
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ros2_spatial_ttt.config import MemoryConfig
from ros2_spatial_ttt.engine.build import EngineBuilder
from ros2_spatial_ttt.engine.graphs import Graph, load_graph
from ros2_spatial_ttt.engine.plugins import plugin_calls
from ros2_spatial_ttt.errors import ConfigError, ModelError
from ros2_spatial_ttt.resources import model_directory
from ros2_spatial_ttt.runtime.base import Manifest, load_manifest
from ros2_spatial_ttt.runtime.cuda import Gpu
from ros2_spatial_ttt.runtime.engine_file import (
    GRAPHS,
    EngineFile,
    Stamp,
    engine_directory,
    engine_path,
    prepare_directory,
    read_engine,
    write_engine,
)
from ros2_spatial_ttt.runtime.trt_library import (
    NAMES,
    Plugins,
    TensorRT,
    load_plugins,
    load_tensorrt,
)
from ros2_spatial_ttt.runtime.unavailable import Unavailable

__all__ = ['add_arguments', 'run']

# TensorRT for RTX without a GPU, and without a word about which: all that it builds float32
# products for. sm_75 (Turing) has none.
_TOO_OLD = ('SM75',)

_LOG = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``spatial-ttt build-engine``."""
    parser.add_argument('--model', default=MemoryConfig().model, help='name or folder')
    parser.add_argument(
        '--backend',
        choices=('auto', *NAMES),
        default='auto',
        help='auto: tensorrt where it is installed and there is a GPU, else tensorrt_rtx',
    )
    parser.add_argument(
        '--architecture',
        action='append',
        metavar='SM',
        help='of the GPU to build for, such as sm_89, as often as needed; TensorRT for RTX only, '
        'which needs no GPU for it (all that it knows)',
    )
    plugins = parser.add_mutually_exclusive_group()
    plugins.add_argument('--plugins', type=Path, metavar='FILE', help='library of plugins')
    plugins.add_argument(
        '--no-plugins', action='store_true', help='compile the bodies of the custom parts'
    )
    parser.add_argument('--out', type=Path, metavar='DIR', help='folder of engine files')
    parser.add_argument('--force', action='store_true', help='build even what is up to date')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write time, bytes and nodes')


def run(arguments: argparse.Namespace) -> int:
    """Build the engines of a model; return 0."""
    manifest = load_manifest(model_directory(arguments.model))
    tensorrt = _chosen(arguments.backend)
    plugins = Plugins() if arguments.no_plugins else load_plugins(tensorrt, arguments.plugins)
    stamp = Stamp(
        model=manifest.name,
        model_hash=manifest.hash,
        backend=tensorrt.name,
        version=tensorrt.version,
        architectures=_architectures(tensorrt, arguments.architecture),
        plugins=plugins.version,
    )
    path = engine_path(arguments.out or engine_directory(), stamp)
    prepare_directory(path.parent)
    calls = plugin_calls(manifest, plugins)
    graphs = [load_graph(manifest.folder / f'{name}.onnx', calls) for name in GRAPHS]
    begin = time.perf_counter()
    if arguments.force or not _is_current(path, stamp):
        plans = _built(tensorrt, stamp, graphs, path.parent)
        write_engine(EngineFile(path, stamp, plans))
        print(f'built {path} in {time.perf_counter() - begin:.1f} s')
    else:
        print(f'{path} is up to date; --force builds it again')
    _report(arguments, manifest, path, graphs, time.perf_counter() - begin)
    return 0


def _chosen(name: str) -> TensorRT:
    """Return the TensorRT that was named, or the best that can build here."""
    if name != 'auto':
        return load_tensorrt(name)
    reasons = []
    for candidate in NAMES:
        try:
            tensorrt = load_tensorrt(candidate)
            if candidate == 'tensorrt':
                Gpu.open()
        except Unavailable as error:
            _LOG.info('--backend auto: not %s: %s', candidate, error)
            reasons.append(error.reason)
        else:
            because = f' ({", ".join(reasons)})' if reasons else ''
            print(f'--backend auto: chose {candidate} {tensorrt.version}{because}')
            return tensorrt
    raise ModelError(
        f'--backend auto: {", ".join(reasons)}; install TensorRT, or TensorRT for RTX with '
        'pip install "ros2-spatial-ttt[tensorrt]"'
    )


def _architectures(tensorrt: TensorRT, named: list[str] | None) -> tuple[str, ...]:
    if tensorrt.name == 'tensorrt':
        if named:
            raise ConfigError(
                '--architecture: TensorRT builds for the GPU that it runs on; leave it out, or '
                'use --backend tensorrt_rtx'
            )
        return (Gpu.open().architecture,)
    if named:
        return tuple(sorted(set(named), key=_number))
    known = tensorrt.module.ComputeCapability.__members__
    names = [name for name in known if name.startswith('SM') and name not in _TOO_OLD]
    return tuple(sorted((f'sm_{name[2:]}' for name in names), key=_number))


def _number(architecture: str) -> int:
    digits = architecture.removeprefix('sm_')
    if not digits.isdigit():
        raise ConfigError(f'--architecture {architecture}: expected a name such as sm_89')
    return int(digits)


def _is_current(path: Path, stamp: Stamp) -> bool:
    """Return whether a file is whole and has this stamp; a damaged one is built again."""
    if not path.is_file():
        return False
    try:
        return read_engine(path).stamp == stamp
    except ModelError as error:
        _LOG.warning('%s', error)
        return False


def _built(
    tensorrt: TensorRT, stamp: Stamp, graphs: list[Graph], folder: Path
) -> dict[str, bytes]:
    """Return the engine of every graph, and keep the timings for the next build."""
    where = stamp.architectures[0]
    timings = folder / f'{stamp.backend}-{stamp.version}.{where}.timings'
    with tqdm(graphs, unit='graph', dynamic_ncols=True) as bar:
        builder = EngineBuilder(
            tensorrt,
            architectures=stamp.architectures if tensorrt.name == 'tensorrt_rtx' else (),
            cache=timings.read_bytes() if timings.is_file() else b'',
            progress=lambda phase: bar.set_postfix_str(phase, refresh=False),
        )
        plans = {}
        for graph in bar:
            bar.set_description(graph.name)
            plans[graph.name] = builder.build(graph)
    if builder.timings():
        _keep(timings, builder.timings())
    return plans


def _keep(path: Path, timings: bytes) -> None:
    """Write the cache of timings; without it the next build only takes longer."""
    try:
        path.write_bytes(timings)
    except OSError as error:
        _LOG.warning('%s: timings are not kept (%s)', path, error)


def _report(
    arguments: argparse.Namespace,
    manifest: Manifest,
    path: Path,
    graphs: list[Graph],
    build_s: float,
) -> None:
    """Print how the custom parts run, and write everything as JSON."""
    nodes = {
        way: [f'{graph.name}/{node}' for graph in graphs for node in graph.nodes[way]]
        for way in ('plugin', 'body')
    }
    results: dict[str, Any] = {
        'model': manifest.name,
        'engine': str(path),
        'build_s': round(build_s, 3),
        'engine_bytes': path.stat().st_size,
        **{f'nodes.{way}': names for way, names in nodes.items()},
    }
    print(
        f'{results["engine_bytes"] / 1e6:.1f} MB; custom parts: {len(nodes["plugin"])} as '
        f'plugins, {len(nodes["body"])} from their bodies'
    )
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(results, indent=2) + '\n', encoding='utf-8')
