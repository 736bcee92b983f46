# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A long stream into one memory: are the state's bytes fixed, does the process grow?"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import psutil
from tqdm import tqdm

from ros2_spatial_ttt.bench import material
from ros2_spatial_ttt.config import MemoryConfig, from_flat
from ros2_spatial_ttt.exam import report
from ros2_spatial_ttt.memory.pipeline import SpatialMemory
from ros2_spatial_ttt.types import Example, Frame, Query, QueryType

__all__ = ['EARLY_FRAME', 'add_arguments', 'run', 'slope_per_1000', 'stream', 'summary']

EARLY_FRAME = 64
SAMPLES = 100
WARM_UP_SHARE = 0.3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``spatial-ttt bench endurance``."""
    material.add_source_arguments(parser)
    parser.add_argument('--frames', type=int, default=5000, help='length of the stream')
    parser.add_argument('--rate', type=float, default=30.0, help='stamps per second')
    parser.add_argument('--model', default=MemoryConfig().model, help='name or folder')


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Feed the looped frames, asking now and then; return flat results."""
    frames = material.at_rate(material.load_frames(arguments), arguments.rate)
    values = {'model': arguments.model, **material.FLYING}
    memory = SpatialMemory(from_flat(MemoryConfig, values))
    return stream(memory, frames, count=arguments.frames)


def stream(memory: SpatialMemory, frames: list[Frame], *, count: int) -> dict[str, Any]:
    """Feed ``count`` looped frames and measure bytes, time and process memory on the way.

    Args:
        memory: changed in place.
        frames: one round; see ``material.looped``.
        count: at least 64.
    """
    process = psutil.Process()
    every = max(1, count // SAMPLES)
    picture = Example(material.example_pictures(frames, 1)[0])
    fed, rss_mib, frame_ms = [], [], []
    early_bytes = half_used = 0
    for index, frame in enumerate(
        tqdm(material.looped(frames, count), total=count, desc='frames', disable=None), start=1
    ):
        start = time.perf_counter()
        memory.feed_frame(frame)
        frame_ms.append(1e3 * (time.perf_counter() - start))
        if index == EARLY_FRAME:
            early_bytes = memory.status().state_bytes
        if index == count // 2:
            half_used = memory.status().state_bytes_used
        if index % every == 0:
            memory.query(Query(QueryType.LOCATE, examples=(picture,)))
            fed.append(index)
            rss_mib.append(process.memory_info().rss / 2**20)
    memory.flush()
    tenth = max(1, count // 10)
    return {
        'frames.fed': count,
        'frames.accepted': memory.status().frames_accepted,
        'state_bytes': memory.status().state_bytes,
        f'state_bytes.at_{EARLY_FRAME}': early_bytes,
        'state_bytes_used': memory.status().state_bytes_used,
        'state_bytes_used.at_half': half_used,
        'rss_mib': rss_mib[-1],
        'rss_slope_mib_per_1000_frames': slope_per_1000(fed, rss_mib),
        'frame.mean_ms.first_tenth': float(np.mean(frame_ms[:tenth])),
        'frame.mean_ms.last_tenth': float(np.mean(frame_ms[-tenth:])),
    }


def slope_per_1000(fed: Sequence[int], rss_mib: Sequence[float]) -> float:
    """Return the least-squares growth in MiB per 1,000 frames after the first 30 %."""
    first = int(WARM_UP_SHARE * len(fed))
    if len(fed) - first < 2:
        return float('nan')
    return float(np.polyfit(np.array(fed[first:]) / 1000.0, rss_mib[first:], 1)[0])


def summary(results: dict[str, Any]) -> str:
    """Return the results as a Markdown table."""
    early = results[f'state_bytes.at_{EARLY_FRAME}']
    verdict = 'equal' if early == results['state_bytes'] else 'DIFFERENT'
    first, last = (results[f'frame.mean_ms.{end}_tenth'] for end in ('first', 'last'))
    rows = [
        ('frames fed / accepted', f'{results["frames.fed"]} / {results["frames.accepted"]}'),
        (
            f'state at frame {EARLY_FRAME} / at the end',
            f'{early} / {results["state_bytes"]} B, {verdict}',
        ),
        (
            'of it in use at half time / at the end',
            f'{results["state_bytes_used.at_half"]} / {results["state_bytes_used"]} B',
        ),
        ('time per frame, first / last tenth', f'{first:.1f} / {last:.1f} ms'),
        ('RSS at the end', f'{report.format_number(results["rss_mib"], 0)} MiB'),
        ('RSS growth per 1,000 frames', f'{results["rss_slope_mib_per_1000_frames"]:.2f} MiB'),
    ]
    return report.markdown_table(('', 'measured'), rows)
