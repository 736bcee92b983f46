# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Reading the fast weights at points of the map; what was read at places is kept while it holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.memory.field import COLOUR, EMBEDDING, OBSERVED, OCCUPIED, SEEN, VIEW
from ros2_spatial_ttt.memory.tiles import Tile, TileGrid, TileIndex
from ros2_spatial_ttt.runtime.base import Runtime

__all__ = ['FieldPoints', 'Reader']


@dataclass(frozen=True)
class FieldPoints:
    """What the memory says at n points of the map.

    Attributes:
        points: (n, 3) float32 m in the map.
        observed: (n,) about 1 where anything was measured, about 0 where nothing was.
        occupied: (n,) about 1 on a surface, about 0 elsewhere.
        colour: (n, 3) uint8 RGB. view: (n, 3) float32 mean direction towards the cameras.
        embedding: (n, E) float32 of length 1.
        first_seen_ns, last_seen_ns: (n,) int64; 0 where no place is tabled.
        count: (n,) int32 surface samples.
    """

    points: NDArray[np.float32]
    observed: NDArray[np.float32]
    occupied: NDArray[np.float32]
    colour: NDArray[np.uint8]
    view: NDArray[np.float32]
    embedding: NDArray[np.float32]
    first_seen_ns: NDArray[np.int64]
    last_seen_ns: NDArray[np.int64]
    count: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.points)

    def kept(self, mask: NDArray[np.bool_]) -> FieldPoints:
        """Return the points where ``mask`` (n,) is true."""
        return FieldPoints(**{name: array[mask] for name, array in vars(self).items()})

    @staticmethod
    def joined(parts: list[FieldPoints]) -> FieldPoints:
        """Return all points of several."""
        names = vars(parts[0])
        return FieldPoints(
            **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        )


class Reader:
    """Reads tiles through a runtime. Any number of threads; tiles are immutable."""

    def __init__(self, runtime: Runtime, grid: TileGrid) -> None:
        self._runtime = runtime
        self._grid = grid
        self._views: WeakKeyDictionary[Tile, FieldPoints] = WeakKeyDictionary()

    def places(self, tiles: Iterable[Tile]) -> FieldPoints:
        """Return what the tiles say at their tabled places, each place by its own tile only."""
        parts = [self._tile_places(tile) for tile in tiles]
        return FieldPoints.joined(parts) if parts else self._nothing(np.zeros((0, 3)))

    def at(self, tiles: dict[TileIndex, Tile], points: NDArray[np.float64]) -> FieldPoints:
        """Return what the memory says at map points (n, 3), in their order."""
        parts, order = [], []
        index = self._grid.index_of(points)
        for row in np.unique(index, axis=0):
            rows = np.flatnonzero((index == row).all(axis=1))
            tile = tiles.get((int(row[0]), int(row[1]), int(row[2])))
            parts.append(self._read(tile, points[rows]) if tile else self._nothing(points[rows]))
            order.append(rows)
        if not parts:
            return self._nothing(points)
        return FieldPoints.joined(parts).kept(np.argsort(np.concatenate(order), kind='stable'))

    def _tile_places(self, tile: Tile) -> FieldPoints:
        view = self._views.get(tile)
        if view is None:
            table = tile.places
            points = table.point + self._grid.centre(tile.index)
            own = (self._grid.index_of(points) == tile.index).all(axis=1)
            read = self._read(tile, points[own])
            view = FieldPoints(
                **{
                    **vars(read),
                    'first_seen_ns': table.first_ns[own],
                    'last_seen_ns': table.last_ns[own],
                    'count': table.count[own],
                }
            )
            self._views[tile] = view
        return view

    def _read(self, tile: Tile, points: NDArray[np.float64]) -> FieldPoints:
        local = (points - self._grid.centre(tile.index)).astype(np.float32)
        if not len(local):
            return self._nothing(points)
        appearance, geometry = self._runtime.read(tile.fields, local)
        embedding = np.asarray(appearance[:, EMBEDDING], np.float32)
        length = np.linalg.norm(embedding, axis=1, keepdims=True)
        # The field shrinks towards 0 where evidence is thin; colour is a mean, so divide that out.
        seen = np.maximum(appearance[:, SEEN, None], 0.2)
        nothing = self._nothing(points)
        return FieldPoints(
            points=points.astype(np.float32),
            observed=np.asarray(geometry[:, OBSERVED], np.float32),
            occupied=np.asarray(geometry[:, OCCUPIED], np.float32),
            colour=np.clip(255.0 * appearance[:, COLOUR] / seen, 0, 255).astype(np.uint8),
            view=np.asarray(appearance[:, VIEW] / seen, np.float32),
            embedding=embedding / np.maximum(length, 1e-3),
            first_seen_ns=nothing.first_seen_ns,
            last_seen_ns=nothing.last_seen_ns,
            count=nothing.count,
        )

    def _nothing(self, points: NDArray) -> FieldPoints:
        n = len(points)
        return FieldPoints(
            points=points.astype(np.float32),
            observed=np.zeros(n, np.float32),
            occupied=np.zeros(n, np.float32),
            colour=np.zeros((n, 3), np.uint8),
            view=np.zeros((n, 3), np.float32),
            embedding=np.zeros((n, self._runtime.manifest.embedding), np.float32),
            first_seen_ns=np.zeros(n, np.int64),
            last_seen_ns=np.zeros(n, np.int64),
            count=np.zeros(n, np.int32),
        )
