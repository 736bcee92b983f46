# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The patch set on a recording: its options, its tables, its pictures."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from ros2_spatial_ttt.config import MemoryConfig, from_flat
from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.exam import report
from ros2_spatial_ttt.exam.patch import examine as patch
from ros2_spatial_ttt.exam.patch.examine import PatchOptions, PatchReport, SystemRun
from ros2_spatial_ttt.memory.pipeline import SpatialMemory
from ros2_spatial_ttt.replay.bag import Bag
from ros2_spatial_ttt.types import Frame

__all__ = ['add_arguments', 'check', 'examine', 'table']


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that only this set has."""
    group = parser.add_argument_group('patch', 'pictures of held-out frames of a recording')
    group.add_argument('--bag', type=Path, metavar='DIR', help='posed RGB-D rosbag2')
    group.add_argument('--seed', type=int, default=0, help='of questions and intervals')
    group.add_argument(
        '--patches', type=int, default=PatchOptions.patches, help='pictures per held-out frame'
    )
    group.add_argument(
        '--points', type=int, default=PatchOptions.points, help='points per kind of verdict'
    )


def check(arguments: argparse.Namespace) -> None:
    """Raise ConfigError when an option that the set needs is missing."""
    if arguments.bag is None:
        raise ConfigError('set patch: expected --bag DIR, a rosbag2 with depth and poses')


def examine(arguments: argparse.Namespace) -> report.Outcome:
    """Run the set.

    Raises:
        SpatialTTTError: the recording or the model cannot be used, or there is nothing to ask.
    """
    config = from_flat(MemoryConfig, {'model': arguments.model, 'backend': arguments.backend})
    options = PatchOptions(arguments.patches, arguments.points, arguments.seed)
    memory = SpatialMemory(config)
    with Bag(arguments.bag) as bag:
        found = patch.examine(_progress(bag), memory, options=options)
        refused = dict(bag.refused)
    results = found.results
    text = '\n\n'.join(
        (
            f'{results["patch.queries"]} pictures of held-out frames; '
            f'{results["patch.answerable_share"]:.0%} show a place that a fed frame measured. '
            f'{results["frames.accepted"]} of {results["frames.fed"]} fed frames accepted; '
            f'images of the recording that became no frame: {refused or "none"}.',
            table(found),
            _verdict_table(found),
            f'verdict macro-F1 {results["verdict.macro_f1"]:.3f}. In brackets: 95 % interval.',
        )
    )
    return report.Outcome('patch', results, text, lambda folder: _draw(found, folder))


def table(found: PatchReport) -> str:
    """Return the Markdown table with all systems side by side."""
    columns = ('answered', 'recall@0.25 m', 'recall@0.5 m', 'median m', 'p90 m')
    header = ('system', *columns, 'bytes', 'feed s', 'query p95 ms')
    return report.markdown_table(header, [_row(found, system) for system in found.systems])


def _row(found: PatchReport, system: SystemRun) -> list[str]:
    results = found.results

    def score(key: str) -> str:
        ends = ('', '.low', '.high')
        value, low, high = (results[f'{system.scores}{key}{end}'] for end in ends)
        number = report.format_number
        return f'{number(value)} [{number(low)}, {number(high)}]'

    return [
        system.name,
        report.format_number(results[f'{system.scores}answered_share']),
        score('recall_at_0.25m'),
        score('recall_at_0.5m'),
        score('median_error_m'),
        report.format_number(results[f'{system.scores}p90_error_m']),
        _bytes(system),
        report.format_number(system.feed_s, 1),
        report.format_number(results[f'{system.prefix}query.p95_ms'], 1),
    ]


def _bytes(system: SystemRun) -> str:
    used = report.format_bytes(system.stored_bytes)
    return f'{used} of {report.format_bytes(system.fixed_bytes)}' if system.fixed_bytes else used


def _verdict_table(found: PatchReport) -> str:
    rows = []
    for name, expected in patch.VERDICTS.values():
        key = f'verdict.{name}_share'
        value, low, high = (found.results[f'{key}{end}'] for end in ('', '.low', '.high'))
        asked = found.results[f'verdict.{name}_queries']
        rows.append([name, expected.name, str(asked), f'{value:.3f} [{low:.3f}, {high:.3f}]'])
    return report.markdown_table(('points', 'right answer', 'asked', 'share right'), rows)


def _progress(bag: Bag) -> Iterator[Frame]:
    yield from tqdm(bag.frames(), total=bag.frame_count, desc='frames', disable=None)


def _draw(found: PatchReport, folder: Path) -> None:
    from ros2_spatial_ttt.exam.patch import plots as patch_plots

    patch_plots.plot_errors(found, folder / 'patch_errors.png')
    patch_plots.plot_answers(found, folder / 'patch_answers.png')
