# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Tiles of the map: where they lie, which samples go to which, which stay in working memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.config import TileConfig
from ros2_spatial_ttt.memory.field import TileFields
from ros2_spatial_ttt.memory.places import BYTES_PER_PLACE, PlaceTable
from ros2_spatial_ttt.runtime.base import Manifest

__all__ = ['Tile', 'TileGrid', 'TileIndex', 'max_tiles', 'tile_bytes']

TileIndex = tuple[int, int, int]

# Below the map's ground by this much begins the lowest tile, so that a floor cuts no tile in two.
BELOW_GROUND_M = 0.5


@dataclass(frozen=True, eq=False)
class Tile:
    """One tile; immutable, compared by identity.

    Attributes:
        index: (x, y, z) in the grid. fields: fast weights. places: where surfaces were measured.
        used: number of the chunk that last wrote to it.
    """

    index: TileIndex
    fields: TileFields
    places: PlaceTable
    used: int


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


def tile_bytes(manifest: Manifest, places: int) -> int:
    """Return the size of one tile with a full table of places."""
    features, channels = manifest.features, manifest.channels
    appearance = features * features + 2 * features * channels
    geometry = features * features + 2 * features * 2
    return 4 * (appearance + geometry) + places * BYTES_PER_PLACE


def max_tiles(manifest: Manifest, config: TileConfig) -> int:
    """Return how many tiles fit the byte budget, at least 1."""
    return max(1, int(config.budget_mb * 1e6) // tile_bytes(manifest, config.places))
