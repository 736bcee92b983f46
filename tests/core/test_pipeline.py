# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""``SpatialMemory``: when it writes, what it refuses to become, what it forgets."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from ros2_spatial_ttt.types import Example, Query, QueryType, Region, ResultCode

pytestmark = pytest.mark.ort

SECOND = 1_000_000_000
# At most this far from a forgotten box, verdicts may change.
MARGIN_M = 1.0


def verdicts(memory, points) -> list[ResultCode]:
    regions = [Region(tuple(p), tuple(p)) for p in np.asarray(points, float).tolist()]
    return [memory.query(Query(QueryType.DESCRIBE, region=r)).code for r in regions]


# When chunks are written.


def test_a_full_chunk_is_written_at_once(make_memory, manifest, tour):
    memory = make_memory(chunk__flush_s=60.0)
    updated = [memory.feed_frame(frame).chunk_updated for frame in tour[: manifest.chunk_frames]]
    assert updated == [False] * (manifest.chunk_frames - 1) + [True]
    assert memory.status().chunks == 1
    assert memory.flush() is False, 'nothing is left'


def test_time_closes_a_chunk_with_the_next_frame(make_memory, tour, later):
    memory = make_memory(chunk__flush_s=2.0)
    times = (0.0, 1.9, 2.0, 2.1)
    frames = [later(tour[0], time, by_m=(0.1 * time, 0, 0)) for time in times]
    assert [memory.feed_frame(frame).chunk_updated for frame in frames] == [
        False,
        False,
        True,
        False,
    ]


def test_the_timer_writes_what_is_ripe_by_its_clock(make_memory, tour):
    memory = make_memory(chunk__flush_s=2.0)
    memory.feed_frame(tour[0])
    assert memory.flush(tour[0].stamp_ns + 2 * SECOND - 1) is False
    assert memory.flush(tour[0].stamp_ns + 2 * SECOND) is True
    assert memory.status().newest_stamp_ns == tour[0].stamp_ns


def test_the_same_frames_give_the_same_state(make_memory, feed, tour, state_hash):
    first, second, other = (
        feed(make_memory(), frames) for frames in (tour[:4], tour[:4], tour[:3])
    )
    assert state_hash(first) == state_hash(second) != state_hash(other)


def test_a_timer_between_frames_does_not_change_the_state(make_memory, feed, tour, state_hash):
    memory = make_memory()
    for frame in tour[:9]:
        memory.flush(frame.stamp_ns - 1)
        memory.feed_frame(frame)
    memory.flush()
    assert state_hash(memory) == state_hash(feed(make_memory(), tour[:9]))


def test_frames_may_be_overwritten_once_they_were_fed(make_memory, feed, tour, state_hash):
    """A driver reuses its buffers; frames of the model's own size must not be kept either."""
    memory = make_memory()
    buffers = replace(
        tour[0],
        colour=tour[0].colour.copy(),
        depth=tour[0].depth.copy(),
        map_T_camera=tour[0].map_T_camera.copy(),
    )
    for frame in tour[:6]:
        for name in ('colour', 'depth', 'map_T_camera'):
            getattr(buffers, name)[:] = getattr(frame, name)
        assert memory.feed_frame(replace(buffers, stamp_ns=frame.stamp_ns)).accepted
    memory.flush()
    assert state_hash(memory) == state_hash(feed(make_memory(), tour[:6]))


def test_two_cameras_write_one_memory(make_memory, manifest, tour, later):
    memory = make_memory(chunk__flush_s=60.0)
    for frame in tour[: manifest.chunk_frames]:
        small = replace(
            later(frame, -30.0),
            camera='rear',
            colour=frame.colour[::2, ::2],
            depth=frame.depth[::2, ::2],
            intrinsics=replace(
                frame.intrinsics,
                width=160,
                height=120,
                fx=frame.intrinsics.fx / 2,
                fy=frame.intrinsics.fy / 2,
                cx=(frame.intrinsics.cx - 0.5) / 2,
                cy=(frame.intrinsics.cy - 0.5) / 2,
            ),
        )
        assert memory.feed_frame(frame).accepted and memory.feed_frame(small).accepted
    status = memory.status()
    assert status.chunks == 2 and status.frames_accepted == 2 * manifest.chunk_frames
    assert status.newest_stamp_ns == tour[manifest.chunk_frames - 1].stamp_ns


# What stays as it is.


def test_state_bytes_are_fixed_and_never_exceeded(make_memory, tour):
    memory = make_memory(tiles__budget_mb=1.0, evidence__keyframes=4)
    fixed = memory.status().state_bytes
    assert memory.status().state_bytes_used == 0
    for frame in tour:
        memory.feed_frame(frame)
        status = memory.status()
        assert status.state_bytes == fixed and status.state_bytes_used <= fixed
    assert memory.state.forgotten_looks > 0 and status.keyframes == 4, 'both bounds were met'


