# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What keyframes keep of their windows is what the network says of such an example picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ros2_spatial_ttt.config import EvidenceConfig
from ros2_spatial_ttt.memory.evidence import LOOK_SCALE, EvidenceBank, bank_bytes
from ros2_spatial_ttt.memory.preprocess import CameraTokens
from ros2_spatial_ttt.memory.windows import window_grid, window_looks, window_middles

pytestmark = pytest.mark.ort


@pytest.fixture(scope='module')
def prepared(tour, manifest):
    tokens = CameraTokens(tour[0].intrinsics, manifest, depth_max_m=8.0)
    return [tokens.prepare(frame) for frame in tour[:4]]


@pytest.fixture(scope='module')
def bank(prepared):
    bank = EvidenceBank()
    for frame in prepared:
        bank = bank.with_frame(frame, EvidenceConfig())
    assert len(bank.keyframes) > 1
    return bank


def window_at(keyframe, middle, side):
    """Return the window (side, side, 3) RGB around a pixel of a keyframe's picture."""
    left, top = np.rint(middle - (side - 1) / 2).astype(int)
    assert left >= 0 and top >= 0
    cut = keyframe.picture()[top : top + side, left : left + side, ::-1]
    assert cut.shape == (side, side, 3)
    return cut


def test_a_look_is_the_embedding_of_the_window_around_its_middle(room, bank, manifest):
    keyframe, runtime = bank.keyframes[0], room.runtime
    looks, middles = window_looks(keyframe, runtime), window_middles(manifest)
    rows, columns = window_grid(manifest)
    assert looks.shape == (rows * columns, manifest.embedding) and len(middles) == len(looks)
    corners = [0, columns - 1, (rows // 2) * columns + columns // 2, len(looks) - 1]
    cut = [window_at(keyframe, middles[cell], manifest.window) for cell in corners]
    expected = runtime.embed(np.stack(cut))
    # One by one and in a batch may differ in the last digit.
    assert np.abs(looks[corners] / LOOK_SCALE - expected).max() <= 0.51 / LOOK_SCALE


def test_windows_reach_every_border_of_the_picture(manifest):
    low, high = window_middles(manifest).min(axis=0), window_middles(manifest).max(axis=0)
    half, size = (manifest.window - 1) / 2, (manifest.image_width, manifest.image_height)
    assert np.array_equal(low, [half, half]) and np.array_equal(high + half + 1, size)


def test_a_window_without_depth_in_its_middle_has_no_look(room, prepared, manifest):
    """Left of the middle nothing was measured, so there no look can be given a place."""
    depth = prepared[0].depth.reshape(manifest.grid).copy()
    assert depth.min() > 0
    depth[:, : manifest.grid[1] // 2] = 0.0
    blind = replace(prepared[0], depth=depth.ravel())
    (keyframe,) = EvidenceBank().with_frame(blind, EvidenceConfig()).keyframes
    some = window_looks(keyframe, room.runtime).any(axis=1)
    assert np.array_equal(some, window_middles(manifest)[:, 0] >= manifest.image_width / 2)


def test_only_keyframes_without_looks_are_looked_at(bank, manifest):
    seen = []

    def look(keyframe):
        seen.append(keyframe.stamp_ns)
        return np.ones((3, manifest.embedding), np.int8)

    one = EvidenceBank(bank.keyframes[:1]).with_looks(look)
    whole = EvidenceBank((*one.keyframes, *bank.keyframes[1:])).with_looks(look)
    assert seen == [keyframe.stamp_ns for keyframe in bank.keyframes]
    assert whole.keyframes[0] is one.keyframes[0]
    assert whole.with_looks(look) is whole


def test_keyframes_of_a_memory_have_looks_and_count_them(room, manifest):
    """Also those of a chunk that was not full; the capacity holds a full bank of them."""
    rows, columns = window_grid(manifest)
    looks = rows * columns * manifest.embedding
    for keyframe in room.keyframes():
        assert keyframe.looks.shape == (rows * columns, manifest.embedding)
        assert keyframe.looks.any()
        assert keyframe.nbytes == len(keyframe.jpeg) + keyframe.depth.nbytes + looks
    config = EvidenceConfig()
    bare = bank_bytes(config, manifest.tokens)
    assert bank_bytes(config, manifest.tokens, looks) == bare + config.keyframes * looks
    assert room.state_bytes > bank_bytes(config, manifest.tokens, looks)
