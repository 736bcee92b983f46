# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Stores of the exam on a small hand-made room: they are opponents that can win."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from toy_room import FURNITURE, LABELS, SECOND, ask, fed, look, walk

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.exam.systems import CONTROLS, SYSTEMS, SystemContext
from ros2_spatial_ttt.exam.systems.buckets import BucketTable
from ros2_spatial_ttt.exam.systems.frames import Unlimited, Window
from ros2_spatial_ttt.exam.systems.keyframe import Keyframes
from ros2_spatial_ttt.exam.systems.voxel import VoxelMap
from ros2_spatial_ttt.types import Query, QueryType, Region, ResultCode

BUDGET = 400_000


def every_store() -> list:
    return [
        Window(LABELS, frames=64),
        Unlimited(LABELS),
        VoxelMap(LABELS, budget_bytes=BUDGET),
        Keyframes(LABELS, budget_bytes=BUDGET),
    ]


@pytest.fixture(params=range(4), ids=['window', 'unlimited', 'voxel', 'keyframe'])
def store(request):
    return every_store()[request.param]


def test_a_store_finds_counts_measures_and_orders(store):
    fed(store, walk(60))
    chairs = ask(store, QueryType.COUNT, 'chair')
    assert chairs.code == ResultCode.OK and chairs.value == 3
    table = ask(store, QueryType.LOCATE, 'table').instances[0]
    np.testing.assert_allclose(table.position, FURNITURE[3].centre, atol=0.02)
    np.testing.assert_allclose(table.size, FURNITURE[3].size, atol=0.01)
    assert table.yaw == pytest.approx(0.3, abs=0.01)
    assert ask(store, QueryType.SIZE, 'table').value == pytest.approx(1.4, abs=0.01)
    apart = ask(store, QueryType.DISTANCE, 'box', 'table').value
    assert apart == pytest.approx(3.74, abs=0.3)
    order = [i.label for i in ask(store, QueryType.ORDER, 'table', 'box').instances]
    assert sorted(order) == ['box', 'table']


def test_a_store_groups_noisy_detections(store):
    fed(store, walk(60, centre_m=0.06))
    assert ask(store, QueryType.COUNT, 'chair').value == 3
    place = ask(store, QueryType.LOCATE, 'box').instances[0].position
    np.testing.assert_allclose(place, FURNITURE[4].centre, atol=0.08)


def test_a_store_tells_absent_from_never_observed(store):
    assert ask(store, QueryType.EXISTS, 'mug').code == ResultCode.NEVER_OBSERVED
    fed(store, walk(60))
    assert ask(store, QueryType.EXISTS, 'mug').code == ResultCode.NOT_FOUND
    seen = Region((-1.0, -1.0, 0.3), (1.0, 1.0, 1.5))
    assert ask(store, QueryType.EXISTS, 'mug', region=seen).code == ResultCode.NOT_FOUND
    other = Region((20.0, 20.0, 0.0), (22.0, 22.0, 2.0))
    assert ask(store, QueryType.EXISTS, 'mug', region=other).code == ResultCode.NEVER_OBSERVED


def test_a_store_keeps_to_region_and_time(store):
    fed(store, walk(60))
    left = Region((-3.0, -2.5, 0.0), (0.0, 0.0, 2.0))
    assert ask(store, QueryType.COUNT, 'chair', region=left).value == 2
    assert ask(store, QueryType.COUNT, 'chair', until_ns=SECOND - 1).value != 3
    assert ask(store, QueryType.COUNT, 'chair', since_ns=10**15).code == ResultCode.NOT_FOUND


def test_a_store_measures_the_floor_it_saw(store):
    fed(store, walk(120))
    area = ask(store, QueryType.ROOM_SIZE)
    assert area.value == pytest.approx(30.0, rel=0.15)
    assert area.value_low < 30.0 < area.value_high * 1.1


def test_a_store_believes_that_a_thing_is_gone_when_it_sees_through_it(store):
    without = FURNITURE[:4]
    fed(store, walk(60))
    assert ask(store, QueryType.EXISTS, 'box').code == ResultCode.OK
    fed(store, walk(120, without, begin=60))
    assert ask(store, QueryType.EXISTS, 'box').code == ResultCode.NOT_FOUND
    assert ask(store, QueryType.COUNT, 'chair').value == 3  # what stayed is still there


def test_a_store_refuses_what_it_cannot_know(store):
    fed(store, walk(5))
    for query in (
        Query(QueryType.LOCATE, labels=('unicorn',)),
        Query(QueryType.LOCATE),
        Query(QueryType.DESCRIBE),
        Query(QueryType.AUTO, text='where is the chair?'),
        Query(QueryType.DIRECTION, labels=('chair',)),
    ):
        answer = store.query(query)
        assert answer.code == ResultCode.BAD_REQUEST and answer.message


