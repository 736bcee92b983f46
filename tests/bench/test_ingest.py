# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The ingest benchmark measures the real node over real DDS; speed itself is not asserted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('psutil', reason='the benchmarks need psutil')
pytest.importorskip('rclpy', reason='the node needs ROS 2')
pytest.importorskip('spatial_ttt', reason='the built messages are needed')

pytestmark = [pytest.mark.ros, pytest.mark.ort]


def bench(*options: str, folder: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, '-m', 'ros2_spatial_ttt.cli', 'bench', 'ingest', *options]
    # The benchmark cleans up its processes; the limit is for when it does not.
    return subprocess.run(
        command, cwd=folder, env=os.environ, capture_output=True, text=True, timeout=280
    )


def test_node_is_measured_under_load(tmp_path: Path) -> None:
    options = ('--seconds', '8', '--warm-up', '1', '--distinct', '8', '--rate', '5')
    reliable = ('--reliability', 'reliable', '--json', 'ingest.json')
    done = bench(*options, *reliable, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / 'ingest.json').read_text(encoding='utf-8'))
    assert 0 < results['frames_per_s'] <= results['received_per_s'] + 1
    assert results['published_per_s'] == pytest.approx(5, rel=0.3)
    assert results['query.asked'] == 16
    assert 1 <= results['query.answered'] <= 16
    assert results['query.p50_ms'] <= results['query.p95_ms'] <= results['query.p99_ms']
    assert results['chunks'] >= 1 and results['update.p50_ms'] > 0
    assert results['cpu_percent'] > 0 and results['rss_mib'] > 50
    assert results['meta.commit']
    assert '| frames used ' in done.stdout


def test_node_that_does_not_start_is_a_sentence_with_its_log(tmp_path: Path) -> None:
    wrong = tmp_path / 'wrong.yaml'
    wrong.write_text('/**: {ros__parameters: {memory: {model: no_such_model}}}\n')
    done = bench('--distinct', '2', '--params', str(wrong), folder=tmp_path)
    assert done.returncode == 2
    assert '/spatial_memory did not configure' in done.stderr
    assert 'no_such_model' in done.stderr
