# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Chunks depend on the stamps of the frames and on nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ros2_spatial_ttt.memory.chunker import Chunker
from ros2_spatial_ttt.memory.preprocess import PreparedFrame
from ros2_spatial_ttt.types import Intrinsics

FRAMES, FLUSH_NS = 4, 100
NOTHING = np.zeros(0, np.float32)


def frame(stamp_ns: int, camera: str = 'a') -> PreparedFrame:
    intrinsics = Intrinsics(1, 1, 1.0, 1.0, 0.0, 0.0)
    return PreparedFrame(
        camera, stamp_ns, NOTHING, NOTHING, NOTHING, NOTHING, intrinsics, np.eye(4)
    )


def chunker() -> Chunker:
    return Chunker(frames=FRAMES, flush_ns=FLUSH_NS)


def stamps(chunks) -> list[list[int]]:
    return [[frame.stamp_ns for frame in chunk] for chunk in chunks]


def fed(times, pauses=()) -> list[list[int]]:
    """Chunks of frames at ``times``; a timer asks for ripe chunks before frames in ``pauses``."""
    subject, out, last = chunker(), [], 0
    for number, time in enumerate(times):
        if number in pauses:
            # The clock is anywhere up to the next frame.
            out += subject.take(last + pauses[number] * (time - last) // 100)
        out += subject.add(frame(time))
        last = time
    return stamps(out + subject.take())


times = st.lists(st.integers(1, 70), max_size=40).map(lambda gaps: np.cumsum(gaps).tolist())


@given(times)
def test_chunks_are_full_or_closed_by_time_and_lose_nothing(times):
    chunks = fed(times)
    assert [time for chunk in chunks for time in chunk] == times
    for chunk, after in zip(chunks, [*chunks[1:], None], strict=False):
        assert 1 <= len(chunk) <= FRAMES
        assert chunk[-1] - chunk[0] < FLUSH_NS
        if after and len(chunk) < FRAMES:
            assert after[0] - chunk[0] >= FLUSH_NS, 'closed without need'


@given(times, st.dictionaries(st.integers(0, 39), st.integers(0, 100)))
def test_the_partition_is_the_same_whenever_the_timer_fires(times, pauses):
    assert fed(times, pauses) == fed(times)


def test_a_full_chunk_is_returned_with_its_last_frame():
    subject = chunker()
    assert [len(subject.add(frame(t))) for t in range(5)] == [0, 0, 0, 1, 0]


def test_a_frame_at_the_flush_time_begins_a_new_chunk():
    subject = chunker()
    subject.add(frame(0))
    assert subject.add(frame(FLUSH_NS - 1)) == []
    assert stamps(subject.add(frame(FLUSH_NS))) == [[0, FLUSH_NS - 1]]
    assert stamps(subject.take()) == [[FLUSH_NS]]


def test_cameras_have_chunks_of_their_own():
    subject = chunker()
    for time in range(3):
        assert subject.add(frame(time, 'b')) == subject.add(frame(time + 50, 'a')) == []
    assert stamps(subject.add(frame(3, 'b'))) == [[0, 1, 2, 3]]
    assert stamps(subject.take()) == [[50, 51, 52]]


@pytest.mark.parametrize(('now_ns', 'taken'), [(99, []), (100, [[0]]), (150, [[50], [0]])])
def test_the_timer_takes_only_what_is_ripe(now_ns, taken):
    subject = chunker()
    subject.add(frame(0, 'b'))
    subject.add(frame(50, 'a'))
    assert stamps(subject.take(now_ns)) == taken


def test_clear_forgets_open_chunks():
    subject = chunker()
    subject.add(frame(0))
    subject.clear()
    assert subject.take() == []
