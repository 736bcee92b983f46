# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What the demo asks about: the pictures show the things, the points are what they claim to be."""

import numpy as np
import pytest

from ros2_spatial_ttt.demo import things
from ros2_spatial_ttt.geometry import invert_transform, transform_points
from ros2_spatial_ttt.sim import recording
from ros2_spatial_ttt.sim.room import boxes


@pytest.fixture(scope='module')
def scene():
    return boxes.make_scene(2)


@pytest.fixture(scope='module')
def frames(scene):
    return list(boxes.frames(2, 14, width=640, height=480, scene=scene))


@pytest.fixture(scope='module')
def truth(tmp_path_factory, scene):
    path = tmp_path_factory.mktemp('truth')
    text = __import__('json').dumps(recording.truth_of(scene))
    (path / 'truth.json').write_text(text)
    return things.read_truth(path)


def test_pictures_of_named_things_show_them(scene, frames, truth):
    chosen = things.choose_things(frames, truth, count=5)
    assert len({thing.name for thing in chosen}) == 5
    for thing in chosen:
        x, y, width, height = thing.roi
        _, _, instance = boxes.render(scene, thing.frame.intrinsics, thing.frame.map_T_camera)
        names = instance[y : y + height, x : x + width]
        number = [box.name for box in scene.boxes].index(thing.name) + 1
        assert np.mean(names == number) > 0.5, thing.name
        local = transform_points(invert_transform(scene.box(thing.name).pose()), thing.point)
        assert (np.abs(local) <= np.array(scene.box(thing.name).size) / 2 + 0.06).all()
        assert thing.picture.shape == (height, width, 3)


def test_things_are_far_from_each_other(frames, truth):
    points = np.array([thing.point for thing in things.choose_things(frames, truth, count=4)])
    gaps = np.linalg.norm(points[:, None] - points[None], axis=-1)
    assert gaps[~np.eye(4, dtype=bool)].min() > 1.5


def test_without_names_textured_places_are_taken(frames):
    chosen = things.choose_things(frames, [], count=4)
    assert len(chosen) == 4
    for thing in chosen:
        x, y, width, height = thing.roi
        u, v, z = things._project(thing.frame, thing.point)
        assert (u, v) == pytest.approx((x + width // 2, y + height // 2), abs=1e-6)
        assert z == pytest.approx(float(thing.frame.depth[y + height // 2, x + width // 2]))


def test_the_free_point_is_free_and_the_unseen_point_is_outside(scene, frames):
    free, unseen = things.free_point(frames), things.unseen_point(frames)
    for box in scene.boxes:
        local = transform_points(invert_transform(box.pose()), free)
        gap = np.maximum(np.abs(local) - np.array(box.size) / 2, 0)
        assert np.linalg.norm(gap) > 0.25, box.name
    assert unseen[0] > scene.size[0] / 2 + 1.0


def test_a_recording_without_truth_has_no_names(tmp_path):
    assert things.read_truth(tmp_path) == []


def test_without_depth_there_is_nothing_to_ask(frames):
    blind = [
        type(f)(f.camera, f.stamp_ns, f.colour, None, f.intrinsics, f.map_T_camera)
        for f in frames[:4]
    ]
    assert things.choose_things(blind, [], count=3) == []
