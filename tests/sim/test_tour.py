# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Tours: a robot that never bumps, sees every room, and whose world changes behind its back."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.sim.home import make_home
from ros2_spatial_ttt.sim.plans.overlap import (
    box,
    clash,
    distance_to_box,
    inside_polygon,
    thing_box,
)
from ros2_spatial_ttt.sim.plans.spaces import parts_clash
from ros2_spatial_ttt.sim.plans.support import lies_on
from ros2_spatial_ttt.sim.tour import FRONT, SIDE, START_NS, TourOptions, make_tour
from ros2_spatial_ttt.sim.world import things_at

SEEDS = range(14)
ROBOT_M = 0.22
TALL_M = 1.6


@pytest.fixture(scope='module')
def tours():
    return [(home, make_tour(home)) for home in map(make_home, SEEDS)]


@pytest.fixture(scope='module')
def long_tour():
    home = make_home(11)
    return home, make_tour(home, TourOptions(minutes=60.0))


def xy_yaw(tour):
    pose = tour.map_T_base
    return pose[:, :2, 3], np.arctan2(pose[:, 1, 0], pose[:, 0, 0])


def test_stamps_poses_and_rooms_fit_together(tours):
    for home, tour in tours:
        assert len(tour) == 600 and tour.stamps_ns[0] == START_NS
        assert (np.diff(tour.stamps_ns) == 500_000_000).all()
        rotation = tour.map_T_base[:, :3, :3]
        assert np.abs(rotation @ rotation.transpose(0, 2, 1) - np.eye(3)).max() < 1e-6
        xy, _ = xy_yaw(tour)
        for room in home.rooms:
            inside = inside_polygon(room.polygon, xy)
            # The grid of rooms is 5 cm fine, so it may differ at the very threshold.
            assert (inside != (tour.room == room.index)).mean() < 0.02


def test_speed_and_turns_are_those_of_a_calm_robot(tours):
    for _, tour in tours:
        xy, yaw = xy_yaw(tour)
        speed = np.hypot(*np.diff(xy, axis=0).T) * tour.rate_hz
        turn = np.abs((np.diff(yaw) + np.pi) % (2 * np.pi) - np.pi) * tour.rate_hz
        assert speed.max() <= 0.8 and turn.max() <= 1.2
        moving = speed[speed > 0.1]
        assert 0.3 < moving.mean() < 0.8
        assert (speed < 0.01).any()


def test_robot_never_touches_anything_before_and_after_changes(tours, long_tour):
    for home, tour in (*tours, long_tour):
        xy, _ = xy_yaw(tour)
        walls = [
            box(w.centre, w.size, 0.0, 0.0, 1.0)
            for w in home.walls
            if w.centre[2] - w.size[2] / 2 < TALL_M
        ]
        times = [START_NS, *(change.stamp_ns for change in tour.changes)]
        for begin, end in zip(times, [*times[1:], tour.stamps_ns[-1] + 1], strict=True):
            now = (tour.stamps_ns >= begin) & (tour.stamps_ns < end)
            rows = [thing_box(t) for t in things_at(home, tour.changes, begin)]
            for row in (*walls, *(r for r in rows if r[5] < TALL_M)):
                away = distance_to_box(*xy[now].T, row)
                assert away.min(initial=9.0) > ROBOT_M - 1e-3, (home.seed, row)


def test_every_room_is_entered_and_looked_around_in(tours):
    for home, tour in tours:
        _, yaw = xy_yaw(tour)
        for room in home.rooms:
            here = tour.room == room.index
            looks = np.unique(np.round(yaw[here] / (np.pi / 4)).astype(int) % 8)
            assert len(looks) >= 6, (home.seed, room.kind)


def test_robot_comes_back_to_rooms(tours):
    back = 0
    for _, tour in tours:
        rooms = tour.room[tour.room >= 0]
        entered = rooms[np.flatnonzero(np.diff(rooms, prepend=-1))]
        back += len(entered) > len(set(entered.tolist()))
    assert back >= 12


def sees(home, point, target) -> bool:
    """Whether no full-height wall is between two points: sampled, unlike the generator."""
    line = point + np.linspace(0.0, 1.0, 400)[:, None] * (target - point)
    solid = [
        distance_to_box(*line.T, box(w.centre, w.size, 0.0, 0, 1)) == 0.0
        for w in home.walls
        if w.size[2] > home.rooms[0].height - 1e-3
    ]
    return not np.any(solid)


def test_changes_happen_out_of_sight(tours):
    count = 0
    for home, tour in tours:
        xy, _ = xy_yaw(tour)
        before = {t.id: t for t in home.things}
        for change in tour.changes:
            frame = int(np.searchsorted(tour.stamps_ns, change.stamp_ns))
            assert tour.stamps_ns[frame] == change.stamp_ns
            places = [p for p in (before.get(change.thing), change.now) if p is not None]
            for f in range(frame - 2, frame + 2):
                for place in places:
                    assert tour.room[f] != place.room
                    assert not sees(home, xy[f], np.array(place.centre[:2]))
            count += 1
            before = {t.id: t for t in things_at(home, tour.changes, change.stamp_ns)}
    assert count >= 15


