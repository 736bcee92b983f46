# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The command ``spatial-ttt replay``: a recording through the memory, offline and without DDS."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ros2_spatial_ttt.errors import ConfigError, Refusal
from ros2_spatial_ttt.memory.pipeline import SpatialMemory
from ros2_spatial_ttt.replay import options, picture, raster
from ros2_spatial_ttt.replay.bag import Bag
from ros2_spatial_ttt.types import Frame

__all__ = [
    'SNAPSHOT',
    'Replayed',
    'add_arguments',
    'map_view',
    'memory_slope',
    'replay_bag',
    'report',
    'run',
    'write_json',
]

SNAPSHOT = 'memory.safetensors'
# A bag that loops goes on after a pause in which one could walk back to its start.
PAUSE_S, WALK_SPEED = 1.0, 1.0
# Share of the frames after which memory use counts, and the fewest frames that tell a slope.
WARM_UP, SLOPE_FRAMES = 0.3, 60
# A picture reads the memory on this grid, up to this far from a tabled place.
CELL_M, MAX_CELLS, REACH_M = 0.04, 400, 0.16


@dataclass
class Replayed:
    """What a replay measured.

    Attributes:
        seconds: time of reading, decoding and feeding all frames.
        path: (M, 3) camera positions of the accepted frames, metres, map frame.
        rss: (frames fed, bytes of resident memory) over time.
    """

    seconds: float = 0.0
    path: list[np.ndarray] = field(default_factory=list)
    rss: list[tuple[int, int]] = field(default_factory=list)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``spatial-ttt replay``."""
    parser.add_argument(
        '--bag', type=Path, required=True, metavar='DIR', help='folder of the rosbag2'
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('out/replay'),
        metavar='DIR',
        help='where snapshot, report and picture go (default out/replay)',
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='another place for the report')
    parser.add_argument(
        '--loop', type=int, default=1, metavar='N', help='play the recording N times (default 1)'
    )
    parser.add_argument('--no-picture', action='store_true', help='do not draw top_down.png')
    options.add_memory_arguments(parser)
    options.add_bag_arguments(parser)
    over_dds = parser.add_argument_group('publishing', 'instead of feeding a memory')
    over_dds.add_argument(
        '--publish', action='store_true', help='play the recording over DDS with /clock'
    )
    over_dds.add_argument('--rate', type=float, default=1.0, metavar='R', help='speed (default 1)')
    over_dds.add_argument(
        '--wait',
        type=float,
        default=10.0,
        metavar='S',
        help='longest wait for subscribers in seconds (default 10)',
    )


def run(args: argparse.Namespace) -> int:
    """Carry out ``spatial-ttt replay``."""
    if args.loop < 1:
        raise ConfigError(f'--loop: expected 1 or more, got {args.loop}')
    if args.publish:
        from ros2_spatial_ttt.replay import publish

        return publish.run(args)
    if not args.no_picture:
        picture.require_matplotlib()
    settings = options.settings(args)
    with Bag(args.bag, options.bag_options(args, settings)) as bag:
        out = options.check_folder(args.out, '--out')
        memory = SpatialMemory(settings.node.memory)
        replayed = replay_bag(bag, memory, loops=args.loop)
        memory.save(out / SNAPSHOT)
        results = report(memory, replayed) | {f'topic.{k}': v for k, v in vars(bag.topics).items()}
    for path in [out / 'report.json', args.json]:
        if path is not None:
            write_json(path, results)
    if not args.no_picture:
        view = map_view(memory, replayed.path, tile_m=settings.node.memory.tiles.size_m)
        title = f'Spatial memory of {args.bag.resolve().name}'
        picture.draw_top_down(out / 'top_down.png', replace(view, title=title))
    print(summary(results, out))
    return 0


def replay_bag(
    bag: Bag, memory: SpatialMemory, *, loops: int = 1, quiet: bool = False
) -> Replayed:
    """Feed all frames of a recording, ``loops`` times, and flush."""
    replayed = Replayed()
    total = loops * bag.frame_count
    start = time.perf_counter()
    with tqdm(total=total, unit='frame', desc='replay', disable=True if quiet else None) as bar:
        for count, frame in enumerate(_looped(bag, memory, loops), start=1):
            if memory.feed_frame(frame).accepted:
                replayed.path.append(frame.map_T_camera[:3, 3])
            if count % max(1, total // 200) == 0:
                replayed.rss.append((count, _resident_bytes()))
            bar.update()
    memory.flush()
    replayed.seconds = time.perf_counter() - start
    return replayed


def report(memory: SpatialMemory, replayed: Replayed) -> dict[str, Any]:
    """Return the flat, stable keys of report.json."""
    status = memory.status(with_hash=True)
    return {
        'state_bytes': status.state_bytes,
        'state_bytes_used': status.state_bytes_used,
        'state_hash': status.state_hash,
        'frames_received': status.frames_received,
        'frames_accepted': status.frames_accepted,
        'frames_per_s': status.frames_received / replayed.seconds,
        'chunks': status.chunks,
        'update.p50_ms': status.update_p50_ms,
        'update.p95_ms': status.update_p95_ms,
        'rss_slope_mib_per_1000_frames': memory_slope(replayed.rss),
        'tiles_resident': status.tiles_resident,
        'tiles_on_disk': status.tiles_on_disk,
        'tiles_forgotten': status.tiles_forgotten,
        'keyframes': status.keyframes,
        'newest_stamp_ns': status.newest_stamp_ns,
        'model': status.model,
        'backend': status.backend,
        'map_id': status.map_id,
        **{f'refused.{reason.value}': status.refused.get(reason.value, 0) for reason in Refusal},
    }


def summary(results: dict[str, Any], out: Path) -> str:
    """Return what a person wants to know."""
    refused = {
        k.removeprefix('refused.'): v for k, v in results.items() if k.startswith('refused.') and v
    }
    reasons = ', '.join(f'{count} {reason}' for reason, count in refused.items()) or 'none'
    return '\n'.join(
        (
            f'frames   {results["frames_accepted"]} of {results["frames_received"]} accepted; '
            f'refused: {reasons}',
            f'speed    {results["frames_per_s"]:.1f} frames/s; '
            f'update p50 {results["update.p50_ms"]:.1f} ms, p95 {results["update.p95_ms"]:.1f} ms',
            f'state    {results["state_bytes"] / 1e6:.2f} MB, {results["keyframes"]} pictures, '
            f'hash {results["state_hash"][:12]}',
            f'written  {out}/',
        )
    )


def map_view(memory: SpatialMemory, path: list[np.ndarray], *, tile_m: float) -> picture.MapView:
    """Return what a picture of the memory shows."""
    places, status = memory.field_points().points, memory.status()
    way = np.array(path).reshape(-1, 3)
    low = places[places[:, 2] <= way[:, 2].max(initial=0.0) + picture.HEAD_ROOM_M]
    # The places lie apart; the weights answer everywhere between them.
    cell_m = max(CELL_M, float(np.ptp(low[:, :2], axis=0).max(initial=0.0)) / MAX_CELLS)
    read = memory.read(raster.surface_grid(low, cell_m=cell_m, reach_m=max(REACH_M, cell_m)))
    keyframes = [keyframe.map_T_camera for keyframe in memory.keyframes()]
    return picture.MapView(
        points=read.points,
        colour=read.colour,
        path=way,
        keyframes=np.array(keyframes).reshape(-1, 4, 4),
        tile_m=tile_m,
        subtitle=f'colours read back from the fast weights at {len(places)} places and between '
        f'them; {status.state_bytes_used / 1e6:.1f} of {status.state_bytes / 1e6:.1f} MB in use, '
        f'model {status.model}',
    )


def write_json(path: Path, results: dict[str, Any]) -> None:
    """Write flat results; what is not a number becomes null, an older file is replaced whole."""
    plain = {
        k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in results.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'.{path.name}.part')
    part.write_text(json.dumps(plain, indent=2, sort_keys=True) + '\n', encoding='utf-8')
    os.replace(part, path)


def _looped(bag: Bag, memory: SpatialMemory, loops: int) -> Iterator[Frame]:
    """Yield the frames ``loops`` times with stamps that go on."""
    shift_ns, first, last = 0, None, None
    for _ in range(loops):
        if first is not None and last is not None:
            way_m = float(np.linalg.norm(first.map_T_camera[:3, 3] - last.map_T_camera[:3, 3]))
            pause_s = PAUSE_S + way_m / WALK_SPEED
            shift_ns = last.stamp_ns - first.stamp_ns + round(1e9 * pause_s)
        for frame in bag.frames(memory.refuse):
            last = replace(frame, stamp_ns=frame.stamp_ns + shift_ns)
            first = first or last
            yield last


def _resident_bytes() -> int:
    """Return the resident memory of this process; 0 where /proc is missing."""
    try:
        pages = int(Path('/proc/self/statm').read_text(encoding='ascii').split()[1])
    except OSError:
        return 0
    return pages * os.sysconf('SC_PAGE_SIZE')


def memory_slope(rss: list[tuple[int, int]]) -> float:
    """Return the growth in MiB per 1,000 frames after warm-up; NaN of too few frames."""
    samples = np.array(rss, np.float64).reshape(-1, 2)
    kept = samples[samples[:, 0] > WARM_UP * samples[:, 0].max(initial=0)]
    if len(kept) < 3 or np.ptp(kept[:, 0]) < SLOPE_FRAMES or not kept[:, 1].all():
        return float('nan')
    return float(np.polyfit(kept[:, 0], kept[:, 1] / 2**20, 1)[0] * 1000.0)
