# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The sets of questions on simulated homes: options, running, resuming, tables."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ros2_spatial_ttt.config import MemoryConfig, from_flat
from ros2_spatial_ttt.errors import ConfigError, SpatialTTTError
from ros2_spatial_ttt.exam import fitting, pool, report, summary
from ros2_spatial_ttt.exam.codec import HomeResult
from ros2_spatial_ttt.exam.options import (
    PERCEPTIONS,
    VIAS,
    HomeOptions,
    check_numbers,
    check_seeds,
    check_senses,
    model_hash,
    model_labels,
)
from ros2_spatial_ttt.exam.question import SETS
from ros2_spatial_ttt.exam.results import HomeFolder
from ros2_spatial_ttt.exam.systems import SYSTEMS
from ros2_spatial_ttt.replay.options import parse_parameters
from ros2_spatial_ttt.sim.sensor import PRESETS
from ros2_spatial_ttt.sim.world import EXAM_SEEDS, TRAIN_SEEDS

__all__ = ['add_arguments', 'check', 'examine']

HOMES = 5
SHOWN_ERRORS = 5
UNFITTED = (
    'What the memory is compared with tells things from the confidence that the memory does: '
    "nothing was fitted for this perception by 'spatial-ttt exam --fit'."
)
# These keep named things only, and there are models that know no names.
NEED_NAMES = ('window', 'voxel', 'keyframe')


class HomesFailedError(SpatialTTTError):
    """Some homes could not be examined; names their seeds and why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that only these sets have."""
    default = HomeOptions()
    group = parser.add_argument_group('simulated homes')
    group.add_argument('--homes', type=int, default=HOMES, metavar='N', help=f'how many ({HOMES})')
    group.add_argument(
        '--minutes', type=float, default=10.0, metavar='M', help='length of each tour (10)'
    )
    group.add_argument(
        '--first-seed',
        type=int,
        default=EXAM_SEEDS[0],
        metavar='SEED',
        help=f'of the first home; the others follow ({EXAM_SEEDS[0]})',
    )
    group.add_argument(
        '--rooms', type=int, default=0, help='rooms of each home, 1 to 8 (as its seed says)'
    )
    group.add_argument(
        '--rate',
        type=float,
        default=default.rate_hz,
        metavar='HZ',
        help=f'frames per second ({default.rate_hz:g})',
    )
    group.add_argument(
        '--perception',
        choices=PERCEPTIONS,
        default=default.perception,
        help='who says what is in a frame: oracle, the truth; noisy, a poor detector; model, the '
        "memory's own model on rendered pictures (oracle)",
    )
    group.add_argument(
        '--sensor',
        choices=tuple(PRESETS),
        default=default.sensor,
        help=f'faults of camera and localisation ({default.sensor})',
    )
    group.add_argument(
        '--pose-noise',
        type=float,
        metavar='M',
        help='standard deviation of each pose per axis, metres (as the sensor says)',
    )
    group.add_argument(
        '--depth',
        action=argparse.BooleanOptionalAction,
        default=default.depth,
        help='whether frames carry depth; without it the model has the picture only',
    )
    group.add_argument(
        '--systems',
        metavar='A,B',
        default='',
        help=f'what is examined, of {", ".join(SYSTEMS)} (all that fit the perception)',
    )
    group.add_argument(
        '--budget-mb',
        type=float,
        default=default.budget_mb,
        metavar='MB',
        help=f'most bytes of the tiles of the memory ({default.budget_mb:g})',
    )
    group.add_argument(
        '--param',
        action='append',
        default=[],
        metavar='NAME=VALUE',
        help='any parameter of the memory in config/memory.yaml; may be repeated',
    )
    group.add_argument(
        '--via',
        choices=VIAS,
        default=default.via,
        help='core asks the memory in this process; ros starts the node and asks its service',
    )
    group.add_argument(
        '--jobs',
        type=int,
        default=len(os.sched_getaffinity(0)),
        metavar='N',
        help='homes examined at the same time (number of cores)',
    )
    group.add_argument(
        '--ray',
        default='',
        metavar='ADDRESS',
        help="examine homes on a Ray cluster: its address, or 'local' to start one here",
    )
    group.add_argument(
        '--fit',
        action='store_true',
        help='find on train homes from which confidence on each store tells a thing, and keep it '
        'for the exams of this model; asks set locate only',
    )
    group.add_argument(
        '--check',
        action='store_true',
        help='exit with 1 when the memory scores less than a working one does',
    )


