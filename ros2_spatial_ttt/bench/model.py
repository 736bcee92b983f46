# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The model alone: the time of a chunk through update.onnx by part, of writing it, and the memory.

spatial-ttt bench model --model nano --threads 2 --json out/model.json
spatial-ttt bench model --model nano --backend tensorrt
spatial-ttt bench model --preset base --backend tensorrt

A preset has random weights, is exported into a temporary folder and gets an engine there. In the
same run the whole update is compared with plain PyTorch (eager; on a GPU compiled and as a CUDA
graph too), with TensorRT also with and without plugins, and all with the device's ceilings.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import resource
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ros2_spatial_ttt.bench import kernels
from ros2_spatial_ttt.bench.fresh import SIZES, fresh_model
from ros2_spatial_ttt.config import BACKENDS, MemoryConfig, from_flat
from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.exam import report
from ros2_spatial_ttt.memory.pipeline import SpatialMemory
from ros2_spatial_ttt.runtime import open_runtime
from ros2_spatial_ttt.runtime.base import ChunkInput, Manifest, Runtime, State
from ros2_spatial_ttt.sim.room import boxes

__all__ = ['add_arguments', 'part_of', 'run', 'summary']

# Parts of the network by the module that a node's name begins with; the first that fits.
PARTS = (
    (r'_inlfunc_SpatioTemporalConv', 'blocks: convolution'),
    (r'_inlfunc_FastWeightUpdate', 'blocks: fast-weight update'),
    (r'net\.backbone\.blocks\.\d+\.attention', 'blocks: attention'),
    (r'net\.backbone\.blocks\.\d+\.mlp', 'blocks: MLP'),
    (r'net\.backbone', 'blocks: rest'),
    (r'net\.trunk\.look', 'appearance'),
    (r'net\.trunk|pixels', 'trunk'),
    (r'net\.(geometry|join|down|deep|around)', 'context'),
    (r'net\.(wide|merge|semantic|names|space)|said', 'heads'),
    (r'samples', 'samples'),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``spatial-ttt bench model``."""
    config = MemoryConfig()
    which = parser.add_mutually_exclusive_group()
    which.add_argument('--model', default=config.model, help='name or folder')
    which.add_argument('--preset', choices=tuple(SIZES), help='a new network of this size')
    parser.add_argument(
        '--pixels',
        type=_pixels,
        metavar='WxH',
        help='pictures of a preset; those that give nano 80 tokens a frame and base 768',
    )
    parser.add_argument('--backend', default='ort', choices=BACKENDS)
    parser.add_argument('--threads', type=int, default=config.threads, help='of the runtime')
    parser.add_argument('--chunks', type=int, default=60, help='measured, after 5 to warm up')
    parser.add_argument('--seconds', type=float, default=2.0, help='of measuring each comparison')


def _pixels(text: str) -> tuple[int, int]:
    found = re.fullmatch(r'(\d+)x(\d+)', text)
    if not found:
        raise argparse.ArgumentTypeError(f'expected WxH such as 320x240, got {text!r}')
    return int(found[1]), int(found[2])


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure a model and return flat results, times in milliseconds."""
    if not arguments.preset:
        if arguments.pixels:
            raise ConfigError('--pixels: only a --preset can have any size; leave it out')
        return _measured(arguments)
    pixels = arguments.pixels or SIZES[arguments.preset]
    with fresh_model(arguments.preset, arguments.backend, pixels) as folder:
        arguments.model = str(folder)
        return _measured(arguments)


def _measured(arguments: argparse.Namespace) -> dict[str, Any]:
    runtime = open_runtime(arguments.model, arguments.backend, threads=arguments.threads)
    manifest, state = runtime.manifest, runtime.initial_state()
    chunk = example_chunk(manifest)
    times = _encode_times(runtime, chunk, state, arguments.chunks)
    # Before anything else of this process adds to it: simulator, profile, whole memory.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    results: dict[str, Any] = {
        'model': manifest.name,
        'backend': runtime.name,
        'threads': arguments.threads,
        'update.frames': manifest.chunk_frames,
        'update.p50_ms': float(np.percentile(times, 50)),
        'update.p95_ms': float(np.percentile(times, 95)),
        'update.least_ms': float(min(times)),
        'blocks.tokens': manifest.chunk_frames * math.prod(manifest.backbone.get('grid', ())),
        'frames_per_s': 1e3 * manifest.chunk_frames / float(np.percentile(times, 50)),
        'rss_peak_mib': peak,
        'backbone_bytes': sum(array.nbytes for array in state.values()),
        'model_bytes': sum(path.stat().st_size for path in manifest.folder.iterdir()),
    }
    if arguments.backend == 'ort':
        parts = _profiled(manifest, chunk, state, arguments)
        results |= {
            f'part.{name.replace(": ", ".").replace(" ", "_")}_ms': ms for name, ms in parts
        }
    return results | _whole(arguments) | compared(runtime, chunk, arguments)


