# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Truth of an episode: causal first and last sights, the same bytes twice, read back whole."""

import hashlib
import json
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest
import toy_home

pytest.importorskip('mujoco')

from ros2_spatial_ttt.errors import ConfigError  # noqa: E402
from ros2_spatial_ttt.sim.episode import Episode, episode_of, make_episode  # noqa: E402
from ros2_spatial_ttt.sim.tour import FRONT, SIDE, TourOptions  # noqa: E402
from ros2_spatial_ttt.sim.world import EXAM_SEEDS, Change  # noqa: E402

SEED = 11
SECOND_NS = 10**9


@pytest.fixture(scope='module')
def episode():
    options = TourOptions(minutes=3.0, rate_hz=2.0, changes=2, cameras=(FRONT, SIDE))
    return make_episode(SEED, rooms=3, options=options)


def turning():
    """Return a robot that turns once in 8 s between a chair, a box that goes and a plant."""
    things = [
        toy_home.thing(1, 'chair', 2.2, 0.0),
        toy_home.thing(2, 'box', 0.0, 2.2),
        toy_home.thing(3, 'plant', -2.2, 0.0),
    ]
    gone = Change(toy_home.START_NS + 5 * SECOND_NS, 'removed', 2, None)
    headings = np.repeat(np.arange(8) * np.pi / 4, 2) % (2 * np.pi)
    home = toy_home.make_home(things)
    return episode_of(home, toy_home.make_tour(np.concatenate([headings] * 2), changes=[gone]))


def test_first_and_last_seen_know_nothing_of_what_comes_later():
    shown = turning()
    first = shown.first_seen(toy_home.START_NS + 40 * SECOND_NS)
    assert [first[k] - toy_home.START_NS for k in (1, 2)] == [0, 2 * SECOND_NS]
    early = shown.first_seen(toy_home.START_NS + 2 * SECOND_NS)
    assert set(early) == {1, 2} and early[2] == first[2]
    assert shown.last_seen(toy_home.START_NS - 1) == {}
    for ask_s in (0, 1, 3, 6, 12, 16):
        ask_ns = toy_home.START_NS + ask_s * SECOND_NS
        first, last = shown.first_seen(ask_ns), shown.last_seen(ask_ns)
        assert set(first) == set(last)
        assert all(first[k] <= last[k] <= ask_ns for k in first)


def test_what_was_removed_is_seen_no_more_and_stands_no_more():
    shown = turning()
    end = int(shown.tour.stamps_ns[-1])
    assert shown.last_seen(end)[2] < toy_home.START_NS + 5 * SECOND_NS < shown.last_seen(end)[1]
    assert {t.id for t in shown.things_at(end)} == {1, 3}
    assert {t.id for t in shown.things_at(toy_home.START_NS)} == {1, 2, 3}


def test_json_is_read_back_whole(episode):
    data = episode.to_json()
    again = Episode.from_json(data)
    assert again.to_json() == data
    assert again.home == episode.home and again.tour.changes == episode.tour.changes
    for name in ('stamps_ns', 'map_T_base', 'room'):
        assert np.array_equal(getattr(again.tour, name), getattr(episode.tour, name))
    for camera, table in enumerate(episode.sights):
        assert np.array_equal(again.map_T_camera(camera), episode.map_T_camera(camera))
        for field in fields(table):
            mine, other = getattr(table, field.name), getattr(again.sights[camera], field.name)
            assert mine.dtype == other.dtype
            assert (
                np.allclose(mine, other, atol=5e-5)
                if field.name in ('share', 'distance')
                else np.array_equal(mine, other)
            )


def test_json_holds_what_the_documentation_promises(episode):
    tree = json.loads(episode.to_json())
    frames = len(episode.tour)
    assert set(tree) == {'format', 'home', 'seen', 'sights', 'tour'}
    for name in ('rooms', 'walls', 'openings', 'things', 'lamps'):
        assert tree['home'][name], name
    assert {'id', 'category', 'centre', 'size', 'yaw', 'room'} <= set(tree['home']['things'][0])
    assert len(tree['tour']['map_T_base']) == 12 and len(tree['tour']['stamps_ns']) == frames
    for table in tree['sights']:
        assert len(table['count']) == frames and sum(table['count']) == len(table['thing'])
    for change in tree['tour']['changes']:
        assert change['kind'] in ('moved', 'removed', 'added')
        assert (change['before'] is None) == (change['kind'] == 'added')
    assert len(episode.to_json()) < 1000 * frames, 'compact'


def test_the_same_seed_gives_the_same_bytes_in_another_process(episode):
    code = (
        'import hashlib\n'
        'from ros2_spatial_ttt.sim.episode import make_episode\n'
        'from ros2_spatial_ttt.sim.tour import FRONT, SIDE, TourOptions\n'
        'o = TourOptions(minutes=3.0, rate_hz=2.0, changes=2, cameras=(FRONT, SIDE))\n'
        f'e = make_episode({SEED}, rooms=3, options=o)\n'
        'print(hashlib.sha256(e.to_json()).hexdigest())'
    )
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == hashlib.sha256(episode.to_json()).hexdigest()


def test_another_seed_gives_another_episode(episode):
    other = make_episode(SEED + 1, minutes=0.2, rooms=2)
    assert other.home.things != episode.home.things


def test_a_robot_in_a_home_sees_most_of_it(episode):
    end = int(episode.tour.stamps_ns[-1])
    floor = [t.id for t in episode.home.things if t.category not in ('book', 'mug', 'bottle')]
    seen = episode.first_seen(end)
    assert np.mean([number in seen for number in floor]) > 0.8


@pytest.mark.parametrize('seed', [-1, 100_000 + len(EXAM_SEEDS), 899_999])
def test_seeds_out_of_range_are_refused(seed):
    with pytest.raises(ConfigError, match='seed'):
        make_episode(seed, minutes=0.1)


@pytest.mark.parametrize(
    'numbers', [{'minutes': 0.0}, {'minutes': -1.0}, {'rate_hz': 0.0}, {'rooms': 0}, {'rooms': 9}]
)
def test_senseless_numbers_are_refused(numbers):
    with pytest.raises(ConfigError, match=next(iter(numbers))):
        make_episode(SEED, **numbers)


@pytest.mark.parametrize(
    'data',
    [b'', b'{}', b'{"format": "else"}', b'\xff', b'[1]', b'{"format":"spatial_ttt truth 1"}'],
)
def test_what_is_no_truth_is_refused(data):
    with pytest.raises(ConfigError, match='truth'):
        Episode.from_json(data)
