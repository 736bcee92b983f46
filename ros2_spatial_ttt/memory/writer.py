# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Writing chunks into the state: encode, split by tile, update each tile, keep to the budget."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.config import MemoryConfig
from ros2_spatial_ttt.memory.field import (
    EMBEDDING,
    GEOMETRY_CHANNELS,
    OCCUPIED,
    VIEW,
    FieldState,
)
from ros2_spatial_ttt.memory.preprocess import PreparedFrame
from ros2_spatial_ttt.memory.snapshot import TileShelf
from ros2_spatial_ttt.memory.state import MemoryState
from ros2_spatial_ttt.memory.tiles import (
    Tile,
    TileGrid,
    TileIndex,
    budget_bytes,
    empty_tile,
    sector_of,
)
from ros2_spatial_ttt.runtime.base import ChunkInput, FieldKind, Runtime, Samples

__all__ = ['NotFinite', 'Writer']


# Rows are padded with weight 0 to a multiple of this: no empty matrix, few different shapes.
_ROWS = 64


class NotFinite(Exception):
    """An update came out with numbers that are not finite; the state before it still holds."""


@dataclass(frozen=True)
class _Measured:
    """What a chunk measured in one tile: points (n, 3) m in the tile, rows in order of time."""

    surface: NDArray[np.float32]
    values: NDArray[np.float32]
    sector: NDArray[np.int64]
    stamp_ns: NDArray[np.int64]
    free: NDArray[np.float32]


