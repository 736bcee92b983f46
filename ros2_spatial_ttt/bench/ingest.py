# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The node under load: a 640×480 colour and depth camera over DDS, and a client that asks.

Three processes on one machine, as on a robot: the real node, a publisher (raw rgb8, 16UC1,
CameraInfo and odometry at a fixed rate), and this one, which asks LOCATE at a fixed rate. The
frames are a tour round a rendered room, or a recording, played faster than it was walked;
the gate runs, with its limits of speed lifted. Measured after a warm-up.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml
from tqdm import tqdm

from ros2_spatial_ttt.bench import material
from ros2_spatial_ttt.errors import SpatialTTTError
from ros2_spatial_ttt.exam import metrics, report
from ros2_spatial_ttt.types import Frame, ResultCode

__all__ = ['BenchError', 'add_arguments', 'run']

NODE = '/spatial_memory'
# Numbers of lifecycle_msgs: the transition and the state it leads to.
TRANSITIONS = (('configure', 1, 2), ('activate', 3, 3))
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 30.0


class BenchError(SpatialTTTError):
    """A part of the benchmark did not start or ended early; holds the end of its log."""


@dataclass(frozen=True)
class _Usage:
    wall_s: float
    cpu_s: float
    rss_mib: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``spatial-ttt bench ingest``."""
    material.add_source_arguments(parser)
    parser.add_argument('--seconds', type=float, default=30.0, help='measured time')
    parser.add_argument('--warm-up', type=float, default=4.0, help='seconds not measured')
    parser.add_argument('--rate', type=float, default=30.0, help='camera frames per second')
    parser.add_argument('--query-rate', type=float, default=2.0, help='questions per second')
    parser.add_argument(
        '--reliability',
        choices=('best_effort', 'reliable'),
        default='best_effort',
        help='what the node asks of its topics; best_effort is its default',
    )
    parser.add_argument('--params', type=Path, help='YAML file of node parameters to add')
    parser.add_argument('--domain', type=int, default=None, help='ROS domain; default: own one')


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run the benchmark; return its flat results.

    Raises:
        BenchError: ROS, the messages, the node or the publisher are not there.
    """
    _isolate(arguments.domain)
    try:
        from ros2_spatial_ttt.bench.client import MemoryClient
    except ImportError as error:
        raise BenchError(
            f'{error}; bench ingest needs ROS 2 and the built package: '
            "run 'make build' and source install/setup.bash"
        ) from error
    frames = material.load_frames(arguments)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='bench-ingest-')))
        client = MemoryClient(NODE)
        stack.callback(client.close)
        node = _start_node(folder, arguments, stack)
        _bring_up(client, node, folder)
        camera = _start_camera(folder, frames, arguments, stack)
        return _measure(client, node, camera, frames, arguments, folder)


def _isolate(domain: int | None) -> None:
    """Keep other robots out of the measurement, and the measurement off the network."""
    chosen = 20 + os.getpid() % 80 if domain is None else domain
    os.environ['ROS_DOMAIN_ID'] = str(chosen)
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'


def _start_node(folder: Path, arguments: argparse.Namespace, stack: ExitStack) -> psutil.Popen:
    from ros2_spatial_ttt.bench.publisher import TOPICS

    camera = {
        'colour_topic': TOPICS['colour'],
        'depth_topic': TOPICS['depth'],
        'info_topic': TOPICS['info'],
    }
    parameters = {
        'cameras': ['bench'],
        'camera': {'bench': camera},
        'pose': {'source': 'odometry', 'topic': TOPICS['odom'], 'child_is_camera': True},
        'memory': material.FLYING,
        'snapshot': {'directory': str(folder / 'snapshots')},
        'qos_overrides': {
            topic: {'subscription': {'reliability': arguments.reliability}}
            for topic in TOPICS.values()
        },
    }
    path = folder / 'bench.yaml'
    path.write_text(yaml.safe_dump({'/**': {'ros__parameters': parameters}}), encoding='utf-8')
    files = [path] if arguments.params is None else [path, arguments.params]
    options = [word for file in files for word in ('--params-file', str(file))]
    command = ['ros2_spatial_ttt.ros.node', '--ros-args', *options]
    return _spawn('node', command, folder, stack)


