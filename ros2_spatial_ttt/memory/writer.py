# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Writing chunks into the state: encode, split by tile, update each tile, keep to the budget."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.config import MemoryConfig
from ros2_spatial_ttt.memory.field import TileFields
from ros2_spatial_ttt.memory.places import PlaceTable
from ros2_spatial_ttt.memory.preprocess import PreparedFrame
from ros2_spatial_ttt.memory.snapshot import TileShelf
from ros2_spatial_ttt.memory.state import MemoryState
from ros2_spatial_ttt.memory.tiles import Tile, TileGrid, TileIndex
from ros2_spatial_ttt.runtime.base import ChunkInput, Runtime, Samples

__all__ = ['NotFinite', 'Writer']


# Rows are padded with weight 0 to a multiple of this: no empty matrix, few different shapes.
_ROWS = 64


class NotFinite(Exception):
    """An update came out with numbers that are not finite; the state before it still holds."""


class Writer:
    """Turns a state and a chunk into the next state. Holds no state of its own."""

    def __init__(
        self,
        config: MemoryConfig,
        runtime: Runtime,
        grid: TileGrid,
        shelf: TileShelf,
        *,
        resident: int,
    ) -> None:
        self._config = config
        self._runtime = runtime
        self._grid = grid
        self._shelf = shelf
        self._resident = resident

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
        return MemoryState(
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
        # Points beyond a border alone do not call a tile into being.
        known = state.tiles.keys() | state.on_disk
        owners = self._grid.owners(surface_map) | self._grid.owners(free_map)
        nothing = np.zeros(0, np.int64)
        out = {}
        for index in sorted((surface_rows.keys() | free_rows.keys()) & (known | owners)):
            centre = self._grid.centre(index)
            s = surface_rows.get(index, nothing)
            f = free_rows.get(index, nothing)
            own = Samples(
                surface_points=_padded((surface_map[s] - centre).astype(np.float32)),
                surface_values=_padded(samples.surface_values[surface[s]]),
                surface_weights=_padded(samples.surface_weights[surface[s]]),
                free_points=_padded((free_map[f] - centre).astype(np.float32)),
                free_weights=_padded(samples.free_weights[free[f]]),
            )
            stamps = row_stamp[surface[s]]
            out[index] = self._updated(self._tile(state, index), own, stamps, state.chunks + 1)
        return out

    def _tile(self, state: MemoryState, index: TileIndex) -> Tile:
        if index in state.tiles:
            return state.tiles[index]
        if index in state.on_disk:
            return self._shelf.get(index)
        return self.new_tile(index)

    def new_tile(self, index: TileIndex) -> Tile:
        """Return a tile in which nothing was observed."""
        manifest = self._runtime.manifest
        fields = TileFields.zeros(manifest.features, manifest.channels)
        return Tile(index=index, fields=fields, places=PlaceTable.empty(), used=0)

    def _updated(
        self, tile: Tile, samples: Samples, stamps: NDArray[np.int64], chunk: int
    ) -> Tile:
        fields = self._runtime.update(tile.fields, samples)
        if not fields.is_finite():
            raise NotFinite(f'tile {tile.index}')
        places = tile.places
        if len(stamps):
            measured = samples.surface_points[: len(stamps)]
            places = places.merged(measured, stamps, capacity=self._config.tiles.places)
        return Tile(index=tile.index, fields=fields, places=places, used=chunk)

    def _within_budget(
        self, state: MemoryState, touched: dict[TileIndex, Tile]
    ) -> tuple[dict[TileIndex, Tile], frozenset[TileIndex], int]:
        """Return tiles in memory, indices on disk and how many tiles were lost."""
        tiles = {**state.tiles, **touched}
        on_disk = set(state.on_disk) - touched.keys()
        excess = len(tiles) - self._resident
        if excess <= 0:
            return tiles, frozenset(on_disk), 0
        oldest = sorted(tiles, key=lambda index: (tiles[index].used, index))[:excess]
        for index in oldest:
            self._shelf.put(tiles.pop(index))
        if self._shelf.enabled:
            return tiles, frozenset(on_disk | set(oldest)), 0
        return tiles, frozenset(), excess


def _padded(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    missing = _ROWS - len(rows) % _ROWS if len(rows) % _ROWS or not len(rows) else 0
    return np.pad(rows, [(0, missing), *[(0, 0)] * (rows.ndim - 1)])
