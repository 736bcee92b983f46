# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Recordings without labels: they become clips, and teach depth, looks and prediction only."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

pytest.importorskip('torch')

import torch
from toy_clips import save_toy, tiny_config, toy_home

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.replay.bag import Bag, BagError
from ros2_spatial_ttt.training.bag_clips import bag_clips, clips_of_frames
from ros2_spatial_ttt.training.batches import HomeShelf, make_batch
from ros2_spatial_ttt.training.data import ClipOptions, make_clip
from ros2_spatial_ttt.training.losses import dense_losses
from ros2_spatial_ttt.training.objective import Objective
from ros2_spatial_ttt.training.run import Run
from ros2_spatial_ttt.training.scenes import SceneOptions, home_path, load_home
from ros2_spatial_ttt.training.settings import load_config
from ros2_spatial_ttt.training.train import batch_options
from ros2_spatial_ttt.types import Frame, Intrinsics

pytestmark = pytest.mark.torch
BAG = Path(__file__).resolve().parents[2] / 'data/demo_room'
OPTIONS = SceneOptions(clips=1, frames=8)


@pytest.fixture(scope='module')
def recorded(tmp_path_factory):
    return bag_clips(tmp_path_factory.mktemp('clips'), BAG, OPTIONS)


def frame_of(camera: Intrinsics, *, aside: int = 0, stamp_s: float = 0.0) -> Frame:
    """Return a frame with a white dot 2 m away, px beside the camera's axis; 4 m elsewhere."""
    colour = np.zeros((camera.height, camera.width, 3), np.uint8)
    depth = np.full((camera.height, camera.width), 4000, np.uint16)
    centre = (round(camera.cx) + aside, round(camera.cy))
    cv2.circle(colour, centre, 24, (255, 255, 255), -1)
    cv2.circle(depth, centre, 24, 2000, -1)
    return Frame('front', int(stamp_s * 1e9), colour, depth, camera, np.eye(4))


def test_a_recording_becomes_clips_that_are_made_once(recorded):
    with Bag(BAG) as bag:
        seconds = bag.duration_s
    assert 0 < len(recorded) <= seconds * OPTIONS.rate_hz / OPTIONS.frames + 1
    before = [path.stat().st_mtime_ns for path in recorded]
    again = bag_clips(recorded[0].parent, BAG, OPTIONS)
    assert again == recorded
    assert [path.stat().st_mtime_ns for path in again] == before


def test_other_clips_of_the_same_recording_are_made_beside_the_first(recorded):
    before = [path.read_bytes() for path in recorded]
    for other in (
        replace(OPTIONS, width=160),
        replace(OPTIONS, frames=4),
        replace(OPTIONS, rate_hz=1.0),
    ):
        made = bag_clips(recorded[0].parent, BAG, other)
        assert not {*made} & {*recorded}
        home = load_home(made[0])
        assert len(home) == other.frames * other.clips
        picture = cv2.imdecode(home.jpeg[0], cv2.IMREAD_COLOR)
        assert picture.shape[:2] == (other.height, other.width)
        assert np.diff(home.stamp_s).mean() == pytest.approx(1 / other.rate_hz, abs=0.06)
    assert [path.read_bytes() for path in recorded] == before
    assert bag_clips(recorded[0].parent, BAG, OPTIONS) == recorded


def test_another_recording_at_the_same_place_makes_other_clips(tmp_path):
    bag = tmp_path / 'monday'
    shutil.copytree(BAG, bag)
    first = bag_clips(tmp_path / 'clips', bag, OPTIONS)
    # As if recorded anew: metadata tell when a recording began and how long it is.
    metadata = yaml.safe_load((bag / 'metadata.yaml').read_text())
    metadata['rosbag2_bagfile_information']['starting_time']['nanoseconds_since_epoch'] += 1
    (bag / 'metadata.yaml').write_text(yaml.safe_dump(metadata))
    assert not {*bag_clips(tmp_path / 'clips', bag, OPTIONS)} & {*first}


@pytest.mark.parametrize('holes', [np.nan, np.inf, -np.inf])
def test_depth_that_is_not_a_number_is_not_measured(holes):
    camera = Intrinsics(width=640, height=480, fx=500.0, fy=500.0, cx=319.5, cy=239.5)
    frame = frame_of(camera)
    depth = np.full((480, 640), 3.0, np.float32)
    depth[:240] = holes
    frames = [replace(frame, depth=depth, stamp_ns=int(n * 1e9)) for n in range(8)]
    packed = clips_of_frames(frames, OPTIONS).depth_png[0]
    stored = cv2.imdecode(packed, cv2.IMREAD_UNCHANGED)
    assert (stored[:58] == 0).all() and (stored[62:] == 3000).all()


def test_frames_are_as_far_apart_as_asked(recorded):
    home = load_home(recorded[0])
    assert len(home) == OPTIONS.frames
    np.testing.assert_allclose(np.diff(home.stamp_s), 1 / OPTIONS.rate_hz, atol=0.06)


