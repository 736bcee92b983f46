# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The maths of the vote field, and when a look speaks against a thing."""

from __future__ import annotations

import numpy as np
import pytest

from ros2_spatial_ttt.config import VoteConfig
from ros2_spatial_ttt.memory.doubts import Look, doubts
from ros2_spatial_ttt.memory.oracle import exact_solution, fourier_features
from ros2_spatial_ttt.memory.votes import (
    NAMES,
    PRESENT,
    empty_votes,
    update_votes,
    vote_frequencies,
    vote_values,
)

FOREVER = 1e6
OMEGA = vote_frequencies(128, 0.2)


def config(**changes):
    return VoteConfig(labels='a, b', **changes)


def values(labels, size=(1.0, 0.5, 0.8), worth=1.0, guessed=0.0):
    count = len(labels)
    return vote_values(
        np.array(labels, int),
        np.tile(size, (count, 1)),
        np.zeros(count),
        np.broadcast_to(worth, count),
        np.broadcast_to(guessed, count),
        labels=2,
    )


def read(state, points):
    return fourier_features(np.atleast_2d(points), OMEGA) @ state.weight


def test_keys_have_the_gaussian_kernel_of_their_scale():
    rng = np.random.default_rng(0)
    points = rng.uniform(-1.0, 1.0, (200, 3))
    omega = vote_frequencies(1024, 0.2)
    kernel = fourier_features(points, omega) @ fourier_features(points, omega).T
    square = ((points[:, None] - points[None]) ** 2).sum(axis=-1)
    assert np.abs(kernel - np.exp(-square / (2 * 0.2**2))).mean() < 0.03


def test_without_forgetting_it_is_ridge_regression():
    rng = np.random.default_rng(1)
    points, weights = rng.uniform(-1, 1, (30, 3)), rng.uniform(0.2, 1.0, 30)
    given = values(rng.integers(0, 2, 30))
    setting = config(memory_frames=FOREVER)
    state = empty_votes(setting)
    for rows in np.array_split(np.arange(30), 4):
        state = update_votes(state, points[rows], given[rows], weights[rows], OMEGA, setting)
    key = fourier_features(points, OMEGA)
    truth = exact_solution(
        key.T @ (weights[:, None] * key), key.T @ (weights[:, None] * given), ridge=setting.ridge
    )
    assert np.abs(state.weight - truth).max() < 1e-3


def test_a_place_is_believed_by_the_share_of_looks_that_found_it():
    """m votes at one place read m / (m + ridge); after M looks it says what it last saw."""
    setting = config(memory_frames=FOREVER, ridge=3.0)
    here = np.zeros((1, 3))
    state = empty_votes(setting)
    for _ in range(9):
        state = update_votes(state, here, values([0]), np.ones(1), OMEGA, setting)
    assert read(state, here)[0, PRESENT] == pytest.approx(9 / 12, abs=1e-3)
    assert read(state, here)[0, NAMES] == pytest.approx([9 / 12, 0.0], abs=1e-3)


def test_a_name_never_reads_better_than_the_looks_that_say_it():
    """Poor looks that go on for hours do not add up to a sure one."""
    setting, here = config(), np.zeros((1, 3))
    state = empty_votes(setting)
    for _ in range(2000):
        state = update_votes(state, here, values([0], worth=0.05), [0.05], OMEGA, setting)
    assert 0.04 < read(state, here)[0, NAMES][0] < 0.051


def test_a_sure_look_outlasts_many_poor_ones():
    """Seen well three times, then taken for something else a hundred times as often, from afar."""
    setting, here = config(), np.zeros((1, 3))
    state = empty_votes(setting)
    for _ in range(3):
        state = update_votes(state, here, values([0], worth=0.9), [0.9], OMEGA, setting)
    for _ in range(300):
        state = update_votes(state, here, values([1], worth=0.05), [0.05], OMEGA, setting)
    right, wrong = read(state, here)[0, NAMES]
    assert right > 2.0 * wrong


def test_information_at_a_place_is_bounded_and_overwritten():
    setting = config(memory_frames=10.0, ridge=1.0)
    here, nothing = np.zeros((1, 3)), np.zeros((1, NAMES.start + 2), np.float32)
    state = empty_votes(setting)
    for _ in range(500):
        state = update_votes(state, here, values([0]), np.ones(1), OMEGA, setting)
    key = fourier_features(here, OMEGA)[0]
    # The fixed point of m <- m (1 - 1/M) + 1 is M.
    assert key @ state.curvature @ key == pytest.approx(10.0, rel=1e-3)
    for _ in range(15):
        state = update_votes(state, here, nothing, np.ones(1), OMEGA, setting)
    assert read(state, here)[0, PRESENT] < 0.25