def options_of(arguments: argparse.Namespace) -> HomeOptions:
    """Return the options of one home that the command line asks for."""
    sets = SETS if arguments.set == 'all' else (arguments.set,)
    known = fitting.fitted(arguments.model, arguments.perception)
    return HomeOptions(
        sets=('locate',) if arguments.fit else sets,
        minutes=arguments.minutes,
        rate_hz=arguments.rate,
        rooms=arguments.rooms,
        perception=arguments.perception,
        sensor=arguments.sensor,
        pose_noise_m=arguments.pose_noise,
        depth=arguments.depth,
        systems=_systems(arguments),
        model=arguments.model,
        backend=arguments.backend,
        params=_parameters(arguments.param),
        budget_mb=arguments.budget_mb,
        via=arguments.via,
        thresholds=fitting.TELL_ALL if arguments.fit else known,
    )


def _parameters(items: list[str]) -> tuple[tuple[str, Any], ...]:
    """Return (name, value) of parameters of the memory; ConfigError says which cannot be."""
    values = parse_parameters(items)
    named = {name.removeprefix('memory.'): value for name, value in values.items()}
    from_flat(MemoryConfig, named)
    return tuple(sorted(named.items()))


def check(arguments: argparse.Namespace) -> None:
    """Check everything that can be wrong before any work begins.

    Raises:
        SpatialTTTError: an option is wrong, or model, renderer or ROS are not there.
    """
    options = options_of(arguments)
    check_numbers(options)
    check_senses(options)
    check_seeds(arguments.first_seed, arguments.homes)
    if arguments.fit and arguments.first_seed not in TRAIN_SEEDS:
        raise ConfigError(
            f'--fit: --first-seed {arguments.first_seed} is for publishing numbers; expected one '
            f'of {TRAIN_SEEDS[0]}..{TRAIN_SEEDS[-1]}'
        )
    if arguments.jobs < 1:
        raise ConfigError(f'--jobs: expected at least 1, got {arguments.jobs}')
    if arguments.ray and options.via == 'ros':
        raise ConfigError('--ray and --via ros: the node runs on this machine only; use one')
    model_hash(options.model)
    if options.perception == 'model':
        from ros2_spatial_ttt.sim.stage import require_renderer

        require_renderer()
    if options.via == 'ros':
        from ros2_spatial_ttt.exam.ros import require_ros

        require_ros()


def examine(arguments: argparse.Namespace) -> report.Outcome:
    """Examine all homes that have no result yet, and put all results together.

    Raises:
        SpatialTTTError: a home failed, or a result cannot be written.
    """
    options = options_of(arguments)
    seeds = check_seeds(arguments.first_seed, arguments.homes)
    homes = _results(arguments, options, seeds)
    if arguments.fit:
        return fitting.outcome(homes, options)
    found = summary.summarise(homes) | _meta(options, seeds)
    return report.Outcome(
        'exam', found, _text(found, options, homes), lambda folder: _draw(homes, folder)
    )


