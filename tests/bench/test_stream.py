# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A long stream of detections: what is measured, and what says that it went wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('mujoco', reason='homes need MuJoCo')
pytest.importorskip('onnxruntime', reason='the memory needs a runtime')

from ros2_spatial_ttt import cli  # noqa: E402
from ros2_spatial_ttt.bench import stream  # noqa: E402

pytestmark = pytest.mark.ort


def test_stream_measures_bytes_times_and_recall_by_age(tmp_path: Path, capsys) -> None:
    path = tmp_path / 'stream.json'
    words = ('--frames', '256', '--minutes', '2', '--rooms', '1', '--seed', '7')
    assert cli.main(['bench', 'stream', *words, '--json', str(path)]) == 0
    results = json.loads(path.read_text(encoding='utf-8'))
    assert results['frames.fed'] == results['frames.accepted'] == 256
    assert results['state_bytes'] == results['state_bytes.at_64'] > results['state_bytes_used'] > 0
    assert results['chunk.p50_ms.first_quarter'] > 0.0 and results['frames_per_s'] > 0.0
    assert 0.0 <= results['age.recall.0'] <= 1.0
    assert results['locate.recall_at_0.5m'] > 0.5
    said = capsys.readouterr().out
    assert 'median chunk, first / last quarter' in said and 'recall@0.5 m of the oldest' in said


@pytest.mark.parametrize(
    ('words', 'said'),
    [
        (('--frames', '100'), '--frames: expected at least 256, got 100'),
        (('--minutes', '0'), '--minutes: expected more than 0'),
        (('--seed', '500000'), 'the exam has seeds'),
    ],
)
def test_bad_option_is_a_sentence(words, said, capsys) -> None:
    assert cli.main(['bench', 'stream', *words]) == 2
    assert said in capsys.readouterr().err


def test_growth_is_that_of_the_median_chunk() -> None:
    # Chunks of four frames: three that only wait, one that writes and takes longer and longer.
    writes = np.linspace(10.0, 20.0, 100)
    frame_ms = np.zeros(400)
    frame_ms[3::4] = writes
    times = stream._times(frame_ms, chunks=100)
    first, last = np.median(writes[:25]), np.median(writes[-25:])
    assert times['chunk.p50_ms.first_quarter'] == pytest.approx(first)
    assert times['chunk.p50_ms.last_quarter'] == pytest.approx(last)
    assert times['chunk.growth'] == pytest.approx(last / first - 1.0)


def results(**changed: float) -> dict[str, float]:
    return {
        'frames.fed': 1000,
        'frames.accepted': 1000,
        'state_bytes': 7,
        'state_bytes.at_64': 7,
        'state_bytes_used': 5,
        'chunk.p50_ms.first_quarter': 1.0,
        'chunk.p50_ms.last_quarter': 1.0,
        'chunk.growth': 0.0,
        'age.minutes.9': 3.0,
        'age.recall.9': 0.9,
        'age.oldest_minus_newest': 0.0,
        'locate.recall_at_0.5m': 0.9,
    } | changed


def test_table_says_what_went_wrong() -> None:
    fine = stream.summary(results())
    assert not any(word in fine for word in ('DIFFERENT', 'GROWS', 'FORGOTTEN'))
    assert 'DIFFERENT' in stream.summary(results(state_bytes=8))
    assert 'GROWS' in stream.summary(results(**{'chunk.growth': 0.06}))
    assert 'FORGOTTEN' in stream.summary(results(**{'age.oldest_minus_newest': -0.06}))