def _start_camera(
    folder: Path, frames: list[Frame], arguments: argparse.Namespace, stack: ExitStack
) -> psutil.Popen:
    from ros2_spatial_ttt.bench.publisher import store_frames

    path = folder / 'frames.npz'
    store_frames(frames, path)
    seconds = arguments.warm_up + arguments.seconds + 3.0
    options = [str(path), '--rate', str(arguments.rate), '--seconds', str(seconds)]
    return _spawn('publisher', ['ros2_spatial_ttt.bench.publisher', *options], folder, stack)


def _spawn(name: str, module: list[str], folder: Path, stack: ExitStack) -> psutil.Popen:
    log = stack.enter_context((folder / f'{name}.log').open('w', encoding='utf-8'))
    process = psutil.Popen([sys.executable, '-m', *module], stdout=log, stderr=subprocess.STDOUT)
    stack.callback(_stop, process)
    return process


def _stop(process: psutil.Popen) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait()


def _bring_up(client: Any, node: psutil.Popen, folder: Path) -> None:
    for verb, transition, state in TRANSITIONS:
        if not client.reach(transition, state, timeout_s=START_TIMEOUT_S):
            raise BenchError(f'{NODE} did not {verb}. {_state(node, folder, "node")}')


def _state(process: psutil.Popen, folder: Path, name: str) -> str:
    code = process.poll()
    tail = (folder / f'{name}.log').read_text(encoding='utf-8', errors='replace')[-2000:]
    said = f'its log ends:\n{tail}' if tail.strip() else 'its log is empty'
    return f'The process is {"running" if code is None else f"over with code {code}"}; {said}'


def _measure(
    client: Any,
    node: psutil.Popen,
    camera: psutil.Popen,
    frames: list[Frame],
    arguments: argparse.Namespace,
    folder: Path,
) -> dict[str, Any]:
    _wait_for_frames(client, camera, folder)
    client.spin(arguments.warm_up)
    pictures = material.example_pictures(frames, 16)
    client.round_trips.clear()
    client.asked = 0
    first, before = _latest(client), _usage(node)
    rss = _ask_for(arguments.seconds, client, node, pictures, arguments.query_rate)
    last, after = _latest(client), _usage(node)
    client.collect(timeout_s=ANSWER_TIMEOUT_S)
    if node.poll() is not None:
        raise BenchError(f'the node ended. {_state(node, folder, "node")}')
    sent = _sent(camera, folder)
    used = last[1].frames_accepted - first[1].frames_accepted
    return {
        'frames_per_s': _rate(first, last, 'frames_accepted'),
        'received_per_s': _rate(first, last, 'frames_received'),
        'published_per_s': sent['published'] / sent['seconds'],
        'published.late': sent['late'],
        'cpu_ms_per_frame': 1e3 * (after.cpu_s - before.cpu_s) / used if used else float('nan'),
        'cpu_percent': 100.0 * (after.cpu_s - before.cpu_s) / (after.wall_s - before.wall_s),
        'rss_mib': after.rss_mib,
        'rss_peak_mib': max([*rss, after.rss_mib]),
        **_status_keys(first[1], last[1]),
        **_query_keys(client),
        'rate_hz': arguments.rate,
        'seconds': last[0] - first[0],
    }


