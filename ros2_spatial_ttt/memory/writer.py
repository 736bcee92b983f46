# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Writing chunks into the state: measure, split by tile, update each tile, keep to the budget."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.config import MemoryConfig
from ros2_spatial_ttt.memory.budget import budget_bytes, within_budget
from ros2_spatial_ttt.memory.doubts import Look, doubts
from ros2_spatial_ttt.memory.field import (
    EMBEDDING,
    GEOMETRY_CHANNELS,
    OCCUPIED,
    VIEW,
    FieldKeys,
    FieldState,
    PackedField,
)
from ros2_spatial_ttt.memory.measure import Measured, encoded, perceived
from ros2_spatial_ttt.memory.oracle import fourier_features
from ros2_spatial_ttt.memory.places import PlaceTable
from ros2_spatial_ttt.memory.preprocess import PreparedFrame
from ros2_spatial_ttt.memory.snapshot import TileShelf
from ros2_spatial_ttt.memory.state import MemoryState
from ros2_spatial_ttt.memory.tiles import Tile, TileGrid, TileIndex, sector_of
from ros2_spatial_ttt.memory.votes import (
    PRESENT,
    SIZE,
    empty_votes,
    update_votes,
)
from ros2_spatial_ttt.memory.windows import window_looks
from ros2_spatial_ttt.runtime.base import FieldKind, Runtime, is_finite
from ros2_spatial_ttt.types import Percept

__all__ = ['NotFinite', 'Writer']


# Rows are padded with weight 0 to a multiple of this: few different shapes.
_ROWS = 64
# A place of votes that is believed less than this is doubted no more, and after a while forgotten.
_BELIEVED = 0.15


class NotFinite(Exception):
    """An update came out with numbers that are not finite; the state before it still holds."""