def _systems(arguments: argparse.Namespace) -> tuple[str, ...]:
    named = tuple(name.strip() for name in arguments.systems.split(',') if name.strip())
    unknown = sorted(set(named) - set(SYSTEMS))
    if unknown:
        raise ConfigError(
            f'--systems: {", ".join(unknown)} unknown, expected some of {", ".join(SYSTEMS)}'
        )
    if named:
        return named
    if arguments.fit:
        return ('memory', *fitting.FITTED)
    nameless = arguments.perception == 'model' and not model_labels(arguments.model)
    return tuple(name for name in SYSTEMS if not (nameless and name in NEED_NAMES))


def _results(
    arguments: argparse.Namespace, options: HomeOptions, seeds: Sequence[int]
) -> list[HomeResult]:
    """Return the result of every home, in order of seeds."""
    folder = HomeFolder(Path(arguments.out), options.digest()) if arguments.out else None
    if folder:
        folder.prepare()
    done = {seed: folder.read(seed) for seed in seeds} if folder else {}
    found = {seed: result for seed, result in done.items() if result is not None}
    if found:
        print(f'exam: {len(found)} of {len(seeds)} homes are finished already', file=sys.stderr)

    def keep(result: HomeResult) -> None:
        if folder is not None:
            folder.write(result)
        found[result.seed] = result

    missing = [seed for seed in seeds if seed not in found]
    if arguments.ray and missing:
        failures = pool.examine_homes_on_ray(
            missing, options, address=arguments.ray, jobs=arguments.jobs, done=keep
        )
    else:
        failures = pool.examine_homes(missing, options, jobs=arguments.jobs, done=keep)
    if failures:
        raise HomesFailedError(_failed(failures, len(seeds)))
    return [found[seed] for seed in seeds]


def _failed(failures: Sequence[pool.Failure], homes: int) -> str:
    lines = [f'home {failure.seed}: {failure.error}' for failure in failures[:SHOWN_ERRORS]]
    more = len(failures) - len(lines)
    return '\n'.join(
        [
            f'{len(failures)} of {homes} homes failed, so there is no result; with --out the '
            'others are kept for the next run',
            *lines,
            *([f'and {more} more: {[f.seed for f in failures[SHOWN_ERRORS:]]}'] if more else []),
        ]
    )


def _meta(options: HomeOptions, seeds: Sequence[int]) -> dict[str, object]:
    return {
        'meta.sets': ','.join(options.sets),
        'meta.minutes': options.minutes,
        'meta.rate_hz': options.rate_hz,
        'meta.rooms': options.rooms,
        'meta.perception': options.perception,
        'meta.sensor': options.sensor,
        'meta.pose_noise_m': options.sensor_config.pose_noise_m,
        'meta.depth': options.depth,
        'meta.model': options.model,
        'meta.model_hash': model_hash(options.model),
        'meta.via': options.via,
        'meta.fitted': bool(options.thresholds),
        'meta.first_seed': seeds[0],
        'meta.last_seed': seeds[-1],
        'meta.digest': options.digest(),
    }


def _text(found: dict[str, object], options: HomeOptions, homes: Sequence[HomeResult]) -> str:
    parts = [
        f'{len(homes)} homes (seeds {homes[0].seed} to {homes[-1].seed}), {options.minutes:g} '
        f'minutes each at {options.rate_hz:g} frames/s, perception {options.perception}, '
        f'{found["questions"]} questions.',
        summary.score_table(found, options.systems),
        'In brackets: 95 % interval over homes. Bytes are those of the largest home.',
        UNFITTED if not options.thresholds and set(fitting.FITTED) & set(options.systems) else '',
        summary.further_tables(found, options.systems),
        _blind_text(found),
    ]
    return '\n\n'.join(part for part in parts if part)


def _blind_text(found: dict[str, object]) -> str:
    table = summary.blind_table(found)
    warning = 'Of fewer than some 100 questions of a kind, a NO may be luck.'
    return f'{table}\n\n{warning}' if table else ''


def _draw(homes: Sequence[HomeResult], folder: Path) -> None:
    from ros2_spatial_ttt.exam import plots

    plots.draw_all(homes, folder)
