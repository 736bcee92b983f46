# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Augmentation: what is dropped, what a zoom leaves alone, and the limits of faulty cameras."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

pytest.importorskip('torch')

from toy_clips import FOCAL, SIZE, toy_home

from ros2_spatial_ttt.training.augment import (
    LEAST_M,
    MOST_M,
    ClipLook,
    faulty_colour,
    faulty_depth,
)
from ros2_spatial_ttt.training.data import ClipOptions, make_clip

pytestmark = pytest.mark.torch
PLAIN = ClipOptions(
    width=SIZE,
    height=SIZE,
    strength=0.0,
    without_depth=0.0,
    without_heights=0.0,
    zoom=0.0,
    mirror=0.0,
)
SEEDS = range(200)
PERFECT = ClipLook(
    gain=1.0,
    gamma=1.0,
    contrast=1.0,
    balance=np.ones(3, np.float32),
    saturation=1.0,
    blur_px=0.0,
    noise=0.0,
    jpeg_quality=0,
    depth=True,
    depth_noise=0.0,
)


def clip_of(seed: int = 0, **changes):
    rng = np.random.default_rng(seed)
    return make_clip(toy_home(), np.arange(2), replace(PLAIN, **changes), rng)


def look_of(seed: int, *, strength: float = 1.0, without_depth: float = 0.0) -> ClipLook:
    rng = np.random.default_rng(seed)
    return ClipLook.draw(rng, strength=strength, without_depth=without_depth)


def picture() -> np.ndarray:
    """Return a picture (48, 64, 3) with every grey value, and colours."""
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    return np.stack(
        [np.tile(ramp, (48, 1)), np.tile(ramp[::-1], (48, 1)), np.full((48, 64), 90)], 2
    ).astype(np.uint8)


# What is dropped.


@pytest.mark.parametrize('seed', range(5))
def test_at_a_share_of_one_every_clip_loses_its_depth_and_nothing_else(seed):
    clip, known = clip_of(seed, without_depth=1.0), clip_of(seed)
    assert known.depth.max() > 0.0
    assert (clip.depth == 0.0).all()
    for name in ('true_depth', 'point', 'label', 'centre'):
        np.testing.assert_array_equal(getattr(clip, name), getattr(known, name))


@pytest.mark.parametrize('seed', range(5))
def test_at_a_share_of_one_no_clip_may_know_its_height(seed):
    assert clip_of(seed).heights == 1.0
    clip = clip_of(seed, without_heights=1.0)
    assert clip.heights == 0.0
    np.testing.assert_allclose(clip.camera_height, 1.2)


def test_a_share_between_is_a_share():
    looks = [look_of(seed, without_depth=0.25) for seed in SEEDS]
    assert 0.15 < np.mean([not look.depth for look in looks]) < 0.35


# Zoom.


