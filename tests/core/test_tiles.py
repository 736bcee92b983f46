# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Where tiles lie, which samples they take, and what happens over the byte budget."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from safetensors.numpy import load_file

from ros2_spatial_ttt.config import TileConfig
from ros2_spatial_ttt.memory.tiles import BELOW_GROUND_M, TileGrid, sector_of
from ros2_spatial_ttt.types import Region

CONFIG = TileConfig()


@pytest.fixture(scope='module')
def grid():
    return TileGrid(CONFIG)


@pytest.fixture
def points(rng):
    return rng.uniform((-7, -7, -4), (7, 7, 6), (500, 3))


def test_the_origin_is_in_the_middle_of_the_first_tile(grid):
    assert grid.centre((0, 0, 0)) == pytest.approx((0, 0, CONFIG.height_m / 2 - BELOW_GROUND_M))
    assert grid.owners(np.zeros((1, 3))) == {(0, 0, 0)}


def test_every_point_lies_within_half_a_tile_of_its_centre(grid, points):
    centres = np.array([grid.centre(tuple(index)) for index in grid.index_of(points)])
    assert (np.abs(points - centres) <= grid.size / 2 + 1e-9).all()


def test_points_go_to_every_tile_whose_border_they_are_near(grid, points):
    """Compared with a plain test of every tile."""
    assigned = dict(grid.assign(points))
    for index in product(range(-5, 6), range(-5, 6), range(-3, 4)):
        reach = grid.size / 2 + CONFIG.overlap_m
        near = np.all(np.abs(points - grid.centre(index)) <= reach, axis=1)
        assert assigned.get(index, np.zeros(0, int)).tolist() == np.flatnonzero(near).tolist()


def test_each_point_has_one_owner_among_its_tiles(grid, points):
    assert grid.owners(points) <= dict(grid.assign(points)).keys()
    assert {tuple(index) for index in grid.index_of(points).tolist()} == grid.owners(points)


def test_without_points_there_are_no_tiles(grid):
    assert list(grid.assign(np.zeros((0, 3)))) == [] and grid.owners(np.zeros((0, 3))) == set()


@pytest.mark.parametrize('sectors', [1, 8, 12])
def test_sectors_share_the_compass_evenly(sectors):
    angle = (np.arange(360) + 0.5) / 360 * 2 * np.pi
    view = np.stack([np.cos(angle), np.sin(angle), np.full(360, 0.3)], axis=1)
    counts = np.bincount(sector_of(view, sectors), minlength=sectors)
    assert len(counts) == sectors and counts.min() >= 360 // sectors - 1


def test_straight_up_and_due_west_are_in_a_sector():
    edge = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [-1.0, -0.0, 0.0]])
    assert set(sector_of(edge, 8)) <= set(range(8))


# The budget, on a room of about twenty tiles.

LIMIT = {'tiles__budget_mb': 1.0}
LIMIT_BYTES = 1_000_000


def tiles_of(memory, path):
    memory.save(path)
    return {name: t for name, t in load_file(path).items() if name.startswith('tile/')}


@pytest.fixture(scope='module')
def lap(tour):
    """Half of the tour: once round the room, so that the last tiles are the first."""
    return tour[::2]


@pytest.fixture(scope='module')
def spilled(make_memory, feed, lap, tmp_path_factory):
    """A memory over its budget with a tile directory; for reading only."""
    directory = tmp_path_factory.mktemp('tiles')
    return feed(make_memory(**LIMIT, tiles__directory=str(directory)), lap)


def used_by_tiles(memory):
    return memory.status().state_bytes_used - sum(k.nbytes for k in memory.keyframes())


@pytest.mark.ort
def test_tiles_over_the_budget_go_to_disk_and_come_back_unchanged(
    spilled, make_memory, feed, lap, tmp_path
):
    memory, room = spilled, feed(make_memory(), lap)
    status = memory.status()
    assert status.tiles_on_disk > 0 and status.tiles_forgotten == 0
    assert used_by_tiles(memory) <= LIMIT_BYTES
    assert status.tiles_resident + status.tiles_on_disk == room.status().tiles_resident
    # The walk comes back to tiles that it left: they went out and were read and written again.
    limited = tiles_of(memory, tmp_path / 'limited.safetensors')
    unlimited = tiles_of(room, tmp_path / 'unlimited.safetensors')
    assert limited.keys() == unlimited.keys()
    for name, tensor in unlimited.items():
        assert np.array_equal(limited[name], tensor), name


@pytest.mark.ort
def test_without_a_directory_what_is_over_the_budget_is_forgotten_and_counted(
    make_memory, feed, lap, caplog
):
    memory = feed(make_memory(**LIMIT), lap)
    assert memory.status().tiles_on_disk == 0
    assert memory.state.forgotten_looks > 0 and 'sectors their looks' in caplog.text
    assert used_by_tiles(memory) <= LIMIT_BYTES


@pytest.mark.ort
def test_a_loaded_memory_keeps_to_its_own_budget(room, make_memory, tmp_path):
    path, directory = tmp_path / 'room.safetensors', tmp_path / 'tiles'
    room.save(path)
    memory = make_memory(**LIMIT, tiles__directory=str(directory))
    memory.load(path)
    assert used_by_tiles(memory) <= LIMIT_BYTES
    assert memory.status().tiles_on_disk == len(list(directory.iterdir())) > 0
    again = tiles_of(memory, tmp_path / 'again.safetensors')
    for name, tensor in load_file(path).items():
        if name.startswith('tile/'):
            assert np.array_equal(again[name], tensor), name


@pytest.mark.ort
def test_forgetting_a_region_reaches_tiles_on_disk(make_memory, feed, lap, tmp_path):
    memory = feed(make_memory(**LIMIT, tiles__directory=str(tmp_path / 'tiles')), lap)
    assert memory.status().tiles_on_disk > 0
    assert memory.forget(Region((-50.0, -50.0, -50.0), (50.0, 50.0, 50.0))) > 0
    left = tiles_of(memory, tmp_path / 'left.safetensors')
    for name, tensor in left.items():
        assert name.endswith('/factor') or not tensor.any(), name


@pytest.mark.ort
@pytest.mark.parametrize('way', ['reset', 'forget'])
def test_forgetting_everything_leaves_no_tile_on_disk(way, make_memory, feed, lap, tmp_path):
    directory = tmp_path / 'tiles'
    memory = feed(make_memory(**LIMIT, tiles__directory=str(directory)), lap)
    places = len(memory.field_points())
    files = list(directory.iterdir())
    files[0].write_bytes(b'damaged')
    count = getattr(memory, way)()
    assert not any(directory.iterdir()) and memory.status().tiles_on_disk == 0
    if way == 'forget':
        assert count > places, 'places of tiles on disk count too'
