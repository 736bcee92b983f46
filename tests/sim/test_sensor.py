# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Faults of camera and localisation: each does what it says, none does anything when off."""

import re
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.geometry import transform
from ros2_spatial_ttt.sim.senses.colour_faults import measure_colour, shutter_motion
from ros2_spatial_ttt.sim.senses.depth_faults import measure_depth
from ros2_spatial_ttt.sim.senses.drift import believed_poses, heading_error, odometry_poses
from ros2_spatial_ttt.sim.sensor import CLEAN, REALISTIC, SensorConfig, keeps_frame
from ros2_spatial_ttt.types import Intrinsics

LENS = Intrinsics(160, 120, 120.0, 120.0, 79.5, 59.5)
KEY = (7, 0, 3)
GREY = np.full((120, 160, 3), 128, np.uint8)


def wall(distance_m):
    return np.full((120, 160), distance_m, np.float32)


def stripes():
    picture = np.zeros((120, 160, 3), np.uint8)
    picture[:, ::8] = 255
    return picture


def depth_of(config, depth_m, colour=GREY, key=KEY):
    return measure_depth(config, depth_m, colour, LENS, key)


def walk(count=1201, hz=2.0):
    """Return stamps and poses of a robot that goes in a circle."""
    stamps_ns = (np.arange(count) * 1e9 / hz).astype(np.int64)
    angle = np.linspace(0, 20 * np.pi, count)
    poses = np.array(
        [
            transform((2 * np.cos(a), 2 * np.sin(a), 0), (0, 0, np.sin(h / 2), np.cos(h / 2)))
            for a, h in zip(angle, angle + np.pi / 2, strict=True)
        ]
    )
    return stamps_ns, poses


def test_a_perfect_sensor_changes_nothing():
    colour = stripes()
    depth_m = np.linspace(0.1, 12, 120 * 160, dtype=np.float32).reshape(120, 160)
    stamps_ns, poses = walk(50)
    assert np.array_equal(depth_of(CLEAN, depth_m, colour), depth_m)
    moved = transform((0.1, 0, 0), (0, 0, 0, 1))
    assert np.array_equal(measure_colour(CLEAN, colour, depth_m, LENS, moved, KEY), colour)
    assert np.array_equal(believed_poses(CLEAN, 7, stamps_ns, poses), poses)
    assert np.array_equal(odometry_poses(CLEAN, 7, poses), poses)
    assert all(keeps_frame(CLEAN, 7, 0, frame) for frame in range(50))


def test_depth_noise_grows_with_the_square_of_distance():
    config = SensorConfig(depth_noise=0.002)
    spread = [float(np.std(depth_of(config, wall(z)) - z)) for z in (1.0, 2.0, 4.0)]
    assert np.allclose(spread, [0.002, 0.008, 0.032], rtol=0.05)


def test_depth_comes_in_steps_that_grow_with_the_square_of_distance():
    config = SensorConfig(depth_step=0.002)
    ramp = np.linspace(0.99, 4.01, 160, dtype=np.float32)[None].repeat(120, 0)
    fine = np.linspace(3.9, 4.1, 160, dtype=np.float32)[None].repeat(120, 0)
    steps = np.diff(np.unique(depth_of(config, fine)))
    assert np.allclose(steps, 0.002 * 16, rtol=0.1)
    assert (np.abs(depth_of(config, ramp) - ramp) <= 0.5 * 0.002 * ramp**2 * 1.02 + 1e-6).all()


def test_depth_out_of_range_and_of_the_sky_is_lost():
    config = SensorConfig(least_m=0.5, most_m=3.0)
    values = np.array([[0.0, 0.49, 0.5, 3.0, 3.01]], np.float32)
    picture = np.zeros((1, 5, 3), np.uint8)
    assert (depth_of(config, values, picture) > 0).tolist() == [[False, False, True, True, False]]


def test_depth_is_lost_at_edges_only_where_there_is_one():
    depth_m = wall(2.0)
    depth_m[:, 80:] = 4.0
    lost = depth_of(SensorConfig(holes_edge_px=2), depth_m) == 0
    assert lost[:, 78:82].all() and not lost[:, :76].any() and not lost[:, 84:].any()