@pytest.mark.filterwarnings('ignore:.*encountered in cast:RuntimeWarning')
def test_an_update_that_is_not_finite_is_rejected_and_counted(
    make_memory, feed, tour, later, state_hash, caplog
):
    """A pose that is finite in float64 but not in float32 passes the gate, and no further."""
    memory = feed(make_memory(), tour[:2])
    before, hash_before = memory.status(), state_hash(memory)
    lost = replace(later(tour[2], 0.0, by_m=(1e40, 0, 0)), camera='lost')
    assert memory.feed_frame(lost).accepted
    assert memory.flush() is False
    after = memory.status()
    assert after.refused == {'update_rejected': 1} and 'not finite' in caplog.text
    assert state_hash(memory) == hash_before and after.chunks == before.chunks
    assert feed(memory, tour[2:4]).status().chunks == before.chunks + 1


def test_time_that_goes_back_is_refused_until_it_catches_up(make_memory, feed, tour, state_hash):
    memory = feed(make_memory(gate__frozen_frames=0), tour[:8])
    before = state_hash(memory)
    refused = [memory.feed_frame(frame).refused for frame in tour[:6]]
    assert refused == ['time_jump'] * 6
    assert state_hash(memory) == before
    assert memory.feed_frame(tour[8]).accepted


def test_time_that_goes_back_resets_the_memory_where_told_to(make_memory, feed, tour, state_hash):
    memory = feed(make_memory(gate__time_jump='reset'), tour[20:30])
    feed(memory, tour[:8])
    assert state_hash(memory) == state_hash(feed(make_memory(), tour[:8]))
    assert memory.status().frames_accepted == 18, 'counters go on'


@pytest.mark.parametrize('spoil', ['depth', 'pose'])
def test_a_broken_frame_from_the_past_resets_nothing(make_memory, feed, tour, state_hash, spoil):
    memory = feed(make_memory(gate__time_jump='reset'), tour[20:24])
    before = state_hash(memory)
    broken = {'depth': {'depth': None}, 'pose': {'map_T_camera': np.full((4, 4), np.nan)}}
    assert not memory.feed_frame(replace(tour[0], **broken[spoil])).accepted
    assert state_hash(memory) == before


def test_one_measured_token_is_enough_for_a_memory_that_answers(make_memory, feed, tour):
    """The first frame of a camera in a dark corner: nearly all depth is missing."""
    depth = np.zeros_like(tour[0].depth)
    # Around the middle of token (7, 10).
    depth[116:124, 164:172] = 2.0
    memory = feed(make_memory(), [replace(tour[0], depth=depth)])
    assert len(memory.field_points()) == 1
    example = Example(tour[0].colour, (144, 96, 48, 48))
    answer = memory.query(Query(QueryType.LOCATE, examples=(example,)))
    assert answer.code == ResultCode.OK and 0.0 < answer.confidence <= 1.0


# Forgetting.


def test_reset_forgets_everything_but_the_counters(make_memory, feed, tour, state_hash):
    memory = feed(make_memory(), tour[:4])
    memory.feed_frame(tour[4])
    memory.reset()
    assert memory.flush() is False, 'the open chunk is gone too'
    assert state_hash(memory) == state_hash(make_memory())
    assert memory.status().frames_accepted == 5
    assert memory.feed_frame(tour[0]).accepted, 'the gate starts anew'


@pytest.fixture(scope='module')
def seen(room):
    """Points that the memory calls surface or free, 60 of each, away from tile borders."""
    rng = np.random.default_rng(1)
    points = rng.uniform((-3, -2.7, 0.1), (3, 2.7, 2.3), (1500, 3))
    codes = np.array(verdicts(room, points))
    free = points[codes == ResultCode.NOT_FOUND][:60]
    places = room.field_points().points.astype(float)
    surface = rng.permutation(places)[:200]
    surface = surface[np.array(verdicts(room, surface)) == ResultCode.OK][:60]
    assert len(free) == len(surface) == 60
    return np.concatenate([free, surface])


@pytest.fixture
def copy_of_room(room, make_memory, tmp_path):
    room.save(tmp_path / 'room.safetensors')
    memory = make_memory()
    memory.load(tmp_path / 'room.safetensors')
    return memory


REGIONS = {
    'on the table': Region((-0.4, -0.4, 0.4), (0.4, 0.4, 1.2)),
    'over a corner of four tiles': Region((0.6, 0.6, 0.0), (1.6, 1.4, 1.0)),
    'at a wall': Region((-1.0, 2.2, 0.0), (0.2, 3.4, 1.8)),
}


