# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The shipped model nano: it computes what it was exported with, and answers by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from ros2_spatial_ttt.config import MemoryConfig
from ros2_spatial_ttt.resources import model_directory
from ros2_spatial_ttt.runtime.base import load_manifest
from ros2_spatial_ttt.sim.world import CATEGORIES
from ros2_spatial_ttt.types import Query, QueryType, ResultCode

pytestmark = pytest.mark.ort


@pytest.fixture(scope='module')
def nano(make_memory, feed, tour):
    return feed(make_memory(model='nano'), tour)


def test_it_is_the_default_and_small() -> None:
    folder = model_directory(MemoryConfig().model)
    assert load_manifest(folder).labels == CATEGORIES
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 20e6


def test_it_says_what_it_said_when_it_was_exported() -> None:
    from ros2_spatial_ttt.runtime.ort import OrtRuntime
    from ros2_spatial_ttt.runtime.parity import worst

    runtime = OrtRuntime(load_manifest(model_directory('nano')), threads=1)
    assert max(worst(runtime).values()) <= 1.0


def test_it_tells_how_it_was_trained_and_no_folder_of_that_machine() -> None:
    folder = model_directory('nano')
    told = yaml.safe_load((folder / 'manifest.yaml').read_text(encoding='utf-8'))['provenance']
    assert told['config']['stage'] == 'memory' and told['step'] == told['config']['steps']
    assert not Path(told['config']['start']).is_absolute()


@pytest.mark.parametrize('kind', [QueryType.LOCATE, QueryType.COUNT, QueryType.EXISTS])
def test_names_are_answered(nano, kind) -> None:
    answer = nano.query(Query(kind, labels=('chair',)))
    assert answer.code in (ResultCode.OK, ResultCode.NOT_FOUND)
    assert all(np.isfinite(thing.position).all() for thing in answer.instances)


def test_a_camera_without_depth_is_taken(make_memory, feed, tour) -> None:
    memory = feed(make_memory(model='nano'), [replace(frame, depth=None) for frame in tour[:16]])
    points = memory.field_points()
    assert len(points)
    centre = np.mean([frame.map_T_camera[:3, 3] for frame in tour[:16]], axis=0)
    assert np.linalg.norm(points.points - centre, axis=1).max() < 12.0


def test_the_state_of_its_blocks_stays_small_and_finite(nano) -> None:
    (state,) = nano.state.backbones.values()
    assert sum(array.nbytes for array in state.values()) <= 16e6
    assert all(np.isfinite(array).all() for array in state.values())
