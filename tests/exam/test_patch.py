# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The patch set from the command line, on a recording of a rendered room."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('onnxruntime', reason='the memory needs a runtime')

from ros2_spatial_ttt import cli
from ros2_spatial_ttt.sim import recording

pytestmark = pytest.mark.ort

HELD_OUT = 2  # frames 5 and 10 of 13
PATCHES = 6
SYSTEMS = (
    '',
    'baseline.nearest_neighbour.',
    'baseline.sift.',
    'baseline.chance.',
    'control.reset.',
)


@pytest.fixture(scope='module')
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('bags') / 'room'
    recording.simulate(path, seed=4, count=13)
    return path


def exam(bag: Path, folder: Path, *more: str) -> dict[str, Any]:
    out = folder / 'results.json'
    sizes = ('--patches', str(PATCHES), '--points', '40')
    code = cli.main(
        ['exam', '--set', 'patch', '--bag', str(bag), '--json', str(out), *sizes, *more]
    )
    assert code == 0
    return json.loads(out.read_text(encoding='utf-8'))


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp('results')


@pytest.fixture(scope='module')
def results(bag: Path, folder: Path) -> dict[str, Any]:
    return exam(bag, folder, '--out', str(folder / 'out'))


@pytest.mark.parametrize('prefix', SYSTEMS)
def test_every_system_answers_the_same_questions_with_intervals(
    results: dict[str, Any], prefix: str
) -> None:
    assert results[f'{prefix}patch.queries'] == HELD_OUT * PATCHES
    near, wide = (results[f'{prefix}patch.recall_at_{r}m'] for r in ('0.25', '0.5'))
    assert 0.0 <= near <= wide <= results[f'{prefix}patch.answered_share'] <= 1.0
    for key in ('patch.recall_at_0.25m', 'patch.median_error_m', 'query.p95_ms'):
        low, value, high = (_number(results[f'{prefix}{key}{e}']) for e in ('.low', '', '.high'))
        assert low <= value <= high
    assert results[f'{prefix}state_bytes'] >= 0


def test_memory_finds_places_and_beats_chance(results: dict[str, Any]) -> None:
    recall = 'patch.recall_at_0.5m'
    assert results[recall] > results[f'baseline.chance.{recall}']
    assert results[f'baseline.nearest_neighbour.{recall}'] > results[f'baseline.chance.{recall}']


def test_the_same_questions_are_asked_without_evidence(results: dict[str, Any]) -> None:
    alone = 'patch.without_evidence.'
    assert results[f'{alone}queries'] == results['patch.queries']
    near, wide = (results[f'{alone}recall_at_{r}m'] for r in ('0.25', '0.5'))
    assert 0.0 <= near <= wide <= results[f'{alone}answered_share'] <= 1.0
    assert results['patch.recall_at_0.5m'] >= wide
    # The keyframes are not counted where they are not used.
    used = 'state_bytes_used'
    assert 0 < results[f'without_evidence.{used}'] < results[used]


def test_reset_memory_knows_nothing(results: dict[str, Any]) -> None:
    assert results['control.reset.patch.recall_at_0.5m'] == 0.0
    assert results['control.reset.patch.answered_share'] == 0.0
    assert results['control.reset.patch.median_error_m'] is None
    assert results['control.reset.patch.never_observed_share'] == 1.0


def test_verdicts_are_scored_on_the_asked_number_of_points(results: dict[str, Any]) -> None:
    for kind in ('never_observed', 'free_space', 'surface'):
        assert results[f'verdict.{kind}_queries'] == 40
        assert 0.0 <= results[f'verdict.{kind}_share'] <= 1.0
    assert results['verdict.macro_f1.low'] <= results['verdict.macro_f1']
    assert results['verdict.never_observed_share'] > 0.5


def test_counts_of_frames_and_machine_are_in_the_results(results: dict[str, Any]) -> None:
    # 13 frames without frame 0 and the held-out ones.
    assert results['frames.fed'] == 10
    assert results['patch.answerable_share'] > 0.5
    assert results['meta.processor']


def test_same_seed_gives_the_same_scores(
    bag: Path, tmp_path: Path, results: dict[str, Any]
) -> None:
    again = exam(bag, tmp_path)
    scores = [key for key in results if 'patch.' in key or key.startswith('verdict.')]
    assert len(scores) > 50
    assert {key: again[key] for key in scores} == {key: results[key] for key in scores}


def test_folder_gets_the_table_and_pictures(folder: Path, results: dict[str, Any]) -> None:
    pytest.importorskip('matplotlib', reason='pictures need matplotlib')
    files = sorted(path.name for path in (folder / 'out').iterdir())
    assert files == ['patch.md', 'patch_answers.png', 'patch_errors.png']
    table = (folder / 'out' / 'patch.md').read_text(encoding='utf-8')
    for name in (
        'memory',
        'memory without evidence',
        'nearest_neighbour',
        'sift',
        'chance',
        'control: reset',
    ):
        assert f'| {name} ' in table
    assert f'{HELD_OUT * PATCHES} pictures' in table


def test_recording_that_is_too_short_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    recording.simulate(tmp_path / 'short', seed=4, count=3, width=160)
    code = cli.main(['exam', '--set', 'patch', '--bag', str(tmp_path / 'short')])
    said = capsys.readouterr().err
    assert code == 2
    assert 'nothing to ask' in said and 'at least 6 frames' in said


def test_set_and_recording_must_be_given(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit, match='2'):
        cli.main(['exam', '--set', 'nonsense'])
    assert "invalid choice: 'nonsense'" in capsys.readouterr().err
    assert cli.main(['exam', '--set', 'patch']) == 2
    assert '--bag DIR' in capsys.readouterr().err


def _number(value: float | None) -> float:
    return math.inf if value is None else value