@pytest.mark.parametrize('name', REGIONS)
def test_a_forgotten_region_was_never_observed_and_the_rest_stays(name, copy_of_room, seen):
    region = REGIONS[name]
    low, high = np.array(region.minimum), np.array(region.maximum)
    axes = [np.linspace(a, b, 6)[1:-1] for a, b in zip(low, high, strict=True)]
    inside = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 3)
    far = np.any((seen < low - MARGIN_M) | (seen > high + MARGIN_M), axis=1)
    assert far.sum() > 60
    before = verdicts(copy_of_room, seen[far])
    assert copy_of_room.forget(region) > 0
    assert set(verdicts(copy_of_room, inside)) == {ResultCode.NEVER_OBSERVED}
    kept = np.mean(
        [a == b for a, b in zip(before, verdicts(copy_of_room, seen[far]), strict=True)]
    )
    assert kept >= 0.95, f'{kept:.0%} of the verdicts outside stayed'


def test_a_forgotten_region_can_be_learnt_anew(make_memory, feed, tour, later):
    memory = feed(make_memory(), tour[:8])
    box = Region((-9.0, -9.0, -1.0), (9.0, 9.0, 4.0))
    places = memory.field_points().points.astype(float)[::20]
    memory.forget(box)
    assert set(verdicts(memory, places)) == {ResultCode.NEVER_OBSERVED}
    feed(memory, [later(frame, 60.0) for frame in tour[:8]])
    assert np.mean([code == ResultCode.OK for code in verdicts(memory, places)]) > 0.8


def test_forgetting_a_time_keeps_what_was_seen_before(make_memory, feed, tour):
    memory = feed(make_memory(), tour[:8])
    early = {tuple(p) for p in np.round(memory.field_points().points, 1).tolist()}
    feed(memory, tour[8:16])
    cut = tour[8].stamp_ns
    newer = memory.query(Query(QueryType.NEAREST, viewpoint=np.eye(4), since_ns=cut))
    assert newer.code == ResultCode.OK
    assert memory.forget(since_ns=cut) > 0
    points = memory.field_points()
    # A place seen before and after stays, with its newest stamp.
    assert (points.first_seen_ns < cut).all() and len(points) > 0.7 * len(early)
    assert all(k.stamp_ns < cut for k in memory.keyframes())


def test_forgetting_until_a_time_keeps_what_was_seen_after(make_memory, feed, tour):
    memory = feed(make_memory(), tour[:16])
    cut = tour[8].stamp_ns
    assert memory.forget(until_ns=cut) > 0
    points = memory.field_points()
    assert len(points) > 0 and (points.last_seen_ns > cut).all()


def test_a_region_and_a_time_forget_only_what_is_in_both(make_memory, feed, tour):
    memory = feed(make_memory(), tour[:16])
    region, cut = Region((-9.0, -9.0, -1.0), (9.0, 0.0, 4.0)), tour[8].stamp_ns
    before = memory.field_points()
    within = region.contains(before.points) & (before.first_seen_ns >= cut)
    assert 0 < within.sum() < len(before)
    memory.forget(region, since_ns=cut)
    after = memory.field_points()
    assert not (region.contains(after.points) & (after.first_seen_ns >= cut)).any()
    left = {tuple(p) for p in after.points.tolist()}
    kept = before.points[~within].tolist()
    assert np.mean([tuple(point) in left for point in kept]) > 0.8


def test_forgetting_counts_places_and_reaches_the_open_chunk(make_memory, tour):
    memory = make_memory()
    memory.feed_frame(tour[0])
    assert memory.forget() > 50
    assert memory.status().tiles_resident == 0 and memory.flush() is False


def test_nothing_to_forget_changes_nothing(make_memory, feed, tour, state_hash):
    memory = feed(make_memory(), tour[:4])
    before = state_hash(memory)
    assert memory.forget(Region((90.0, 90.0, 90.0), (91.0, 91.0, 91.0))) == 0
    assert memory.forget(since_ns=tour[39].stamp_ns) == 0
    assert state_hash(memory) == before


# Threads.


def test_questions_are_answered_while_updates_run(make_memory, tour):
    memory, answers, done = make_memory(), [], threading.Event()
    example = Example(tour[3].colour, (100, 80, 48, 48))
    query = Query(QueryType.LOCATE, examples=(example,))

    def ask():
        while not done.is_set():
            answers.append(memory.query(query))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        for frame in tour[:24]:
            memory.feed_frame(frame)
    finally:
        done.set()
        thread.join(30)
    assert not thread.is_alive()
    codes = {answer.code for answer in answers}
    assert codes <= {ResultCode.OK, ResultCode.NOT_FOUND, ResultCode.NEVER_OBSERVED}
    stamps = [answer.valid_at_ns for answer in answers]
    assert stamps == sorted(stamps) and len(set(stamps)) >= 2, 'states are published in order'
    assert memory.status().queries == len(answers)
