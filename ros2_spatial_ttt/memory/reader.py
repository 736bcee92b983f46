# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Reading the fast weights at points of the map; what was read at places is kept while valid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.memory.evidence import LOOK_SCALE, Keyframe, View
from ros2_spatial_ttt.memory.field import (
    COLOUR,
    EMBEDDING,
    GEOMETRY_CHANNELS,
    OBSERVED,
    OCCUPIED,
    SEEN,
    PackedField,
)
from ros2_spatial_ttt.memory.lens import Lens
from ros2_spatial_ttt.memory.oracle import fourier_features
from ros2_spatial_ttt.memory.state import MemoryState
from ros2_spatial_ttt.memory.tiles import Tile, TileGrid
from ros2_spatial_ttt.memory.windows import window_middles
from ros2_spatial_ttt.runtime.base import Runtime

__all__ = ['Beliefs', 'FieldPoints', 'Likeness', 'Reader']


# Below this seen channel, or this length of a mean embedding, a look is extrapolation.
_MIN_SEEN = 0.3
_MIN_LENGTH = 0.35


@dataclass(frozen=True)
class FieldPoints:
    """What the memory says at n points of the map.

    Attributes:
        points: (n, 3) float32 m in the map.
        observed: (n,) about 1 where anything was measured, about 0 where nothing was.
        occupied: (n,) about 1 on a surface, about 0 elsewhere.
        colour: (n, 3) uint8 RGB, mean over all sides it was seen from.
        first_seen_ns, last_seen_ns: (n,) int64; 0 where no place is tabled.
        count: (n,) int32 surface samples.
    """

    points: NDArray[np.float32]
    observed: NDArray[np.float32]
    occupied: NDArray[np.float32]
    colour: NDArray[np.uint8]
    first_seen_ns: NDArray[np.int64]
    last_seen_ns: NDArray[np.int64]
    count: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.points)

    def kept(self, mask: NDArray) -> FieldPoints:
        """Return the points where ``mask`` (n,) is true, or in the order of row numbers."""
        return FieldPoints(**{name: array[mask] for name, array in vars(self).items()})

    @staticmethod
    def joined(parts: list[FieldPoints]) -> FieldPoints:
        """Return all points of several."""
        names = vars(parts[0])
        return FieldPoints(
            **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        )


@dataclass(frozen=True)
class Likeness:
    """How much n places look like an example.

    Attributes:
        score: (n,) cosine, -1..1. bearing: (n,) rad in the map plane, from the place to the side
            that it looks most like the example from.
    """

    score: NDArray[np.float32]
    bearing: NDArray[np.float32]

    def kept(self, mask: NDArray) -> Likeness:
        """Return the places where ``mask`` (n,) is true."""
        return Likeness(self.score[mask], self.bearing[mask])


@dataclass(frozen=True)
class Beliefs:
    """What the vote field says at n places where votes fell.

    Attributes:
        points: (n, 3) float64 m in the map. values: (n, C) see ``memory/votes.py``.
        first_seen_ns, last_seen_ns: (n,) int64. count: (n,) int32 votes.
    """

    points: NDArray[np.float64]
    values: NDArray[np.float64]
    first_seen_ns: NDArray[np.int64]
    last_seen_ns: NDArray[np.int64]
    count: NDArray[np.int32]


@dataclass(frozen=True)
class _TileView:
    """What does not depend on the question: read once per tile, update and lens.

    Attributes:
        lens: that it was read through. places: (n) of the tile. key: (n, D) of the places.
        scale: {sector: (n,) 1 / length of the mean embedding seen through the lens, 0 where it was
            not seen from there}.
    """

    lens: Lens
    places: FieldPoints
    key: NDArray[np.float32]
    scale: dict[int, NDArray[np.float32]]