class Writer:
    """Turns a state and a chunk into the next state. Holds no state of its own."""

    def __init__(
        self,
        config: MemoryConfig,
        runtime: Runtime,
        grid: TileGrid,
        shelf: TileShelf,
    ) -> None:
        self._config = config
        self._runtime = runtime
        self._grid = grid
        self._shelf = shelf
        self._budget = budget_bytes(config.tiles)
        self._pool = ThreadPoolExecutor(config.threads, thread_name_prefix='tiles')

    def write(self, state: MemoryState, chunk: list[PreparedFrame]) -> MemoryState:
        """Return the state after a chunk of one camera.

        Raises:
            NotFinite: the update is unusable.
        """
        # Coordinates near the camera keep float32 exact wherever in the map the robot is.
        origin = np.round(chunk[0].map_T_camera[:3, 3])
        samples = self._runtime.encode(self._chunk_input(chunk, origin))
        stamps = np.array([frame.stamp_ns for frame in chunk], np.int64)
        tokens = len(chunk[0].depth)
        row_stamp = np.repeat(stamps, tokens)
        touched = self._touched(state, samples, origin, row_stamp)
        tiles, on_disk, forgotten = self._within_budget(state, touched)
        evidence = state.evidence
        for frame in chunk:
            evidence = evidence.with_frame(frame, self._config.evidence)
        written = samples.surface_values[samples.surface_weights > 0, EMBEDDING]
        statistics = state.statistics.with_samples(written)
        return MemoryState(
            statistics=statistics,
            lens=statistics.lens(state.lens),
            tiles=MappingProxyType(tiles),
            on_disk=on_disk,
            evidence=evidence,
            chunks=state.chunks + 1,
            newest_ns=max(state.newest_ns, chunk[-1].stamp_ns),
            camera_width=state.camera_width,
            forgotten_tiles=state.forgotten_tiles + forgotten,
        )

    def _chunk_input(self, chunk: list[PreparedFrame], origin: NDArray[np.float64]) -> ChunkInput:
        manifest = self._runtime.manifest
        frames = manifest.chunk_frames
        image = np.zeros((frames, manifest.image_height, manifest.image_width, 3), np.uint8)
        depth = np.zeros((frames, manifest.tokens), np.float32)
        pose = np.zeros((frames, 3, 4), np.float32)
        for number, frame in enumerate(chunk):
            image[number] = frame.image
            depth[number] = frame.depth
            local = frame.map_T_camera[:3].copy()
            local[:, 3] -= origin
            pose[number] = local
        valid = (np.arange(frames) < len(chunk)).astype(np.float32)
        return ChunkInput(
            image=image,
            depth=depth,
            ray=chunk[0].ray,
            tile_T_camera=pose,
            frame_valid=valid,
        )

    def _touched(
        self,
        state: MemoryState,
        samples: Samples,
        origin: NDArray[np.float64],
        row_stamp: NDArray[np.int64],
    ) -> dict[TileIndex, Tile]:
        surface = np.flatnonzero(samples.surface_weights > 0)
        free = np.flatnonzero(samples.free_weights > 0)
        surface_map = samples.surface_points[surface] + origin
        free_map = samples.free_points[free] + origin
        surface_rows = dict(self._grid.assign(surface_map))
        free_rows = dict(self._grid.assign(free_map))
        sector = sector_of(samples.surface_values[surface, VIEW], self._runtime.manifest.sectors)
        # Points beyond a border alone do not call a tile into being.
        known = state.tiles.keys() | state.on_disk
        owners = self._grid.owners(surface_map) | self._grid.owners(free_map)
        nothing = np.zeros(0, np.int64)
        work = []
        for index in sorted((surface_rows.keys() | free_rows.keys()) & (known | owners)):
            centre = self._grid.centre(index)
            s = surface_rows.get(index, nothing)
            f = free_rows.get(index, nothing)
            measured = _Measured(
                surface=(surface_map[s] - centre).astype(np.float32),
                values=samples.surface_values[surface[s]],
                sector=sector[s],
                stamp_ns=row_stamp[surface[s]],
                free=(free_map[f] - centre).astype(np.float32),
            )
            work.append((self._tile(state, index), measured))
        # Tiles do not depend on each other, so the result does not depend on who is first.
        updated = self._pool.map(
            lambda item: self._updated(item[0], item[1], state.chunks + 1), work
        )
        return {tile.index: tile for tile in updated}

    def _tile(self, state: MemoryState, index: TileIndex) -> Tile:
        if index in state.tiles:
            return state.tiles[index]
        if index in state.on_disk:
            return self._shelf.get(index)
        return empty_tile(index, self._runtime.manifest)

    def _updated(self, tile: Tile, measured: _Measured, chunk: int) -> Tile:
        appearance = dict(tile.appearance)
        for sector in np.unique(measured.sector).tolist():
            rows = measured.sector == sector
            appearance[sector] = self._update(
                'appearance',
                appearance.get(sector) or self._empty_appearance(),
                measured.surface[rows],
                measured.values[rows],
            )
        surface, free = len(measured.surface), len(measured.free)
        geometry_values = np.ones((surface + free, GEOMETRY_CHANNELS), np.float32)
        geometry_values[surface:, OCCUPIED] = 0.0
        points = np.concatenate([measured.surface, measured.free])
        geometry = self._update('geometry', tile.geometry, points, geometry_values)
        places = tile.places
        if surface:
            places = places.merged(
                measured.surface, measured.stamp_ns, capacity=self._config.tiles.places
            )
        out = Tile(tile.index, geometry, MappingProxyType(appearance), places, chunk)
        if not out.is_finite():
            raise NotFinite(f'tile {tile.index}')
        return out

    def _update(
        self,
        kind: FieldKind,
        state: FieldState,
        points: NDArray[np.float32],
        values: NDArray[np.float32],
    ) -> FieldState:
        weights = np.ones(len(points), np.float32)
        return self._runtime.update(
            kind, state, _padded(points), _padded(values), _padded(weights)
        )

    def _empty_appearance(self) -> FieldState:
        manifest = self._runtime.manifest
        return FieldState.zeros(manifest.appearance_features, manifest.appearance_channels)

    def _within_budget(
        self, state: MemoryState, touched: dict[TileIndex, Tile]
    ) -> tuple[dict[TileIndex, Tile], frozenset[TileIndex], int]:
        """Return tiles in memory, indices on disk and how many tiles were lost."""
        tiles = {**state.tiles, **touched}
        on_disk = set(state.on_disk) - touched.keys()
        used = sum(tile.nbytes for tile in tiles.values())
        lost = 0
        for index in sorted(tiles, key=lambda index: (tiles[index].used, index)):
            if used <= self._budget:
                break
            tile = tiles.pop(index)
            used -= tile.nbytes
            if self._shelf.enabled:
                self._shelf.put(tile)
                on_disk.add(index)
            else:
                lost += 1
        return tiles, frozenset(on_disk), lost


def _padded(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    missing = _ROWS - len(rows) % _ROWS if len(rows) % _ROWS or not len(rows) else 0
    return np.pad(rows, [(0, missing), *[(0, 0)] * (rows.ndim - 1)])
