# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Keyframes: bounded, from different poses, and pictures of what they are evidence of."""

from __future__ import annotations

import itertools
from dataclasses import replace

import cv2
import numpy as np
import pytest

from ros2_spatial_ttt.config import EvidenceConfig
from ros2_spatial_ttt.geometry import rotation_angle, transform_points
from ros2_spatial_ttt.memory.evidence import EvidenceBank, bank_bytes
from ros2_spatial_ttt.memory.preprocess import CameraTokens


@pytest.fixture(scope='module')
def prepared(tour, manifest):
    tokens = CameraTokens(tour[0].intrinsics, manifest, depth_max_m=8.0)
    return [tokens.prepare(frame) for frame in tour]


def bank_of(frames, **parameters) -> EvidenceBank:
    bank, config = EvidenceBank(), EvidenceConfig(**parameters)
    for frame in frames:
        bank = bank.with_frame(frame, config)
    return bank


def seen_at(frame, manifest, row: int, column: int, *, depth_times: float = 1.0):
    """Return the map point that a token measured, or one nearer or farther on its ray."""
    token = row * manifest.grid[1] + column
    return transform_points(
        frame.map_T_camera, frame.ray[token] * frame.depth[token] * depth_times
    )


@pytest.mark.parametrize('keyframes', [1, 4])
def test_the_bank_is_bounded_in_number_and_bytes(prepared, manifest, keyframes):
    bank = bank_of(prepared, keyframes=keyframes)
    assert len(bank.keyframes) == keyframes
    limit = bank_bytes(EvidenceConfig(keyframes=keyframes), manifest.tokens)
    assert 0 < bank.nbytes <= limit


def test_a_full_bank_takes_only_what_spreads_it(prepared):
    """A frame nearer to a keyframe than keyframes are to each other does not come in."""
    bank, config = bank_of(prepared, keyframes=4), EvidenceConfig(keyframes=4)
    near = bank.keyframes[-1].map_T_camera.copy()
    near[:3, 3] += (0.2, 0.0, 0.0)
    beside = replace(prepared[0], map_T_camera=near)
    assert bank.with_frame(beside, config) is bank
    assert len(bank.with_frame(beside, EvidenceConfig(keyframes=5)).keyframes) == 5


def test_views_from_the_asked_side_come_first(prepared, manifest):
    bank, frame = bank_of(prepared), prepared[0]
    point = seen_at(frame, manifest, 7, 10)
    everyone = bank.views(point, manifest.grid, most=64)
    assert len(everyone) > 1 and bank.views(point, manifest.grid, most=1) == everyone[:1]
    for view in everyone:
        away = view.keyframe.map_T_camera[:2, 3] - point[:2]
        bearing = float(np.arctan2(away[1], away[0]))
        first = bank.views(point, manifest.grid, most=1, bearing=bearing)[0]
        assert first.keyframe is view.keyframe


def test_the_point_at_a_pixel_is_what_was_measured(prepared, manifest):
    frame = prepared[0]
    (keyframe,) = bank_of([frame]).keyframes
    u, v = (np.array([10, 7]) + 0.5) * manifest.stride - 0.5
    expected = seen_at(frame, manifest, 7, 10)
    assert np.allclose(keyframe.point_at(u, v, manifest.grid), expected, atol=0.01)
    assert keyframe.point_at(-1.0, v, manifest.grid) is None
    blind = replace(frame, depth=np.zeros_like(frame.depth))
    assert bank_of([blind]).keyframes[0].point_at(u, v, manifest.grid) is None


def test_a_full_bank_keeps_poses_apart(prepared):
    """What stays is spread wider than any four frames in a row."""
    in_a_row = [_spread(prepared[n : n + 4]) for n in range(len(prepared) - 3)]
    assert _spread(bank_of(prepared, keyframes=4).keyframes) > 1.2 * max(in_a_row)


def _spread(views) -> float:
    """Return the mean distance between poses, metres plus radians."""
    pairs = itertools.combinations([view.map_T_camera for view in views], 2)
    return float(
        np.mean([np.linalg.norm(a[:3, 3] - b[:3, 3]) + rotation_angle(a, b) for a, b in pairs])
    )


def test_a_pose_that_shows_nothing_new_changes_nothing(prepared):
    bank = bank_of(prepared[:1])
    assert bank.with_frame(replace(prepared[0], stamp_ns=1), EvidenceConfig()) is bank


def test_a_picture_that_cannot_be_small_enough_is_left_out(prepared, rng):
    noise = rng.integers(0, 256, prepared[0].image.shape, np.uint8)
    frame = replace(prepared[0], image=noise)
    assert bank_of([frame], keyframe_bytes=4096).keyframes == ()
    (keyframe,) = bank_of([frame], keyframe_bytes=1048576).keyframes
    assert cv2.imdecode(np.frombuffer(keyframe.jpeg, np.uint8), cv2.IMREAD_COLOR) is not None


def test_a_measured_place_is_seen_at_its_token(prepared, manifest):
    frame = prepared[0]
    bank = bank_of([frame])
    for row, column in ((3, 4), (7, 10), (12, 16)):
        view = bank.best_view(seen_at(frame, manifest, row, column), manifest.grid)
        expected = (np.array([column, row]) + 0.5) * manifest.stride - 0.5
        assert np.allclose((view.u, view.v), expected, atol=0.6)


def test_hidden_outside_and_behind_are_not_seen(prepared, manifest):
    frame = prepared[0]
    bank = bank_of([frame])
    hidden = seen_at(frame, manifest, 7, 10, depth_times=1.5)
    behind = seen_at(frame, manifest, 7, 10, depth_times=-1.0)
    aside = transform_points(frame.map_T_camera, np.array([9.0, 0.0, 1.0]))
    for point in (hidden, behind, aside):
        assert bank.best_view(point, manifest.grid) is None


def test_a_place_hidden_from_one_pose_is_shown_from_another(prepared, manifest):
    """Of two keyframes the one that sees the place is taken, though the other is nearer."""
    frame = prepared[0]
    point = seen_at(frame, manifest, 7, 10)
    wall = np.full_like(frame.depth, 0.5)
    nearer = frame.map_T_camera.copy()
    nearer[:3, 3] += 0.5 * (point - nearer[:3, 3])
    blocked = replace(frame, depth=wall, map_T_camera=nearer, camera='blocked')
    bank = bank_of([frame, blocked])
    assert len(bank.keyframes) == 2
    assert bank.best_view(point, manifest.grid).keyframe.camera == frame.camera
    free = replace(
        blocked, depth=np.full_like(wall, 0.5 * frame.depth[7 * 20 + 10]), camera='free'
    )
    assert bank_of([frame, free]).best_view(point, manifest.grid).keyframe.camera == 'free'


def test_the_mark_is_drawn_where_the_place_is(prepared, manifest):
    frame = prepared[0]
    view = bank_of([frame]).best_view(seen_at(frame, manifest, 7, 10), manifest.grid)
    pictures = [
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).astype(int)
        for data in (view.keyframe.jpeg, view.marked())
    ]
    changed = np.abs(pictures[1] - pictures[0]).max(axis=2) > 60
    v, u = np.nonzero(changed)
    assert np.hypot(u - view.u, v - view.v).max() < 24
    assert np.hypot(u.mean() - view.u, v.mean() - view.v) < 4


def test_keyframes_can_be_taken_out(prepared):
    bank = bank_of(prepared)
    old = bank.keyframes[0]
    assert old not in bank.without(lambda k: k.stamp_ns == old.stamp_ns).keyframes
