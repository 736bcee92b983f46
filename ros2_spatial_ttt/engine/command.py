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
from ros2_spatial_ttt.runtime.base import load_manifest
from ros2_spatial_ttt.runtime.cuda import Gpu
from ros2_spatial_ttt.runtime.engine_file import (
    EngineFile,
    Stamp,
    engine_directory,
    engine_path,
    graphs_of,
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
    if arguments.json:
        _prepare_report(arguments.json)
    calls = plugin_calls(manifest, plugins)
    graphs = [load_graph(manifest.folder / f'{name}.onnx', calls) for name in graphs_of(manifest)]
    current = None if arguments.force else _current(path, stamp)
    if current:
        file = current
        print(f'{path} is up to date; --force builds it again')
    else:
        begin = time.perf_counter()
        plans = _built(tensorrt, stamp, graphs, path.parent)
        file = EngineFile(path, stamp, plans, round(time.perf_counter() - begin, 3))
        write_engine(file)
        print(f'built {path} in {file.build_s:.1f} s')
    _report(arguments, file, graphs, up_to_date=file is current)
    return 0


def _prepare_report(path: Path) -> None:
    """See that the report can be written before an engine is built."""
    fresh = not path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open('a').close()
        if fresh:
            path.unlink()
    except OSError as error:
        raise ConfigError(
            f'--json {path}: cannot be written ({error}); name a file in a folder of yours'
        ) from error


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


def _current(path: Path, stamp: Stamp) -> EngineFile | None:
    """Return a file that is whole and has this stamp; a damaged one is built again."""
    if not path.is_file():
        return None
    try:
        file = read_engine(path)
    except ModelError as error:
        _LOG.warning('%s', error)
        return None
    return file if file.stamp == stamp else None


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
    arguments: argparse.Namespace, file: EngineFile, graphs: list[Graph], *, up_to_date: bool
) -> None:
    """Print how the custom parts run, and write everything as JSON."""
    nodes = {
        way: [f'{graph.name}/{node}' for graph in graphs for node in graph.nodes[way]]
        for way in ('plugin', 'body')
    }
    results: dict[str, Any] = {
        'model': file.stamp.model,
        'engine': str(file.path),
        # Of the build that made the file, also where that was an earlier one.
        'build_s': file.build_s,
        'up_to_date': up_to_date,
        'engine_bytes': file.path.stat().st_size,
        **{f'nodes.{way}': names for way, names in nodes.items()},
    }
    print(
        f'{results["engine_bytes"] / 1e6:.1f} MB; custom parts: {len(nodes["plugin"])} as '
        f'plugins, {len(nodes["body"])} from their bodies'
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + '\n', encoding='utf-8')
