# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What is in sight: hand-made scenes where it is known, and rendered masks where it is not."""

from dataclasses import replace

import numpy as np
import pytest
import toy_home

pytest.importorskip('mujoco')

from ros2_spatial_ttt.sim.catalogue import model  # noqa: E402
from ros2_spatial_ttt.sim.senses import sights, skins  # noqa: E402
from ros2_spatial_ttt.sim.senses.optics import camera_poses, grid_rays, intrinsics_of  # noqa: E402
from ros2_spatial_ttt.sim.stage import Stage  # noqa: E402
from ros2_spatial_ttt.sim.world import CATEGORIES, Change  # noqa: E402


def look(home, tour, camera=0):
    with Stage(home, tour.changes) as stage:
        return sights.see(stage, home, tour, camera)


def row(table, frame, thing):
    """Return (share, pixels, distance, centred) of a thing in a frame; None when out of sight."""
    index = np.flatnonzero((table.frame == frame) & (table.thing == thing))
    if not len(index):
        return None
    i = int(index[0])
    return table.share[i], table.pixels[i], table.distance[i], bool(table.centred[i])


def test_what_stands_free_in_front_is_wholly_seen_and_what_is_behind_the_robot_is_not():
    home = toy_home.make_home(
        [toy_home.thing(1, 'chair', 2.2, 0.0), toy_home.thing(2, 'box', -2, 0)]
    )
    table = look(home, toy_home.make_tour(np.array([0.0, np.pi])))
    share, pixels, distance, centred = row(table, 0, 1)
    assert share == 1.0 and centred and pixels > 1000
    eye = np.array([0.0, 0.0, toy_home.EYE_M])
    assert distance == pytest.approx(
        np.linalg.norm(np.array(home.things[0].centre) - eye), abs=1e-3
    )
    assert row(table, 0, 2) is None and row(table, 1, 1) is None and row(table, 1, 2)[0] > 0.9


def test_what_is_hidden_is_out_of_sight_until_what_hides_it_is_gone():
    wardrobe = toy_home.thing(1, 'wardrobe', 1.4, 0.0, yaw=np.pi)
    ball = toy_home.thing(2, 'ball', 2.7, 0.0)
    gone = Change(toy_home.START_NS + 10**9, 'removed', 1, None)
    home = toy_home.make_home([wardrobe, ball])
    table = look(home, toy_home.make_tour(np.zeros(4), changes=[gone]))
    assert row(table, 1, 2) is None and row(table, 1, 1)[0] > 0.3
    assert row(table, 2, 1) is None and row(table, 2, 2)[0] == 1.0


def test_a_thing_half_hidden_or_half_out_of_the_picture_has_a_share_between():
    chair = toy_home.thing(1, 'wardrobe', 2.4, 0.0, yaw=np.pi)
    blind = toy_home.thing(2, 'wardrobe', 1.3, -0.55, yaw=np.pi)
    table = look(toy_home.make_home([chair, blind]), toy_home.make_tour(np.zeros(1)))
    assert 0.15 < row(table, 0, 1)[0] < 0.85
    rig = toy_home.make_rig()
    alone = toy_home.make_home([chair])
    edge = look(alone, toy_home.make_tour(np.array([rig.hfov / 2]), cameras=(rig,)))
    share, _, _, centred = row(edge, 0, 1)
    assert 0.1 < share < 0.9 and not centred


def test_walls_hide_and_far_things_are_out_of_sight():
    ball = toy_home.thing(1, 'ball', 3.6, 0.0)
    far = replace(toy_home.thing(2, 'wardrobe', 0.0, 0.0), centre=(0.0, 9.0, 1.0))
    home = toy_home.make_home([ball, far])
    table = look(
        replace(home, walls=home.walls[:3]), toy_home.make_tour(np.array([0.0, np.pi / 2]))
    )
    assert row(table, 0, 1) is None, 'behind the wall'
    assert row(table, 1, 2) is None, f'no wall, but farther than {sights.MOST_M} m'


def test_the_pixels_of_a_thing_fall_with_the_square_of_its_distance():
    box = toy_home.thing(1, 'box', 2.6, 0.0, z=1.0)
    tour = toy_home.make_tour(np.zeros(2), places=[(-2.6, 0), (0.0, 0)])
    table = look(toy_home.make_home([box]), tour)
    ratio = row(table, 1, 1)[1] / row(table, 0, 1)[1]
    assert ratio == pytest.approx(4.0, rel=0.35)