def example_chunk(manifest: Manifest) -> ChunkInput:
    """Return a full chunk of random pictures with measured depth."""
    rng = np.random.default_rng(1)
    frames, tokens = manifest.chunk_frames, manifest.tokens
    shape = (frames, manifest.image_height, manifest.image_width, 3)
    ray = np.concatenate([rng.uniform(-0.5, 0.5, (tokens, 2)), np.ones((tokens, 1))], axis=1)
    # Looks along the map's x axis: optical z to x, x to -y, y to -z.
    pose = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 1.2]], np.float32)
    ones = np.ones(frames, np.float32)
    return ChunkInput(
        image=rng.integers(0, 256, shape).astype(np.uint8),
        depth=rng.uniform(0.5, 5.0, (frames, tokens)).astype(np.float32),
        ray=ray.astype(np.float32),
        tile_T_camera=np.repeat(pose[None], frames, axis=0),
        frame_valid=ones,
        camera_height=1.2 * ones,
        heights=ones,
    )


def compared(runtime: Runtime, chunk: ChunkInput, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return milliseconds, TFLOP/s and GB/s of the whole update in every way, and the ceilings.

    Without PyTorch, or for a model that is no trained network, the reason why not.
    """
    try:
        from ros2_spatial_ttt.training.operators import measured_ceilings, no_gpu
        from ros2_spatial_ttt.training.whole_update import whole_update
    except ImportError as error:
        return {'not_compared': f'PyTorch is not installed ({error})'}
    device = 'cpu' if runtime.name.split()[0] in ('ort', 'reference') else 'cuda'
    missing = no_gpu() if device == 'cuda' else None
    if missing:
        return {'not_compared': missing}
    manifest, state = runtime.manifest, runtime.initial_state()
    if manifest.network != 'spatial':
        return {'not_compared': f'{manifest.name} is no trained network'}
    update = whole_update(manifest, chunk, {name: np.asarray(state[name]) for name in state})

    def encoded(times: int) -> None:
        after = state
        for _ in range(times):
            _, after = runtime.encode(chunk, after)

    ways = {'runtime': encoded}
    if runtime.name in kernels.NAMES:
        feed = {name: tensor.numpy() for name, tensor in update.inputs.items()}
        path = manifest.folder / 'update.onnx'
        ways |= kernels.engine_runs(path, feed, runtime.name, manifest)
    ways |= update.pytorch(device, threads=arguments.threads)
    results: dict[str, Any] = {}
    for way, one in ways.items():
        results |= kernels.rated(f'whole.{way}', one, arguments.seconds, update)
    ceilings = measured_ceilings(device)
    best = {f'ceiling.{name}_tflops': value for name, value in ceilings.tflops.items()}
    return results | best | {'ceiling.gbs': ceilings.gbs}


def _encode_times(runtime: Runtime, chunk: ChunkInput, state: State, count: int) -> list[float]:
    times = []
    for number in range(count + 5):
        begin = time.perf_counter()
        _, state = runtime.encode(chunk, state)
        if number >= 5:
            times.append(1e3 * (time.perf_counter() - begin))
    return times


def part_of(node: str) -> str:
    """Return the part of the network that a node of the graph belongs to."""
    return next((part for start, part in PARTS if re.match(start, node)), 'rest')


def _profiled(
    manifest: Manifest, chunk: ChunkInput, state: State, arguments: argparse.Namespace
) -> list[tuple[str, float]]:
    """Return the median milliseconds of every part of a chunk, by ONNX Runtime's profile."""
    import onnxruntime

    from ros2_spatial_ttt.runtime.ort import session_options

    with tempfile.TemporaryDirectory() as folder:
        options = session_options(arguments.threads)
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / 'profile')
        path = str(manifest.folder / 'update.onnx')
        session = onnxruntime.InferenceSession(path, options, ['CPUExecutionProvider'])
        names = {value.name for value in session.get_inputs()}
        feed = {name: value for name, value in vars(chunk).items() if name in names}
        feed |= {f'state/{name}': array for name, array in state.items()}
        for _ in range(arguments.chunks):
            session.run(None, feed)
        events = json.loads(Path(session.end_profiling()).read_text())
    return _by_part(events)


