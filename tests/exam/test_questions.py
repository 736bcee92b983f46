# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Which frames are held out and which pictures are cut from them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ros2_spatial_ttt.exam.patch.pictures import cut_patches, role
from ros2_spatial_ttt.sim.room import boxes
from ros2_spatial_ttt.types import Frame


@pytest.fixture(scope='module')
def frame() -> Frame:
    return next(boxes.frames(3, 1))


def test_frame_0_is_left_out_and_every_fifth_is_held_out() -> None:
    roles = [role(i) for i in range(12)]
    assert roles[0] == 'left_out'
    assert [i for i, r in enumerate(roles) if r == 'held_out'] == [5, 10]
    assert [i for i, r in enumerate(roles) if r == 'fed'] == [1, 2, 3, 4, 6, 7, 8, 9, 11]


def test_patch_is_that_part_of_the_picture_and_its_point_lies_on_the_middle_pixel(
    frame: Frame,
) -> None:
    patches = cut_patches(frame, 5, count=8, seed=0)
    assert len(patches) == 8
    for patch in patches:
        x, y = patch.corner
        assert np.array_equal(patch.picture, frame.colour[y : y + 96, x : x + 96])
        local = np.linalg.inv(frame.map_T_camera) @ [*patch.point, 1.0]
        camera = frame.intrinsics
        assert local[0] / local[2] * camera.fx + camera.cx == pytest.approx(x + 48)
        assert local[1] / local[2] * camera.fy + camera.cy == pytest.approx(y + 48)
        assert local[2] == pytest.approx(frame.depth[y + 48, x + 48], abs=1e-4)


def test_patches_do_not_overlap_and_stay_inside(frame: Frame) -> None:
    corners = np.array([p.corner for p in cut_patches(frame, 5, count=100, seed=1)])
    assert len(corners) == 30  # 6 × 5 squares fit in 640×480
    apart = np.abs(corners[:, None] - corners[None]).max(axis=2)
    assert (apart[~np.eye(len(corners), dtype=bool)] >= 96).all()
    assert corners.min() >= 0 and (corners.max(axis=0) <= [640 - 96, 480 - 96]).all()


def test_choice_is_seeded_and_differs_between_frames(frame: Frame) -> None:
    def corners(index: int, seed: int) -> list[tuple[int, int]]:
        return [p.corner for p in cut_patches(frame, index, count=8, seed=seed)]

    assert corners(5, 0) == corners(5, 0)
    assert corners(5, 0) != corners(5, 1)
    assert corners(5, 0) != corners(10, 0)


def test_patch_needs_depth_in_its_middle_and_in_half_of_it(frame: Frame) -> None:
    depth = frame.depth.copy()
    depth[:, :320] = 0.0
    patches = cut_patches(dataclasses.replace(frame, depth=depth), 5, count=100, seed=0)
    assert patches and all(p.corner[0] + 48 >= 320 for p in patches)
    without = dataclasses.replace(frame, depth=np.zeros_like(depth))
    assert cut_patches(without, 5, count=8, seed=0) == []
    assert cut_patches(dataclasses.replace(frame, depth=None), 5, count=8, seed=0) == []
