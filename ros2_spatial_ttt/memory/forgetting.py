# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Forgetting everything, a region or a time, in closed form.

A linear field cannot tell which samples wrote what, but the keys of the places to be forgotten
span a subspace of features. Projecting A, B and W onto its complement makes the field say 0, that
is *never observed*, at those places, and leaves places whose keys are orthogonal as they were.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.errors import SnapshotError
from ros2_spatial_ttt.memory.evidence import Keyframe
from ros2_spatial_ttt.memory.field import FieldKeys, FieldState, PackedField
from ros2_spatial_ttt.memory.oracle import fourier_features
from ros2_spatial_ttt.memory.places import PlaceTable
from ros2_spatial_ttt.memory.snapshot import TileShelf
from ros2_spatial_ttt.memory.state import MemoryState
from ros2_spatial_ttt.memory.tiles import Tile, TileGrid, TileIndex
from ros2_spatial_ttt.types import Region

__all__ = ['END_OF_TIME', 'Forgotten', 'count_places', 'forget']

# Spacing of the points whose keys are projected out, a third of the shortest geometry scale.
SPACING_M = 0.1
# Directions that carry less than this share of the strongest are kept: they are noise of the keys.
_NEGLIGIBLE = 1e-3
END_OF_TIME = int(np.iinfo(np.int64).max)


@dataclass(frozen=True)
class Forgotten:
    """What is to be forgotten: what lies in a region and was seen within a time only.

    Attributes:
        region: box in the map; None = everywhere. since_ns, until_ns: the time.
    """

    region: Region | None
    since_ns: int
    until_ns: int

    @property
    def always(self) -> bool:
        """Whether it does not matter when it was seen."""
        return self.since_ns == 0 and self.until_ns == END_OF_TIME

    def shows(self, keyframe: Keyframe) -> bool:
        """Return whether a keyframe looks at it and is of that time."""
        inside = self.region is None or bool(self.region.contains(_looked_at(keyframe)))
        return inside and self.since_ns <= keyframe.stamp_ns <= self.until_ns


def count_places(state: MemoryState, shelf: TileShelf) -> int:
    """Return how many places a state remembers, in memory and on disk."""
    count = sum(len(tile.places) for tile in state.tiles.values())
    for index in state.on_disk:
        # A tile file that cannot be read holds nothing.
        with contextlib.suppress(SnapshotError):
            count += len(shelf.get(index).places)
    return count


def forget(
    state: MemoryState,
    what: Forgotten,
    *,
    grid: TileGrid,
    keys: Mapping[str, FieldKeys],
    shelf: TileShelf,
) -> tuple[MemoryState, int]:
    """Return the state without what is to be forgotten, and how many places went.

    Args:
        state: before; tiles on disk are written anew.
        what: is forgotten.
        grid: of the tiles.
        keys: of every kind of field.
        shelf: where tiles on disk lie.
    """
    tiles: dict[TileIndex, Tile] = {}
    gone = 0
    for index in sorted(state.tiles.keys() | state.on_disk):
        tile = state.tiles.get(index) or shelf.get(index)
        left, count = _tile_without(tile, what, grid, keys)
        gone += count
        if index in state.tiles:
            tiles |= {index: left} if left is not None else {}
        elif left is not tile:
            # An empty tile on disk stays, empty.
            shelf.put(left or Tile(index))
    return replace(
        state,
        tiles=MappingProxyType(tiles),
        # What the cameras just saw may be what is to be forgotten.
        backbones=MappingProxyType({} if gone else state.backbones),
        evidence=state.evidence.without(what.shows),
    ), gone


def _tile_without(
    tile: Tile, what: Forgotten, grid: TileGrid, keys: Mapping[str, FieldKeys]
) -> tuple[Tile | None, int]:
    """Return what is left of a tile, None = nothing, and how many places went."""
    if what.region is not None and what.always:
        return _tile_without_region(tile, what.region, grid, keys)
    return _tile_without_time(tile, what, grid, keys)


