# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Forgetting a region or a time, in closed form.

A linear field cannot tell which samples wrote what, but the keys of the places to be forgotten
span a subspace of features. Projecting A, B and W onto its complement makes the field say 0, that
is *never observed*, at those places, and leaves places whose keys are orthogonal as they were.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.memory.field import FieldState
from ros2_spatial_ttt.memory.oracle import fourier_features
from ros2_spatial_ttt.memory.places import PlaceTable
from ros2_spatial_ttt.memory.tiles import Tile, TileGrid
from ros2_spatial_ttt.types import Region

__all__ = ['tile_without_region', 'tile_without_time']

# Spacing of the points whose keys are projected out, a third of the shortest geometry scale.
SPACING_M = 0.1
# Directions that carry less than this share of the strongest are kept: they are noise of the keys.
_NEGLIGIBLE = 1e-3


def tile_without_region(
    tile: Tile, region: Region, grid: TileGrid, omega: dict[str, NDArray]
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
    left = _without(tile, np.concatenate([lattice, surface]), ~inside, omega)
    return _without_votes(left, voted, omega), int(inside.sum())


def tile_without_time(
    tile: Tile,
    since_ns: int,
    until_ns: int,
    omega: dict[str, NDArray],
    *,
    region: Region | None,
    grid: TileGrid,
) -> tuple[Tile | None, int]:
    """Return the tile without the places that were seen within a time only; see above.

    With a region of the map only places inside go. Free space has no stamps and stays.
    """

    def chosen(places: PlaceTable) -> NDArray[np.bool_]:
        mask = (places.first_ns >= since_ns) & (places.last_ns <= until_ns)
        if region is not None:
            mask &= region.contains(places.point + grid.centre(tile.index))
        return mask

    gone, voted = chosen(tile.places), chosen(tile.vote_places)
    if not gone.any() and not voted.any():
        return tile, 0
    if region is None and gone.all() and voted.all():
        return None, len(tile.places)
    points = tile.places.point[gone].astype(np.float64)
    left = _without(tile, points, ~gone, omega) if gone.any() else tile
    return _without_votes(left, voted, omega), int(gone.sum())


def _without(
    tile: Tile, points: NDArray, kept: NDArray[np.bool_], omega: dict[str, NDArray]
) -> Tile:
    appearance = _complement(points, omega['appearance'])
    return replace(
        tile,
        geometry=_projected(tile.geometry, _complement(points, omega['geometry'])),
        appearance=MappingProxyType(
            {sector: _projected(field, appearance) for sector, field in tile.appearance.items()}
        ),
        places=tile.places.kept(kept),
    )


def _without_votes(tile: Tile, gone: NDArray[np.bool_], omega: dict[str, NDArray]) -> Tile:
    """Return the tile without the votes at these rows of its table."""
    if tile.votes is None or not gone.any():
        return tile
    points = tile.vote_places.point[gone].astype(np.float64)
    return replace(
        tile,
        votes=_projected(tile.votes, _complement(points, omega['votes'])),
        vote_places=tile.vote_places.kept(~gone),
    )


def _complement(points: NDArray, omega: NDArray) -> NDArray:
    """Return the projector (D, D) that takes the keys of points (n, 3) to 0."""
    key = fourier_features(points, omega)
    values, vectors = np.linalg.eigh(key.T @ key)
    span = vectors[:, values > _NEGLIGIBLE * values[-1]]
    return np.eye(len(values)) - span @ span.T


def _projected(state: FieldState, projector: NDArray) -> FieldState:
    """Return the field with its keys projected; tensors that a rule does not keep stay empty."""
    curvature, target = state.curvature, state.target
    if curvature.size:
        curvature = (projector @ curvature @ projector).astype(np.float32)
    if target.size:
        target = (projector @ target).astype(np.float32)
    return FieldState(curvature, target, (projector @ state.weight).astype(np.float32))
