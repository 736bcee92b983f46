# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What a memory is asked after each chunk, and how clips become what the network is given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip('torch')

from toy_clips import FOCAL, SIZE, toy_home

from ros2_spatial_ttt.training.data import ASSUMED_LEVEL, Clip, ClipOptions, make_clip
from ros2_spatial_ttt.training.scene_targets import describe

pytestmark = pytest.mark.torch
TOKENS = (SIZE // 8) ** 2
PLAIN = ClipOptions(width=SIZE, height=SIZE, strength=0.0, without_depth=0.0, zoom=0.0, mirror=0.0)


def clip_of(options: ClipOptions = PLAIN, *, tilt: float = 0.0, frames: int = 4) -> Clip:
    """Return a clip of the toy home, by a camera that looks down by ``tilt`` rad."""
    home = toy_home()
    cos, sin = np.cos(tilt), np.sin(tilt)
    down = np.array([[1.0, 0.0, 0.0], [0.0, cos, sin], [0.0, -sin, cos]])
    pose = home.map_T_camera.copy()
    pose[:, :3, :3] = pose[:, :3, :3] @ down
    home = replace(home, map_T_camera=pose)
    return make_clip(home, np.arange(frames), options, np.random.default_rng(0))


def seen_frames(numbers: list[list[int]], names: dict[int, int] | None = None) -> Clip:
    """Return a clip whose frame n shows the things ``numbers[n]``, four tokens of each.

    Thing n has the name ``names[n]``, lies 2 + n m ahead and is 0.1 n m large.
    """
    clip = clip_of(frames=len(numbers))
    thing, label = np.zeros_like(clip.thing), np.zeros_like(clip.label)
    names = names or {1: 1, 2: 1, 3: 5}
    centre, size = np.zeros_like(clip.centre), np.ones_like(clip.size)
    for frame, things in enumerate(numbers):
        for slot, number in enumerate(things):
            tokens = slice(4 * slot, 4 * slot + 4)
            thing[frame, tokens], label[frame, tokens] = number, names[number]
            centre[frame, tokens], size[frame, tokens] = (2.0 + number, 1.0, 0.0), 0.1 * number
    return replace(clip, thing=thing, label=label, centre=centre, size=size)


def test_things_stay_in_the_description_when_out_of_view():
    truth = describe(seen_frames([[1], [], [2, 3], [], [], []]), 2, 36)
    assert truth.count[:, 0].tolist() == [1, 2, 2]
    assert truth.count[:, 4].tolist() == [0, 1, 1]
    assert truth.count.sum() == 7
    assert truth.room.tolist() == [1, 1, 1]


def test_rooms_stay_in_the_description_when_left():
    clip = replace(seen_frames([[], [], [], [], [], []]), room=np.array([1, 1, 4, -1, -1, -1]))
    truth = describe(clip, 2, 36)
    assert [np.flatnonzero(row).tolist() for row in truth.rooms] == [[1], [1, 4], [1, 4]]
    assert truth.room.tolist() == [1, -1, -1]


def test_things_of_a_name_are_told_one_by_one_and_all_counted():
    numbers = [[4, 1], [3, 2]]
    clip = seen_frames(numbers, names=dict.fromkeys((1, 2, 3, 4), 1))
    truth = describe(clip, 2, 36)
    assert truth.count[0, 0] == 4
    # Thing n lies 2 + n m ahead; what was seen in frame 0 is 0.05 m nearer in frame 1.
    np.testing.assert_allclose(truth.centre[0, 0, :, 0], (2.95, 4.0, 5.0), atol=1e-6)
    np.testing.assert_allclose(truth.size[0, 0, :, 0], (0.1, 0.2, 0.3), atol=1e-6)
    assert (truth.centre[0, 1:] == 0.0).all() and (truth.size[0, 1:] == 1.0).all()


def test_a_stream_without_names_is_not_one_without_things():
    clip = seen_frames([[1], [1]])
    assert describe(clip, 2, 36).known.tolist() == [1.0]
    assert describe(replace(clip, label=np.full_like(clip.label, -1)), 2, 36).known.tolist() == [0]


def test_centres_are_those_of_the_nearest_in_the_present_frame():
    clip = seen_frames([[2], [1], [], []])
    truth = describe(clip, 2, 36)
    # The robot drives ahead by 0.05 m a frame; thing 1 was 3 m ahead in frame 1.
    np.testing.assert_allclose(truth.centre[0, 0, 0], (3.0, 1.0, 0.0), atol=1e-6)
    np.testing.assert_allclose(truth.centre[1, 0, 0], (2.9, 1.0, 0.0), atol=1e-6)


def test_things_of_few_tokens_do_not_count_as_seen():
    clip = seen_frames([[1], [1]])
    clip.thing[:, 3] = clip.label[:, 3] = 0
    assert describe(clip, 2, 36).count.sum() == 0


def test_a_mirrored_stream_is_described_as_a_mirror_shows_it():
    plain, mirrored = (
        describe(clip_of(replace(PLAIN, mirror=share)), 2, 36) for share in (0.0, 1.0)
    )
    assert plain.count.sum() > 0
    np.testing.assert_array_equal(plain.count, mirrored.count)
    # Two of the three boxes are chairs; the nearer one is on the other side in the mirror.
    np.testing.assert_allclose(mirrored.centre[:, 4], plain.centre[:, 4] * (1, -1, 1), atol=1e-5)


def test_without_a_pose_the_camera_is_taken_for_level():
    known = clip_of(tilt=0.3)
    assumed = clip_of(replace(PLAIN, without_pose=1.0), tilt=0.3)
    np.testing.assert_array_equal(assumed.level_T_camera, np.tile(ASSUMED_LEVEL, (4, 1, 1)))
    assert assumed.heights == 0.0
    # The same things at the same places of the picture.
    there = known.thing > 0
    ray = known.ray[None] * known.true_depth[..., None]
    for clip in (known, assumed):
        offset = clip.centre - ray @ clip.level_T_camera.transpose(0, 2, 1)
        lengths = np.linalg.norm(offset[there], axis=1)
        np.testing.assert_allclose(
            lengths, np.linalg.norm(_offset(known)[there], axis=1), atol=1e-4
        )
    in_map = [
        clip.centre @ clip.map_T_level[:, :3, :3].transpose(0, 2, 1)
        + clip.map_T_level[:, None, :3, 3]
        for clip in (known, assumed)
    ]
    np.testing.assert_allclose(in_map[0][there], in_map[1][there], atol=1e-5)


def test_a_share_of_clips_without_pose_is_drawn_only_where_asked_for():
    fresh, used = np.random.default_rng(0), np.random.default_rng(0)
    make_clip(toy_home(), np.arange(2), PLAIN, fresh)
    make_clip(toy_home(), np.arange(2), replace(PLAIN, without_pose=0.0), used)
    assert fresh.random() == used.random()


def test_tokens_know_the_thing_they_show():
    clip = clip_of()
    label = clip.label.reshape(-1, SIZE // 8, SIZE // 8)
    assert set(np.unique(label)) == {0, 1, 5}
    assert (label[:, 0] == 0).all()
    assert clip.ray.shape == (TOKENS, 3)
    assert clip.ray[:, 0].max() == pytest.approx((SIZE / 2 - 4) / FOCAL, rel=0.02)


def _offset(clip: Clip) -> np.ndarray:
    ray = clip.ray[None] * clip.true_depth[..., None]
    return clip.centre - ray @ clip.level_T_camera.transpose(0, 2, 1)