def test_a_store_takes_frames_without_detections_points_and_known_names(store):
    empty = next(walk(1, ()))
    nothing = replace(empty, surface=np.zeros((0, 3)), free=np.zeros((0, 3)))
    unknown = replace(
        next(walk(1, begin=1)),
        labels=('ufo',),
        centre=np.ones((1, 3)),
        size=np.ones((1, 3)),
        yaw=np.zeros(1),
        weight=np.ones(1),
    )
    beyond = replace(next(walk(1, begin=2)), surface=np.array([[np.nan, 0, 1], [0, 0, 1e9]]))
    fed(store, [nothing, unknown, beyond])
    assert ask(store, QueryType.COUNT, 'lamp').code == ResultCode.NOT_FOUND


def test_the_window_forgets_what_left_it_and_others_do_not():
    for store in every_store():
        fed(store, walk(30))
        fed(store, (look(10**12 + i * SECOND, (9.0, 9.0), 0.0, ()) for i in range(64)))
        found = ask(store, QueryType.LOCATE, 'table').code
        expected = ResultCode.NOT_FOUND if store.name == 'window' else ResultCode.OK
        assert found == expected, store.name


def test_unlimited_grows_and_the_equal_byte_stores_do_not():
    unlimited = Unlimited(LABELS)
    bounded = [VoxelMap(LABELS, budget_bytes=70_000), Keyframes(LABELS, budget_bytes=70_000)]
    sizes = []
    for number, percept in enumerate(walk(400)):
        unlimited.observe(percept)
        for store in bounded:
            store.observe(percept)
            assert store.stored_bytes <= store.budget_bytes == 70_000
        if number in (100, 399):
            sizes.append([s.stored_bytes for s in (unlimited, *bounded)])
    assert sizes[1][0] > sizes[0][0]
    assert sizes[1][1] == sizes[0][1] > 65_000  # the table is what it is from the begin
    assert sizes[1][2] > 60_000


def test_keyframes_cover_viewpoints_and_prefer_the_newer_of_twins():
    store = Keyframes(LABELS, budget_bytes=70_000)
    far = look(SECOND, (2.0, 2.0), 2.0, FURNITURE)
    store.observe(far)
    stamps = [2 * SECOND + i for i in range(60)]
    fed(store, (look(stamp, (0.0, 0.0), 0.0, FURNITURE) for stamp in stamps))
    kept = [glimpse.stamp_ns for glimpse in store._frames()]
    assert len(kept) < 61  # the budget did not hold all
    assert kept[0] == far.stamp_ns and kept[1:] == stamps[-(len(kept) - 1) :]


def test_an_equal_byte_store_refuses_a_budget_that_holds_nothing():
    for kind in (VoxelMap, Keyframes):
        with pytest.raises(ConfigError, match='budget'):
            kind(LABELS, budget_bytes=1000)


def test_a_bucket_table_keeps_the_newest_keys_and_never_grows():
    table = BucketTable(16 * 20 * 10, {'value': ((), np.float64)})
    size, rng = table.nbytes, np.random.default_rng(0)
    for tick in range(1, 200):
        keys = np.unique(rng.integers(0, 10**9, 12))
        slots = table.claim(keys, tick)
        assert (slots >= 0).all() and len(set(slots)) == len(keys)
        assert (table.column['value'][slots] == 0).all()  # nothing of the evicted is left
        table.column['value'][slots] = keys
        found = table.find(keys)
        np.testing.assert_array_equal(table.column['value'][found], keys)
    assert table.nbytes == size <= 16 * 20 * 10
    assert (table.find(np.array([-5, 10**12])) == -1).all()


def test_a_bucket_table_does_not_evict_what_the_same_frame_uses():
    table = BucketTable(16 * 12, {})
    slots = table.claim(np.arange(40), 1)
    assert (slots >= 0).sum() == 16 and len(set(slots[slots >= 0])) == 16


def test_every_system_has_a_constructor_and_controls_need_a_memory():
    context = SystemContext(labels=LABELS, budget_bytes=BUDGET)
    for name in ('window', 'voxel', 'keyframe', 'unlimited'):
        system = SYSTEMS[name](context)
        assert system.name == name
        assert ask(fed(system, walk(30)), QueryType.LOCATE, 'table').code == ResultCode.OK
    assert set(CONTROLS) <= set(SYSTEMS)
    with pytest.raises(ConfigError, match='SystemContext.memory'):
        SYSTEMS['reset'](context)


@pytest.mark.parametrize(
    'wrong', [{'perception': 'psychic'}, {'budget_bytes': -1}, {'window_frames': 0}]
)
def test_a_context_refuses_what_cannot_be(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        SystemContext(**wrong)


def test_without_names_stores_abstain():
    context = SystemContext(perception='model', labels=())
    for name in ('window', 'voxel', 'keyframe'):
        system = SYSTEMS[name](context)
        assert not hasattr(system, 'observe') and not hasattr(system, 'observe_frame')
        assert ask(system, QueryType.LOCATE, 'chair').code == ResultCode.BAD_REQUEST
