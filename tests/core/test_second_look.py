# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The second look: detections are cut out where they are, in metres, and take the name it says."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from ros2_spatial_ttt.memory.detect import FEATURES, FIRST, Detected, Detector, detections
from ros2_spatial_ttt.memory.preprocess import CameraTokens, PreparedFrame
from ros2_spatial_ttt.memory.second_look import CROP, KNOWN, crops, seen_in
from ros2_spatial_ttt.runtime.base import Tokens
from ros2_spatial_ttt.types import Frame, Intrinsics

GRID, WIDTH, HEIGHT = (12, 16), 128, 96
LENS = Intrinsics(WIDTH, HEIGHT, 100.0, 100.0, 63.5, 47.5)
ORIGIN = np.array([5.0, 7.0, 1.0])
# Looks along the map's y axis from 1.2 m above the floor.
MAP_T_CAMERA = np.array(
    [[1.0, 0.0, 0.0, 5.0], [0.0, 0.0, 1.0, 7.0], [0.0, -1.0, 0.0, 1.2], [0.0, 0.0, 0.0, 1.0]]
)
DISTANCE = 2.0
RED, GREY = (200, 30, 30), (90, 90, 90)


def frame(*, measured: bool = True) -> PreparedFrame:
    """Return a wall that is seen head-on, with a red square in the middle."""
    image = np.full((HEIGHT, WIDTH, 3), GREY, np.uint8)
    image[40:56, 56:72] = RED
    v, u = ((np.arange(count) + 0.5) * 8 - 0.5 for count in GRID)
    x, y = np.meshgrid((u - LENS.cx) / LENS.fx, (v - LENS.cy) / LENS.fy)
    depth = np.full((HEIGHT // 2, WIDTH // 2), DISTANCE, np.float16)
    return PreparedFrame(
        camera='front',
        stamp_ns=1,
        image=image,
        depth=np.full(x.size, DISTANCE, np.float32) * measured,
        ray=np.stack([x.ravel(), y.ravel(), np.ones(x.size)], axis=1).astype(np.float32),
        half_depth=depth if measured else np.zeros((0, 0), np.float16),
        intrinsics=LENS,
        map_T_camera=MAP_T_CAMERA,
    )


def found(*boxes, centre=(0.0, DISTANCE, 0.2)) -> Detected:
    """Return detections of three names with these boxes of tokens; centres are from ORIGIN."""
    count = len(boxes)
    features = np.zeros((count, len(FEATURES)))
    features[:, FEATURES.index('far')] = np.log(DISTANCE)
    return Detected(
        label=np.zeros(count, np.int64),
        centre=np.tile(centre, (count, 1)),
        size=np.full((count, 3), 0.4),
        yaw=np.zeros(count),
        weight=np.zeros(count),
        worth=np.zeros(count),
        features=features,
        shares=np.tile([0.7, 0.2, 0.1], (count, 1)),
        box=np.array(boxes, np.int64).reshape(-1, 4),
    )


MIDDLE, CORNER = (5, 7, 6, 8), (0, 0, 1, 1)


def cut(*boxes, floor: bool = True, measured: bool = True):
    predicted = np.full(GRID[0] * GRID[1], 3.0, np.float32)
    shown = frame(measured=measured)
    return crops(shown, predicted, found(*boxes), ORIGIN, grid=GRID, floor=floor)


def test_a_detection_stands_in_the_middle_and_is_enlarged():
    picture = cut(MIDDLE).picture[0]
    assert picture.shape == (CROP, CROP, 3)
    assert picture[CROP // 2, CROP // 2].tolist() == list(RED)
    red = (picture[..., 0] > 150).mean() ** 0.5 * CROP
    # 16 of the 40 px that are cut out at least.
    assert red == pytest.approx(16 * CROP / 40, abs=1.5)


def test_places_are_metres_from_its_centre_in_the_level_frame():
    place = cut(MIDDLE).place[0].astype(float)
    width = 40 * DISTANCE / LENS.fx
    assert (place[..., 3] == 1).all()
    # x ahead: the wall is where the centre is; y to the left; z up.
    assert np.abs(place[..., 0]).max() < 1e-3
    assert place[CROP // 2, :, 1] == pytest.approx(np.linspace(0.5, -0.5, CROP), abs=0.06)
    assert place[:, CROP // 2, 2] == pytest.approx(np.linspace(0.5, -0.5, CROP), abs=0.06)
    known = cut(MIDDLE).known[0]
    assert known[FIRST + 3] == pytest.approx(np.log(width))


def test_nothing_is_known_outside_of_the_picture():
    one = cut(CORNER)
    assert not one.picture[0, 0, 0].any() and not one.place[0, 0, 0].any()
    assert one.place[0, -1, -1, 3] == 1


def test_without_a_sensor_the_shape_is_the_one_that_the_network_predicts():
    place = cut(MIDDLE, measured=False).place[0].astype(float)
    assert place[..., 0] == pytest.approx(1.0 / (40 * DISTANCE / LENS.fx), abs=1e-2)


def test_the_height_above_the_floor_is_told_where_the_floor_is_known():
    known, unknown = (cut(MIDDLE, floor=floor).known[0] for floor in (True, False))
    assert known.shape == (KNOWN + 3,)
    assert known[KNOWN - 2 : KNOWN] == pytest.approx([1.2, 1.0])
    assert unknown[KNOWN - 2 : KNOWN].tolist() == [0.0, 0.0]
    assert known[KNOWN:] == pytest.approx([0.7, 0.2, 0.1])


def test_no_detection_is_cut_out_of_a_frame_without_any():
    none = cut()
    assert none.picture.shape == (0, CROP, CROP, 3) and none.known.shape == (0, KNOWN + 3)


def tokens(*counts: int) -> Tokens:
    """Return frames with so many things of name 0, one token each, far apart."""
    frames, count = len(counts), GRID[0] * GRID[1]
    names = np.zeros((frames, count, 4), np.float32)
    names[..., 0] = 1.0
    centre = np.zeros((frames, count, 3), np.float32)
    for number, things in enumerate(counts):
        for thing in range(things):
            names[number, 20 * thing + 5] = (0.05, 0.9, 0.03, 0.02)
            centre[number, 20 * thing + 5] = (2.0 * thing, 2.0, 0.2)
    flat = np.zeros((frames, count), np.float32)
    return Tokens(
        names=names,
        centre=centre,
        spread=flat + 0.05,
        size=np.full((frames, count, 3), 0.4, np.float32),
        turn=np.zeros((frames, count, 2), np.float32),
        depth=flat + np.float32(DISTANCE),
        depth_spread=flat,
        point=np.zeros((frames, count, 3), np.float32),
        surprise=np.zeros(frames, np.float32),
    )


class Says:
    """A runtime whose second look gives its n-th detection the n-th of some probabilities."""

    def __init__(self, names, *, second_look=True) -> None:
        self.manifest = SimpleNamespace(second_look=second_look)
        self.names = np.array(names, np.float32)
        self.asked = 0

    def second_look(self, picture, place, known):
        assert len(picture) == len(place) == len(known) and place.dtype == np.float32
        self.asked += 1
        return self.names[: len(picture)]


WEIGHTS = np.zeros(len(FEATURES))
WEIGHTS[FIRST] = 1.0
DETECTOR = Detector(GRID, mass=0.5, weights=tuple(WEIGHTS))
LAMP = (0.1, 0.05, 0.8, 0.05)
SAME = (0.02, 0.9, 0.04, 0.04)
NOTHING = (0.9, 0.05, 0.03, 0.02)


def looked(runtime, *counts):
    chunk = [frame()] * len(counts)
    return seen_in(runtime, chunk, tokens(*counts), ORIGIN, DETECTOR, floor=True)


def test_names_and_weights_are_those_of_the_second_look_surest_first():
    runtime = Says([LAMP, SAME, NOTHING])
    (one,) = looked(runtime, 3)
    assert one.label.tolist() == [0, 1, 0]
    assert one.weight == pytest.approx([0.9, 0.8, 0.05], abs=1e-3)
    assert one.features[:, FIRST + 1].tolist() == [1.0, 0.0, 1.0]
    assert (np.diff(one.worth) < 0).all()


def test_each_frame_of_a_chunk_gets_its_own_detections_back():
    runtime = Says([SAME, LAMP, LAMP, SAME])
    first, none, last = looked(runtime, 1, 0, 3)
    assert (len(first), len(none), len(last)) == (1, 0, 3)
    assert first.label.tolist() == [0] and sorted(last.label.tolist()) == [0, 1, 1]
    assert runtime.asked == 1


def test_a_chunk_without_detections_is_not_looked_at():
    runtime = Says([])
    assert [len(one) for one in looked(runtime, 0, 0)] == [0, 0]
    assert runtime.asked == 0


def test_a_model_without_a_second_look_keeps_its_first():
    runtime = Says([], second_look=False)
    (one,) = looked(runtime, 2)
    first = detections(tokens(2), 0, DETECTOR)
    assert one.label.tolist() == first.label.tolist()
    assert not one.features[:, FIRST:].any() and runtime.asked == 0


@pytest.mark.parametrize('size', [(240, 320), (480, 640)])
def test_depth_between_tokens_is_kept_for_a_second_look_alone(manifest, size):
    height, width = size
    lens = Intrinsics(width, height, width * 0.8, width * 0.8, width / 2, height / 2)
    depth = np.full(size, 1500, np.uint16)
    depth[: height // 2] = 60_000  # farther than the model uses
    shown = Frame('a', 1, np.zeros((*size, 3), np.uint8), depth, lens, np.eye(4))

    def shape(frame: Frame, *, second_look: bool):
        own = replace(manifest, second_look=second_look)
        return CameraTokens(lens, own, depth_max_m=8.0).prepare(frame).half_depth

    kept = shape(shown, second_look=True)
    half = manifest.image_height // 2, manifest.image_width // 2
    assert kept.shape == half and kept.dtype == np.float16
    assert not kept[: half[0] // 2].any() and (kept[half[0] // 2 :] == 1.5).all()
    assert shape(shown, second_look=False).size == 0
    assert shape(replace(shown, depth=None), second_look=True).size == 0
