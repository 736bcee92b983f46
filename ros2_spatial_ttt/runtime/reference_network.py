# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The trained network as float64 numpy: ``training/model.py`` and the backbone, said again.

Letters: F frames, T fine tokens at stride 8, t coarse ones at stride 16.
"""

from __future__ import annotations

from math import erf

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.memory.oracle_layers import LayerSizes, hybrid_block
from ros2_spatial_ttt.runtime.base import ChunkInput, Manifest, Samples, State, Tokens
from ros2_spatial_ttt.runtime.reference_ops import (
    Array,
    convolution,
    picture,
    pooled,
    relu,
    residual,
    samples,
)

__all__ = ['TrainedNetwork']

LEAST_DEPTH_M = 0.2
EPSILON = 1e-6


class TrainedNetwork:
    """Runs ``weights`` (float64), batch norms folded, by the names of ``SpatialNet``."""

    def __init__(self, manifest: Manifest, weights: dict[str, Array]) -> None:
        self._manifest, self._weights = manifest, weights

    def encode(self, chunk: ChunkInput, state: State) -> tuple[Samples, State]:
        """See ``Runtime.encode``."""
        live = chunk.frame_valid > 0
        depth = np.where(live[:, None], chunk.depth, 0.0).astype(np.float64)
        pose = np.where(live[:, None, None], chunk.tile_T_camera, 0.0).astype(np.float64)
        ray = chunk.ray.astype(np.float64)
        image = picture(chunk.image)
        heading = _headings(pose)
        level_T_tile = np.stack([_rotation(angle) for angle in heading])
        seen = self._trunk(image)
        geometry = _geometry(chunk, depth, ray, level_T_tile @ pose[:, :, :3])
        fine, coarse = self._features(seen, geometry)
        coarse, surprise, after = self._context(coarse, int(live.sum()), state)
        said = self._heads(fine, coarse)
        tokens = self._tokens(said, depth, ray, pose, heading, level_T_tile)
        made = self._samples(chunk, image, seen, said, depth, ray)
        masked = {name: np.where(_like(live, value), value, 0.0) for name, value in tokens.items()}
        return Samples(**made, tokens=Tokens(**masked, surprise=surprise)), after

    def embed(self, pictures: NDArray[np.uint8]) -> Array:
        """See ``Runtime.embed``."""
        looks = self._appearance(self._trunk(picture(pictures)))
        return looks[:, :, looks.shape[2] // 2, looks.shape[3] // 2]

    def _conv(self, name: str, x: Array, *, stride: int = 1) -> Array:
        return convolution(self._weights, name, x, stride=stride)

    def _residual(self, name: str, x: Array) -> Array:
        return residual(self._weights, name, x)

    def _trunk(self, image: Array) -> Array:
        x = 2.0 * image - 1.0
        for name in ('first', 'second', 'third'):
            x = relu(self._conv(f'trunk.{name}.0', x, stride=2))
        return self._residual('trunk.fourth', x)

    def _appearance(self, seen: Array) -> Array:
        x = relu(self._conv('trunk.look.0.0', pooled(seen, 2)))
        x = self._conv('trunk.look.1', x)
        return x / np.sqrt((x * x).sum(axis=1, keepdims=True) + 1e-12)

    def _features(self, seen: Array, geometry: Array) -> tuple[Array, Array]:
        rows, columns = self._manifest.grid
        placed = self._conv('geometry', geometry.reshape(len(geometry), -1, rows, columns))
        fine = relu(self._conv('join.0', seen + placed))
        coarse = self._residual('deep', relu(self._conv('down.0', fine, stride=2)))
        x = relu(self._conv('around.0.0', coarse, stride=2))
        x = self._residual('around.2', self._residual('around.1', x))
        around = _doubled(relu(self._conv('around.3.0', x)))
        high, wide = self._manifest.sample_grid
        return fine, coarse + around[:, :, :high, :wide]

    def _context(self, coarse: Array, valid: int, state: State) -> tuple[Array, Array, State]:
        frames = len(coarse)
        if not state:
            return coarse, np.zeros(frames), {}
        rows, columns = self._manifest.sample_grid
        even = np.pad(coarse, ((0, 0), (0, 0), (0, rows % 2), (0, columns % 2)), mode='edge')
        narrow = pooled(even, 2)
        tokens = narrow.reshape(*narrow.shape[:2], -1).transpose(0, 2, 1)
        tokens = np.where(np.arange(frames)[:, None, None] < valid, tokens, 0.0)
        own = {name: array[0].astype(np.float64) for name, array in state.items()}
        sizes = _sizes(self._manifest)
        flags = own.get('seen', np.zeros(0))
        x, after = tokens, {}
        for number in range(int(self._manifest.backbone['blocks'])):
            prefix = f'block{number}.'
            x, fresh = hybrid_block(
                _below(self._weights, f'backbone.blocks.{number}.'),
                x,
                flags,
                _below(own, prefix),
                sizes=sizes,
                valid=valid,
            )
            after.update({prefix + name: array for name, array in fresh.items()})
        if 'seen' in own:
            after['seen'] = np.concatenate([flags, np.ones(valid)])[valid : valid + len(flags)]
        surprise, after['prediction'] = self._surprise(tokens, x, own['prediction'], valid)
        change = _doubled((x - tokens).transpose(0, 2, 1).reshape(narrow.shape))
        mixed = coarse + change[:, :, :rows, :columns]
        return mixed, surprise, {name: after[name][None] for name in state}

    def _surprise(
        self, tokens: Array, x: Array, prediction: Array, valid: int
    ) -> tuple[Array, Array]:
        """Return the surprise of each frame and the prediction of the next."""
        target, known = (_cells(self._manifest, each) for each in (tokens, x))
        known = known / np.sqrt((known * known).mean(axis=-1, keepdims=True) + EPSILON)
        hidden = self._linear('predict_in', known * self._weights['backbone.predict_norm.scale'])
        gelu = 0.5 * hidden * (1.0 + np.vectorize(erf)(hidden / np.sqrt(2.0)))
        predicted = np.concatenate([prediction, target + self._linear('predict_out', gelu)])
        cosine = (_unit(predicted[:-1]) * _unit(target)).sum(axis=2).mean(axis=1)
        live = np.arange(len(tokens)) < valid
        return np.where(live, 1.0 - cosine, 0.0), predicted[valid : valid + 1]

    def _linear(self, name: str, x: Array) -> Array:
        weight = self._weights[f'backbone.{name}.weight']
        return x @ weight.T + self._weights[f'backbone.{name}.bias']

    def _heads(self, fine: Array, coarse: Array) -> dict[str, Array]:
        """Return what the heads say, by the names of ``training.model.Heads``, (F, …, T)."""
        wide = relu(self._conv('wide.1.0', relu(self._conv('wide.0.0', coarse))))
        merged = self._residual('merge', fine + _doubled(wide))
        semantic = self._conv('semantic', merged).reshape(len(fine), -1, self._manifest.tokens)
        space = self._conv('space', merged).reshape(len(fine), -1, self._manifest.tokens)
        names = np.einsum('kc,fct->fkt', self._weights['names.weight'], semantic)
        return {
            'logits': names + self._weights['names.bias'][:, None],
            'offset': space[:, 0:3],
            'spread': np.clip(space[:, 3], -4.0, 2.0),
            'size': np.clip(space[:, 4:7], -4.5, 2.0),
            'turn': space[:, 7:9],
            'depth': np.clip(space[:, 9] + 1.0, -1.6, 2.5),
            'depth_spread': np.clip(space[:, 10] - 1.0, -4.0, 1.0),
        }

    def _tokens(
        self,
        said: dict[str, Array],
        depth: Array,
        ray: Array,
        pose: Array,
        heading: Array,
        level_T_tile: Array,
    ) -> dict[str, Array]:
        there = depth > 0
        depth = np.where(there, depth, np.exp(said['depth']))
        direction = np.einsum('fij,tj->fti', pose[:, :, :3], ray)
        point = pose[:, None, :, 3] + direction * depth[..., None]
        # The row vector times the matrix turns by its transpose, tile_T_level.
        offset = np.einsum('fit,fij->ftj', said['offset'], level_T_tile)
        logits = said['logits'] - said['logits'].max(axis=1, keepdims=True)
        odds = np.exp(logits)
        names = odds / odds.sum(axis=1, keepdims=True)
        turn = np.exp(2j * heading)[:, None] * (said['turn'][:, 0] + 1j * said['turn'][:, 1])
        return {
            'names': names.transpose(0, 2, 1),
            'centre': point + offset,
            'spread': np.exp(said['spread']),
            'size': np.exp(said['size']).transpose(0, 2, 1),
            'turn': np.stack([turn.real, turn.imag], axis=2),
            'depth': depth,
            'depth_spread': np.where(there, 0.0, np.exp(said['depth_spread'])),
            'point': point,
        }

    def _samples(
        self,
        chunk: ChunkInput,
        image: Array,
        seen: Array,
        said: dict[str, Array],
        depth: Array,
        ray: Array,
    ) -> dict[str, Array]:
        measured = self._fours(depth)
        there = (measured > 0).any(axis=2)
        usual = np.where(
            there, _lower_median(measured), _lower_median(self._fours(np.exp(said['depth'])))
        )
        error = self._fours(np.exp(said['depth_spread'])).mean(axis=2)
        spread = np.where(there, 0.0, error)
        weight = np.maximum(1.0 - spread / self._manifest.worst_depth, 0.0)
        weight = weight * (usual <= self._manifest.depth_max_m) * chunk.frame_valid[:, None]
        flat = (len(depth), -1, measured.shape[1])
        return samples(
            self._manifest,
            chunk,
            pooled(image, 2 * self._manifest.stride).reshape(flat).transpose(0, 2, 1),
            self._appearance(seen).reshape(flat).transpose(0, 2, 1),
            depth=usual,
            spread=spread,
            weight=weight,
            ray=self._fours(ray.T).mean(axis=2).T,
        )

    def _fours(self, fine: Array) -> Array:
        """Return fine tokens (X, T) as the four of each coarse one, (X, t, 4)."""
        rows, columns = self._manifest.sample_grid
        cells = fine.reshape(-1, rows, 2, columns, 2).transpose(0, 1, 3, 2, 4)
        return cells.reshape(-1, rows * columns, 4)


def _geometry(chunk: ChunkInput, depth: Array, ray: Array, level_T_camera: Array) -> Array:
    """Return the geometry channels (F, 8, T)."""
    direction = np.einsum('fij,tj->fti', level_T_camera, ray)
    there = (depth > 0).astype(np.float64)
    near = np.log(np.maximum(depth, LEAST_DEPTH_M)) * there
    known = np.broadcast_to(chunk.heights.astype(np.float64)[:, None], depth.shape)
    floor = chunk.camera_height.astype(np.float64)[:, None] * known
    above = (floor + depth * direction[:, :, 2]) * there * known
    unit = direction / np.linalg.norm(ray, axis=1)[:, None]
    rest = np.stack([there, near, known, floor, above], axis=1)
    return np.concatenate([unit.transpose(0, 2, 1), rest], axis=1)


def _headings(pose: Array) -> Array:
    """Return the heading of each camera in the tile, rad; 0 of one that looks up or down."""
    flat = np.hypot(pose[:, 0, 2], pose[:, 1, 2]) > 1e-6
    return np.where(flat, np.arctan2(pose[:, 1, 2], pose[:, 0, 2]), 0.0)


def _rotation(heading: float) -> Array:
    cos, sin = np.cos(heading), np.sin(heading)
    return np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])


def _sizes(manifest: Manifest) -> LayerSizes:
    own = manifest.backbone
    rows, columns = own['grid']
    return LayerSizes(
        grid=(rows, columns),
        cells=tuple(own['cells']),
        frames=own['frames'],
        heads=own['heads'],
        window=own['window'] if own['use_window'] else 1,
        rule=own['update_rule'],
        rate=own['rate'] / (own['frames'] * rows * columns),
        step=own['step_max'],
        decay=own['decay_max'],
    )


def _cells(manifest: Manifest, tokens: Array) -> Array:
    """Return the mean (F, P, d) of tokens (F, t, d) over each pooled cell."""
    (rows, columns), (high, wide) = manifest.backbone['grid'], manifest.backbone['cells']
    shape = (len(tokens), high, rows // high, wide, columns // wide, -1)
    return tokens.reshape(shape).mean(axis=(2, 4)).reshape(len(tokens), high * wide, -1)


def _lower_median(four: Array) -> Array:
    """Return the lower median (X, t) of the positive of each four (X, t, 4), 0 without any."""
    ordered = np.sort(np.where(four > 0, four, np.inf), axis=2)
    count = (four > 0).sum(axis=2)
    middle = np.maximum(count - 1, 0) // 2
    usual = np.take_along_axis(ordered, middle[..., None], axis=2)[..., 0]
    return np.where(count > 0, usual, 0.0)


def _doubled(x: Array) -> Array:
    return x.repeat(2, axis=2).repeat(2, axis=3)


def _unit(x: Array) -> Array:
    return x / np.sqrt((x * x).sum(axis=-1, keepdims=True) + 1e-12)


def _like(live: Array, value: Array) -> Array:
    return live.reshape(-1, *(1 for _ in value.shape[1:]))


def _below(arrays: dict[str, Array], prefix: str) -> dict[str, Array]:
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
