# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Tiles of the map: where they lie, which samples go to which, which stay in working memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.config import TileConfig
from ros2_spatial_ttt.memory.field import GEOMETRY_CHANNELS, FieldState
from ros2_spatial_ttt.memory.places import PlaceTable
from ros2_spatial_ttt.runtime.base import Manifest

__all__ = ['Tile', 'TileGrid', 'TileIndex', 'budget_bytes', 'empty_tile', 'sector_of']

TileIndex = tuple[int, int, int]

# Below the map's ground by this much begins the lowest tile, so that a floor cuts no tile in two.
BELOW_GROUND_M = 0.5


@dataclass(frozen=True, eq=False)
class Tile:
    """One tile; immutable, compared by identity.

    Attributes:
        index: (x, y, z) in the grid.
        geometry: fast weights of what is observed and occupied.
        appearance: {sector: fast weights of how surfaces look from there}, sectors seen only.
        places: where surfaces were measured.
        votes: fast weights of named things; None before the first.
        vote_places: where votes fell.
        used: number of the chunk that last wrote to it.
    """

    index: TileIndex
    geometry: FieldState
    appearance: MappingProxyType[int, FieldState]
    places: PlaceTable
    used: int
    votes: FieldState | None = None
    vote_places: PlaceTable = field(default_factory=PlaceTable.empty)

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return (
            sum(part.nbytes for part in self.fields())
            + self.places.nbytes
            + (self.vote_places.nbytes)
        )

    def fields(self) -> list[FieldState]:
        """Return all fast weights of the tile."""
        votes = [self.votes] if self.votes else []
        return [self.geometry, *self.appearance.values(), *votes]

    def is_finite(self) -> bool:
        """Return whether every number is finite."""
        return all(part.is_finite() for part in self.fields())


def empty_tile(index: TileIndex, manifest: Manifest) -> Tile:
    """Return a tile in which nothing was observed."""
    return Tile(
        index=index,
        geometry=FieldState.zeros(manifest.geometry_features, GEOMETRY_CHANNELS),
        appearance=MappingProxyType({}),
        places=PlaceTable.empty(),
        used=0,
    )


def budget_bytes(config: TileConfig) -> int:
    """Return the most bytes that tiles in working memory may hold."""
    return int(config.budget_mb * 1e6)


def sector_of(view: NDArray, sectors: int) -> NDArray[np.int64]:
    """Return the compass sector of directions (N, 3) from a surface to the camera, (N,)."""
    angle = np.arctan2(view[:, 1], view[:, 0])
    return np.floor((angle + np.pi) / (2 * np.pi) * sectors).astype(np.int64) % sectors


class TileGrid:
    """Boxes of equal size; the map's origin is in the middle of tile (0, 0, 0) seen from above."""

    def __init__(self, config: TileConfig) -> None:
        self.size = np.array([config.size_m, config.size_m, config.height_m])
        self._offset = np.array([config.size_m / 2, config.size_m / 2, BELOW_GROUND_M])
        self._overlap = config.overlap_m

    def index_of(self, points: NDArray) -> NDArray[np.int64]:
        """Return the tile of each map point (N, 3), (N, 3) int64."""
        return np.floor((points + self._offset) / self.size).astype(np.int64)

    def centre(self, index: TileIndex) -> NDArray[np.float64]:
        """Return the centre of a tile in the map, (3,) m: the origin of its coordinates."""
        return (np.asarray(index) + 0.5) * self.size - self._offset

    def owners(self, points: NDArray) -> set[TileIndex]:
        """Return the tiles that map points (N, 3) fall into."""
        return {_as_index(row) for row in np.unique(self.index_of(points), axis=0)}

    def assign(self, points: NDArray) -> Iterator[tuple[TileIndex, NDArray[np.int64]]]:
        """Yield each tile that map points (N, 3) fall into or near, with their rows, ascending.

        A point within the overlap of a border belongs to the tiles on both sides.
        """
        low, high = self.index_of(points - self._overlap), self.index_of(points + self._overlap)
        rows, tiles = [], []
        for side in product((0, 1), repeat=3):
            chosen = np.asarray(side, bool)
            new = np.all((low != high) | ~chosen, axis=1)
            rows.append(np.flatnonzero(new))
            tiles.append(np.where(chosen, high, low)[new])
        row, tile = np.concatenate(rows), np.concatenate(tiles)
        unique, inverse = np.unique(tile, axis=0, return_inverse=True)
        inverse = inverse.reshape(-1)
        for number, index in enumerate(unique):
            yield _as_index(index), np.sort(row[inverse == number])


def _as_index(row: NDArray) -> TileIndex:
    return int(row[0]), int(row[1]), int(row[2])
