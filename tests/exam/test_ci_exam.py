# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The exam that CI runs: two small homes. A working memory passes, a broken one does not."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip('mujoco', reason='homes need MuJoCo')
pytest.importorskip('onnxruntime', reason='the memory needs a runtime')

from ros2_spatial_ttt import cli  # noqa: E402
from ros2_spatial_ttt.exam.check import LIMITS, verdict_of  # noqa: E402

pytestmark = pytest.mark.ort

SETS = 'all'
WORDS = ('--homes', '2', '--first-seed', '21', '--minutes', '4', '--perception', 'oracle')


@pytest.fixture(scope='module')
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp('ci') / 'results.json'
    systems = ('--systems', 'memory,blind,reset')
    code = cli.main(['exam', '--set', SETS, *WORDS, *systems, '--json', str(path), '--check'])
    assert code == 0
    return json.loads(path.read_text(encoding='utf-8'))


def test_a_working_memory_passes(results: dict[str, Any]) -> None:
    assert verdict_of(results) == []
    assert set(LIMITS) <= set(results)


def test_a_memory_with_reset_weights_fails(results: dict[str, Any]) -> None:
    failures = verdict_of(results, prefix='control.reset.')
    assert len(failures) >= 4
    assert any('control.reset.locate.recall_at_0.5m' in line for line in failures)


def test_a_broken_memory_fails_the_command(
    monkeypatch: pytest.MonkeyPatch, results: dict[str, Any], capsys: pytest.CaptureFixture
) -> None:
    from ros2_spatial_ttt.exam import homes_set, report

    reset = {
        key.removeprefix('control.reset.'): value
        for key, value in results.items()
        if key.startswith('control.reset.')
    }
    outcome = report.Outcome('exam', reset, '', lambda folder: None)
    monkeypatch.setattr(homes_set, 'examine', lambda arguments: outcome)
    assert cli.main(['exam', '--set', SETS, *WORDS, '--check']) == 1
    assert 'check failed: locate.recall_at_0.5m is 0.000' in capsys.readouterr().out


def test_nothing_to_judge_is_a_failure() -> None:
    assert 'no score' in verdict_of({})[0]
    assert verdict_of({'vsi.overall': float('nan')})
