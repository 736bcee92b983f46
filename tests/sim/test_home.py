# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Generated homes: what people would call a home, and one that a robot can drive through."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.sim.home import make_home
from ros2_spatial_ttt.sim.plans.cells import AREAS
from ros2_spatial_ttt.sim.plans.doors import approaches
from ros2_spatial_ttt.sim.plans.overlap import (
    box,
    clash,
    corners,
    distance_to_box,
    inside_polygon,
    thing_box,
)
from ros2_spatial_ttt.sim.plans.spaces import parts_clash
from ros2_spatial_ttt.sim.plans.support import lies_on
from ros2_spatial_ttt.sim.walks.walk import Ground, Walker, all_reached
from ros2_spatial_ttt.sim.world import CATEGORIES, EXAM_SEEDS, Thing

SEEDS = range(40)
SEATS = {'chair', 'stool'}
TABLES = {'table', 'desk'}


@pytest.fixture(scope='module')
def homes():
    return [make_home(seed) for seed in SEEDS]


def floor_area(room) -> float:
    x, y = np.array(room.polygon).T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2.0


def overlapping(things) -> list[tuple]:
    """Pairs of things in each other, but for what stands on or in its support."""
    rows = np.array([thing_box(thing) for thing in things])
    pairs = zip(*np.nonzero(np.triu(clash(rows, rows), 1)), strict=True)
    found = [(things[i], things[j]) for i, j in pairs]
    return [(a, b) for a, b in found if a.support != b.id and b.support != a.id]


def test_nothing_stands_in_anything_else_and_chairs_only_under_tables(homes):
    tucked = 0
    for home in homes:
        for a, b in overlapping(home.things):
            kinds = {a.category, b.category}
            assert kinds & SEATS and kinds & TABLES, (home.seed, a, b)
            assert not parts_clash(a, b), (home.seed, a, b)
            tucked += 1
    assert tucked > 20


def test_no_thing_is_in_a_wall(homes):
    for home in homes:
        walls = np.array(
            [
                box(
                    w.centre, w.size, 0.0, w.centre[2] - w.size[2] / 2, w.centre[2] + w.size[2] / 2
                )
                for w in home.walls
            ]
        )
        rows = np.array([thing_box(thing) for thing in home.things])
        hit = np.argwhere(clash(rows, walls))
        assert not len(hit), (home.seed, home.things[hit[0][0]], home.walls[hit[0][1]])


def test_things_are_in_the_room_they_name(homes):
    for home in homes:
        for thing in home.things:
            if thing.category != 'door':
                polygon = home.rooms[thing.room].polygon
                outline = corners(thing_box(thing)[None])[0]
                inwards = (np.array(thing.centre[:2]) - outline) * 1e-2
                assert inside_polygon(polygon, outline + inwards).all(), (home.seed, thing)


def test_doors_are_not_blocked(homes):
    for home in homes:
        free = approaches(home.openings)
        things = [thing for thing in home.things if thing.category != 'door']
        rows = np.array([thing_box(thing) for thing in things])
        hit = np.argwhere(clash(rows, free))
        assert not len(hit), (home.seed, things[hit[0][0]])


def test_door_leaves_stand_open_at_inner_doors_and_closed_in_the_front_door(homes):
    for home in homes:
        leaves = [thing for thing in home.things if thing.category == 'door']
        holes = [hole for hole in home.openings if hole.kind == 'door']
        assert len(leaves) == len(holes)
        assert sum(min(hole.rooms) < 0 for hole in holes) == 1
        for leaf in leaves:
            hole = min(holes, key=lambda h: np.hypot(*np.subtract(h.centre, leaf.centre)[:2]))
            assert leaf.size[1] < max(hole.size[:2]) and leaf.size[2] <= hole.size[2]
            along = 0.0 if hole.size[0] > hole.size[1] else np.pi / 2
            opened = np.rad2deg(np.arccos(abs(np.cos(leaf.yaw + np.pi / 2 - along))))
            assert opened < 0.1 if min(hole.rooms) < 0 else opened > 60.0


def test_doors_have_the_size_of_doors(homes):
    for home in homes:
        for hole in home.openings:
            width, height = max(hole.size[:2]), hole.size[2]
            if hole.kind == 'door':
                assert 0.79 <= width <= 0.95 and 2.0 <= height <= 2.1
            assert 0.1 - 1e-9 <= min(hole.size[:2]) <= 0.15


def test_small_things_lie_wholly_on_what_supports_them(homes):
    count = 0
    for home in homes:
        for thing in home.things:
            if thing.support:
                assert lies_on(thing, home.things[thing.support - 1]), (home.seed, thing)
                assert thing.room == home.things[thing.support - 1].room
                count += 1
    assert count > 200


def test_what_has_no_support_stands_on_the_floor_or_hangs_at_a_wall(homes):
    for home in homes:
        for thing in home.things:
            bottom = thing.centre[2] - thing.size[2] / 2
            if thing.support == 0 and bottom > 1e-3:
                assert thing.category in ('picture', 'mirror', 'tv'), (home.seed, thing)
                back = np.array(thing.centre[:2]) - (thing.size[0] / 2 + 0.02) * np.array(
                    [np.cos(thing.yaw), np.sin(thing.yaw)]
                )
                away = [
                    distance_to_box(*back[:, None], box(w.centre, w.size, 0.0, 0, 1))
                    for w in home.walls
                ]
                assert np.min(away) == 0.0, (home.seed, thing)


def test_robot_reaches_every_room(homes):
    for home in homes:
        ground = Ground(home)
        assert all_reached(ground), home.seed
        walker = Walker(ground)
        start = walker.places(0, 1)[0]
        for room in home.rooms:
            leg = walker.leg(start, walker.places(room.index, 1)[0])
            assert ground.clearance_at(leg.xy).min() > 0.22


