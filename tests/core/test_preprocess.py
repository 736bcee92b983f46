# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""From a camera frame to tokens: depth that keeps edges crisp, rays through every lens."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from ros2_spatial_ttt.memory.preprocess import CameraTokens, shrunk
from ros2_spatial_ttt.types import Frame, Intrinsics

CAMERA = Intrinsics(640, 480, 525.0, 525.0, 319.5, 239.5)


def tokens_of(camera, manifest, depth_max_m=8.0):
    return CameraTokens(camera, manifest, depth_max_m=depth_max_m)


def depth_of(depth, manifest, **parameters):
    colour = np.zeros((480, 640, 3), np.uint8)
    frame = Frame('a', 1, colour, depth, CAMERA, np.eye(4))
    return tokens_of(CAMERA, manifest, **parameters).prepare(frame).depth.reshape(manifest.grid)


@pytest.mark.parametrize('dtype', [np.uint16, np.float32])
def test_depth_is_metres_whatever_the_camera_sends(manifest, dtype):
    raw = np.full((480, 640), 1500 if dtype == np.uint16 else 1.5, dtype)
    depth = depth_of(raw, manifest)
    assert depth.dtype == np.float32 and np.allclose(depth, 1.5)


def test_depth_at_an_edge_is_one_side_not_the_mean(manifest):
    raw = np.full((480, 640), 1.0, np.float32)
    raw[:, 325:] = 3.0
    assert set(np.unique(depth_of(raw, manifest))) == {1.0, 3.0}


def test_holes_are_bridged_and_large_holes_stay_holes(manifest):
    raw = np.full((480, 640), 2.0, np.float32)
    raw[15:18], raw[100:200, 100:200] = np.nan, 0.0
    depth = depth_of(raw, manifest)
    assert depth[0, 0] == 2.0
    assert depth[4, 4] == 0.0


@pytest.mark.parametrize(('limit_m', 'used'), [(2.0, False), (4.0, True), (20.0, True)])
def test_depth_beyond_the_limit_is_not_used(manifest, limit_m, used):
    depth = depth_of(np.full((480, 640), 3.0, np.float32), manifest, depth_max_m=limit_m)
    assert (depth > 0).all() == used and depth.any() == used


def test_the_model_limits_depth_too(manifest):
    raw = np.full((480, 640), manifest.depth_max_m + 1.0, np.float32)
    assert not depth_of(raw, manifest, depth_max_m=100.0).any()


@pytest.mark.ort
def test_the_parameter_depth_max_m_limits_what_is_written(make_memory, feed, tour):
    near, far = (feed(make_memory(gate__depth_max_m=limit), tour[:1]) for limit in (2.0, 8.0))
    eye = tour[0].map_T_camera[:3, 3]
    reach = [np.linalg.norm(m.field_points().points - eye, axis=1).max() for m in (near, far)]
    # 2 m along the optical axis is at most 2.6 m along a ray of this camera.
    assert reach[0] < 2.8 < reach[1]


LENSES = {
    'pinhole': (),
    'plumb_bob': (0.1, -0.05, 0.001, 0.002, 0.01),
    'rational_polynomial': (0.1, -0.05, 0.001, 0.002, 0.01, 0.02, 0.01, 0.0),
    'equidistant': (0.05, -0.01, 0.002, 0.0),
    'equidistant without coefficients': (),
}


@pytest.mark.parametrize('lens', LENSES)
def test_rays_project_back_to_the_middle_of_their_token(manifest, lens):
    model = lens.split()[0].replace('pinhole', 'plumb_bob')
    camera = replace(CAMERA, distortion=LENSES[lens], model=model)
    ray = tokens_of(camera, manifest).ray.astype(np.float64)
    matrix = np.array([[525.0, 0, 319.5], [0, 525.0, 239.5], [0, 0, 1]])
    distortion = np.array(LENSES[lens] or (0.0,) * 4)
    project = cv2.fisheye.projectPoints if model == 'equidistant' else cv2.projectPoints
    pixels = project(ray[:, None], np.zeros(3), np.zeros(3), matrix, distortion)[0].reshape(-1, 2)
    rows, columns = manifest.grid
    u, v = (np.arange(columns) + 0.5) * 640 / columns, (np.arange(rows) + 0.5) * 480 / rows
    expected = np.stack(np.meshgrid(u, v), axis=-1).reshape(-1, 2) - 0.5
    # OpenCV inverts distortion by a few fixed-point steps.
    assert np.abs(pixels - expected).max() < 0.5


def test_a_picture_of_the_models_size_is_copied(tour):
    colour = tour[0].colour
    small = shrunk(colour, 320, 240)
    assert np.array_equal(small, colour) and not np.shares_memory(small, colour)
    assert shrunk(colour, 160, 120).shape == (120, 160, 3)