def test_changed_places_were_seen_before_and_are_visited_again(tours):
    for home, tour in tours:
        known = {t.id: t for t in home.things}
        for change in tour.changes:
            frame = int(np.searchsorted(tour.stamps_ns, change.stamp_ns))
            was = known.get(change.thing)
            if was is not None:
                assert (tour.room[:frame] == was.room).any()
                assert (tour.room[frame:] == was.room).any()
            if change.now is not None:
                assert (tour.room[frame:] == change.now.room).any()
                known[change.thing] = change.now
            assert frame <= 0.8 * len(tour)


def test_home_stays_sound_after_every_change(tours, long_tour):
    for home, tour in (*tours, long_tour):
        for change in tour.changes:
            things = {t.id: t for t in things_at(home, tour.changes, change.stamp_ns)}
            assert (change.thing in things) == (change.now is not None)
            assert all(t.support in (0, *things) for t in things.values())
            now = things.get(change.thing)
            if now is None:
                continue
            assert now.support == 0 or lies_on(now, things[now.support])
            for other in things.values():
                if other.id in (now.id, now.support) or other.support == now.id:
                    continue
                if clash(thing_box(now)[None], thing_box(other)[None])[0, 0]:
                    assert {'chair', 'stool'} & {now.category, other.category}
                    assert not parts_clash(now, other), (home.seed, now, other)


def test_long_tours_change_much_in_all_ways_and_enter_some_room_late(long_tour):
    home, tour = long_tour
    assert len(tour) == 7200 and 20 <= len(tour.changes) <= 30
    kinds = {change.kind for change in tour.changes}
    assert kinds == {'moved', 'removed', 'added'}
    stamps = [change.stamp_ns for change in tour.changes]
    assert stamps == sorted(stamps)
    assert len(set(stamps)) < len(stamps), 'no two things were swapped'
    added = [c for c in tour.changes if c.kind == 'added']
    assert all(c.thing > len(home.things) for c in added)
    assert len({c.thing for c in added}) == len(added)
    first = [np.flatnonzero(tour.room == room.index)[0] for room in home.rooms]
    assert max(first) > 0.3 * len(tour)
    assert np.sort(first)[-3] < 0.15 * len(tour)


def test_wanted_number_of_changes_is_an_upper_limit():
    home = make_home(5)
    assert make_tour(home, TourOptions(minutes=10.0, changes=0)).changes == ()
    assert 1 <= len(make_tour(home, TourOptions(minutes=10.0, changes=3)).changes) <= 3


def test_home_of_one_room_has_a_tour_without_changes():
    home = make_home(61, rooms=1)
    tour = make_tour(home, TourOptions(minutes=3.0))
    assert tour.changes == () and set(tour.room.tolist()) == {0}


def test_cameras_look_where_they_should():
    for rig, ahead in ((FRONT, (1.0, 0.0)), (SIDE, (0.0, -1.0))):
        axes = rig.base_T_camera[:3, :3]
        assert np.allclose(axes @ axes.T, np.eye(3)) and np.isclose(np.linalg.det(axes), 1.0)
        assert np.allclose(axes[:2, 2] / np.linalg.norm(axes[:2, 2]), ahead)
        assert -0.3 < axes[2, 2] < 0.0  # slightly down
        assert axes[2, 1] < -0.9  # the picture's down is down
        assert rig.base_T_camera[2, 3] == pytest.approx(1.2)
    tour = make_tour(make_home(2), TourOptions(minutes=0.5, cameras=(FRONT, SIDE)))
    assert [rig.name for rig in tour.cameras] == ['front', 'side']


def digest(tour) -> str:
    parts = (tour.stamps_ns.tobytes(), tour.map_T_base.tobytes(), tour.room.tobytes())
    return hashlib.sha256(b''.join(parts) + repr(tour.changes).encode()).hexdigest()


def test_same_seed_gives_the_same_tour_in_another_process(tours):
    code = (
        'import sys; sys.path.insert(0, sys.argv[1]); from test_tour import *; '
        'print(digest(make_tour(make_home(5))))'
    )
    folder = __file__.rsplit('/', 1)[0]
    out = subprocess.run(
        [sys.executable, '-c', code, folder], capture_output=True, text=True, check=True
    ).stdout
    assert out.strip() == digest(tours[5][1])


def test_other_seed_of_the_walk_gives_another_walk():
    home = make_home(4)
    a = make_tour(home, TourOptions(minutes=1.0))
    b = make_tour(home, TourOptions(minutes=1.0, seed=1))
    assert digest(a) != digest(b)


@pytest.mark.parametrize(
    ('field', 'value'),
    [
        ('minutes', 0.0),
        ('minutes', -1.0),
        ('minutes', float('nan')),
        ('rate_hz', 0.0),
        ('rate_hz', 1e4),
        ('changes', -1),
        ('cameras', ()),
        ('seed', -3),
        ('sway', 1.0),
    ],
)
def test_impossible_options_are_refused_by_name(field, value):
    with pytest.raises(ConfigError, match=field):
        TourOptions(**{field: value})
