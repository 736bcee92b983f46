# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Percepts without pictures: the perfect ones are true, the noisy ones err as much as they say."""

from dataclasses import fields, replace
from itertools import islice

import numpy as np
import pytest
import toy_home

pytest.importorskip('mujoco')

from ros2_spatial_ttt.errors import ConfigError  # noqa: E402
from ros2_spatial_ttt.geometry import transform_points  # noqa: E402
from ros2_spatial_ttt.sim.episode import episode_of, make_episode  # noqa: E402
from ros2_spatial_ttt.sim.percepts import GRID, detections, percepts  # noqa: E402
from ros2_spatial_ttt.sim.senses.detector import NOISY, PERFECT, DetectorNoise, ordered_box  # noqa: E402
from ros2_spatial_ttt.sim.senses.sights import visible  # noqa: E402
from ros2_spatial_ttt.sim.sensor import CLEAN, SensorConfig  # noqa: E402
from ros2_spatial_ttt.sim.stage import Stage  # noqa: E402
from ros2_spatial_ttt.sim.world import CATEGORIES, things_at  # noqa: E402


@pytest.fixture(scope='module')
def episode():
    return make_episode(21, minutes=2.0, rooms=3)


@pytest.fixture(scope='module')
def perfect(episode):
    return list(percepts(episode))


def category_at(episode, frame):
    stamp_ns = int(episode.tour.stamps_ns[frame])
    return {t.id: t for t in things_at(episode.home, episode.tour.changes, stamp_ns)}


def test_a_perfect_detector_tells_exactly_what_is_visible_and_where(episode, perfect):
    table, kept = episode.sights[0], visible(episode.sights[0])
    assert len(perfect) == len(episode.tour)
    for frame in range(0, len(perfect), 7):
        percept, things = perfect[frame], category_at(episode, frame)
        rows = np.flatnonzero(kept & (table.frame == frame))
        expected = [things[number] for number in table.thing[rows].tolist()]
        assert percept.labels == tuple(thing.category for thing in expected)
        centres = transform_points(percept.map_T_camera, percept.centre)
        assert np.allclose(centres, np.array([t.centre for t in expected]).reshape(-1, 3))
        assert (percept.size[:, 0] >= percept.size[:, 1]).all() and (percept.weight == 1).all()
        assert percept.stamp_ns == episode.tour.stamps_ns[frame]
        assert np.allclose(percept.map_T_camera, episode.map_T_camera()[frame])


def test_the_longer_edge_comes_first_and_yaw_is_its_direction():
    size, yaw = ordered_box(np.array([[1.0, 2, 3], [2, 1, 3]]), np.array([0.3, 0.3 + np.pi]))
    assert size.tolist() == [[2, 1, 3], [2, 1, 3]]
    assert np.allclose(yaw, [0.3 + np.pi / 2, 0.3])


def test_surface_points_are_hit_by_rays_and_free_points_lie_well_before_anything(episode, perfect):
    with Stage(episode.home, episode.tour.changes) as stage:
        for percept in perfect[::40]:
            stage.set_time(percept.stamp_ns)
            turn, eye = percept.map_T_camera[:3, :3], percept.map_T_camera[:3, 3]
            for points, free in ((percept.surface, False), (percept.free, True)):
                away = np.linalg.norm(points, axis=1)
                hit, _ = stage.cast(eye, points / away[:, None] @ turn.T, most_m=30.0)
                if free:
                    assert (away <= hit - 0.25 + 1e-9).all()
                else:
                    assert np.allclose(away, hit, atol=1e-6)


def test_rays_fill_the_picture_over_time(perfect):
    assert all(0 < len(p.surface) <= GRID[0] * GRID[1] for p in perfect)
    first, second = perfect[0].surface, perfect[1].surface
    assert len(first) != len(second) or not np.allclose(first, second)
    points = np.concatenate([p.surface for p in perfect[:110]])
    u, v = points[:, 0] / points[:, 2], points[:, 1] / points[:, 2]
    edge = np.tan(np.deg2rad(69) / 2)
    filled, _, _ = np.histogram2d(u, v, 30, [[-edge, edge], [-0.75 * edge, 0.75 * edge]])
    assert (filled > 0).mean() > 0.95


def test_free_points_are_several_along_a_ray_and_elsewhere_in_every_frame():
    home = toy_home.make_home([])
    still = episode_of(home, toy_home.make_tour(np.zeros(30)))
    stream = list(percepts(still))
    far = np.concatenate([np.linalg.norm(p.free, axis=1) for p in stream])
    assert np.mean([len(p.free) for p in stream]) > 2 * GRID[0] * GRID[1]
    assert (np.histogram(far, np.arange(0.4, 2.6, 0.2))[0] > 0).all()


def test_the_range_of_the_sensor_limits_points(episode):
    near = list(islice(percepts(episode, sensor=SensorConfig(most_m=1.5)), 60))
    surface = np.concatenate([p.surface for p in near])
    assert len(surface) and surface[:, 2].max() <= 1.5
    # Where nothing is measured, nothing is known to be free.
    assert np.concatenate([p.free for p in near])[:, 2].max() < 1.5


def test_poses_and_frames_are_those_of_the_sensor(episode, perfect):
    sensor = SensorConfig(pose_noise_m=0.05, dropped=0.3)
    noisy = list(percepts(episode, sensor=sensor))
    assert 0.6 < len(noisy) / len(perfect) < 0.8
    true = {p.stamp_ns: p.map_T_camera for p in perfect}
    errors = [p.map_T_camera[:3, 3] - true[p.stamp_ns][:3, 3] for p in noisy]
    assert np.allclose(np.std(errors, axis=0), 0.05, rtol=0.25)


