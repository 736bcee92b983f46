# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""How tests are shared out: those over DDS to one worker, which no version of a tool may undo."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('xdist')

# Says which worker runs it; three of them keep two workers busy.
MODULE = """
import os, time
import pytest

{marks}
@pytest.mark.parametrize('number', range(3))
def test(number, request):
    with open({log!r}, 'a') as log:
        print(request.node.path.stem, os.environ['PYTEST_XDIST_WORKER'], file=log)
"""
SETTINGS = '[pytest]\nmarkers =\n  ros: needs DDS\n'


def test_tests_over_dds_run_in_one_worker_and_others_file_by_file(tmp_path: Path) -> None:
    log = tmp_path / 'log'
    shutil.copy(Path(__file__).with_name('conftest.py'), tmp_path)
    (tmp_path / 'pytest.ini').write_text(SETTINGS, encoding='utf-8')
    for name in ('dds_a', 'dds_b', 'dds_c', 'plain_a', 'plain_b'):
        marks = '@pytest.mark.ros' if name.startswith('dds') else ''
        text = MODULE.format(marks=marks, log=str(log))
        (tmp_path / f'test_{name}.py').write_text(text, encoding='utf-8')
    command = [sys.executable, '-m', 'pytest', '-n', '2', '--dist', 'loadgroup', '--require', '']
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr

    ran = [line.split() for line in log.read_text(encoding='utf-8').splitlines()]
    assert len(ran) == 15
    workers = {
        name: {worker for test, worker in ran if test.startswith(f'test_{name}')}
        for name in ('dds', 'plain_a', 'plain_b')
    }
    assert {name: len(found) for name, found in workers.items()} == dict.fromkeys(workers, 1)