def test_forgetting_stays_where_one_looks():
    setting = config(memory_frames=5.0)
    points = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    state = empty_votes(setting)
    for _ in range(40):
        state = update_votes(state, points, values([0, 1]), np.ones(2), OMEGA, setting)
    before = read(state, points)[1, NAMES][1]
    nothing = np.zeros((1, NAMES.start + 2), np.float32)
    for _ in range(100):
        state = update_votes(state, points[:1], nothing, np.ones(1), OMEGA, setting)
    after = read(state, points)
    assert after[0, PRESENT] < 0.05
    assert after[1, NAMES][1] == pytest.approx(before, abs=0.03)


def test_muon_turns_any_gradient_into_a_step_of_length_about_one():
    setting = config(rule='muon', features=64)
    omega = vote_frequencies(64, 0.2)
    state = empty_votes(setting)
    assert state.curvature.size == 0
    rng = np.random.default_rng(2)
    one = update_votes(
        state, rng.uniform(-1, 1, (20, 3)), values([0, 1] * 10), np.full(20, 1e-3), omega, setting
    )
    assert np.linalg.norm(one.weight, axis=1) == pytest.approx(np.ones(64), abs=1e-5)


def test_gradient_steps_go_half_of_the_way():
    setting = config(rule='gd')
    state = update_votes(
        empty_votes(setting), np.zeros((1, 3)), values([1]), np.ones(1), OMEGA, setting
    )
    assert read(state, np.zeros(3))[0, NAMES] == pytest.approx([0.0, 0.5], abs=1e-6)


def test_no_samples_change_nothing():
    state = empty_votes(config())
    assert update_votes(state, np.zeros((0, 3)), values([]), np.zeros(0), OMEGA, config()) is state


def wall(depth_m, hole=None):
    """Return points of a wall across the view; ``hole`` (x, depth) shows something nearer."""
    u, v = np.meshgrid(np.linspace(-0.7, 0.7, 21), np.linspace(-0.5, 0.5, 15))
    ray = np.stack([u.ravel(), v.ravel(), np.ones(u.size)], axis=1)
    depth = np.full(len(ray), depth_m)
    if hole:
        depth[np.abs(ray[:, 0] - hole[0]) < 0.25] = hole[1]
    return ray * depth[:, None]


NOTHING = np.zeros((0, 3))
THERE = np.array([[0.0, 0.0, 3.0]])  # the camera is at the origin, optical axes are the map's
EDGE = np.array([0.5])
LOOKS = {
    'seen through': (Look(np.eye(4), wall(5.0), NOTHING), THERE, EDGE, 1.0),
    'detected': (Look(np.eye(4), wall(5.0), THERE + 0.1), THERE, EDGE, 0.0),
    'hidden by something nearer': (
        Look(np.eye(4), wall(5.0, (0.0, 1.5)), NOTHING),
        THERE,
        EDGE,
        0,
    ),
    'its own surface is still there': (
        Look(np.eye(4), wall(5.0, (0.0, 2.8)), NOTHING),
        THERE,
        EDGE,
        0.0,
    ),
    'gone from the wall behind it': (Look(np.eye(4), wall(3.0), NOTHING), THERE, EDGE, 1.0),
    'on the far side of a thin wall': (Look(np.eye(4), wall(2.88), NOTHING), THERE, EDGE, 0.0),
    'behind the camera': (Look(np.eye(4), wall(5.0), NOTHING), -THERE, EDGE, 0.0),
    'out of the picture': (
        Look(np.eye(4), wall(5.0), NOTHING),
        np.array([[2.6, 0.0, 3.0]]),
        EDGE,
        0.0,
    ),
    'too small at this distance': (
        Look(np.eye(4), wall(5.0), NOTHING),
        THERE,
        np.array([0.1]),
        0.0,
    ),
    'behind the wall': (Look(np.eye(4), wall(2.0), NOTHING), THERE, EDGE, 0.0),
    'no depth at all': (Look(np.eye(4), NOTHING, NOTHING), THERE, EDGE, 0.0),
}


@pytest.mark.parametrize('name', LOOKS)
def test_when_a_look_speaks_against_a_thing(name):
    look, points, edge, truth = LOOKS[name]
    assert doubts(look, points, edge) == pytest.approx([truth])


def test_places_of_one_thing_share_one_doubt():
    crowd = THERE + np.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.0, 0.1, 0.0], [0.9, 0.0, 0.0]])
    weight = doubts(Look(np.eye(4), wall(5.0), NOTHING), crowd, np.full(4, 0.5))
    assert weight == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1.0])
