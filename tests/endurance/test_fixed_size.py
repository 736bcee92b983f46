# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The state does not grow with the stream.

This is the short run; ``spatial-ttt bench endurance`` feeds 5,000 frames and also measures the
growth of the process.
"""

from __future__ import annotations

import pytest

pytest.importorskip('onnxruntime', reason='the memory needs a runtime')
pytest.importorskip('psutil', reason='the process is measured with psutil')

from ros2_spatial_ttt.bench import endurance, material
from ros2_spatial_ttt.config import MemoryConfig, from_flat
from ros2_spatial_ttt.memory.pipeline import SpatialMemory

pytestmark = pytest.mark.ort

# The room is full after three rounds of 16 frames; this is 13.
FRAMES, QUESTIONS = 208, 26


def test_state_bytes_are_equal_at_frame_64_and_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endurance, 'SAMPLES', QUESTIONS)
    frames = material.at_rate(material.rendered_frames(16, seed=0, width=160), 30.0)
    memory = SpatialMemory(from_flat(MemoryConfig, material.FLYING))
    results = endurance.stream(memory, frames, count=FRAMES)
    assert results['frames.accepted'] == FRAMES
    assert results['state_bytes.at_64'] == results['state_bytes']
    # The fixed size is a bound; what is in use stays below it and stops growing.
    assert 0 < results['state_bytes_used'] <= results['state_bytes']
    assert results['state_bytes_used'] <= 1.01 * results['state_bytes_used.at_half']
