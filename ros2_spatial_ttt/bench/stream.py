# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Detections of hours in one home: bytes fixed, update times flat, old things as well recalled.

The robot walks a simulated home; what a perfect (or noisy) detector sees goes into the memory.
LOCATE questions come on the way and do not count as update time. Times are those of the CPU, so
that what else runs on the machine counts little.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from tqdm import tqdm

from ros2_spatial_ttt.bench.endurance import EARLY_FRAME
from ros2_spatial_ttt.config import MemoryConfig
from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.exam import report
from ros2_spatial_ttt.exam.answering import respond
from ros2_spatial_ttt.exam.asking import make_questions
from ros2_spatial_ttt.exam.curves import curves
from ros2_spatial_ttt.exam.homes import memory_config
from ros2_spatial_ttt.exam.options import HomeOptions, check_numbers, check_seeds
from ros2_spatial_ttt.exam.scoring import score
from ros2_spatial_ttt.exam.showing import NOISE
from ros2_spatial_ttt.exam.systems import SYSTEMS, SystemContext
from ros2_spatial_ttt.sim.episode import make_episode
from ros2_spatial_ttt.sim.percepts import percepts

__all__ = ['add_arguments', 'run', 'summary']

FRAMES, MINUTES = 77_000, 180.0
FLAT = 0.05
FORGOTTEN = -0.05


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``spatial-ttt bench stream``."""
    default = MemoryConfig()
    parser.add_argument('--frames', type=int, default=FRAMES, help=f'length ({FRAMES})')
    parser.add_argument(
        '--minutes', type=float, default=MINUTES, help=f'in which they are taken ({MINUTES:g})'
    )
    parser.add_argument('--seed', type=int, default=0, help='of home and tour (0)')
    parser.add_argument(
        '--rooms', type=int, default=0, help='rooms of the home, 1 to 8 (as its seed says)'
    )
    parser.add_argument(
        '--perception', choices=tuple(NOISE), default='oracle', help='a perfect detector or not'
    )
    parser.add_argument('--model', default=default.model, help='name or folder')
    parser.add_argument('--backend', default=default.backend, help='auto, ort, tensorrt or other')
    parser.add_argument(
        '--budget-mb', type=float, default=default.tiles.budget_mb, help='of the tiles, 10^6 B'
    )


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Feed the stream, asking on the way; return flat results.

    Raises:
        ConfigError: an option is out of range.
    """
    if arguments.frames < 4 * EARLY_FRAME:
        raise ConfigError(f'--frames: expected at least {4 * EARLY_FRAME}, got {arguments.frames}')
    options = HomeOptions(
        sets=('locate',),
        minutes=arguments.minutes,
        rate_hz=arguments.frames / (60.0 * arguments.minutes) if arguments.minutes > 0 else 0.0,
        rooms=arguments.rooms,
        perception=arguments.perception,
        model=arguments.model,
        backend=arguments.backend,
        budget_mb=arguments.budget_mb,
    )
    check_numbers(options)
    check_seeds(arguments.seed, 1)
    return _stream(arguments.seed, options)


def _stream(seed: int, options: HomeOptions) -> dict[str, Any]:
    episode = make_episode(
        seed, minutes=options.minutes, rate_hz=options.rate_hz, rooms=options.rooms or None
    )
    questions = make_questions(episode, options.sets)
    system = SYSTEMS['memory'](SystemContext(memory_config(options), seed=seed))
    pending, responses, chunk_ms = list(reversed(questions)), [], []
    early: dict[str, float] = {}
    shown = percepts(episode, noise=NOISE[options.perception])
    bar = tqdm(shown, total=len(episode.tour), desc='frames', disable=None)
    for index, percept in enumerate(bar, start=1):
        while pending and pending[-1].ask_ns < percept.stamp_ns:
            responses.append(respond(pending.pop(), system.query))
        start = time.process_time()
        system.observe(percept)
        chunk_ms.append(1e3 * (time.process_time() - start))
        if index == EARLY_FRAME:
            early = {'state_bytes': system.memory.status().state_bytes}
    responses += [respond(question, system.query) for question in reversed(pending)]
    status = system.memory.status()
    homes = [(questions, responses)]
    ages = curves(homes, [int(episode.tour.stamps_ns[0])])['recall_by_age']
    return {
        'frames.fed': len(episode.tour),
        'frames.accepted': status.frames_accepted,
        'state_bytes': status.state_bytes,
        f'state_bytes.at_{EARLY_FRAME}': early['state_bytes'],
        'state_bytes_used': status.state_bytes_used,
        **_times(np.array(chunk_ms), status.chunks),
        **{f'age.minutes.{tenth}': minutes for tenth, minutes, _, _ in ages},
        **{f'age.recall.{tenth}': recall for tenth, _, recall, _ in ages},
        **score(homes),
    }


def _times(frame_ms: np.ndarray, chunks: int) -> dict[str, float]:
    """Return the median time of a chunk in the first and the last quarter of the stream.

    Most calls only collect a frame. As many as there were chunks, evenly spread, are the slow
    ones that close one: the medians are over groups of frames of the length of a chunk.
    """
    length = max(1, round(len(frame_ms) / max(chunks, 1)))
    sums = frame_ms[: len(frame_ms) // length * length].reshape(-1, length).sum(axis=1)
    quarter = max(1, len(sums) // 4)
    first, last = float(np.median(sums[:quarter])), float(np.median(sums[-quarter:]))
    return {
        'chunk.p50_ms.first_quarter': first,
        'chunk.p50_ms.last_quarter': last,
        'chunk.growth': last / first - 1.0,
        'frames_per_s': 1e3 / float(frame_ms.mean()),
    }


def summary(results: dict[str, Any]) -> str:
    """Return the results as a Markdown table, with what is expected of each."""
    early = results[f'state_bytes.at_{EARLY_FRAME}']
    oldest = max(int(key.rpartition('.')[2]) for key in results if key.startswith('age.minutes.'))
    gap = results.get('age.oldest_minus_newest', float('nan'))
    recall, minutes = results[f'age.recall.{oldest}'], results[f'age.minutes.{oldest}']
    first, last = (results[f'chunk.p50_ms.{end}_quarter'] for end in ('first', 'last'))
    rows = [
        (
            'frames fed / accepted',
            f'{results["frames.fed"]} / {results["frames.accepted"]}',
            'equal',
        ),
        (
            f'state at frame {EARLY_FRAME} / at the end',
            f'{early} / {results["state_bytes"]} B',
            'equal' if early == results['state_bytes'] else 'DIFFERENT',
        ),
        ('of it in use at the end', report.format_bytes(results['state_bytes_used']), ''),
        (
            'median chunk, first / last quarter',
            f'{first:.2f} / {last:.2f} ms ({results["chunk.growth"]:+.1%})',
            'flat' if results['chunk.growth'] <= FLAT else 'GROWS',
        ),
        (
            f'recall@0.5 m of the oldest tenth ({minutes:.1f} min old)',
            f'{recall:.3f} ({100 * gap:+.1f} points against the newest)',
            'kept' if gap >= FORGOTTEN else 'FORGOTTEN',
        ),
        ('recall@0.5 m', f'{results["locate.recall_at_0.5m"]:.3f}', ''),
    ]
    return report.markdown_table(('', 'measured', ''), rows)