def test_depth_is_lost_on_surfaces_seen_flatly():
    # A floor 1 m below the camera: its slant grows flatter towards the horizon.
    rows = (np.arange(120) - LENS.cy) / LENS.fy
    depth_m = np.where(rows > 0.03, 1.0 / np.maximum(rows, 0.03), 0.0)[:, None]
    depth_m = depth_m.repeat(160, 1).astype(np.float32)
    kept = depth_of(SensorConfig(holes_grazing=0.2), depth_m) > 0
    columns = (np.arange(160) - LENS.cx) / LENS.fx
    cosine = rows[:, None] / np.sqrt(rows[:, None] ** 2 + columns[None] ** 2 + 1)
    inner = np.s_[66:-1, 1:-1]
    assert np.mean(kept[inner] == (cosine[inner] >= 0.2)) > 0.98
    assert kept[inner].any() and not kept[inner].all()


def test_depth_is_lost_in_the_dark_on_shine_and_in_blobs():
    colour = GREY.copy()
    colour[:40], colour[80:] = 3, 255
    lost = depth_of(SensorConfig(holes_dark=10, holes_shiny=250), wall(2), colour) == 0
    assert lost[:40].all() and lost[80:].all() and not lost[40:80].any()
    blobs = np.mean(
        [
            np.mean(depth_of(SensorConfig(holes_blobs=5), wall(2), key=(7, 0, k)) == 0)
            for k in range(30)
        ]
    )
    assert 0.003 < blobs < 0.1


def test_a_turning_camera_blurs_along_its_way_and_a_still_one_does_not():
    config = SensorConfig(shutter_s=0.02)
    still = np.eye(4)
    # A turn about the optical y axis moves the picture by about 12 pixels: over the stripes.
    turn = transform((0, 0, 0), (0, np.sin(0.05), 0, np.cos(0.05)))
    up = transform((0, 0, 0), (np.sin(0.05), 0, 0, np.cos(0.05)))
    sharp = measure_colour(config, stripes(), wall(2), LENS, still, KEY)
    assert np.array_equal(sharp, stripes())
    across = measure_colour(config, stripes(), wall(2), LENS, turn, KEY)
    along = measure_colour(config, stripes(), wall(2), LENS, up, KEY)
    inner = np.s_[20:-20, 20:-20]
    assert across[inner].std() < 0.6 * stripes()[inner].std()
    assert along[inner].std() > 1.5 * across[inner].std()


def test_shutter_motion_is_a_share_of_the_way_to_the_next_frame():
    before, after = np.eye(4), transform((1.0, 0, 0), (0, 0, 0, 1))
    moved = shutter_motion(before, after, 0.1)
    assert np.allclose(moved[:3, 3], (-0.1, 0, 0))


def test_exposure_wanders_slowly_and_automatic_exposure_levels_it():
    def brightness(config, frame):
        return measure_colour(config, GREY, wall(2), LENS, None, (7, 0, frame)).mean()

    wander = [brightness(SensorConfig(exposure_drift=0.5), k) for k in range(0, 400)]
    assert np.ptp(wander) > 30 and np.abs(np.diff(wander)).max() < 15
    dark = np.full_like(GREY, 40)
    level = SensorConfig(auto_exposure=1.0)
    assert abs(measure_colour(level, dark, wall(2), LENS, None, KEY).mean() - 112) < 2


def test_colour_noise_and_compression():
    noisy = measure_colour(SensorConfig(colour_noise=5.0), GREY, wall(2), LENS, None, KEY)
    dark = measure_colour(
        SensorConfig(colour_noise=5.0), np.full_like(GREY, 25), wall(2), LENS, None, KEY
    )
    assert 4.5 < noisy.std() < 6.0 and dark.std() < noisy.std()
    packed = measure_colour(SensorConfig(jpeg_quality=20), stripes(), wall(2), LENS, None, KEY)
    error = np.abs(packed.astype(int) - stripes()).mean()
    assert 0 < error < 30


