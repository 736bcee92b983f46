# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What goes first when tiles are over their budget."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pytest

from ros2_spatial_ttt.memory.budget import within_budget
from ros2_spatial_ttt.memory.field import PackedField
from ros2_spatial_ttt.memory.places import PlaceTable
from ros2_spatial_ttt.memory.tiles import Tile

FIELD = PackedField.empty(16, 4, 1.0)
PLACES = PlaceTable.empty().merged(
    np.array([[0.0, 0.0, 0.0], [0.5, 0.0, 0.0]], np.float32), np.array([1, 2]), capacity=9
)
ONE, SPACE = FIELD.nbytes, FIELD.nbytes + PLACES.nbytes


def tile(number: int, sectors=(4, 1, 2)) -> Tile:
    """Return a full tile that was written in chunk ``number``."""
    return Tile(
        index=(number, 0, 0),
        used=number,
        geometry=FIELD,
        appearance=MappingProxyType(dict.fromkeys(sectors, FIELD)),
        places=PLACES,
        votes=FIELD,
        vote_places=PLACES,
    )


@pytest.fixture
def tiles():
    return {(number, 0, 0): tile(number) for number in (3, 1, 2)}


def size(tiles) -> int:
    return sum(tile.nbytes for tile in tiles.values())


def test_within_the_budget_nothing_changes(tiles):
    kept = within_budget(tiles, size(tiles), spill=False)
    assert kept.tiles == tiles and not kept.lost_tiles and not kept.lost_looks


def test_the_oldest_look_of_the_oldest_tile_goes_first(tiles):
    kept = within_budget(tiles, size(tiles) - 1, spill=False)
    assert (kept.lost_looks, kept.lost_tiles) == (1, 0)
    assert list(kept.tiles[1, 0, 0].appearance) == [1, 2], 'sector 4 was written before'
    assert kept.tiles[2, 0, 0] is tiles[2, 0, 0] and kept.tiles[3, 0, 0] is tiles[3, 0, 0]


def test_a_tile_loses_its_looks_then_its_space_then_it_is_the_next(tiles):
    kept = within_budget(tiles, size(tiles) - 3 * ONE - SPACE - 1, spill=False)
    assert (kept.lost_looks, kept.lost_tiles) == (4, 1)
    oldest = kept.tiles[1, 0, 0]
    assert oldest.geometry is None and len(oldest.places) == 0 and not oldest.appearance
    assert oldest.votes is FIELD and oldest.vote_places is PLACES
    assert len(kept.tiles[2, 0, 0].appearance) == 2


def test_votes_go_last_and_only_beyond_three_quarters_of_the_budget(tiles):
    votes = 3 * SPACE
    kept = within_budget(tiles, 2 * votes, spill=False)
    assert all(tile.votes is not None for tile in kept.tiles.values())
    kept = within_budget(tiles, votes, spill=False)
    assert [index[0] for index, tile in kept.tiles.items() if tile.votes is not None] == [3, 2]


@pytest.mark.parametrize('share', [0.0, 0.05, 0.3, 0.6, 0.9])
@pytest.mark.parametrize('spill', [False, True])
def test_the_budget_is_kept_whatever_it_is(tiles, share, spill):
    budget = int(share * size(tiles))
    kept = within_budget(tiles, budget, spill=spill)
    assert size(kept.tiles) <= budget
    assert all(tile.nbytes for tile in kept.tiles.values()), 'an empty tile is no tile'


def test_to_disk_go_whole_tiles_and_nothing_is_lost(tiles):
    kept = within_budget(tiles, size(tiles) - 1, spill=True)
    assert kept.spilled == (tiles[1, 0, 0],) and kept.tiles.keys() == {(2, 0, 0), (3, 0, 0)}
    assert (kept.lost_looks, kept.lost_tiles) == (0, 0)
