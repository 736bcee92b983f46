# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Whether a runtime on this machine says what the model said where it was exported.

``parity.safetensors`` of a model folder holds a short stream of chunks in reduced form, pictures
as one colour per coarse token, and some numbers of each tensor that must come out. Of a model with
a second look it holds cut-outs as well.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from ros2_spatial_ttt.memory.second_look import CROP, KNOWN
from ros2_spatial_ttt.runtime.base import ChunkInput, Manifest, Runtime, Samples, State

__all__ = ['VALID', 'chunks', 'inputs', 'outputs', 'tolerance', 'worst']

# Real frames of each chunk of the stream.
VALID = (8, 3, 7, 1)
# So many numbers of each tensor are kept, evenly apart.
KEPT = 500
# Largest errors, as a share of the largest number of a tensor, or of 1 where that is less.
TOLERANCE = {
    # Float32 sums of up to 1728 products through twenty layers, in another order.
    'fp32': 1e-4,
    # Half precision rounds each operand to 5e-4; layers in a row add up.
    'fp16': 3e-2,
}
# Cut-outs have places of so many rows and columns.
_PLACES = 6
# How often a surface may turn up or vanish whose predicted depth is just good enough.
_GATED = 10.0


def inputs(manifest: Manifest, seed: int = 20260101) -> dict[str, NDArray]:
    """Return the reduced stream for a model: {name: (chunks, F, …)}."""
    rng = np.random.default_rng(seed)
    shape = (len(VALID), manifest.chunk_frames)
    rows, columns = manifest.sample_grid
    depth = rng.uniform(0.5, 6.0, (*shape, manifest.tokens))
    depth *= rng.random(depth.shape) > 0.2
    depth[:, ::3] = 0.0  # frames of a camera without depth
    reduced: dict[str, NDArray] = {
        'input.picture': rng.integers(0, 256, (*shape, rows, columns, 3)).astype(np.uint8),
        'input.depth': depth.astype(np.float16),
        'input.angles': rng.uniform(-3.0, 3.0, (*shape, 2)).astype(np.float32),
        'input.place': rng.uniform(-1.0, 1.0, (*shape, 3)).astype(np.float32),
    }
    return reduced | (_cut_outs(manifest, rng) if manifest.second_look else {})


def chunks(manifest: Manifest, reduced: dict[str, NDArray]) -> Iterator[ChunkInput]:
    """Yield the chunks of a reduced stream."""
    size = manifest.image_height // manifest.sample_grid[0]
    frames = manifest.chunk_frames
    for number, valid in enumerate(VALID):
        live = (np.arange(frames) < valid).astype(np.float32)
        picture = reduced['input.picture'][number].repeat(size, axis=1).repeat(size, axis=2)
        pose = np.zeros((frames, 3, 4), np.float32)
        pose[:, :, :3] = [_rotation(*pair) for pair in reduced['input.angles'][number].tolist()]
        pose[:, :, 3] = reduced['input.place'][number]
        yield ChunkInput(
            image=(picture * live[:, None, None, None]).astype(np.uint8),
            depth=reduced['input.depth'][number].astype(np.float32) * live[:, None],
            ray=_rays(manifest),
            tile_T_camera=pose * live[:, None, None],
            frame_valid=live,
            camera_height=(pose[:, 2, 3] + 1.2) * live,
            heights=live,
        )


def outputs(runtime: Runtime, reduced: dict[str, NDArray]) -> dict[str, NDArray]:
    """Return what a runtime says of a reduced stream: {name of chunk and tensor: array}."""
    out: dict[str, NDArray] = {}
    state: State = runtime.initial_state()
    for number, chunk in enumerate(chunks(runtime.manifest, reduced)):
        samples, state = runtime.encode(chunk, state)
        arrays = {name: getattr(samples, name) for name in Samples.arrays()}
        if samples.tokens is not None:
            arrays |= {f'tokens.{name}': array for name, array in vars(samples.tokens).items()}
        arrays |= {f'state.{name}': array for name, array in state.items()}
        out |= {f'{number}.{name}': _thinned(array) for name, array in arrays.items()}
    picture = _enlarged(reduced['input.picture'][0, :, :3, :3], runtime.manifest.window)
    out['embed'] = _thinned(runtime.embed(picture))
    if runtime.manifest.second_look:
        names = runtime.second_look(
            _enlarged(reduced['input.picture'][1, :, :3, :3], CROP),
            _enlarged(reduced['input.cut_place'], CROP).astype(np.float32),
            reduced['input.cut_known'],
        )
        out['second_look'] = _thinned(names)
    return out


def worst(runtime: Runtime) -> dict[str, float]:
    """Return the error of each tensor over what is allowed, largest first; above 1 is wrong."""
    stored = load_file(runtime.manifest.folder / 'parity.safetensors')
    got = outputs(runtime, stored)
    bound = tolerance(runtime.manifest)
    errors = {}
    for name, value in got.items():
        scale = max(float(np.abs(stored[name]).max(initial=0.0)), 1.0)
        allowed = bound * scale * (_GATED if '.surface' in name or '.free' in name else 1.0)
        error = float(np.abs(value - stored[name]).max(initial=0.0)) / allowed
        errors[name] = error if np.isfinite(error) else np.inf
    return dict(sorted(errors.items(), key=lambda item: -item[1]))


def tolerance(manifest: Manifest) -> float:
    """Return the allowed error of a model."""
    return TOLERANCE[manifest.precision]


def _cut_outs(manifest: Manifest, rng: np.random.Generator) -> dict[str, NDArray]:
    """Return places (F, _PLACES, _PLACES, 4) and numbers (F, KNOWN + K) that go with pictures."""
    frames, names = manifest.chunk_frames, len(manifest.labels)
    place = rng.uniform(-1.0, 1.0, (frames, _PLACES, _PLACES, 4))
    place[..., 3] = place[..., 3] > -0.5
    numbers = rng.uniform(-1.0, 1.0, (frames, KNOWN))
    shares = rng.random((frames, names)) / names
    return {
        'input.cut_place': (place * place[..., 3:]).astype(np.float16),
        'input.cut_known': np.concatenate([numbers, shares], axis=1).astype(np.float32),
    }


def _enlarged(array: NDArray, size: int) -> NDArray:
    """Return arrays (n, h, h, c) as (n, size, size, c), each number repeated."""
    times = size // array.shape[1]
    return array.repeat(times, axis=1).repeat(times, axis=2)


def _thinned(array: NDArray) -> NDArray[np.float32]:
    flat = np.ascontiguousarray(array).reshape(-1)
    return flat[:: max(len(flat) // KEPT, 1)].astype(np.float32)


def _rotation(turn: float, tilt: float) -> NDArray[np.float64]:
    """Return a camera that is turned about the vertical and tilted a little."""
    c, s, a, b = np.cos(turn), np.sin(turn), np.cos(0.2 * tilt), np.sin(0.2 * tilt)
    level = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, a, -b], [0.0, b, a]])
    about_z = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    return np.asarray(about_z @ level @ about_x)


def _rays(manifest: Manifest) -> NDArray[np.float32]:
    """Return the rays of a pinhole with a horizontal field of view of 60 degrees."""
    rows, columns = manifest.grid
    step = 2.0 * np.tan(np.pi / 6.0) / columns
    across, down = ((np.arange(count) - (count - 1) / 2) * step for count in (columns, rows))
    x, y = np.meshgrid(across, down)
    return np.stack([x.ravel(), y.ravel(), np.ones(x.size)], axis=1).astype(np.float32)