def test_frames_are_dropped_at_random_at_the_share_asked_for():
    kept = [keeps_frame(SensorConfig(dropped=0.2), 7, 0, frame) for frame in range(2000)]
    other = [keeps_frame(SensorConfig(dropped=0.2), 7, 1, frame) for frame in range(2000)]
    assert abs(np.mean(kept) - 0.8) < 0.03 and kept != other


def test_pose_noise_is_that_of_the_configuration():
    stamps_ns, poses = walk()
    config = SensorConfig(pose_noise_m=0.02, pose_noise_rad=0.01)
    believed = believed_poses(config, 7, stamps_ns, poses)
    assert np.allclose(np.std(believed[:, :3, 3] - poses[:, :3, 3], axis=0), 0.02, rtol=0.1)
    assert np.isclose(heading_error(believed, poses).std(), 0.01, rtol=0.1)
    assert np.allclose(believed[:, :3, :3] @ believed[:, :3, :3].transpose(0, 2, 1), np.eye(3))


def test_drift_is_slow_grows_and_stays_within_bounds():
    stamps_ns, poses = walk(4801)
    config = SensorConfig(drift_m=0.1, drift_rad=0.01, drift_settle_min=5.0)
    ways = [
        believed_poses(config, seed, stamps_ns, poses)[:, :2, 3] - poses[:, :2, 3]
        for seed in range(20)
    ]
    ways = np.array(ways)
    assert np.abs(np.diff(ways, axis=1)).max() < 0.06, 'slow'
    assert np.allclose(ways[:, 120].std(), 0.1, rtol=0.35), 'after one minute'
    assert ways[:, 2400:].std() < 0.1 * np.sqrt(2.5) * 1.4, 'bounded by relocalisation'
    free = replace(config, drift_settle_min=1e6)
    far = [
        believed_poses(free, s, stamps_ns, poses)[-1, :2, 3] - poses[-1, :2, 3] for s in range(20)
    ]
    assert np.std(far) > 0.35, 'without it the walk has no bounds'


def test_odometry_errors_add_up_from_the_start():
    _, poses = walk()
    odometry = odometry_poses(SensorConfig(odometry_share=0.05), 7, poses)
    error = np.linalg.norm(odometry[:, :3, 3] - poses[:, :3, 3], axis=1)
    assert error[0] == 0 and error[-1] > error[100] > 0
    assert error[-1] < 0.05 * 20 * np.pi * 2


def test_a_frame_looks_the_same_whatever_was_made_before():
    depth_m = np.linspace(0.5, 6, 120 * 160, dtype=np.float32).reshape(120, 160)
    later = [depth_of(REALISTIC, depth_m, key=(7, 0, k)) for k in range(4)][3]
    assert np.array_equal(later, depth_of(REALISTIC, depth_m))
    assert not np.array_equal(later, depth_of(REALISTIC, depth_m, key=(7, 0, 4)))
    assert not np.array_equal(later, depth_of(REALISTIC, depth_m, key=(8, 0, 3)))
    pictures = [measure_colour(REALISTIC, GREY, depth_m, LENS, None, KEY) for _ in range(2)]
    assert np.array_equal(*pictures)


@pytest.mark.parametrize('name', [field.name for field in fields(SensorConfig)])
def test_values_out_of_range_are_refused_by_name(name):
    with pytest.raises(ConfigError, match=name):
        SensorConfig(**{name: -1})


def test_an_empty_range_of_depth_is_refused():
    with pytest.raises(ConfigError, match='least_m'):
        SensorConfig(least_m=3.0, most_m=2.0)


def test_the_documentation_lists_every_fault_with_its_realistic_value():
    page = Path(__file__).parents[2] / 'docs' / 'SIMULATION.md'
    table = page.read_text(encoding='utf-8').partition('## The sensor')[2].partition('## ')[0]
    rows = re.findall(r'^\| `(\w+)` \| ([\d.]+) \|', table, re.MULTILINE)
    assert {name: float(value) for name, value in rows} == {
        field.name: getattr(REALISTIC, field.name) for field in fields(SensorConfig)
    }
