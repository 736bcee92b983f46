# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The state has the same bytes after 64 and after 5,000 frames.

The full-size run with the growth of the process is ``spatial-ttt bench endurance``.
"""

from __future__ import annotations

import pytest

pytest.importorskip('onnxruntime', reason='the memory needs a runtime')
pytest.importorskip('psutil', reason='the process is measured with psutil')

from ros2_spatial_ttt.bench import endurance, material
from ros2_spatial_ttt.config import MemoryConfig
from ros2_spatial_ttt.memory.pipeline import SpatialMemory

pytestmark = pytest.mark.ort

FRAMES = 5000


def test_state_bytes_are_equal_at_frame_64_and_5000() -> None:
    frames = material.rendered_frames(20, seed=0, width=160)
    memory = SpatialMemory(MemoryConfig())
    results = endurance.stream(memory, frames, count=FRAMES)
    assert results['frames.accepted'] == FRAMES
    assert results['state_bytes.at_64'] == results['state_bytes'] > 0
    assert 0 < results['state_bytes_used.peak'] <= results['state_bytes']
