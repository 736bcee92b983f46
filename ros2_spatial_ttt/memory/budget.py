# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Keeping tiles within a byte budget: what goes first, and what stays longest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from ros2_spatial_ttt.config import TileConfig
from ros2_spatial_ttt.memory.places import PlaceTable
from ros2_spatial_ttt.memory.tiles import Tile, TileIndex

__all__ = ['Kept', 'budget_bytes', 'within_budget']

# Votes give way to nothing else until they fill this share of the budget.
_VOTES = 0.75


@dataclass(frozen=True)
class Kept:
    """Tiles within a budget.

    Attributes:
        tiles: that stay. spilled: whole tiles, to be put on disk.
        lost_tiles: how many lost their space or their votes. lost_looks: fields of appearance.
    """

    tiles: dict[TileIndex, Tile]
    spilled: tuple[Tile, ...] = ()
    lost_tiles: int = 0
    lost_looks: int = 0


def budget_bytes(config: TileConfig) -> int:
    """Return the most bytes that tiles in working memory may hold."""
    return int(config.budget_mb * 1e6)


def within_budget(tiles: Mapping[TileIndex, Tile], budget: int, *, spill: bool) -> Kept:
    """Return what stays of tiles; what was written longest ago goes first.

    To disk go whole tiles. Without a disk a tile loses its looks, one sector after the other, then
    its space, then the next tile; votes, which are worth most per byte, go last.

    Args:
        tiles: before.
        budget: bytes.
        spill: whether there is a disk.
    """
    used = sum(tile.nbytes for tile in tiles.values())
    if used <= budget:
        return Kept(dict(tiles))
    oldest = sorted(tiles, key=lambda index: (tiles[index].used, index))
    return _spilled(tiles, oldest, used - budget) if spill else _lightened(tiles, oldest, budget)


def _spilled(tiles: Mapping[TileIndex, Tile], oldest: list[TileIndex], excess: int) -> Kept:
    kept, spilled = dict(tiles), []
    for index in oldest:
        if excess <= 0:
            break
        spilled.append(kept.pop(index))
        excess -= spilled[-1].nbytes
    return Kept(kept, tuple(spilled))


def _lightened(tiles: Mapping[TileIndex, Tile], oldest: list[TileIndex], budget: int) -> Kept:
    kept = _with_fewer_votes(tiles, oldest, int(_VOTES * budget))
    excess = sum(tile.nbytes for tile in kept.values()) - budget
    for index in oldest:
        while excess > 0 and kept[index].nbytes > kept[index].vote_bytes:
            lighter = _lighter(kept[index])
            excess -= kept[index].nbytes - lighter.nbytes
            kept[index] = lighter
    poorer = [index for index in oldest if _poorer(tiles[index], kept[index])]
    looks = sum(len(tiles[index].appearance) - len(kept[index].appearance) for index in oldest)
    return Kept(
        {index: tile for index, tile in kept.items() if tile.nbytes},
        lost_tiles=len(poorer),
        lost_looks=looks,
    )


def _with_fewer_votes(
    tiles: Mapping[TileIndex, Tile], oldest: list[TileIndex], most: int
) -> dict[TileIndex, Tile]:
    kept, excess = dict(tiles), sum(tile.vote_bytes for tile in tiles.values()) - most
    for index in oldest:
        if excess > 0:
            excess -= kept[index].vote_bytes
            kept[index] = replace(kept[index], votes=None, vote_places=PlaceTable.empty())
    return kept


def _lighter(tile: Tile) -> Tile:
    """Return a tile without its oldest look, or without its space where it has no looks."""
    if not tile.appearance:
        return replace(tile, geometry=None, places=PlaceTable.empty())
    newer = dict(list(tile.appearance.items())[1:])
    return replace(tile, appearance=MappingProxyType(newer))


def _poorer(before: Tile, after: Tile) -> bool:
    """Return whether a tile lost its space or its votes."""
    space = before.geometry is not None and after.geometry is None
    return space or (before.votes is not None and after.votes is None)