class Reader:
    """Reads tiles through a runtime. Any number of threads; tiles are immutable.

    ``vote_omega`` (D/2, 3) are the key frequencies of the vote field, rad/m.
    """

    def __init__(self, runtime: Runtime, grid: TileGrid, vote_omega: NDArray[np.float32]) -> None:
        self._runtime = runtime
        self._grid = grid
        self._vote_omega = vote_omega
        self._views: WeakKeyDictionary[Tile, _TileView] = WeakKeyDictionary()
        self._beliefs: WeakKeyDictionary[Tile, Beliefs] = WeakKeyDictionary()
        self._sights: WeakKeyDictionary[Keyframe, tuple[Lens, NDArray[np.float32]]] = (
            WeakKeyDictionary()
        )

    def places(self, state: MemoryState) -> FieldPoints:
        """Return what the memory says at all tabled places, each place by its own tile only."""
        parts = [self._view(tile, state.lens).places for tile in state.tiles.values()]
        return FieldPoints.joined(parts) if parts else _nothing(np.zeros((0, 3)))

    def likeness(self, state: MemoryState, embeddings: NDArray[np.float32]) -> Likeness:
        """Return how much each place of ``places(state)`` looks like an example.

        The fast weights are read with the question: phi(p)^T (W e), divided by |W^T phi(p)|, both
        through the lens; the best over the sectors a place was seen from and over the windows of
        the example.

        Args:
            state: to be read.
            embeddings: (k, E) unit, of the example's windows.
        """
        lens = state.lens
        question = _question(lens, embeddings)
        scores, bearings = [], []
        for tile in state.tiles.values():
            view = self._view(tile, lens)
            best = np.full(len(view.places), -1.0, np.float32)
            bearing = np.zeros(len(view.places), np.float32)
            for sector, scale in view.scale.items():
                weight = tile.appearance[sector].weight
                asked = weight[:, EMBEDDING] @ question
                asked -= np.outer(weight[:, SEEN], lens.mean @ question)  # (D, k)
                score = np.where(scale > 0, (view.key @ asked).max(axis=1) * scale, -1.0)
                bearing[score > best] = _bearing(sector, self._runtime.manifest.sectors)
                np.maximum(best, score, out=best)
            scores.append(best)
            bearings.append(bearing)
        nothing = np.zeros(0, np.float32)
        return Likeness(np.concatenate([nothing, *scores]), np.concatenate([nothing, *bearings]))

    def lookalikes(
        self, state: MemoryState, embedding: NDArray[np.float32], *, most: int
    ) -> list[View]:
        """Return the windows of all keyframes that look most like an example, best first.

        Args:
            state: whose keyframes are searched, as far as they keep their looks.
            embedding: (E,) unit, of the example.
            most: how many at most.
        """
        keyframes = [k for k in state.evidence.keyframes if len(k.looks)]
        if not keyframes:
            return []
        question = _question(state.lens, embedding[None])
        mean = state.lens.mean @ question
        rows = []
        for keyframe in keyframes:
            looks = keyframe.looks.astype(np.float32) / LOOK_SCALE
            rows.append((looks @ question - mean)[:, 0] * self._seen(keyframe, state.lens))
        score = np.stack(rows)
        best = np.argsort(-score, axis=None, kind='stable')[:most]
        of, window = np.unravel_index(best, score.shape)
        middles = window_middles(self._runtime.manifest)[window]
        return [View(keyframes[k], u, v) for k, (u, v) in zip(of, middles.tolist(), strict=True)]

    def alike(
        self,
        state: MemoryState,
        keyframes: Sequence[Keyframe],
        embeddings: NDArray[np.float32],
    ) -> list[Keyframe]:
        """Return keyframes, those first that show most of what k examples show.

        Args:
            state: whose lens looks are compared through.
            keyframes: of that state; those without looks come last.
            embeddings: (k, E) unit, of the examples.
        """
        question = _question(state.lens, embeddings)
        mean = state.lens.mean @ question

        def likeness(keyframe: Keyframe) -> float:
            if not len(keyframe.looks):
                return -1.0
            looks = keyframe.looks.astype(np.float32) / LOOK_SCALE
            score = (looks @ question - mean) * self._seen(keyframe, state.lens)[:, None]
            return float(score.max(axis=0).mean())

        return sorted(keyframes, key=likeness, reverse=True)

    def beliefs(self, state: MemoryState) -> Beliefs | None:
        """Return what is believed at all places of votes, each by its own tile; None = nothing."""
        voted = [tile for tile in state.tiles.values() if tile.votes is not None]
        parts = [vars(self._believed(tile)) for tile in voted]
        if not parts:
            return None
        return Beliefs(**{name: np.concatenate([p[name] for p in parts]) for name in parts[0]})

    def at(self, state: MemoryState, points: NDArray[np.float64]) -> FieldPoints:
        """Return what the memory says at map points (n, 3), in their order."""
        parts, order = [], []
        index = self._grid.index_of(points)
        for row in np.unique(index, axis=0):
            rows = np.flatnonzero((index == row).all(axis=1))
            tile = state.tiles.get((int(row[0]), int(row[1]), int(row[2])))
            if tile is None:
                parts.append(_nothing(points[rows]))
            else:
                parts.append(self._read(tile, points[rows], state.lens)[0])
            order.append(rows)
        if not parts:
            return _nothing(points)
        return FieldPoints.joined(parts).kept(np.argsort(np.concatenate(order), kind='stable'))

    def looks(self, state: MemoryState, point: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return how a point (3,) m of the map looks: unit embeddings (k, E), one per side.

        They are an example that needs no picture; a side is one that the point was seen from.
        """
        looks = [np.zeros((0, self._runtime.manifest.embedding), np.float32)]
        x, y, z = map(int, self._grid.index_of(point[None])[0])
        tile = state.tiles.get((x, y, z))
        if tile is None:
            return looks[0]
        local = (point[None] - self._grid.centre(tile.index)).astype(np.float32)
        for field in tile.appearance.values():
            look = self._runtime.read('appearance', field.weight.astype(np.float32), local)
            embedding = look[:, EMBEDDING].astype(np.float32)
            length = float(np.linalg.norm(embedding))
            if look[0, SEEN] > _MIN_SEEN and length > _MIN_LENGTH:
                looks.append(embedding / length)
        return np.concatenate(looks)

    def _believed(self, tile: Tile) -> Beliefs:
        known = self._beliefs.get(tile)
        if known is None:
            assert tile.votes is not None
            table = tile.vote_places
            points = table.point + self._grid.centre(tile.index)
            own = (self._grid.index_of(points) == tile.index).all(axis=1)
            key = fourier_features(table.point[own], self._vote_omega)
            known = Beliefs(
                points=points[own],
                values=key @ tile.votes.weight,
                first_seen_ns=table.first_ns[own],
                last_seen_ns=table.last_ns[own],
                count=table.count[own],
            )
            self._beliefs[tile] = known
        return known

    def _seen(self, keyframe: Keyframe, lens: Lens) -> NDArray[np.float32]:
        """Return 1 / length of each look through the lens, (n,); 0 where nothing was measured."""
        known = self._sights.get(keyframe)
        if known is None or known[0] is not lens:
            looks = keyframe.looks.astype(np.float32) / LOOK_SCALE
            length = np.linalg.norm((looks - lens.mean) @ lens.matrix, axis=1)
            scale = np.where(keyframe.looks.any(axis=1), 1.0 / np.maximum(length, 1e-6), 0.0)
            known = lens, scale.astype(np.float32)
            self._sights[keyframe] = known
        return known[1]

    def _view(self, tile: Tile, lens: Lens) -> _TileView:
        view = self._views.get(tile)
        if view is None or view.lens is not lens:
            table, centre = tile.places, self._grid.centre(tile.index)
            points = table.point + centre
            own = (self._grid.index_of(points) == tile.index).all(axis=1)
            read, scale = self._read(tile, points[own], lens)
            stamps = {
                'first_seen_ns': table.first_ns[own],
                'last_seen_ns': table.last_ns[own],
                'count': table.count[own],
            }
            key = fourier_features(points[own] - centre, self._runtime.omega['appearance'])
            places = FieldPoints(**{**vars(read), **stamps})
            view = _TileView(lens=lens, places=places, key=key.astype(np.float32), scale=scale)
            self._views[tile] = view
        return view

    def _read(
        self, tile: Tile, points: NDArray[np.float64], lens: Lens
    ) -> tuple[FieldPoints, dict[int, NDArray[np.float32]]]:
        if not len(points):
            return _nothing(points), {}
        local = (points - self._grid.centre(tile.index)).astype(np.float32)
        geometry = np.zeros((len(points), GEOMETRY_CHANNELS), np.float32)
        if tile.geometry is not None:
            weight = tile.geometry.weight.astype(np.float32)
            geometry = self._runtime.read('geometry', weight, local)
        colour = np.zeros((len(points), 3))
        seen_at_all = np.full((len(points), 1), 1e-6)
        scale = {}
        for sector, field in tile.appearance.items():
            look = self._runtime.read('appearance', _through(field, lens), local)
            seen = np.clip(look[:, SEEN], 0.0, 1.0)
            length = np.linalg.norm(look[:, EMBEDDING], axis=1)
            scale[sector] = np.where(
                seen > _MIN_SEEN, 1.0 / np.maximum(length, _MIN_LENGTH), 0.0
            ).astype(np.float32)
            certain = np.where(seen > _MIN_SEEN, 1.0, 0.01)[:, None]
            colour += certain * look[:, COLOUR]
            seen_at_all += certain * seen[:, None]
        nothing = _nothing(points)
        return FieldPoints(
            points=nothing.points,
            observed=np.asarray(geometry[:, OBSERVED], np.float32),
            occupied=np.asarray(geometry[:, OCCUPIED], np.float32),
            colour=np.clip(255.0 * colour / seen_at_all, 0, 255).astype(np.uint8),
            first_seen_ns=nothing.first_seen_ns,
            last_seen_ns=nothing.last_seen_ns,
            count=nothing.count,
        ), scale


def _bearing(sector: int, sectors: int) -> float:
    """Return the middle of a compass sector, rad; see ``tiles.sector_of``."""
    return float((sector + 0.5) / sectors * 2.0 * np.pi - np.pi)


def _question(lens: Lens, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return embeddings (k, E) as they are asked of what lies before the lens, (E, k)."""
    return np.asarray(lens.matrix @ lens.through(embeddings).T, np.float32)


def _through(field: PackedField, lens: Lens) -> NDArray[np.float32]:
    """Return W of a field that says embeddings as the lens shows them: it is linear."""
    weight = field.weight.astype(np.float32)
    centred = weight[:, EMBEDDING] - np.outer(weight[:, SEEN], lens.mean)
    weight[:, EMBEDDING] = centred @ lens.matrix
    return weight


def _nothing(points: NDArray) -> FieldPoints:
    n = len(points)
    return FieldPoints(
        points=points.astype(np.float32),
        observed=np.zeros(n, np.float32),
        occupied=np.zeros(n, np.float32),
        colour=np.zeros((n, 3), np.uint8),
        first_seen_ns=np.zeros(n, np.int64),
        last_seen_ns=np.zeros(n, np.int64),
        count=np.zeros(n, np.int32),
    )