def test_a_zoom_shows_a_part_whose_places_are_where_they_were():
    """The toy home is a wall 4 m ahead and boxes 2.5 m ahead of a camera that looks level."""
    widths = set()
    for seed in range(20):
        clip = clip_of(seed, zoom=1.0, least_zoom=0.5)
        reach = np.ptp(clip.ray[:, 0])
        widths.add(round(float(reach), 6))
        assert reach <= np.ptp(clip_of(seed).ray[:, 0]) + 1e-6
        camera = np.stack([np.array([0.05 * n, 0.0, 1.2]) for n in range(2)])
        ahead = clip.point[..., 0] - camera[:, None, 0]
        np.testing.assert_allclose(ahead, clip.true_depth, atol=1e-5)
        np.testing.assert_allclose(
            clip.point[..., 1], -clip.ray[:, 0] * clip.true_depth, atol=1e-5
        )
        np.testing.assert_allclose(
            clip.point[..., 2], 1.2 - clip.ray[:, 1] * clip.true_depth, atol=1e-5
        )
        # The point of a token is of the thing that the unzoomed picture has there.
        column = clip.ray[:, 0] * FOCAL + (SIZE - 1) / 2
        row = clip.ray[:, 1] * FOCAL + (SIZE - 1) / 2
        ids = cv2.imdecode(toy_home().ids_png[0], cv2.IMREAD_UNCHANGED)
        at = np.rint((np.stack([row, column]) - 1) / 2).astype(int).clip(0, SIZE // 2 - 1)
        np.testing.assert_array_equal(clip.thing[0], ids[at[0], at[1]])
    assert len(widths) > 5


def test_a_zoomed_picture_shows_what_its_tokens_say():
    """Boxes have a colour of their own in every frame: its mean is told from the wall's."""
    for seed in range(10):
        clip = clip_of(seed, zoom=1.0, least_zoom=0.6)
        colour = (
            clip.image[0].reshape(SIZE // 8, 8, SIZE // 8, 8, 3).mean(axis=(1, 3)).reshape(-1, 3)
        )
        inner = [_inside(clip.thing[0], number) for number in (0, 1, 2, 3)]
        means = [colour[mask].mean(axis=0) for mask in inner if mask.any()]
        spread = max(np.ptp(colour[mask], axis=0).max() for mask in inner if mask.any())
        apart = min(np.abs(a - b).max() for n, a in enumerate(means) for b in means[n + 1 :])
        assert len(means) > 1 and spread < 0.5 * apart, seed


def _inside(thing: np.ndarray, number: int) -> np.ndarray:
    """Return the tokens (T,) of a thing whose neighbours are all of it."""
    mask = (thing == number).reshape(SIZE // 8, SIZE // 8).astype(np.uint8)
    return cv2.erode(mask, np.ones((3, 3), np.uint8), borderValue=0).astype(bool).ravel()


# Faulty cameras.


@pytest.mark.parametrize('seed', range(20))
def test_without_strength_a_camera_has_no_fault(seed):
    look = look_of(seed, strength=0.0)
    assert (look.gain, look.gamma, look.contrast, look.saturation) == (1.0, 1.0, 1.0, 1.0)
    assert (look.blur_px, look.noise, look.jpeg_quality) == (0.0, 0.0, 0)
    np.testing.assert_array_equal(look.balance, np.ones(3))


def test_a_camera_without_fault_flickers_only():
    """Exposure differs by 5 % (deviation) from frame to frame; everything else is as it was."""
    image = picture()
    for seed in range(20):
        out = faulty_colour(image, PERFECT, np.random.default_rng(seed)).astype(float)
        factor = out[image > 60] / image[image > 60]
        unclipped = out[image > 60] < 255
        assert np.ptp(factor[unclipped]) < 1.0 / 60
        assert 0.8 < factor[unclipped].mean() < 1.25


def test_depth_of_a_plain_camera_is_as_it_is_within_its_range():
    depth = np.linspace(0.0, 10.0, 1200, dtype=np.float32).reshape(30, 40)
    out = faulty_depth(depth, PERFECT, np.random.default_rng(0))
    inside = (depth >= LEAST_M) & (depth <= MOST_M)
    np.testing.assert_array_equal(out[inside], depth[inside])
    assert (out[~inside] == 0.0).all() and (~inside).any()


def test_faulty_colour_stays_a_picture_however_strong_the_faults():
    image = picture()
    shown = []
    for seed in SEEDS:
        out = faulty_colour(image, look_of(seed), np.random.default_rng(seed))
        assert out.shape == image.shape and out.dtype == np.uint8
        shown.append(np.abs(out.astype(float) - image).mean())
    assert max(shown) > 20.0, 'faults are seen'
    np.testing.assert_array_equal(image, picture(), err_msg='the picture itself is left alone')


def test_faulty_depth_is_near_the_truth_or_lost():
    rng = np.random.default_rng(5)
    depth = rng.uniform(0.1, 9.0, (30, 40)).astype(np.float32)
    before = depth.copy()
    lost = []
    for seed in SEEDS:
        look = look_of(seed)
        out = faulty_depth(depth, look, np.random.default_rng(seed))
        kept = out != 0.0
        assert ((depth[kept] >= LEAST_M) & (depth[kept] <= MOST_M)).all()
        # Six deviations; a normal number that is further off comes once in 10^9.
        bound = 6.0 * look.depth_noise * depth[kept] ** 2
        assert (np.abs(out[kept] - depth[kept]) <= bound + 1e-6).all()
        lost.append(1.0 - kept.mean())
    np.testing.assert_array_equal(depth, before)
    assert np.ptp(lost) > 0.1, 'some cameras lose more than others'