def _tile_without_region(
    tile: Tile, region: Region, grid: TileGrid, keys: Mapping[str, FieldKeys]
) -> tuple[Tile | None, int]:
    """Return the tile without what it knew in a region of the map, and how many places went.

    None means that nothing of the tile is left.
    """
    centre = grid.centre(tile.index)
    low = np.maximum(np.asarray(region.minimum) - centre, -grid.size / 2)
    high = np.minimum(np.asarray(region.maximum) - centre, grid.size / 2)
    if np.any(low > high):
        return tile, 0
    if np.all(high - low >= grid.size):
        return None, len(tile.places)
    inside = np.all((tile.places.point >= low) & (tile.places.point <= high), axis=1)
    voted = np.all((tile.vote_places.point >= low) & (tile.vote_places.point <= high), axis=1)
    axes = [
        np.linspace(a, b, max(2, int((b - a) / SPACING_M) + 1))
        for a, b in zip(low, high, strict=True)
    ]
    lattice = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 3)
    surface = tile.places.point[inside].astype(np.float64)
    left = _without(tile, np.concatenate([lattice, surface]), ~inside, keys)
    return _without_votes(left, voted, keys), int(inside.sum())


def _tile_without_time(
    tile: Tile, what: Forgotten, grid: TileGrid, keys: Mapping[str, FieldKeys]
) -> tuple[Tile | None, int]:
    """Return the tile without the places that were seen within a time only; see above.

    With a region of the map only places inside go. Free space has no stamps and stays.
    """
    region = what.region

    def chosen(places: PlaceTable) -> NDArray[np.bool_]:
        mask = (places.first_ns >= what.since_ns) & (places.last_ns <= what.until_ns)
        if region is not None:
            mask &= region.contains(places.point + grid.centre(tile.index))
        return mask

    gone, voted = chosen(tile.places), chosen(tile.vote_places)
    if not gone.any() and not voted.any():
        return tile, 0
    if region is None and gone.all() and voted.all():
        return None, len(tile.places)
    points = tile.places.point[gone].astype(np.float64)
    left = _without(tile, points, ~gone, keys) if gone.any() else tile
    return _without_votes(left, voted, keys), int(gone.sum())


def _without(
    tile: Tile, points: NDArray, kept: NDArray[np.bool_], keys: Mapping[str, FieldKeys]
) -> Tile:
    looks = _complement(points, keys['appearance'].omega)
    space = _complement(points, keys['geometry'].omega)
    ridge = {kind: own.ridge for kind, own in keys.items()}
    return replace(
        tile,
        geometry=tile.geometry and _projected(tile.geometry, space, ridge['geometry']),
        appearance=MappingProxyType(
            {s: _projected(f, looks, ridge['appearance']) for s, f in tile.appearance.items()}
        ),
        places=tile.places.kept(kept),
    )


def _without_votes(tile: Tile, gone: NDArray[np.bool_], keys: Mapping[str, FieldKeys]) -> Tile:
    """Return the tile without the votes at these rows of its table."""
    if tile.votes is None or not gone.any():
        return tile
    points, own = tile.vote_places.point[gone].astype(np.float64), keys['votes']
    return replace(
        tile,
        votes=_projected(tile.votes, _complement(points, own.omega), own.ridge),
        vote_places=tile.vote_places.kept(~gone),
    )


def _projected(field: PackedField, projector: NDArray, ridge: float) -> PackedField:
    """Return the field with its keys projected; tensors that a rule does not keep stay empty."""
    state = field.unpacked(ridge)
    curvature, target = state.curvature, state.target
    if curvature.size:
        curvature = projector @ curvature @ projector
    if target.size:
        target = projector @ target
    state = FieldState(curvature, target, projector @ state.weight)
    return PackedField.of(state, ridge, forgets=field.factor.dtype == np.float32)


def _complement(points: NDArray, omega: NDArray) -> NDArray:
    """Return the projector (D, D) that takes the keys of points (n, 3) to 0."""
    key = fourier_features(points, omega)
    values, vectors = np.linalg.eigh(key.T @ key)
    span = vectors[:, values > _NEGLIGIBLE * values[-1]]
    return np.eye(len(values)) - span @ span.T


def _looked_at(keyframe: Keyframe) -> NDArray[np.float64]:
    """Return the map point in the middle of a keyframe's picture, (1, 3)."""
    depth = float(np.median(keyframe.depth[keyframe.depth > 0])) if keyframe.depth.any() else 0.0
    return (keyframe.map_T_camera @ np.array([0.0, 0.0, depth, 1.0]))[None, :3]
