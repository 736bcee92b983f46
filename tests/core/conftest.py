# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""One rendered room and the memories that tests share; a test that writes makes its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ros2_spatial_ttt.config import MemoryConfig, from_flat
from ros2_spatial_ttt.geometry import transform_points
from ros2_spatial_ttt.memory.pipeline import SpatialMemory
from ros2_spatial_ttt.resources import model_directory
from ros2_spatial_ttt.runtime.base import load_manifest
from ros2_spatial_ttt.sim.room import boxes
from ros2_spatial_ttt.types import Example

# Small, needs depth and knows no names: what most of these tests are about. What the network adds
# has tests of its own (test_network, test_backbone_memory, test_nano).
MODEL = 'untrained'
SEED = 7
SECOND = 1_000_000_000
HALF = 24  # pixels, half of the model's window at the camera's size
# Textured things of the room, and views of the 160-pose tour that no frame was taken from.
THINGS = {'sofa_2.back': 34, 'desk_2.monitor': 34, 'desk_2.drawers': 146, 'table.rug': 146}


@pytest.fixture(scope='session')
def manifest():
    return load_manifest(model_directory(MODEL))


@pytest.fixture(scope='session')
def scene():
    return boxes.make_scene(SEED)


@pytest.fixture(scope='session')
def tour(scene):
    """A tour of the room, 40 frames of 320x240; the frames are shared, never changed."""
    frames = list(boxes.frames(SEED, 40, width=320, height=240, scene=scene))
    for frame in frames:
        for array in (frame.colour, frame.depth, frame.map_T_camera):
            array.setflags(write=False)
    return frames


@pytest.fixture(scope='session')
def shown(scene, tour):
    """Return {thing: (example, true point in the map)} from views that were not learnt."""
    camera, views = tour[0].intrinsics, boxes.make_tour(scene, 160, scene.seed)
    out = {}
    for name, view in THINGS.items():
        colour, depth, instance = boxes.render(scene, camera, views[view])
        number = 1 + [box.name for box in scene.boxes].index(name)
        v, u = (int(np.median(axis)) for axis in np.nonzero(instance == number))
        z = float(depth[v, u])
        local = np.array([(u - camera.cx) / camera.fx * z, (v - camera.cy) / camera.fy * z, z])
        roi = (u - HALF, max(v - HALF, 0), 2 * HALF, 2 * HALF)
        out[name] = Example(colour, roi), transform_points(views[view], local)
    return out


@pytest.fixture
def frame(tour):
    return tour[0]


@pytest.fixture(scope='session')
def make_memory():
    """Return a maker of memories; parameters by flat name, '.' written as '__'."""

    def make(**parameters) -> SpatialMemory:
        pytest.importorskip('onnxruntime', reason='the memory needs a runtime')
        flat = {'model': MODEL} | {
            name.replace('__', '.'): value for name, value in parameters.items()
        }
        return SpatialMemory(from_flat(MemoryConfig, flat))

    return make


@pytest.fixture(scope='session')
def feed():
    """Return a function that feeds frames, all of which must be accepted, and flushes."""

    def run(memory: SpatialMemory, frames) -> SpatialMemory:
        for frame in frames:
            result = memory.feed_frame(frame)
            assert result.accepted, result.message
        memory.flush()
        return memory

    return run


@pytest.fixture(scope='session')
def room(make_memory, feed, tour):
    """A memory of the whole tour, for reading only."""
    return feed(make_memory(), tour)


@pytest.fixture(scope='session')
def later():
    """Return a function that moves a frame in time and, on request, along the map's axes."""

    def move(frame, seconds: float, *, by_m=(0.0, 0.0, 0.0)):
        map_T_camera = frame.map_T_camera.copy()
        map_T_camera[:3, 3] += by_m
        return replace(
            frame,
            stamp_ns=frame.stamp_ns + round(seconds * SECOND),
            map_T_camera=map_T_camera,
        )

    return move


@pytest.fixture(scope='session')
def state_hash():
    return lambda memory: memory.status(with_hash=True).state_hash


@pytest.fixture
def rng():
    return np.random.default_rng(20260101)
