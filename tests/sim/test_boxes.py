# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The ray-cast room: geometry against an independent computation, determinism, the tour."""

import numpy as np
import pytest

from ros2_spatial_ttt.geometry import invert_transform, transform_points
from ros2_spatial_ttt.sim.room import boxes
from ros2_spatial_ttt.types import Intrinsics

SMALL = boxes.camera_intrinsics(160, 120)


@pytest.fixture(scope='module')
def scene():
    return boxes.make_scene(3)


def surface_points(scene, map_T_camera):
    """Return pixels (N, 2) as (u, v), their instance and their points (N, 3) in the map."""
    _, depth_m, instance = boxes.render(scene, SMALL, map_T_camera)
    v, u = np.mgrid[: SMALL.height, : SMALL.width].reshape(2, -1)
    z = depth_m.ravel().astype(np.float64)
    camera = np.stack([(u - SMALL.cx) / SMALL.fx * z, (v - SMALL.cy) / SMALL.fy * z, z], axis=1)
    return np.stack([u, v], 1), instance.ravel(), transform_points(map_T_camera, camera)


@pytest.mark.parametrize('share', [0.0, 0.3, 0.7])
def test_every_pixel_lies_on_the_surface_of_the_box_it_names(scene, share):
    tour = boxes.make_tour(scene, 10, 3)
    _, instance, points = surface_points(scene, tour[int(share * 10)])
    assert (instance > 0).all()
    for number in np.unique(instance):
        box = scene.boxes[number - 1]
        local = transform_points(invert_transform(box.pose()), points[instance == number])
        outside = np.abs(local) - np.asarray(box.size) / 2
        assert np.abs(outside.max(axis=1)).max() < 2e-3, box.name


def test_nothing_lies_between_the_camera_and_what_it_sees(scene):
    map_T_camera = boxes.make_tour(scene, 10, 3)[4]
    _, _, points = surface_points(scene, map_T_camera)
    eye = map_T_camera[:3, 3]
    for share in np.linspace(0.05, 0.995, 40):
        between = eye + share * (points[::7] - eye)
        for box in scene.boxes:
            local = transform_points(invert_transform(box.pose()), between)
            inside = (np.abs(local) < np.asarray(box.size) / 2 - 2e-3).all(axis=1)
            assert not inside.any(), (box.name, share)


def test_one_seed_gives_one_room_and_another_seed_another(scene):
    again, other = boxes.make_scene(3), boxes.make_scene(4)
    view = boxes.make_tour(scene, 4, 3)[1]
    colour = boxes.render(scene, SMALL, view)[0]
    assert again.boxes == scene.boxes
    assert np.array_equal(boxes.render(again, SMALL, view)[0], colour)
    assert other.boxes != scene.boxes
    assert np.abs(boxes.render(other, SMALL, view)[0].astype(int) - colour).mean() > 10


def test_the_same_surface_looks_alike_from_two_places(scene):
    tour = boxes.make_tour(scene, 60, 3)
    first, second = tour[0], tour[1]
    colour = boxes.render(scene, SMALL, first)[0].reshape(-1, 3).astype(float)
    other, depth_m, _ = boxes.render(scene, SMALL, second)
    _, _, points = surface_points(scene, first)
    local = transform_points(invert_transform(second), points)
    u = np.round(local[:, 0] / local[:, 2] * SMALL.fx + SMALL.cx).astype(int)
    v = np.round(local[:, 1] / local[:, 2] * SMALL.fy + SMALL.cy).astype(int)
    seen = (local[:, 2] > 0) & (u >= 0) & (u < SMALL.width) & (v >= 0) & (v < SMALL.height)
    seen[seen] &= np.abs(depth_m[v[seen], u[seen]] - local[seen, 2]) < 0.02
    assert seen.sum() > 5000
    pairs = colour[seen].ravel(), other[v[seen], u[seen]].astype(float).ravel()
    assert np.corrcoef(*pairs)[0, 1] > 0.9


@pytest.mark.parametrize('seed', range(6))
def test_the_tour_walks_and_collides_with_nothing(seed):
    scene = boxes.make_scene(seed)
    tour = boxes.make_tour(scene, 80, seed)
    eyes = np.array([pose[:3, 3] for pose in tour])
    for box in scene.boxes:
        local = transform_points(invert_transform(box.pose()), eyes)
        gap = np.maximum(np.abs(local) - np.asarray(box.size) / 2, 0)
        assert np.linalg.norm(gap, axis=1).min() > 0.3, box.name
    steps = np.linalg.norm(np.diff(eyes, axis=0), axis=1)
    assert np.linalg.norm(eyes[0] - eyes[-1]) < 1.5 * steps.max()
    turns = [np.trace(a[:3, :3].T @ b[:3, :3]) for a, b in zip(tour, tour[1:], strict=False)]
    assert np.degrees(np.arccos((min(turns) - 1) / 2)) < 25


def test_frames_are_posed_sharp_and_mostly_of_things_out_of_reach():
    frames = list(boxes.frames(5, 24, width=160, height=120))
    stamps = np.array([frame.stamp_ns for frame in frames])
    way = np.diff([frame.map_T_camera[:3, 3] for frame in frames], axis=0)
    assert (np.linalg.norm(way, axis=1) / (np.diff(stamps) / 1e9)).max() < 1.0
    assert np.mean([np.mean(frame.depth >= 1.2) for frame in frames]) > 0.95
    for frame in frames:
        assert frame.colour.shape == (120, 160, 3) and frame.depth.shape == (120, 160)
        rotation = frame.map_T_camera[:3, :3]
        assert np.allclose(rotation @ rotation.T, np.eye(3)) and np.linalg.det(rotation) > 0
        assert frame.map_T_camera[2, 1] < 0, 'the image y axis points down'


def test_a_tour_looks_at_nearly_everything(scene):
    seen = np.zeros(len(scene.boxes) + 1, int)
    for pose in boxes.make_tour(scene, 40, 3):
        seen += np.bincount(boxes.render(scene, SMALL, pose)[2].ravel(), minlength=len(seen)) > 0
    unseen = [box.name for box, count in zip(scene.boxes, seen[1:], strict=True) if not count]
    assert len(unseen) <= 0.1 * len(scene.boxes), unseen


def test_distorted_cameras_are_refused(scene):
    camera = Intrinsics(64, 48, 50, 50, 32, 24, (0.1, 0, 0, 0, 0))
    with pytest.raises(ValueError, match='pinhole'):
        boxes.render(scene, camera, np.eye(4))


def test_boxes_are_found_by_name(scene):
    assert scene.box('floor') is scene.boxes[0]
    with pytest.raises(KeyError, match='no box'):
        scene.box('elephant')
