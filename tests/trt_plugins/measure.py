# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Times the kernels on the GPU of this machine beside its measured ceilings.

Run it after the tests pass: ``PYTHONPATH=.:tests python tests/trt_plugins/measure.py LIBRARY``.
Times are medians of replays of a CUDA graph; operations and bytes are counted from the maths, not
from what the kernels do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from trt_plugins.kernels import GpuMemory, Kernels

from trt_plugins import test_fast_weight_update as fast
from trt_plugins import test_field_update as field
from trt_plugins import test_spatio_temporal_conv as conv

REPLAYS = 50


def seconds_of(work: Callable[[int], None]) -> float:
    """Return the median time of ``work(stream)``, captured as a graph and replayed."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        work(stream.cuda_stream)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        work(torch.cuda.current_stream().cuda_stream)
    times = []
    for _ in range(REPLAYS):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / 1e3)
    return float(np.median(times[5:]))


def ceilings() -> dict[str, float]:
    """Return operations per second of large products, and bytes per second of a copy."""
    found = {}
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        a, b = (torch.randn(8192, 8192, device='cuda', dtype=dtype) for _ in range(2))
        found[str(dtype)] = 2 * 8192**3 / seconds_of(lambda _, a=a, b=b: torch.mm(a, b))
    big, other = (torch.empty(2**31, dtype=torch.uint8, device='cuda') for _ in range(2))
    found['bytes'] = 2 * big.numel() / seconds_of(lambda _: other.copy_(big))
    return found


def time_of(kernels: Kernels, call: Callable[[], object]) -> float:
    taken: list[float] = []
    kernels.observer = lambda launch: taken.append(seconds_of(launch))
    call()
    kernels.observer = None
    return taken[0]


def measure_conv(kernels: Kernels, frames: int, grid, heads: int, width: int, dtype) -> None:
    arrays = conv.given(np.random.default_rng(0), 1, frames, grid, 3 * heads * width, dtype)
    mask = np.ones((1, frames), np.float32)
    taken = time_of(
        kernels, lambda: kernels.conv(**arrays, frame_valid=mask, grid=grid, heads=heads)
    )
    moved = 2 * arrays['tokens'].nbytes + 2 * arrays['tail'].nbytes
    name = f'conv {np.dtype(dtype).name} {frames}x{grid[0]}x{grid[1]} heads {heads}x{width}'
    report(name, taken, 2 * 27 * arrays['tokens'].size, moved)


def measure_fast(kernels: Kernels, heads, inner, width, tokens, rule, products) -> None:
    arrays = fast.given(np.random.default_rng(0), 1, heads, inner, width, 1, tokens, products)
    taken = time_of(kernels, lambda: kernels.fast(*arrays, rule=rule, products=products))
    work = 2 * 6 * inner * width * tokens * heads
    small, large = min(inner, width), max(inner, width)
    if rule == 'muon':
        work += 3 * heads * 5 * (4 * small**2 * large + 2 * small**3)
    moved = 2 * arrays[3]['key'].nbytes + 5 * sum(w.nbytes for w in arrays[0])
    name = f'fast {rule} {np.dtype(products).name} heads {heads} m {inner} e {width} N {tokens}'
    report(name, taken, work, moved)


def measure_field(kernels: Kernels, features: int, channels: int, samples: int) -> None:
    rng = np.random.default_rng(0)
    state, given = field.empty(features, channels), field.samples_of(rng, samples, channels)
    omega = field.omega_of(rng, features)
    taken = time_of(kernels, lambda: kernels.field(state, given, omega, rule=field.RULE))
    steps = field.RULE['steps'] + 1
    work = samples * features**2 + 2 * samples * features * channels
    work += 2 * steps * features**2 * channels
    moved = sum(array.nbytes for array in (*state, *state, *given))
    report(f'field D {features} C {channels} N {samples}', taken, work, moved)


def report(name: str, taken: float, work: float, moved: float) -> None:
    print(
        f'{name}: {taken * 1e6:.1f} us, {work / taken / 1e12:.1f} TFLOP/s, '
        f'{moved / taken / 1e9:.0f} GB/s',
        flush=True,
    )


def main(library: str) -> None:
    """Print ceilings, then every operator at nano's, a larger and the published size."""
    import ml_dtypes

    print(torch.cuda.get_device_name(), {n: f'{v:.3g}' for n, v in ceilings().items()}, flush=True)
    kernels = Kernels(Path(library), GpuMemory(torch))
    types = (np.float32, np.float16, ml_dtypes.bfloat16)
    for dtype in types:
        measure_conv(kernels, 8, (8, 10), 4, 32, dtype)
        measure_conv(kernels, 8, (24, 32), 4, 128, dtype)
        for rule in ('momentum', 'muon'):
            measure_fast(kernels, 4, 64, 32, 640, rule, dtype)
            measure_fast(kernels, 4, 256, 128, 6144, rule, dtype)
            measure_fast(kernels, 4, 512, 512, 2648, rule, dtype)
    for features, channels, samples in ((64, 71, 1536), (128, 2, 4608), (2048, 71, 4608)):
        measure_field(kernels, features, channels, samples)


if __name__ == '__main__':
    main(sys.argv[1])