def _wait_for_frames(client: Any, camera: psutil.Popen, folder: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not (client.statuses and client.statuses[-1][1].frames_accepted):
        if camera.poll() not in (None, 0):
            raise BenchError(f'the publisher failed. {_state(camera, folder, "publisher")}')
        if time.monotonic() > deadline:
            seen = client.statuses[-1][1] if client.statuses else 'no status message'
            raise BenchError(f'no frame was accepted within {START_TIMEOUT_S:g} s; got {seen}')
        client.spin(0.1)


def _ask_for(
    seconds: float, client: Any, node: psutil.Popen, pictures: list, query_rate: float
) -> list[float]:
    """Ask at the given rate for ``seconds``; return the node's memory in MiB over time."""
    rss = []
    count = int(seconds * query_rate)
    start = time.monotonic()
    for index in tqdm(range(count), desc='asking', disable=None):
        client.ask(pictures[index % len(pictures)])
        rss.append(node.memory_info().rss / 2**20)
        client.spin(max(0.0, start + (index + 1) / query_rate - time.monotonic()))
    return rss


def _latest(client: Any) -> tuple[float, Any]:
    """Return (monotonic seconds, message) of the next ~/status."""
    known = len(client.statuses)
    deadline = time.monotonic() + START_TIMEOUT_S
    while len(client.statuses) == known and time.monotonic() < deadline:
        client.spin(0.02)
    if len(client.statuses) == known:
        raise BenchError(f'{NODE}/status fell silent for {START_TIMEOUT_S:g} s')
    return client.statuses[-1]


def _usage(node: psutil.Popen) -> _Usage:
    times = node.cpu_times()
    rss_mib = node.memory_info().rss / 2**20
    return _Usage(time.monotonic(), times.user + times.system, rss_mib)


def _rate(first: tuple[float, Any], last: tuple[float, Any], counter: str) -> float:
    return (getattr(last[1], counter) - getattr(first[1], counter)) / (last[0] - first[0])


def _status_keys(first: Any, last: Any) -> dict[str, Any]:
    refused = dict(zip(last.refused_reasons, last.refused_counts, strict=True))
    earlier = dict(zip(first.refused_reasons, first.refused_counts, strict=True))
    dropped = {key: int(count) - int(earlier.get(key, 0)) for key, count in refused.items()}
    return {
        'drops': sum(dropped.values()),
        **{f'drops.{reason}': count for reason, count in dropped.items() if count},
        'update.p50_ms': float(last.update_p50_ms),
        'update.p95_ms': float(last.update_p95_ms),
        'query.inside_p50_ms': float(last.query_p50_ms),
        'query.inside_p95_ms': float(last.query_p95_ms),
        'chunks': int(last.chunks - first.chunks),
        'state_bytes': int(last.state_bytes),
    }


def _query_keys(client: Any) -> dict[str, Any]:
    times = np.array([elapsed for _, elapsed in client.round_trips])
    found = sum(code == ResultCode.OK for code, _ in client.round_trips)
    keys: dict[str, Any] = {
        'query.asked': client.asked,
        'query.answered': len(times),
        'query.ok': found,
    }
    for percent in (50, 95, 99):
        score = metrics.bootstrap(lambda t, p=percent: metrics.percentile(t, p), times)
        name = f'query.p{percent}_ms'
        keys |= {name: score.value, f'{name}.low': score.low, f'{name}.high': score.high}
    return keys


def _sent(camera: psutil.Popen, folder: Path) -> dict[str, float]:
    try:
        camera.wait(START_TIMEOUT_S)
        lines = (folder / 'publisher.log').read_text(encoding='utf-8').splitlines()
        return json.loads(lines[-1])
    except (psutil.TimeoutExpired, IndexError, ValueError) as error:
        raise BenchError(
            f'the publisher gave no result. {_state(camera, folder, "publisher")}'
        ) from error


def summary(results: dict[str, Any]) -> str:
    """Return the results as a Markdown table."""
    n = report.format_number
    rows = [
        ('frames used', f'{n(results["frames_per_s"], 1)} /s'),
        ('frames received', f'{n(results["received_per_s"], 1)} /s'),
        ('frames published', f'{n(results["published_per_s"], 1)} /s'),
        ('drops by the node', ', '.join(_drops(results)) or 'none'),
        (
            'update p50 / p95',
            f'{n(results["update.p50_ms"], 1)} / {n(results["update.p95_ms"], 1)} ms',
        ),
        (
            'query round trip p50 / p95 / p99',
            ' / '.join(n(results[f'query.p{p}_ms'], 1) for p in (50, 95, 99)) + ' ms',
        ),
        ('queries asked / answered / found', _questions(results)),
        (
            'CPU of the node',
            f'{n(results["cpu_percent"], 0)} % of one core, '
            f'{n(results["cpu_ms_per_frame"], 1)} ms per frame used',
        ),
        ('RSS of the node', f'{n(results["rss_mib"], 0)} MiB'),
        ('state', report.format_bytes(results['state_bytes'])),
    ]
    return report.markdown_table(('', 'measured'), rows)


def _drops(results: dict[str, Any]) -> list[str]:
    prefix = 'drops.'
    return [f'{k[len(prefix) :]} {v}' for k, v in results.items() if k.startswith(prefix)]


def _questions(results: dict[str, Any]) -> str:
    return ' / '.join(str(results[f'query.{key}']) for key in ('asked', 'answered', 'ok'))