def test_the_second_camera_sees_what_is_to_the_side():
    home = toy_home.make_home([toy_home.thing(1, 'chair', 0.0, 2.2)])
    rigs = (toy_home.make_rig(), toy_home.make_rig('side', side=np.pi / 2))
    tour = toy_home.make_tour(np.zeros(1), cameras=rigs)
    assert row(look(home, tour, 0), 0, 1) is None
    assert row(look(home, tour, 1), 0, 1)[0] == 1.0


def test_an_empty_home_and_an_empty_view_give_empty_tables():
    assert len(look(toy_home.make_home([]), toy_home.make_tour(np.zeros(3))).frame) == 0


def test_visible_needs_share_and_pixels():
    home = toy_home.make_home([toy_home.thing(1, 'mug', 2.8, 0.0, z=0.9)])
    small = toy_home.make_rig(width=64, height=48)
    big = toy_home.make_rig(width=1280, height=960)
    for rig, seen in ((small, False), (big, True)):
        table = look(home, toy_home.make_tour(np.zeros(1), cameras=(rig,)))
        assert row(table, 0, 1)[0] == 1.0
        assert sights.visible(table).tolist() == [seen]


@pytest.mark.parametrize('category', CATEGORIES)
def test_samples_lie_on_the_outside_of_every_model(category):
    for shape in (0, 1, 6):
        skin, size = skins.skin(category, shape), np.array(model(category, shape).size)
        assert skins.FEWEST // 2 <= len(skin.points) <= skins.MOST
        assert (np.abs(skin.points) <= size / 2 + 1e-4).all()
        assert np.allclose(np.linalg.norm(skin.normals, axis=1), 1.0)
        # The samples reach nearly as far as the box: they are all over the thing.
        assert (np.ptp(skin.points, axis=0) > 0.5 * size).all()
        assert skin.areas.min() >= 0 and skin.areas.sum() > 0.3 * size.prod() ** (2 / 3)


def test_the_rays_of_a_grid_lie_in_their_cells():
    lens = intrinsics_of(toy_home.make_rig())
    rays = grid_rays(lens, 4, 3, np.random.default_rng(0).random((12, 2)))
    u = rays[:, 0] * lens.fx + lens.cx + 0.5
    v = rays[:, 1] * lens.fy + lens.cy + 0.5
    assert (np.floor(u / 80).astype(int) == np.tile(np.arange(4), 3)).all()
    assert (np.floor(v / 80).astype(int) == np.repeat(np.arange(3), 4)).all()


@pytest.mark.sim
def test_rays_agree_with_rendered_masks(renderer):
    names = ('chair', 'sofa', 'table', 'plant', 'box', 'shelf', 'lamp', 'armchair', 'bin', 'stool')
    angles = 2 * np.pi * np.arange(len(names)) / len(names)
    things = [
        toy_home.thing(k + 1, name, 2.1 * np.cos(a), 2.1 * np.sin(a), yaw=a + np.pi, shape=k)
        for k, (name, a) in enumerate(zip(names, angles, strict=True))
    ]
    home, tour = toy_home.make_home(things), toy_home.make_tour(np.arange(0, 6.2, 0.25))
    table, lens = look(home, tour), intrinsics_of(tour.cameras[0])
    truth, guess = [], []
    with Stage(home) as stage:
        for frame, pose in enumerate(camera_poses(tour)):
            counts = np.bincount(stage.render(lens, pose)[2].ravel(), minlength=len(things) + 1)
            for number in range(1, len(things) + 1):
                found = row(table, frame, number)
                truth.append(counts[number])
                guess.append(found[1] if found else 0)
    truth, guess = np.array(truth), np.array(guess)
    large = truth >= 800
    assert np.mean(guess[large] > 0) > 0.97, 'what shows in the picture is in sight'
    assert np.mean(guess[truth == 0] == 0) > 0.99, 'what does not show is not'
    ratio = guess[large & (guess > 0)] / truth[large & (guess > 0)]
    assert 0.85 < np.median(ratio) < 1.15 and np.mean((ratio > 0.5) & (ratio < 2.0)) > 0.85