def test_streams_are_the_same_twice_and_begin_at_once(episode):
    first = list(islice(percepts(episode, noise=NOISY), 40))
    for one, other in zip(first, percepts(episode, noise=NOISY), strict=False):
        for field in fields(one):
            a, b = getattr(one, field.name), getattr(other, field.name)
            assert np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b


def test_weights_are_the_chance_that_a_detection_is_right():
    rows = []
    for seed in (31, 32):
        shown = make_episode(seed, minutes=3.0)
        for frame, found in detections(shown, noise=NOISY):
            things = category_at(shown, frame)
            for label, weight, number in zip(found.labels, found.weight, found.truth, strict=True):
                rows.append((weight, number > 0 and things[number].category == label))
    weight, right = np.array(rows, float).T
    assert abs(weight.mean() - right.mean()) < 0.04
    for low in (0.0, 0.4, 0.6, 0.75, 0.85):
        mine = (weight >= low) & (weight < low + {0.0: 0.4}.get(low, 0.15))
        assert mine.sum() > 30 and abs(weight[mine].mean() - right[mine].mean()) < 0.15, low


def rate(episode, noise):
    """Return per frame: true detections, made-up ones; and the share of wrong names."""
    true = made_up = wrong = frames = 0
    for frame, found in detections(episode, noise=noise):
        things, frames = category_at(episode, frame), frames + 1
        true += int((found.truth > 0).sum())
        made_up += int((found.truth == 0).sum())
        wrong += sum(
            things[number].category != label
            for label, number in zip(found.labels, found.truth.tolist(), strict=True)
            if number
        )
    return true / frames, made_up / frames, wrong / max(true, 1)


def test_each_error_does_what_it_says(episode):
    true, made_up, wrong = rate(episode, PERFECT)
    assert made_up == wrong == 0
    missing = rate(episode, DetectorNoise(miss=0.3, miss_far=0.3))
    assert missing[0] == pytest.approx(0.7 * true, rel=0.1) and missing[1:] == (0, 0)
    ghosts = rate(episode, DetectorNoise(false_positive=1.5))
    assert ghosts[1] == pytest.approx(1.5, rel=0.15) and ghosts[0] == true
    confused = rate(episode, DetectorNoise(confusion=1.0))
    assert 0.05 < confused[2] < 0.6 and confused[0] == true


def test_far_and_half_hidden_things_are_missed_more_often():
    things = [toy_home.thing(1, 'wardrobe', 2.6, 0.0, yaw=np.pi)]
    home, count = toy_home.make_home(things), 300
    missed = []
    for x in (1.0, -2.6):
        tour = toy_home.make_tour(np.zeros(count), places=[(x, 0.0)] * count)
        noise = replace(NOISY, false_positive=0.0)
        found = [len(d.labels) for _, d in detections(episode_of(home, tour), noise=noise)]
        missed.append(1 - np.mean(found))
    assert missed[1] > missed[0] + 0.05


def test_noise_of_centres_and_sizes_is_that_of_the_configuration():
    home = toy_home.make_home([toy_home.thing(1, 'chair', 2.0, 0.0)])
    tour = toy_home.make_tour(np.zeros(250))
    noise = DetectorNoise(centre_m=0.05, size_share=0.1)
    shown = episode_of(home, tour)
    found = [d for _, d in detections(shown, noise=noise)]
    distance = float(shown.sights[0].distance[0])
    centre = np.array([d.centre[0] for d in found]) - home.things[0].centre
    assert np.allclose(centre.std(axis=0), 0.05 * (0.5 + 0.5 * distance), rtol=0.15)
    height = np.log([d.size[0, 2] / home.things[0].size[2] for d in found])
    assert height.std() == pytest.approx(0.1, rel=0.15)


def test_names_are_categories_and_lookalikes_stay_in_their_group(episode):
    noise = DetectorNoise(confusion=1.0, false_positive=2.0)
    names = {label for _, found in detections(episode, noise=noise) for label in found.labels}
    assert names <= set(CATEGORIES)


def test_two_cameras_give_two_streams():
    home = toy_home.make_home(
        [toy_home.thing(1, 'chair', 2.2, 0), toy_home.thing(2, 'box', 0, 2.2)]
    )
    rigs = (toy_home.make_rig(), toy_home.make_rig('side', side=np.pi / 2))
    shown = episode_of(home, toy_home.make_tour(np.zeros(3), cameras=rigs))
    streams = [list(percepts(shown, camera=camera)) for camera in (0, 1)]
    assert [p.labels for p in streams[0]] == [('chair',)] * 3 and streams[0][0].camera == 'camera'
    assert [p.labels for p in streams[1]] == [('box',)] * 3 and streams[1][0].camera == 'side'


@pytest.mark.parametrize('options', [{'camera': 1}, {'camera': -1}, {'grid': (0, 9)}])
def test_senseless_options_are_refused(episode, options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        next(percepts(episode, **options))


@pytest.mark.parametrize('name', [field.name for field in fields(DetectorNoise)])
def test_noise_out_of_range_is_refused_by_name(name):
    with pytest.raises(ConfigError, match=name):
        DetectorNoise(**{name: -0.1})


def test_a_stage_of_the_caller_is_used_and_left_open(episode):
    with Stage(episode.home, episode.tour.changes) as stage:
        mine = list(islice(percepts(episode, stage, sensor=CLEAN), 3))
        stage.cast(np.zeros(3), np.array([[1.0, 0, 0]]))
    assert len(mine) == 3
