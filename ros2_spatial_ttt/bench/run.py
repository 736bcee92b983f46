# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The command ``spatial-ttt bench``: ingest (the node over DDS), core, model and others.

spatial-ttt bench ingest --seconds 30 --rate 30 --json out/ingest.json
spatial-ttt bench core
spatial-ttt bench model --model nano --backend tensorrt
spatial-ttt bench kernels --backend tensorrt --size published
spatial-ttt bench endurance --frames 5000
spatial-ttt bench stream --frames 77000
spatial-ttt bench homes
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ros2_spatial_ttt.bench import core, endurance, homes, ingest, kernels, model, stream
from ros2_spatial_ttt.exam import report

__all__ = ['add_arguments', 'run']

BENCHMARKS = {
    'ingest': ingest,
    'core': core,
    'model': model,
    'kernels': kernels,
    'endurance': endurance,
    'stream': stream,
    'homes': homes,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add one sub-command per benchmark."""
    commands = parser.add_subparsers(dest='benchmark', required=True, metavar='BENCHMARK')
    for name, module in BENCHMARKS.items():
        sentence = (module.__doc__ or '').splitlines()[0]
        command = commands.add_parser(name, help=sentence, description=module.__doc__)
        module.add_arguments(command)
        command.add_argument('--json', type=Path, metavar='FILE', help='write flat results here')


def run(arguments: argparse.Namespace) -> int:
    """Run the benchmark, print its table with hardware and commit; return 0."""
    module = BENCHMARKS[arguments.benchmark]
    results = module.run(arguments)
    machine = report.environment()
    where = ', '.join(
        (
            machine['meta.processor'],
            f'{machine["meta.cores"]} cores',
            f'commit {machine["meta.commit"]}',
        )
    )
    print(f'{module.summary(results)}\n\n{where}')
    if arguments.json:
        report.write_json(arguments.json, results | machine)
    return 0
