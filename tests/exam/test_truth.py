# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A camera at the origin looks along map +x at a wall 3 m away: every truth is known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ros2_spatial_ttt.exam.patch.truth import ObservedSpace, depth_metres, project, unproject
from ros2_spatial_ttt.sim.room.boxes import look
from ros2_spatial_ttt.types import Frame, Intrinsics

PINHOLE = Intrinsics(width=160, height=120, fx=120.0, fy=120.0, cx=79.5, cy=59.5)
WIDE = Intrinsics(160, 120, 80.0, 80.0, 79.5, 59.5, (-0.28, 0.07, 0.001, -0.001, 0.0))
FISHEYE = Intrinsics(160, 120, 80.0, 80.0, 79.5, 59.5, (0.02, -0.01, 0.0, 0.0), 'equidistant')


def wall_frame(y: float = 0.0, *, hole: bool = False) -> Frame:
    """Return a view of the wall x = 3 m from (0, y, 0); ``hole``: no depth in the right half."""
    depth = np.full((120, 160), 3000, np.uint16)
    if hole:
        depth[:, 80:] = 0
    colour = np.zeros((120, 160, 3), np.uint8)
    return Frame('camera', 1, colour, depth, PINHOLE, look(np.array([0.0, y, 0.0]), 0.0, 0.0))


def observed(*, hole: bool = False) -> ObservedSpace:
    space = ObservedSpace()
    for y in (-0.1, 0.0, 0.1):
        space.add(wall_frame(y, hole=hole))
    return space


def test_depth_is_metres_and_what_is_not_measured_is_zero() -> None:
    millimetres = depth_metres(np.array([[0, 1500, 9000]], np.uint16))
    np.testing.assert_allclose(millimetres, [[0.0, 1.5, 0.0]])
    metres = depth_metres(np.array([[np.nan, 1.5, -1.0, np.inf]], np.float32))
    np.testing.assert_allclose(metres, [[0.0, 1.5, 0.0, 0.0]])


@pytest.mark.parametrize(
    'camera', [PINHOLE, WIDE, FISHEYE], ids=['pinhole', 'plumb_bob', 'fisheye']
)
def test_pixels_come_back_from_space(camera: Intrinsics) -> None:
    pixels = np.array([[79.5, 59.5], [10.0, 100.0], [150.0, 5.0]])
    points = unproject(camera, pixels, np.array([1.0, 2.0, 3.0]))
    assert points[:, 2].tolist() == [1.0, 2.0, 3.0]
    np.testing.assert_allclose(project(camera, points), pixels, atol=0.01)


def test_pixel_of_a_pinhole_by_hand() -> None:
    # 12 px right of the centre at focal 120 px and 2 m is 0.2 m to the right.
    points = unproject(PINHOLE, np.array([[91.5, 59.5]]), np.array([2.0]))
    np.testing.assert_allclose(points, [[0.2, 0.0, 2.0]], atol=1e-9)


def test_what_is_behind_the_camera_or_folds_back_has_no_pixel() -> None:
    assert np.isnan(project(PINHOLE, np.array([[0.0, 0.0, -1.0]]))).all()
    # At 61° aside r (1 − 0.28 r²) has turned over: 1.8 m maps to 0.167 f, inside the image.
    barrel = dataclasses.replace(WIDE, distortion=(-0.28, 0.0, 0.0, 0.0))
    assert np.isnan(project(barrel, np.array([[1.8, 0.0, 1.0]]))).all()
    assert np.isfinite(project(barrel, np.array([[0.5, 0.0, 1.0]]))).all()


def test_surface_lies_on_the_wall() -> None:
    surface = observed().surface()
    assert len(surface) > 500
    np.testing.assert_allclose(surface[:, 0], 3.0, atol=1e-9)


def test_measured_tells_wall_from_air() -> None:
    asked = np.array([[3.05, 0.0, 0.0], [1.5, 0.0, 0.0], [3.0, 50.0, 0.0]])
    assert observed().measured(asked).tolist() == [True, False, False]


def test_free_points_are_between_camera_and_wall() -> None:
    free = observed().sample(50, seed=3)['free']
    assert len(free) == 50
    assert (free[:, 0] > 0.1).all() and (free[:, 0] <= 2.7).all()
    # Half a picture is 79.5 px at focal 120 px; the outer cameras stand 0.1 m aside.
    assert (np.abs(free[:, 1]) <= free[:, 0] * 79.5 / 120 + 0.1).all()
    assert (np.abs(free[:, 2]) <= free[:, 0] * 59.5 / 120).all()


def test_points_never_seen_are_out_of_every_view_or_behind_the_wall() -> None:
    never = observed().sample(200, seed=3)['never']
    assert len(never) == 200
    behind = never[:, 0] >= 3.5 - 1e-9
    aside = np.abs(never[:, 1]) > never[:, 0] * 79.5 / 120
    above = np.abs(never[:, 2]) > never[:, 0] * 59.5 / 120
    assert (behind | aside | above).all()
    assert behind.any() and (~behind).any()
    surface = observed().surface()
    nearest = np.linalg.norm(never[:, None] - surface[None], axis=2).min(axis=1)
    assert (nearest >= 0.5).all()


def test_pixels_without_measurement_make_no_truth() -> None:
    points = observed(hole=True).sample(50, seed=3)
    # Optical right is map −y: nothing may be claimed about what lies there inside the picture.
    unknown = [
        (p[:, 1] < -0.2)
        & (np.abs(p[:, 1]) < p[:, 0] * 79.5 / 120 - 0.2)
        & (np.abs(p[:, 2]) < p[:, 0] * 59.5 / 120)
        for p in (points['free'], points['never'])
    ]
    assert not unknown[0].any() and not unknown[1].any()


def test_two_frames_are_not_enough_to_call_a_place_free() -> None:
    space = ObservedSpace()
    space.add(wall_frame(0.0))
    space.add(wall_frame(0.1))
    assert len(space.sample(10, seed=0)['free']) == 0


def test_sample_is_seeded() -> None:
    first, again, other = (observed().sample(20, seed=s) for s in (1, 1, 2))
    for kind in ('surface', 'free', 'never'):
        assert np.array_equal(first[kind], again[kind])
        assert not np.array_equal(first[kind], other[kind])


def test_frame_without_depth_is_refused() -> None:
    frame = wall_frame()
    blind = Frame('camera', 1, frame.colour, None, PINHOLE, frame.map_T_camera)
    with pytest.raises(ValueError, match='has none'):
        ObservedSpace().add(blind)
    with pytest.raises(ValueError, match='no frame was added'):
        ObservedSpace().sample(1, seed=0)