def test_recorded_places_are_the_same_from_every_frame(recorded):
    """Depth, pinhole and poses agree: surfaces of neighbouring frames lie on each other."""
    options = ClipOptions(strength=0.0, without_depth=0.0, zoom=0.0, mirror=0.0)
    clip = make_clip(load_home(recorded[0]), np.arange(2), options, np.random.default_rng(0))
    known = clip.true_depth > 0
    apart = np.linalg.norm(
        clip.point[0, known[0]][:, None] - clip.point[1, known[1]][None], axis=2
    ).min(axis=1)
    assert np.median(apart) < 0.1


def test_the_axis_of_any_camera_is_the_middle_of_the_clip():
    off_centre = Intrinsics(width=640, height=480, fx=500.0, fy=520.0, cx=290.0, cy=260.0)
    bent = replace(off_centre, distortion=(-0.2, 0.05, 0.0, 0.0))
    fisheye = replace(off_centre, model='equidistant', distortion=(0.0, 0.0, 0.0, 0.0))
    for camera in (off_centre, bent, fisheye):
        home = clips_of_frames([frame_of(camera, stamp_s=n) for n in range(8)], OPTIONS)
        picture = cv2.imdecode(home.jpeg[0], cv2.IMREAD_GRAYSCALE)
        bright = np.argwhere(picture > 128)
        np.testing.assert_allclose(
            bright.mean(axis=0), ((OPTIONS.height - 1) / 2, (OPTIONS.width - 1) / 2), atol=0.6
        )
        depth = cv2.imdecode(home.depth_png[0], cv2.IMREAD_UNCHANGED)
        assert depth[OPTIONS.height // 4, OPTIONS.width // 4] == 2000
        assert depth[2, 2] in (0, 4000)


def test_a_fisheye_is_straightened():
    camera = Intrinsics(
        width=640, height=480, fx=500.0, fy=500.0, cx=320.0, cy=240.0, model='equidistant'
    )
    frames = [frame_of(camera, aside=200, stamp_s=n) for n in range(8)]
    home = clips_of_frames(frames, OPTIONS)
    bright = np.argwhere(cv2.imdecode(home.jpeg[0], cv2.IMREAD_GRAYSCALE) > 128)
    # The angle from the axis is px / focal length there, its tangent in a pinhole.
    expected = (OPTIONS.width - 1) / 2 + home.focal * np.tan(200 / 500)
    assert bright[:, 1].mean() == pytest.approx(expected, abs=1.0)


def test_a_recording_that_is_too_short_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r'at least 4000 frames .* got \d+; record longer'):
        bag_clips(tmp_path, BAG, replace(OPTIONS, frames=4000))


def test_a_recording_that_is_none_is_refused(tmp_path):
    with pytest.raises(BagError, match='no recording at'):
        bag_clips(tmp_path, tmp_path / 'nowhere', OPTIONS)


@pytest.mark.parametrize('stage', ['perception', 'memory'])
def test_a_run_learns_from_a_recording_alone(stage, recorded, tmp_path):
    tiny_config(
        tmp_path / 'c.yaml',
        stage=stage,
        homes=0,
        bags=[str(BAG)],
        trunk_rate=1.0,
        scenes=vars(OPTIONS),
        backbone={'window': 2},
    )
    config = load_config(tmp_path / 'c.yaml')
    training = Run(config)
    options = batch_options(config, 0)
    names = training.net.names.weight.clone()
    logged = training.advance(make_batch(HomeShelf(recorded), options, seed=0, step=0))
    assert logged['depth'] != 0.0
    assert logged['appearance'] != 0.0
    assert logged['names'] == logged['offset'] == logged['size'] == logged['turn'] == 0.0
    assert stage == 'perception' or logged['surprise'] > 0.0
    # Weight decay alone moves what nothing is known of.
    decayed = names * (1.0 - training.rate(0) * config.weight_decay)
    torch.testing.assert_close(training.net.names.weight, decayed, rtol=1e-5, atol=1e-7)


def test_unlabelled_clips_leave_the_losses_of_labelled_ones_alone(tmp_path):
    path = home_path(tmp_path, 1)
    save_toy(path, toy_home())
    tiny_config(tmp_path / 'c.yaml', half=False)
    config = load_config(tmp_path / 'c.yaml')
    batch = make_batch(HomeShelf([path]), batch_options(config, 0), seed=0, step=0)
    torch.manual_seed(0)
    with torch.no_grad():
        heads = Objective(config).eval().net(batch.picture, batch.geometry)
    known = dense_losses(heads, batch.truth)
    unknown = dense_losses(
        heads, replace(batch.truth, label=torch.full_like(batch.truth.label, -1))
    )
    assert all(float(known[name]) > 0.0 for name in ('names', 'size', 'turn'))
    assert all(float(unknown[name]) == 0.0 for name in ('names', 'offset', 'size', 'turn'))
    assert float(unknown['depth']) == float(known['depth'])
