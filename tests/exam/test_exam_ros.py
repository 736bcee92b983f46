# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The exam through the real node gives the scores of the memory in this process."""

from __future__ import annotations

import dataclasses

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('spatial_ttt.srv')
pytest.importorskip('mujoco', reason='homes need MuJoCo')
pytest.importorskip('onnxruntime', reason='the memory needs a runtime')

from ros2_spatial_ttt.exam import pool  # noqa: E402
from ros2_spatial_ttt.exam.codec import HomeResult  # noqa: E402
from ros2_spatial_ttt.exam.options import HomeOptions  # noqa: E402
from ros2_spatial_ttt.exam.summary import summarise  # noqa: E402

# The parser behind the message types imports modules that Python deprecates.
pytestmark = [
    pytest.mark.ros,
    pytest.mark.ort,
    pytest.mark.filterwarnings('ignore:module .sre_:DeprecationWarning'),
]

HALF_A_POINT = 0.005


def scores(options: HomeOptions) -> dict[str, float]:
    found: list[HomeResult] = []
    failures = pool.examine_homes([7], options, jobs=1, done=found.append)
    assert failures == []
    times = ('_ms', '_s', 'per_home')
    results = summarise(found)
    return {
        key: v for key, v in results.items() if not key.endswith(times) and 'frames' not in key
    }


def assert_agree(options: HomeOptions) -> dict[str, float]:
    core = scores(options)
    node = scores(dataclasses.replace(options, via='ros'))
    assert node.keys() == core.keys()
    for key, value in core.items():
        assert node[key] == pytest.approx(value, abs=HALF_A_POINT), key
    return core


def test_node_and_core_agree_on_detections(tiny: HomeOptions) -> None:
    core = assert_agree(dataclasses.replace(tiny, systems=('memory', 'reset')))
    assert core['locate.recall_at_0.5m'] > 0.5


@pytest.mark.sim
def test_node_and_core_agree_on_pictures(tiny: HomeOptions, renderer: str) -> None:
    assert_agree(
        dataclasses.replace(
            tiny, sets=('locate', 'verdict'), perception='model', systems=('memory',), minutes=0.2
        )
    )
