# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The command ``spatial-ttt exam``: questions, a table, JSON and pictures.

spatial-ttt exam --set all --homes 5 --minutes 60 --perception oracle --out out/exam
spatial-ttt exam --set patch --bag my_recording/ --out out/exam --json out/exam/patch.json
"""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path
from typing import Any

from ros2_spatial_ttt.config import MemoryConfig
from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.exam import homes_set, report
from ros2_spatial_ttt.exam.check import verdict_of
from ros2_spatial_ttt.exam.patch import command as patch_set
from ros2_spatial_ttt.exam.question import SETS
from ros2_spatial_ttt.exam.results import write_text

__all__ = ['add_arguments', 'run']

FAILED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``spatial-ttt exam``."""
    default = MemoryConfig()
    parser.add_argument(
        '--set',
        required=True,
        choices=[*SETS, 'patch', 'all'],
        help='which questions: one of the sets on simulated homes; patch, on a recording; or all '
        'sets on simulated homes, and patch where --bag is given',
    )
    parser.add_argument(
        '--model', default=default.model, help=f'name or folder of the model ({default.model})'
    )
    parser.add_argument(
        '--backend',
        default=default.backend,
        help=f'what runs the model, such as auto, ort or tensorrt ({default.backend})',
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write every number here')
    parser.add_argument(
        '--out',
        type=Path,
        metavar='DIR',
        help='write table and plots here, and every finished home: the same command run again '
        'goes on where it was interrupted',
    )
    homes_set.add_arguments(parser)
    patch_set.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the sets and print their tables; return 1 where ``--check`` finds a score too low.

    Raises:
        SpatialTTTError: an option is wrong, something that is needed is not there, a home
            failed, or results cannot be written.
    """
    if arguments.check and arguments.set == 'patch':
        raise ConfigError('--check judges simulated homes, and set patch has none: leave it out')
    parts: list[Any] = [homes_set] if arguments.set != 'patch' else []
    if arguments.set == 'patch' or (arguments.set == 'all' and arguments.bag):
        parts.append(patch_set)
    for part in parts:
        part.check(arguments)
    outcomes = [part.examine(arguments) for part in parts]
    print('\n\n'.join(outcome.text for outcome in outcomes))
    _write(arguments, outcomes)
    return _checked(outcomes[0]) if arguments.check else 0


def _write(arguments: argparse.Namespace, outcomes: list[report.Outcome]) -> None:
    if arguments.json:
        results = report.environment()
        for outcome in outcomes:
            results |= outcome.results
        report.write_json(arguments.json, results)
    if not arguments.out:
        return
    for outcome in outcomes:
        write_text(arguments.out / f'{outcome.name}.md', outcome.text + '\n')
    if importlib.util.find_spec('matplotlib') is None:
        print("exam: no pictures without matplotlib: pip install 'ros2-spatial-ttt[viz]'")
        return
    for outcome in outcomes:
        outcome.draw(arguments.out)
    print(f'exam: pictures and table in {arguments.out}')


def _checked(outcome: report.Outcome) -> int:
    failures = verdict_of(outcome.results)
    for line in failures:
        print(f'check failed: {line}')
    if not failures:
        print('check passed')
    return FAILED if failures else 0