class Writer:
    """Turns a state and a chunk into the next state. Holds no state of its own.

    Args:
        config: of the memory.
        runtime: runs the model.
        grid: of the tiles.
        shelf: where tiles on disk lie.
        keys: of every kind of field, 'votes' as well.
    """

    def __init__(
        self,
        config: MemoryConfig,
        runtime: Runtime,
        grid: TileGrid,
        shelf: TileShelf,
        keys: Mapping[str, FieldKeys],
    ) -> None:
        self._config = config
        self._keys = keys
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
        before = state.backbone(camera) or self._runtime.initial_state()
        floor = self._config.floor_at_zero
        measured, after = encoded(self._runtime, chunk, before, self._names, floor=floor)
        if after:
            state = state.with_backbone(camera, after, most=self._config.cameras)
            if not is_finite(state.backbones[camera]):
                raise NotFinite(f'the backbone of camera {camera!r}')
        state = self._written(state, measured, chunk[-1].stamp_ns)
        evidence = state.evidence
        assert measured.values is not None
        for frame in chunk:
            evidence = evidence.with_frame(frame, self._config.evidence)
        # Only of those that the whole chunk leaves: it is the dearest part of a keyframe.
        evidence = evidence.with_looks(lambda keyframe: window_looks(keyframe, self._runtime))
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
        tiles = {**state.tiles, **touched}
        kept = within_budget(tiles, self._budget, spill=self._shelf.enabled)
        for tile in kept.spilled:
            self._shelf.put(tile)
        spilled = {tile.index for tile in kept.spilled}
        return replace(
            state,
            tiles=MappingProxyType(kept.tiles),
            on_disk=frozenset((state.on_disk - touched.keys()) | spilled),
            chunks=state.chunks + 1,
            newest_ns=max(state.newest_ns, newest_ns),
            forgotten_tiles=state.forgotten_tiles + kept.lost_tiles,
            forgotten_looks=state.forgotten_looks + kept.lost_looks,
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
        return Tile(index)

    def _updated(self, tile: Tile, measured: Measured, chunk: int) -> Tile:
        try:
            return self._with_samples(replace(tile, used=chunk), measured)
        except (np.linalg.LinAlgError, NotFinite) as error:
            raise NotFinite(f'tile {tile.index}') from error

    def _with_samples(self, tile: Tile, measured: Measured) -> Tile:
        centre = self._grid.centre(tile.index)
        surface = (measured.surface - centre).astype(np.float32)
        free = (measured.free - centre).astype(np.float32)
        weights = np.concatenate([measured.surface_weight, measured.free_weight])
        if len(weights):
            geometry = self._updated_geometry(tile.geometry, surface, free, weights)
            tile = replace(tile, geometry=geometry)
        if measured.values is not None:
            looks = self._updated_looks(tile, surface, measured)
            tile = replace(tile, appearance=MappingProxyType(looks))
        if len(surface):
            places = tile.places.merged(
                surface, measured.surface_ns, capacity=self._config.tiles.places
            )
            tile = replace(tile, places=places)
        return self._with_votes(tile, measured, centre) if self._names else tile

    def _updated_geometry(
        self,
        field: PackedField | None,
        surface: NDArray[np.float32],
        free: NDArray[np.float32],
        weights: NDArray[np.float32],
    ) -> PackedField:
        values = np.ones((len(surface) + len(free), GEOMETRY_CHANNELS), np.float32)
        values[len(surface) :, OCCUPIED] = 0.0
        points = np.concatenate([surface, free])
        return self._update('geometry', field, points, values, weights)

    def _updated_looks(
        self, tile: Tile, surface: NDArray[np.float32], measured: Measured
    ) -> dict[int, PackedField]:
        values = measured.values
        assert values is not None
        sectors = sector_of(values[:, VIEW], self._runtime.manifest.sectors)
        looks = dict(tile.appearance)
        for sector in np.unique(sectors).tolist():
            rows = sectors == sector
            # What was written last stands at the end.
            looks[sector] = self._update(
                'appearance',
                looks.pop(sector, None),
                surface[rows],
                values[rows],
                measured.surface_weight[rows],
            )
        return looks

    def _with_votes(self, tile: Tile, measured: Measured, centre: NDArray) -> Tile:
        """Return the tile with votes and doubts written; places nobody believes in are dropped."""
        config, votes, keys = self._config.votes, measured.votes, self._keys['votes']
        doubted, doubt = self._doubted(tile, measured.looks, centre)
        if not len(votes) and not len(doubted):
            return tile
        local = votes.points - centre
        nothing = np.zeros((len(doubted), votes.values.shape[1]), np.float32)
        field = update_votes(
            tile.votes.unpacked(keys.ridge) if tile.votes else empty_votes(config),
            np.concatenate([doubted, local]),
            np.concatenate([nothing, votes.values]),
            np.concatenate([doubt, votes.weights]),
            keys.omega,
            config,
        )
        places = tile.vote_places
        if len(votes):
            places = places.merged(
                local.astype(np.float32), votes.stamp_ns, capacity=config.places
            )
        if len(doubted):
            places = places.kept(self._belief(field, places)[:, PRESENT] > _BELIEVED / 2.0)
        packed = _packed(PackedField.of(field, keys.ridge, forgets=True))
        return replace(tile, votes=packed, vote_places=places)

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

    def _belief(self, field: FieldState | PackedField, places: PlaceTable) -> NDArray[np.float64]:
        key = fourier_features(places.point, self._keys['votes'].omega)
        return np.asarray(key @ field.weight)

    def _update(
        self,
        kind: FieldKind,
        field: PackedField | None,
        points: NDArray[np.float32],
        values: NDArray[np.float32],
        weights: NDArray[np.float32],
    ) -> PackedField:
        omega, ridge = self._keys[kind].omega, self._keys[kind].ridge
        empty = FieldState.zeros(2 * len(omega), values.shape[1])
        state = self._runtime.update(
            kind,
            field.unpacked(ridge) if field else empty,
            _padded(points),
            _padded(values),
            _padded(weights),
        )
        return _packed(PackedField.of(state, ridge))


def _packed(field: PackedField) -> PackedField:
    if not field.is_finite():
        raise NotFinite
    return field


def _padded(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows with zeros up to a full block."""
    missing = -len(rows) % _ROWS
    if not missing:
        return rows
    nothing = np.zeros((missing, *rows.shape[1:]), np.float32)
    return np.concatenate([rows, nothing])
