# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A memory whose model has a backbone: one state per camera, carried, saved, forgotten."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('onnx')
pytest.importorskip('onnxscript')
pytest.importorskip('onnxruntime')

import tiny_network as tiny

from ros2_spatial_ttt.memory.measure import Perception, encode_chunk
from ros2_spatial_ttt.memory.preprocess import CameraTokens
from ros2_spatial_ttt.memory.state import MemoryState
from ros2_spatial_ttt.types import Region

pytestmark = [pytest.mark.torch, pytest.mark.ort, pytest.mark.filterwarnings('ignore')]


@pytest.fixture
def make(make_memory, tiny_model):
    """Return a maker of memories with the tiny model."""
    return lambda **parameters: make_memory(model=str(tiny_model[0]), **parameters)


def of_camera(frames, camera):
    return [replace(frame, camera=camera) for frame in frames]


def assert_equal(first, second):
    assert first.keys() == second.keys()
    for name, array in first.items():
        assert np.array_equal(array, second[name]), name


def test_each_camera_has_its_own_state_in_one_field(make, feed, tour):
    both = make(chunk__flush_s=60.0)
    for front, rear in zip(of_camera(tour[:8], 'a'), of_camera(tour[8:16], 'b'), strict=True):
        feed_one(both, front)
        feed_one(both, rear)
    assert sorted(both.state.backbones) == ['a', 'b'] and both.state.chunks == 2
    for camera, frames in (('a', tour[:8]), ('b', tour[8:16])):
        alone = feed(make(chunk__flush_s=60.0), of_camera(frames, camera))
        assert_equal(both.state.backbones[camera], alone.state.backbones[camera])
        seen = both.read(alone.field_points().points.astype(np.float64)[:50])
        assert (seen.observed > 0.3).mean() > 0.9, 'both write the same field'


def feed_one(memory, frame):
    assert memory.feed_frame(frame).accepted


def test_the_state_goes_on_from_chunk_to_chunk(make, feed, tour):
    memory = feed(make(), tour[:8])
    first = memory.state.backbones[tour[0].camera]
    feed(memory, tour[8:16])
    second = memory.state.backbones[tour[0].camera]
    assert not np.array_equal(first['block0.w0'], second['block0.w0'])
    alone = feed(make(), tour[8:16]).state.backbones[tour[0].camera]
    assert not np.array_equal(second['block0.w0'], alone['block0.w0']), 'the first chunk matters'


def test_a_snapshot_holds_the_backbone(make, feed, tour, tmp_path, state_hash):
    first, second = make(), make()
    feed(first, of_camera(tour[:4], 'b') + of_camera(tour[4:8], 'a'))
    first.save(tmp_path / 'a.safetensors')
    second.load(tmp_path / 'a.safetensors')
    assert list(second.state.backbones) == list(first.state.backbones)
    assert state_hash(first) == state_hash(second)
    for memory in (first, second):
        feed(memory, of_camera(tour[8:12], 'a'))
    assert state_hash(first) == state_hash(second)


def test_forgetting_and_reset_leave_nothing_in_the_backbone(make, feed, tour):
    memory = feed(make(), tour[:8])
    assert memory.forget(Region((90.0, 90.0, 90.0), (91.0, 91.0, 91.0))) == 0
    assert memory.state.backbones, 'nothing was forgotten'
    assert memory.forget(Region((-9.0, -9.0, -1.0), (9.0, 9.0, 4.0))) > 0
    assert not memory.state.backbones
    feed(memory, tour[8:16])
    memory.reset()
    assert not memory.state.backbones


def test_frames_without_depth_are_taken_and_write(make, feed, tour):
    memory = feed(make(), [replace(frame, depth=None) for frame in tour[:8]])
    assert memory.status().refused == {} and memory.status().tiles_resident > 0


def test_state_bytes_do_not_depend_on_the_cameras_seen(make, feed, tour, later):
    memory = make(cameras=2)
    fixed = memory.status().state_bytes
    for number, camera in enumerate(('front', 'left', 'right')):
        frames = [replace(later(frame, 60.0 * number), camera=camera) for frame in tour[:8]]
        feed(memory, frames)
        assert memory.status().state_bytes == fixed
        assert 0 < memory.status().state_bytes_used <= fixed
    assert list(memory.state.backbones) == ['left', 'right']
    one = sum(2 * array.size for array in memory.runtime.initial_state().values())
    assert make(cameras=3).state_bytes == fixed + one


def test_no_more_than_so_many_cameras_have_a_state():
    state = MemoryState.empty(4)
    for number in range(6):
        state = state.with_backbone(str(number), {'x': np.zeros(1, np.float32)}, most=4)
    state = state.with_backbone('2', {'x': np.ones(1, np.float32)}, most=4)
    assert list(state.backbones) == ['3', '4', '5', '2']


def test_names_of_the_model_are_those_of_the_memory(make):
    assert make().config.votes.names == tiny.CONFIG.labels
    assert make(votes__labels='dog,chair').config.votes.names == ('dog', 'chair')


def test_percepts_say_what_the_memory_sees(make, feed, tour):
    memory = feed(make(chunk__flush_s=60.0), tour[:8])
    camera = CameraTokens(tour[0].intrinsics, memory.manifest, depth_max_m=8.0)
    percepts = Perception(memory.runtime)([camera.prepare(frame) for frame in tour[:8]])
    assert [percept.stamp_ns for percept in percepts] == [f.stamp_ns for f in tour[:8]]
    fed = make(chunk__flush_s=60.0)
    for percept in percepts:
        assert fed.feed_percept(percept).accepted
    seen, told = memory.state.tiles, fed.state.tiles
    assert {i for i, t in seen.items() if t.votes} == {i for i, t in told.items() if t.votes}
    for index, tile in seen.items():
        if tile.votes:
            assert np.allclose(tile.votes.weight, told[index].votes.weight, atol=1e-3)


@pytest.mark.parametrize('floor', [True, False])
def test_the_height_of_the_map_counts_only_where_its_floor_is_known(make, tour, floor):
    """A map whose z = 0 is not the floor may be lifted: the network sees the same."""
    memory = make()
    camera = CameraTokens(tour[0].intrinsics, memory.manifest, depth_max_m=8.0)
    chunk = [camera.prepare(frame) for frame in tour[:8]]
    lift = np.eye(4)
    lift[2, 3] = 3.0
    lifted = [replace(frame, map_T_camera=lift @ frame.map_T_camera) for frame in chunk]
    first = memory.runtime.initial_state()
    low, high = (
        encode_chunk(memory.runtime, frames, first, floor=floor)[0].tokens.names
        for frames in (chunk, lifted)
    )
    assert np.array_equal(low, high) != floor


def test_a_memory_without_a_floor_tells_the_network_so(make, feed, tour):
    known = feed(make(chunk__flush_s=60.0), tour[:8])
    unknown = feed(make(chunk__flush_s=60.0, floor_at_zero=False), tour[:8])
    states = [m.state.backbones[tour[0].camera]['block0.keys'] for m in (known, unknown)]
    assert not np.array_equal(*states)