def _by_part(events: list[dict[str, Any]]) -> list[tuple[str, float]]:
    kernels: dict[str, list[float]] = defaultdict(list)
    for event in events:
        if event.get('cat') == 'Node' and event['name'].endswith('_kernel_time'):
            kernels[event['name'].removesuffix('_kernel_time')].append(event['dur'] / 1e3)
    parts: dict[str, float] = defaultdict(float)
    for node, times in kernels.items():
        parts[part_of(node)] += float(np.median(times))
    return sorted(parts.items(), key=lambda item: -item[1])


def _whole(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what writing chunks of a rendered room costs beside the network, and state bytes."""
    values = {name: getattr(arguments, name) for name in ('model', 'backend', 'threads')}
    memory = SpatialMemory(from_flat(MemoryConfig, values | {'chunk.flush_s': 60.0}))
    encode_ms: list[float] = []
    encode = memory.runtime.encode

    def timed(chunk: ChunkInput, state: State) -> Any:
        begin = time.perf_counter()
        result = encode(chunk, state)
        encode_ms.append(1e3 * (time.perf_counter() - begin))
        return result

    memory.runtime.encode = timed  # type: ignore[method-assign]
    whole_ms = []
    for frame in boxes.frames(7, 6 * memory.manifest.chunk_frames, width=320, height=240):
        begin = time.perf_counter()
        if memory.feed_frame(replace(frame, camera='front')).chunk_updated:
            whole_ms.append(1e3 * (time.perf_counter() - begin))
    status = memory.status()
    rest = [whole - inside for whole, inside in zip(whole_ms, encode_ms, strict=True)]
    return {
        'write.p50_ms': float(np.percentile(rest, 50)),
        'chunk.p50_ms': float(np.percentile(whole_ms, 50)),
        'state_bytes': status.state_bytes,
        'state_bytes_used': status.state_bytes_used,
    }


def summary(results: dict[str, Any]) -> str:
    """Return the results as a Markdown table."""
    n = report.format_number
    rows = [
        ('update.onnx, p50', n(results['update.p50_ms'], 1)),
        ('update.onnx, p95', n(results['update.p95_ms'], 1)),
        ('update.onnx, least', n(results['update.least_ms'], 1)),
    ]
    rows += [
        (f'· {key[5:-3].replace(".", ": ").replace("_", " ")}', n(value, 1))
        for key, value in results.items()
        if key.startswith('part.')
    ]
    rows += [
        ('writing fields and votes, p50', n(results['write.p50_ms'], 1)),
        ('whole chunk, p50', n(results['chunk.p50_ms'], 1)),
    ]
    found = report.markdown_table((f'{results["update.frames"]} frames', 'ms'), rows)
    state = report.format_bytes(results['backbone_bytes'])
    size = report.format_bytes(results['model_bytes'])
    return (
        f'{found}\n\n{_comparison(results)}\n\n{results["frames_per_s"]:.1f} frames/s of the '
        f'network on {results["backend"]}, {results["threads"]} threads; backbone {state} per '
        f'camera; model {size}; peak RSS of the network {results["rss_peak_mib"]:.0f} MiB'
    )


def _comparison(results: dict[str, Any]) -> str:
    if 'not_compared' in results:
        return f'not compared with PyTorch: {results["not_compared"]}'
    kept = {name: v for name, v in results.items() if name.startswith(('whole.', 'ceiling.'))}
    return kernels.table(kept, f'whole update, {results["backend"]}')
