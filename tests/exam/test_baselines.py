# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The stores that the memory is compared with are honest opponents: they do find things."""

from __future__ import annotations

import numpy as np
import pytest

from ros2_spatial_ttt.exam.patch.baselines import Chance, SiftStore, largest_cluster
from ros2_spatial_ttt.exam.patch.pictures import cut_patches
from ros2_spatial_ttt.sim.room import boxes
from ros2_spatial_ttt.types import Frame


@pytest.fixture(scope='module')
def tour() -> list[Frame]:
    scene, camera = boxes.make_scene(3), boxes.camera_intrinsics()
    poses = boxes.make_tour(scene, 200, 3)[:8]
    rendered = [(boxes.render(scene, camera, pose), pose) for pose in poses]
    return [
        Frame('camera', 1 + i, colour, depth_m, camera, pose)
        for i, ((colour, depth_m, _), pose) in enumerate(rendered)
    ]


def test_sift_finds_textured_places_again(tour: list[Frame]) -> None:
    store = SiftStore()
    for frame in tour[:5] + tour[6:]:
        store.add(frame)
    patches = cut_patches(tour[5], 5, count=30, seed=0)
    answers = [(store.locate(p.picture), p.point) for p in patches]
    errors = [np.linalg.norm(a - truth) for a, truth in answers if a is not None]
    assert len(errors) >= 15
    assert np.median(errors) < 0.25  # a patch is about 0.5 m wide, the room 5 m


def test_sift_does_not_reject_a_place_for_having_been_seen_often(tour: list[Frame]) -> None:
    once, often = SiftStore(), SiftStore()
    once.add(tour[0])
    for _ in range(5):
        often.add(tour[0])
    for patch in cut_patches(tour[0], 0, count=5, seed=0):
        first, repeated = once.locate(patch.picture), often.locate(patch.picture)
        assert (first is None) == (repeated is None)
    assert often.stored_bytes == 5 * once.stored_bytes


def test_sift_bytes_are_140_per_keypoint(tour: list[Frame]) -> None:
    store = SiftStore()
    assert store.stored_bytes == 0
    store.add(tour[0])
    assert store.stored_bytes > 0 and store.stored_bytes % 140 == 0


def test_sift_has_no_answer_to_a_blank_picture_or_from_an_empty_store(tour: list[Frame]) -> None:
    store = SiftStore()
    picture = cut_patches(tour[0], 0, count=1, seed=0)[0].picture
    assert store.locate(picture) is None
    store.add(tour[0])
    assert store.locate(np.full((96, 96, 3), 128, np.uint8)) is None


def test_largest_cluster_is_the_median_of_those_that_agree() -> None:
    near = [[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.2, 0.0, 0.0]]
    found = largest_cluster(np.array([*near, [5.0, 0.0, 0.0], [5.1, 0.0, 0.0]]), 0.3)
    assert found is not None and found.tolist() == [0.1, 0.0, 0.0]
    assert largest_cluster(np.zeros((0, 3)), 0.3) is None


def test_chance_draws_from_the_points_by_seed() -> None:
    points = np.arange(300, dtype=float).reshape(100, 3)
    picture = np.zeros((96, 96, 3), np.uint8)
    drawn = [
        [tuple(c.locate(picture)) for _ in range(5)]
        for c in (Chance(points, seed=s) for s in (0, 0, 1))
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(point in map(tuple, points) for point in drawn[0])
    assert Chance(np.zeros((0, 3)), seed=0).locate(picture) is None
