# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The core without ROS: where the time of a frame, an update and a question goes."""

from __future__ import annotations

import argparse
import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import psutil
from tqdm import tqdm

from ros2_spatial_ttt.bench import material
from ros2_spatial_ttt.config import MemoryConfig, from_flat
from ros2_spatial_ttt.exam import report
from ros2_spatial_ttt.memory.pipeline import SpatialMemory
from ros2_spatial_ttt.types import Example, Frame, Query, QueryType

__all__ = ['add_arguments', 'run', 'summary']

PARTS = ('encode', 'second_look', 'update', 'read', 'embed')


def _watch(runtime: Any) -> dict[str, list[float]]:
    """Make every call of the runtime note its milliseconds, in the dictionary returned.

    Writer, reader and questions share the one object, so its methods are replaced in place.
    """
    times_ms: dict[str, list[float]] = defaultdict(list)
    for part in PARTS:
        setattr(runtime, part, _noted(getattr(runtime, part), times_ms, part))
    return times_ms


def _noted(call: Callable[..., Any], times_ms: dict[str, list[float]], part: str) -> Any:
    def timed(*arguments: Any) -> Any:
        start = time.perf_counter()
        result = call(*arguments)
        times_ms[part].append(1e3 * (time.perf_counter() - start))
        return result

    return timed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``spatial-ttt bench core``."""
    material.add_source_arguments(parser)
    parser.add_argument('--frames', type=int, default=240, help='frames fed')
    parser.add_argument('--rate', type=float, default=30.0, help='stamps per second')
    parser.add_argument('--queries', type=int, default=40, help='questions asked afterwards')
    parser.add_argument('--live', type=int, default=20, help='questions right after an update')
    parser.add_argument('--model', default=MemoryConfig().model, help='name or folder')
    parser.add_argument(
        '--threads', type=int, default=MemoryConfig().threads, help='of the runtime'
    )


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Feed, ask, and return flat results: p50 and p95 of every part in milliseconds."""
    frames = material.at_rate(material.load_frames(arguments), arguments.rate)
    values = {'model': arguments.model, 'threads': arguments.threads}
    memory = SpatialMemory(from_flat(MemoryConfig, values | material.FLYING))
    times_ms = _watch(memory.runtime)
    chunk = memory.manifest.chunk_frames
    stream = material.looped(frames, arguments.frames + arguments.live * chunk)
    start = time.perf_counter()
    parts = _feed(memory, itertools.islice(stream, arguments.frames), arguments.frames)
    feed_s = time.perf_counter() - start
    results: dict[str, Any] = {
        'frames_per_s': arguments.frames / feed_s,
        'frames.accepted': memory.status().frames_accepted,
        'state_bytes': memory.status().state_bytes,
        'state_bytes_used': memory.status().state_bytes_used,
        'rss_mib': psutil.Process().memory_info().rss / 2**20,
    }
    parts |= _taken(times_ms, 'in feeding')
    pictures = itertools.cycle(material.example_pictures(frames, 16))
    _ask(memory, next(pictures))  # fills what is kept between updates
    times_ms.clear()
    parts['query, no update since'] = [
        _ask(memory, next(pictures)) for _ in range(arguments.queries)
    ]
    parts |= _taken(times_ms, 'in queries, no update since')
    # A robot asks while it looks around: what was read before an update must be read again.
    parts['query after an update'] = []
    for _ in range(arguments.live):
        _feed(memory, itertools.islice(stream, chunk), chunk)
        parts['query after an update'].append(_ask(memory, next(pictures)))
    parts['read after an update'] = times_ms['read']  # feeding does not read
    for part, times in parts.items():
        results |= _percentiles(part, times)
    return results


def _feed(memory: SpatialMemory, stream: Iterator[Frame], count: int) -> dict[str, list[float]]:
    """Feed the frames, flush, and return the milliseconds per frame with and without update."""
    parts: dict[str, list[float]] = {'frame with update': [], 'frame without update': []}
    for frame in tqdm(stream, total=count, desc='frames', leave=False, disable=None):
        before = time.perf_counter()
        result = memory.feed_frame(frame)
        kind = 'frame with update' if result.chunk_updated else 'frame without update'
        parts[kind].append(1e3 * (time.perf_counter() - before))
    memory.flush()
    return parts


def _taken(times_ms: dict[str, list[float]], where: str) -> dict[str, list[float]]:
    """Return what was noted so far, by part and place, and start anew."""
    out = {f'{part} {where}': list(times) for part, times in times_ms.items()}
    times_ms.clear()
    return out


def _ask(memory: SpatialMemory, picture: np.ndarray) -> float:
    query = Query(QueryType.LOCATE, examples=(Example(picture),), max_results=5)
    start = time.perf_counter()
    memory.query(query)
    return 1e3 * (time.perf_counter() - start)


def _percentiles(part: str, times_ms: list[float]) -> dict[str, Any]:
    if not times_ms:
        return {}
    key = part.replace(', ', ' ').replace(' ', '_')
    return {
        f'{key}.calls': len(times_ms),
        f'{key}.total_ms': float(np.sum(times_ms)),
        f'{key}.p50_ms': float(np.percentile(times_ms, 50)),
        f'{key}.p95_ms': float(np.percentile(times_ms, 95)),
    }


def summary(results: dict[str, Any]) -> str:
    """Return the results as a Markdown table."""
    parts = [key.removesuffix('.calls') for key in results if key.endswith('.calls')]
    n = report.format_number
    rows = [
        (
            part.replace('_', ' '),
            str(results[f'{part}.calls']),
            n(results[f'{part}.p50_ms'], 1),
            n(results[f'{part}.p95_ms'], 1),
            n(results[f'{part}.total_ms'], 0),
        )
        for part in parts
    ]
    found = report.markdown_table(('part', 'calls', 'p50 ms', 'p95 ms', 'total ms'), rows)
    state = report.format_bytes(results['state_bytes_used'])
    return (
        f'{found}\n\n{results["frames_per_s"]:.1f} frames/s fed as fast as possible; '
        f'state in use {state}; RSS {results["rss_mib"]:.0f} MiB'
    )
