# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Writing chunks into the state: measure, split by tile, update each tile, keep to the budget."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.config import MemoryConfig
from ros2_spatial_ttt.geometry import transform_points
from ros2_spatial_ttt.memory.doubts import Look, doubts
from ros2_spatial_ttt.memory.field import (
    EMBEDDING,
    GEOMETRY_CHANNELS,
    OCCUPIED,
    VIEW,
    FieldState,
)
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
    Votes,
    empty_votes,
    update_votes,
    vote_channels,
    vote_values,
)
from ros2_spatial_ttt.runtime.base import ChunkInput, FieldKind, Runtime
from ros2_spatial_ttt.types import Percept

__all__ = ['NotFinite', 'Writer']


# Rows are padded with weight 0 to a multiple of this: no empty matrix, few different shapes.
_ROWS = 64
# A place of votes that is believed less than this is doubted no more, and after a while forgotten.
_BELIEVED = 0.15


class NotFinite(Exception):
    """An update came out with numbers that are not finite; the state before it still holds."""


@dataclass(frozen=True)
class _Measured:
    """What a chunk measured; points are float64 m in the map, rows in order of time.

    Attributes:
        surface: (n, 3). surface_ns: (n,). values: (n, C) looks of the surfaces; None without them.
        free: (m, 3). votes: things that were detected. looks: one per frame with detections.
    """

    surface: NDArray[np.float64]
    surface_ns: NDArray[np.int64]
    values: NDArray[np.float32] | None
    free: NDArray[np.float64]
    votes: Votes
    looks: tuple[Look, ...] = ()

    def part(self, surface: NDArray, free: NDArray, votes: NDArray) -> _Measured:
        """Return these rows of each; all looks."""
        return _Measured(
            surface=self.surface[surface],
            surface_ns=self.surface_ns[surface],
            values=None if self.values is None else self.values[surface],
            free=self.free[free],
            votes=self.votes.kept(votes),
            looks=self.looks,
        )


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
        self._names = {name: number for number, name in enumerate(config.votes.names)}

    def write(self, state: MemoryState, chunk: list[PreparedFrame]) -> MemoryState:
        """Return the state after a chunk of one camera.

        Raises:
            NotFinite: the update is unusable.
        """
        measured = self._encoded(chunk)
        state = self._written(state, measured, chunk[-1].stamp_ns)
        evidence = state.evidence
        for frame in chunk:
            evidence = evidence.with_frame(frame, self._config.evidence)
        assert measured.values is not None
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
        return self._written(state, self._perceived(chunk), chunk[-1].stamp_ns)

    def _encoded(self, chunk: list[PreparedFrame]) -> _Measured:
        # Coordinates near the camera keep float32 exact wherever in the map the robot is.
        origin = np.round(chunk[0].map_T_camera[:3, 3])
        samples = self._runtime.encode(self._chunk_input(chunk, origin))
        stamps = np.array([frame.stamp_ns for frame in chunk], np.int64)
        surface = np.flatnonzero(samples.surface_weights > 0)
        free = np.flatnonzero(samples.free_weights > 0)
        return _Measured(
            surface=samples.surface_points[surface] + origin,
            surface_ns=np.repeat(stamps, len(chunk[0].depth))[surface],
            values=samples.surface_values[surface],
            free=samples.free_points[free] + origin,
            votes=Votes.none(vote_channels(len(self._names))),
        )

    def _perceived(self, chunk: list[Percept]) -> _Measured:
        surface = [transform_points(p.map_T_camera, p.surface) for p in chunk]
        centres = [transform_points(p.map_T_camera, p.centre) for p in chunk]
        labels = [self._names[name] for percept in chunk for name in percept.labels]
        stamps = np.array([percept.stamp_ns for percept in chunk], np.int64)
        votes = Votes(
            points=np.concatenate(centres),
            values=vote_values(
                np.array(labels, np.int64),
                np.concatenate([percept.size for percept in chunk]),
                np.concatenate([percept.yaw for percept in chunk]),
                labels=len(self._names),
            ),
            weights=np.concatenate([percept.weight for percept in chunk]),
            stamp_ns=np.repeat(stamps, [len(centre) for centre in centres]),
        )
        return _Measured(
            surface=np.concatenate(surface),
            surface_ns=np.repeat(stamps, [len(points) for points in surface]),
            values=None,
            free=np.concatenate([transform_points(p.map_T_camera, p.free) for p in chunk]),
            votes=votes,
            looks=tuple(
                Look(percept.map_T_camera, percept.surface, centre)
                for percept, centre in zip(chunk, centres, strict=True)
            ),
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

    def _written(self, state: MemoryState, measured: _Measured, newest_ns: int) -> MemoryState:
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

    def _touched(self, state: MemoryState, measured: _Measured) -> dict[TileIndex, Tile]:
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

    def _updated(self, tile: Tile, measured: _Measured, chunk: int) -> Tile:
        centre = self._grid.centre(tile.index)
        surface = (measured.surface - centre).astype(np.float32)
        free = (measured.free - centre).astype(np.float32)
        out = replace(
            tile,
            geometry=self._updated_geometry(tile.geometry, surface, free),
            used=chunk,
        )
        if measured.values is not None:
            looks = self._updated_looks(tile, surface, measured.values)
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
        self, state: FieldState, surface: NDArray[np.float32], free: NDArray[np.float32]
    ) -> FieldState:
        values = np.ones((len(surface) + len(free), GEOMETRY_CHANNELS), np.float32)
        values[len(surface) :, OCCUPIED] = 0.0
        return self._update('geometry', state, np.concatenate([surface, free]), values)

    def _updated_looks(
        self, tile: Tile, surface: NDArray[np.float32], values: NDArray[np.float32]
    ) -> dict[int, FieldState]:
        manifest = self._runtime.manifest
        sectors = sector_of(values[:, VIEW], manifest.sectors)
        empty = FieldState.zeros(manifest.appearance_features, manifest.appearance_channels)
        looks = dict(tile.appearance)
        for sector in np.unique(sectors).tolist():
            rows = sectors == sector
            looks[sector] = self._update(
                'appearance', looks.get(sector, empty), surface[rows], values[rows]
            )
        return looks

    def _with_votes(self, tile: Tile, measured: _Measured, centre: NDArray) -> Tile:
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
    ) -> FieldState:
        weights = np.ones(len(points), np.float32)
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
