# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Writing chunks into the state: measure, split by tile, update each tile, keep to the budget."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.config import MemoryConfig
from ros2_spatial_ttt.memory.doubts import Look, doubts
from ros2_spatial_ttt.memory.field import (
    EMBEDDING,
    GEOMETRY_CHANNELS,
    OCCUPIED,
    VIEW,
    FieldState,
)
from ros2_spatial_ttt.memory.measure import Measured, encoded, perceived
from ros2_spatial_ttt.memory.oracle import fourier_features
from ros2_spatial_ttt.memory.places import PlaceTable
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
from ros2_spatial_ttt.memory.votes import (
    PRESENT,
    SIZE,
    empty_votes,
    update_votes,
)
from ros2_spatial_ttt.runtime.base import FieldKind, Runtime
from ros2_spatial_ttt.types import Percept

__all__ = ['NotFinite', 'Writer']


# Rows are padded with weight 0 to a multiple of this: no empty matrix, few different shapes.
_ROWS = 64
# A place of votes that is believed less than this is doubted no more, and after a while forgotten.
_BELIEVED = 0.15


class NotFinite(Exception):
    """An update came out with numbers that are not finite; the state before it still holds."""


class Writer:
    """Turns a state and a chunk into the next state. Holds no state of its own.

    ``omega`` (D/2, 3) are the key frequencies of the vote field, rad/m.
    """

    def __init__(
        self,
        config: MemoryConfig,
        runtime: Runtime,
        grid: TileGrid,
        shelf: TileShelf,
        omega: NDArray[np.float32],
    ) -> None:
        self._config = config
        self._omega = omega
        self._runtime = runtime
        self._grid = grid
        self._shelf = shelf
        self._budget = budget_bytes(config.tiles)
        self._pool = ThreadPoolExecutor(config.threads, thread_name_prefix='tiles')
        self._names = config.votes.names

    def write(self, state: MemoryState, chunk: list[PreparedFrame]) -> MemoryState:
        """Return the state after a chunk of one camera.

        Raises:
            NotFinite: the update is unusable.
        """
        camera = chunk[0].camera
        before = state.backbones.get(camera) or self._runtime.initial_state()
        measured, after = encoded(self._runtime, chunk, before, self._names)
        if not all(np.isfinite(array.sum(dtype=np.float64)) for array in after.values()):
            raise NotFinite(f'the backbone of camera {camera!r}')
        state = self._written(state, measured, chunk[-1].stamp_ns)
        if after:
            state = state.with_backbone(camera, after)
        evidence = state.evidence
        assert measured.values is not None and measured.embedding is not None
        # Rows of padding at the end of a partial chunk belong to no frame.
        for frame, embedding in zip(chunk, measured.embedding, strict=False):
            evidence = evidence.with_frame(frame, self._config.evidence, embedding)
        statistics = state.statistics.with_samples(measured.values[:, EMBEDDING])
        return replace(
            state,
            evidence=evidence,
            statistics=statistics,
            lens=statistics.lens(state.lens),
        )

    def write_percepts(self, state: MemoryState, chunk: list[Percept]) -> MemoryState:
        """Return the state after a chunk of what a detector and a depth sensor said.

        Raises:
            NotFinite: the update is unusable.
        """
        return self._written(state, perceived(chunk, self._names), chunk[-1].stamp_ns)

    def _written(self, state: MemoryState, measured: Measured, newest_ns: int) -> MemoryState:
        touched = self._touched(state, measured)
        tiles, on_disk, forgotten = self._within_budget(state, touched)
        return replace(
            state,
            tiles=MappingProxyType(tiles),
            on_disk=on_disk,
            chunks=state.chunks + 1,
            newest_ns=max(state.newest_ns, newest_ns),
            forgotten_tiles=state.forgotten_tiles + forgotten,
        )

    def _touched(self, state: MemoryState, measured: Measured) -> dict[TileIndex, Tile]:
        points = (measured.surface, measured.free, measured.votes.points)
        surface, free, votes = (dict(self._grid.assign(part)) for part in points)
        # Points beyond a border alone do not call a tile into being.
        known = state.tiles.keys() | state.on_disk
        owners = set().union(*(self._grid.owners(part) for part in points))
        nothing = np.zeros(0, np.int64)
        work = []
        for index in sorted((surface.keys() | free.keys() | votes.keys()) & (known | owners)):
            rows = (part.get(index, nothing) for part in (surface, free, votes))
            work.append((self._tile(state, index), measured.part(*rows)))
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

    def _updated(self, tile: Tile, measured: Measured, chunk: int) -> Tile:
        centre = self._grid.centre(tile.index)
        surface = (measured.surface - centre).astype(np.float32)
        free = (measured.free - centre).astype(np.float32)
        weights = np.concatenate([measured.surface_weight, measured.free_weight])
        out = replace(
            tile,
            geometry=self._updated_geometry(tile.geometry, surface, free, weights),
            used=chunk,
        )
        if measured.values is not None:
            looks = self._updated_looks(tile, surface, measured)
            out = replace(out, appearance=MappingProxyType(looks))
        if len(surface):
            places = tile.places.merged(
                surface, measured.surface_ns, capacity=self._config.tiles.places
            )
            out = replace(out, places=places)
        if self._names:
            out = self._with_votes(out, measured, centre)
        if not out.is_finite():
            raise NotFinite(f'tile {tile.index}')
        return out

    def _updated_geometry(
        self,
        state: FieldState,
        surface: NDArray[np.float32],
        free: NDArray[np.float32],
        weights: NDArray[np.float32],
    ) -> FieldState:
        values = np.ones((len(surface) + len(free), GEOMETRY_CHANNELS), np.float32)
        values[len(surface) :, OCCUPIED] = 0.0
        points = np.concatenate([surface, free])
        return self._update('geometry', state, points, values, weights)

    def _updated_looks(
        self, tile: Tile, surface: NDArray[np.float32], measured: Measured
    ) -> dict[int, FieldState]:
        manifest, values = self._runtime.manifest, measured.values
        assert values is not None
        sectors = sector_of(values[:, VIEW], manifest.sectors)
        empty = FieldState.zeros(manifest.appearance_features, manifest.appearance_channels)
        looks = dict(tile.appearance)
        for sector in np.unique(sectors).tolist():
            rows = sectors == sector
            looks[sector] = self._update(
                'appearance',
                looks.get(sector, empty),
                surface[rows],
                values[rows],
                measured.surface_weight[rows],
            )
        return looks

    def _with_votes(self, tile: Tile, measured: Measured, centre: NDArray) -> Tile:
        """Return the tile with votes and doubts written; places nobody believes in are dropped."""
        config, votes = self._config.votes, measured.votes
        field = tile.votes or empty_votes(config)
        doubted, doubt = self._doubted(tile, measured.looks, centre)
        if not len(votes) and not len(doubted):
            return tile
        local = votes.points - centre
        field = update_votes(
            field,
            np.concatenate([doubted, local]),
            np.concatenate(
                [np.zeros((len(doubted), votes.values.shape[1]), np.float32), votes.values]
            ),
            np.concatenate([doubt, votes.weights]),
            self._omega,
            config,
        )
        places = tile.vote_places
        if len(votes):
            places = places.merged(
                local.astype(np.float32), votes.stamp_ns, capacity=config.places
            )
        if len(doubted):
            places = places.kept(self._belief(field, places)[:, PRESENT] > _BELIEVED / 2.0)
        return replace(tile, votes=field, vote_places=places)

    def _doubted(
        self, tile: Tile, looks: tuple[Look, ...], centre: NDArray
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Return the believed places of a tile that looks speak against, (n, 3), and how much."""
        nothing = np.zeros((0, 3), np.float32), np.zeros(0)
        if tile.votes is None or not len(tile.vote_places) or not looks:
            return nothing
        belief = self._belief(tile.votes, tile.vote_places)
        rows = np.flatnonzero(belief[:, PRESENT] > _BELIEVED)
        if not len(rows):
            return nothing
        points = tile.vote_places.point[rows]
        edge = np.sqrt((np.sort(belief[rows, SIZE], axis=1)[:, 1:] ** 2).mean(axis=1))
        edge = edge / belief[rows, PRESENT]
        doubt = np.zeros(len(rows))
        for look in looks:
            doubt += doubts(look, points + centre, edge)
        return points[doubt > 0], doubt[doubt > 0]

    def _belief(self, field: FieldState, places: PlaceTable) -> NDArray[np.float64]:
        key = fourier_features(places.point, self._omega)
        return np.asarray(key @ field.weight)

    def _update(
        self,
        kind: FieldKind,
        state: FieldState,
        points: NDArray[np.float32],
        values: NDArray[np.float32],
        weights: NDArray[np.float32],
    ) -> FieldState:
        return self._runtime.update(
            kind, state, _padded(points), _padded(values), _padded(weights)
        )

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
