# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The table of places: one row per cell, newest measurement, bounded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ros2_spatial_ttt.memory.places import CELL_M, PlaceTable

PLENTY = 10_000


def merged(table: PlaceTable, rows, *, capacity: int = PLENTY) -> PlaceTable:
    """Return the table after rows of (x, y, z, stamp)."""
    rows = np.array(rows, np.float64).reshape(-1, 4)
    return table.merged(
        rows[:, :3].astype(np.float32), rows[:, 3].astype(np.int64), capacity=capacity
    )


def cell(number: int) -> tuple[float, float, float]:
    """Return the middle of a cell of the x axis."""
    return ((number + 0.5) * CELL_M, 0.01, 0.01)


def test_measurements_of_one_cell_are_one_place():
    table = merged(PlaceTable.empty(), [(0.01, 0.02, 0.03, 10), (0.05, 0.02, 0.03, 30)])
    table = merged(table, [(0.02, 0.02, 0.03, 20)])
    assert len(table) == 1
    assert (table.first_ns[0], table.last_ns[0], table.count[0]) == (10, 30, 3)
    assert table.point[0] == pytest.approx((0.05, 0.02, 0.03)), 'the newest measurement stays'


def test_cells_on_both_sides_of_the_origin_differ():
    table = merged(
        PlaceTable.empty(),
        [(x, y, z, 1) for x in (-0.01, 0.01) for y in (-0.01, 0.01) for z in (-0.01, 0.01)],
    )
    assert len(table) == 8


def test_over_capacity_the_longest_unseen_places_go():
    table = merged(PlaceTable.empty(), [(*cell(n), 100 + n) for n in range(6)])
    table = merged(table, [(*cell(0), 200)], capacity=4)
    assert sorted(table.last_ns) == [103, 104, 105, 200]
    assert len(merged(table, [(*cell(9), 300)], capacity=4)) == 4


def test_points_are_kept_to_the_millimetre_and_counts_as_far_as_they_go():
    table = merged(PlaceTable.empty(), [(1.23456, -0.98765, 0.00049, 1)])
    assert np.abs(table.point[0] - (1.23456, -0.98765, 0.00049)).max() <= 0.0005 + 1e-6
    full = replace(table, count=np.full(1, 65535, np.uint16))
    assert merged(full, [(1.235, -0.988, 0.0, 2)]).count.tolist() == [65535]
    assert table.nbytes == 24


def test_nothing_merged_is_nothing_changed():
    empty = merged(PlaceTable.empty(), [])
    assert len(empty) == 0 and empty.nbytes == 0
    table = merged(PlaceTable.empty(), [(0, 0, 0, 1)])
    assert np.array_equal(merged(table, []).key, table.key)


points = st.lists(
    st.tuples(*[st.floats(-2.0, 2.0, width=32)] * 3, st.integers(1, 1000)), min_size=1, max_size=40
)


@given(points, st.integers(1, 10))
def test_chunks_of_any_size_give_one_table(rows, size):
    """Rows in order of time give the same places, however they are cut."""
    rows = sorted(rows, key=lambda row: row[3])
    whole, parts = merged(PlaceTable.empty(), rows), PlaceTable.empty()
    for begin in range(0, len(rows), size):
        parts = merged(parts, rows[begin : begin + size])
    for name, array in whole.arrays().items():
        assert np.array_equal(array, parts.arrays()[name]), name
    assert whole.count.sum() == len(rows)
    assert (np.diff(whole.key) > 0).all()


@given(points, st.integers(1, 5))
def test_a_table_never_exceeds_its_capacity(rows, capacity):
    table = PlaceTable.empty()
    for row in rows:
        table = merged(table, [row], capacity=capacity)
        assert len(table) <= capacity