def test_a_blocked_door_is_noticed(homes):
    """The check of reachability itself can fail: a box in the only door of a room."""
    blocked = 0
    for home in homes[:12]:
        ways = [h for h in home.openings if h.kind != 'window' and min(h.rooms) >= 0]
        for room in home.rooms:
            mine = [hole for hole in ways if room.index in hole.rooms]
            if len(mine) == 1:
                size = (max(mine[0].size[:2]), max(mine[0].size[:2]), 1.0)
                plug = Thing(999, 'box', (*mine[0].centre[:2], 0.5), size, 0.0, room.index, 0, 1)
                assert not all_reached(Ground(home, (*home.things, plug)))
                blocked += 1
    assert blocked > 10


def test_rooms_have_believable_sizes_and_do_not_overlap(homes):
    for home in homes:
        for room in home.rooms:
            low, high = AREAS[room.kind]
            assert low <= floor_area(room) <= high, (home.seed, room)
            assert 2.4 <= room.height <= 2.8
        points = np.random.default_rng(1).uniform(-12, 12, (2000, 2))
        inside = sum(inside_polygon(r.polygon, points).astype(int) for r in home.rooms)
        assert inside.max() <= 1


def test_map_origin_is_in_the_home(homes):
    for home in homes:
        x, y = np.concatenate([room.polygon for room in home.rooms]).T
        assert x.min() < 0.0 < x.max() and y.min() < 0.0 < y.max()


def test_walls_close_every_room_but_for_its_openings(homes):
    """Walking along the outside of a room's polygon there is always wall or an opening."""
    for home in homes[:12]:
        solids = np.array([box(w.centre, w.size, 0.0, 0, 1) for w in home.walls])
        holes = np.array([box(h.centre, h.size, 0.0, 0, 1) for h in home.openings])
        for room in home.rooms:
            points = np.array(room.polygon)
            for a, b in zip(points, np.roll(points, -1, axis=0), strict=True):
                out = np.array([b[1] - a[1], a[0] - b[0]]) / np.hypot(*(b - a)) * 0.03
                line = a + np.linspace(0.0, 1.0, 60)[:, None] * (b - a) + out
                away = [distance_to_box(*line.T, row) for row in (*solids, *holes)]
                assert np.max(np.min(away, axis=0)) < 1e-6, (home.seed, room.kind)


def test_every_category_is_common_and_density_is_that_of_homes(homes):
    count = Counter(thing.category for home in homes for thing in home.things)
    assert set(count) == set(CATEGORIES)
    total = sum(count.values())
    for category in CATEGORIES:
        inside = sum(any(t.category == category for t in home.things) for home in homes)
        assert inside >= 0.15 * len(homes), category
        assert count[category] < 0.12 * total, category
    density = [len(h.things) / sum(floor_area(r) for r in h.rooms) for h in homes]
    assert 0.5 < np.median(density) < 0.95
    assert min(density) > 0.35 and max(density) < 1.2


def test_homes_have_single_things_and_twins(homes):
    for home in homes:
        count = Counter(thing.category for thing in home.things)
        assert len(home.rooms) < 3 or sum(n == 1 for n in count.values()) >= 6
        assert len(home.rooms) < 3 or sum(2 <= n <= 6 for n in count.values()) >= 3
    alike = sum(len({t.shape for t in h.things}) < len(h.things) for h in homes)
    assert alike > len(homes) / 2


def test_stray_things_lie_in_rooms_of_every_common_kind(homes):
    for category in ('box', 'ball', 'plant', 'bin'):
        kinds = {h.rooms[t.room].kind for h in homes for t in h.things if t.category == category}
        assert {'living room', 'bedroom', 'kitchen', 'bathroom', 'hall'} <= kinds


@pytest.mark.parametrize('rooms', range(1, 9))
def test_number_of_rooms_can_be_chosen(rooms):
    home = make_home(50 + rooms, rooms=rooms)
    assert [room.index for room in home.rooms] == list(range(rooms))
    assert len(home.lamps) == rooms
    assert [thing.id for thing in home.things] == list(range(1, len(home.things) + 1))


def test_plans_differ_and_some_living_rooms_are_l_shaped(homes):
    assert {len(h.rooms) for h in homes} >= {2, 3, 4, 5, 6, 7}
    assert any(len(room.polygon) == 6 for h in homes for room in h.rooms)
    assert len({h.walls for h in homes}) == len(homes)


def test_exam_homes_hold_shapes_that_training_homes_do_not(homes):
    seen = {(t.category, t.shape) for h in homes for t in h.things}
    exam = {(t.category, t.shape) for t in make_home(EXAM_SEEDS[0]).things}
    assert not seen & exam
    assert min(shape for _, shape in exam) > max(shape for _, shape in seen)


def test_same_seed_gives_the_same_home_in_another_process(homes):
    code = (
        'from ros2_spatial_ttt.sim.home import make_home; import sys; '
        'sys.stdout.write(repr(make_home(7)))'
    )
    again = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True
    ).stdout
    assert again == repr(homes[7])
    assert repr(make_home(7)) == again


@pytest.mark.parametrize('seed', [-1, 100_000 + 1000, 99_999_999, 1.5, '3'])
def test_seed_out_of_range_is_refused_with_both_ranges(seed):
    with pytest.raises(ConfigError, match=r'0\.\.99999 .*100000\.\.100999'):
        make_home(seed)


@pytest.mark.parametrize('rooms', [0, 9, -2])
def test_impossible_number_of_rooms_is_refused(rooms):
    with pytest.raises(ConfigError, match='1 to 8'):
        make_home(3, rooms=rooms)
