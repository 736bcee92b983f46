# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Simulated homes: frames rendered per second, and the time for truth and questions.

Frames are colour, depth and instance ids. Truth is home, tour, sights and their JSON.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from typing import Any

from tqdm import tqdm

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.exam import report
from ros2_spatial_ttt.exam.asking import make_questions, questions_json
from ros2_spatial_ttt.sim.episode import make_episode
from ros2_spatial_ttt.sim.rate import render_rate

__all__ = ['add_arguments', 'run', 'summary']


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``spatial-ttt bench homes``."""
    parser.add_argument('--homes', type=int, default=100, help='how many, from seed 0 (100)')
    parser.add_argument('--minutes', type=float, default=5.0, help='of each tour, at 2 Hz (5)')
    parser.add_argument('--jobs', type=int, default=os.cpu_count() or 1, help='processes (cores)')


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Render, then make homes; return flat results.

    Raises:
        ConfigError: an option is out of range. RendererError: nothing can be rendered here.
    """
    for name in ('homes', 'minutes', 'jobs'):
        if getattr(arguments, name) <= 0:
            raise ConfigError(f'--{name}: expected more than 0, got {getattr(arguments, name)}')
    results: dict[str, Any] = {
        f'render.frames_per_s.{processes}': render_rate(processes)
        for processes in sorted({1, arguments.jobs})
    }
    begin = time.perf_counter()
    work = [(seed, arguments.minutes) for seed in range(arguments.homes)]
    with multiprocessing.get_context('spawn').Pool(arguments.jobs) as pool:
        made = list(tqdm(pool.imap(_truth, work), total=len(work), desc='homes', disable=None))
    return results | {
        'truth.homes': arguments.homes,
        'truth.seconds': time.perf_counter() - begin,
        'truth.processes': arguments.jobs,
        'truth.bytes': sum(size for size, _ in made),
        'truth.questions': sum(asked for _, asked in made),
    }


def _truth(work: tuple[int, float]) -> tuple[int, int]:
    """Return the bytes of truth and questions of a home, and how many questions there are."""
    seed, minutes = work
    episode = make_episode(seed, minutes=minutes)
    questions = make_questions(episode)
    return len(episode.to_json()) + len(questions_json(questions)), len(questions)


def summary(results: dict[str, Any]) -> str:
    """Return the results as a Markdown table."""
    rows = [
        (f'frames/s, {key.rpartition(".")[2]} process(es), 320×240', f'{value:.0f}')
        for key, value in results.items()
        if key.startswith('render.')
    ]
    rows.append(
        (
            f'truth and questions of {results["truth.homes"]} homes',
            f'{results["truth.seconds"]:.0f} s on {results["truth.processes"]} processes',
        )
    )
    rows.append(('questions', str(results['truth.questions'])))
    return report.markdown_table(('what', 'measured'), rows)
