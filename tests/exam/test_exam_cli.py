# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The exam on simulated homes from the command line: bad input, results, resuming."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from patience import WAIT_S, until

pytest.importorskip('mujoco', reason='homes need MuJoCo')
pytest.importorskip('onnxruntime', reason='the memory needs a runtime')

from ros2_spatial_ttt import cli  # noqa: E402
from ros2_spatial_ttt.exam import homes_set  # noqa: E402
from ros2_spatial_ttt.exam.options import HomeOptions  # noqa: E402
from ros2_spatial_ttt.exam.results import HomeFolder  # noqa: E402
from ros2_spatial_ttt.sim import stage  # noqa: E402

pytestmark = pytest.mark.ort

SEED = 7
TINY = ('--set', 'locate', '--minutes', '1', '--rooms', '1', '--first-seed', str(SEED))
SYSTEMS = ('memory', 'blind', 'reset')


def exam(*words: str) -> int:
    return cli.main(['exam', *TINY, '--systems', ','.join(SYSTEMS), *words])


@pytest.fixture
def refused(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs a command that must be refused before any home is begun."""

    def begun(*_: Any, **__: Any) -> None:
        raise AssertionError('work began')

    monkeypatch.setattr(homes_set, 'examine', begun)

    def run(*words: str) -> str:
        assert cli.main(['exam', *words]) == 2
        return capsys.readouterr().err

    return run


@pytest.mark.parametrize(
    ('words', 'said'),
    [
        (('--homes', '0'), '--homes: expected at least 1, got 0'),
        (('--homes', '-3'), '--homes: expected at least 1, got -3'),
        (('--param', 'votes.rul=gd'), 'votes.rul: no such parameter'),
        (('--param', 'votes.rule=newton'), 'votes.rule: expected one of'),
        (('--param', 'votes.rule'), '--param: expected NAME=VALUE'),
        (('--minutes', '0'), '--minutes: expected more than 0, got 0'),
        (('--minutes', 'nan'), '--minutes: expected more than 0, got nan'),
        (('--rate', '-1'), '--rate: expected more than 0, got -1'),
        (('--budget-mb', '0'), '--budget-mb: expected more than 0'),
        (('--rooms', '9'), '--rooms: expected 1..8, got 9'),
        (('--jobs', '0'), '--jobs: expected at least 1, got 0'),
        (('--first-seed', '101000'), 'seeds 101000..101004; the exam has seeds 100000..100999'),
        (('--first-seed', '100998', '--homes', '3'), 'seeds 100998..101000'),
        (('--first-seed', '99999', '--homes', '2'), 'stay within one of them'),
        (
            (
                '--first-seed',
                '-1',
            ),
            'seeds -1..3',
        ),
        (('--systems', 'memory,psychic'), '--systems: psychic unknown, expected some of memory'),
        (('--fit',), '--fit: --first-seed 100000 is for publishing numbers; expected one of 0..'),
        (('--via', 'ros', '--ray', 'local'), '--ray and --via ros'),
        (('--pose-noise', '-0.1'), '--pose-noise: expected 0..1 m, got -0.1'),
        (('--pose-noise', 'nan'), '--pose-noise: expected 0..1 m, got nan'),
        (('--no-depth',), '--no-depth: oracle perception is made of depth'),
        (('--no-depth', '--perception', 'model', '--via', 'ros'), '--no-depth and --via ros'),
        (
            ('--no-depth', '--perception', 'model', '--model', 'untrained'),
            'writes measured surfaces only',
        ),
    ],
)
def test_bad_option_is_a_sentence_before_any_work(refused, words, said) -> None:
    assert said in refused('--set', 'vsi', *words)


def test_unknown_set_is_refused(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit, match='2'):
        cli.main(['exam', '--set', 'everything'])
    assert "invalid choice: 'everything'" in capsys.readouterr().err


def test_model_without_a_manifest_is_refused(refused, tmp_path: Path) -> None:
    (tmp_path / 'update.onnx').write_bytes(b'')
    assert 'manifest' in refused('--set', 'vsi', '--model', str(tmp_path))
    assert 'no-such-model' in refused('--set', 'vsi', '--model', 'no-such-model')


def test_without_a_renderer_the_models_own_perception_is_refused(
    refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> None:
        raise stage.RendererError('no OpenGL renderer works')

    monkeypatch.setattr(stage, 'require_renderer', none)
    assert 'no OpenGL renderer' in refused('--set', 'vsi', '--perception', 'model')


def test_patch_without_a_recording_is_refused_also_beside_homes(refused, tmp_path: Path) -> None:
    assert '--bag DIR' in refused('--set', 'patch')


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp('exam') / 'out'
    assert (
        exam('--homes', '2', '--jobs', '2', '--out', str(out), '--json', str(out / 'r.json')) == 0
    )
    return out


def test_results_have_the_keys_of_every_system(folder: Path) -> None:
    results = json.loads((folder / 'r.json').read_text())
    for prefix in ('', 'baseline.blind.', 'control.reset.'):
        for key in ('locate.recall_at_0.5m', 'locate.recall_at_0.5m.low', 'state_bytes'):
            assert f'{prefix}{key}' in results
        assert results[f'{prefix}query.p95_ms'] >= results[f'{prefix}query.p50_ms'] >= 0.0
    assert results['homes'] == 2 and results['frames'] == 2 * 120
    assert results['meta.model_hash'] and results['meta.processor']
    assert results['locate.recall_at_0.5m'] > results['control.reset.locate.recall_at_0.5m']


def test_table_and_plots_are_written_and_no_rests(folder: Path) -> None:
    table = (folder / 'exam.md').read_text()
    assert '2 homes (seeds 7 to 8)' in table
    for name in ('memory', 'blind', 'control: reset'):
        assert f'| {name} ' in table
    pytest.importorskip('matplotlib', reason='plots need matplotlib')
    names = {path.name for path in folder.iterdir()}
    assert names == {
        'exam.md',
        'exam_age.png',
        'exam_confidence.png',
        'exam_errors.png',
        'exam_plan_7.png',
        'exam_time.png',
        'homes',
        'r.json',
    }


def finished(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (folder / 'homes').iterdir()}


def test_finished_homes_are_used_again_and_a_damaged_one_is_not(
    folder: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture
) -> None:
    before = finished(folder)
    results = json.loads((folder / 'r.json').read_text())
    damaged, whole = sorted(before)
    path = folder / 'homes' / damaged
    path.write_text(path.read_text()[:-100])
    assert exam('--homes', '2', '--out', str(folder), '--json', str(folder / 'r.json')) == 0
    assert '1 of 2 homes are finished already' in capsys.readouterr().err
    assert damaged in caplog.text and 'is damaged' in caplog.text
    assert finished(folder)[whole] == before[whole]
    again = json.loads((folder / 'r.json').read_text())
    scores = [key for key in results if 'locate.' in key]
    assert len(scores) > 20
    assert {key: again[key] for key in scores} == {key: results[key] for key in scores}


def test_other_options_are_other_results() -> None:
    base = HomeOptions()
    others = [
        dataclasses.replace(base, minutes=6.0),
        dataclasses.replace(base, rate_hz=3.0),
        dataclasses.replace(base, rooms=1),
        dataclasses.replace(base, perception='noisy'),
        dataclasses.replace(base, systems=('memory', 'blind')),
        dataclasses.replace(base, budget_mb=2.0),
        dataclasses.replace(base, via='ros'),
        dataclasses.replace(base, sensor='realistic'),
        dataclasses.replace(base, pose_noise_m=0.02),
        dataclasses.replace(base, depth=False),
        dataclasses.replace(base, sets=('vsi',)),
        dataclasses.replace(base, thresholds=(('voxel', 0.4),)),
    ]
    digests = {options.digest() for options in [base, *others]}
    assert len(digests) == 1 + len(others)
    assert HomeOptions().digest() == base.digest()


def test_an_interrupted_run_stops_cleanly_and_resumes(tmp_path: Path) -> None:
    words = [*TINY, '--systems', 'memory', '--homes', '2', '--jobs', '1', '--out', str(tmp_path)]
    command = [sys.executable, '-m', 'ros2_spatial_ttt.cli', 'exam', *words]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ)
    until(lambda: whole(tmp_path) or process.poll() is not None, what='the first home')
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=WAIT_S)
    assert process.returncode == 130 and 'interrupted' in said and 'Traceback' not in said
    kept = whole(tmp_path)
    assert len(kept) == 1 and not (tmp_path / 'exam.md').exists()
    assert sorted(path.name for path in (tmp_path / 'homes').iterdir()) == sorted(kept)
    assert cli.main(['exam', *words]) == 0
    assert {name: stamp for name, stamp in whole(tmp_path).items() if name in kept} == kept
    assert len(whole(tmp_path)) == 2 and (tmp_path / 'exam.md').exists()


def whole(folder: Path) -> dict[str, int]:
    return {p.name: p.stat().st_mtime_ns for p in (folder / 'homes').glob('[!.]*.json')}


def test_a_result_of_another_seed_is_not_used(tmp_path: Path, tiny: HomeOptions) -> None:
    folder = HomeFolder(tmp_path, tiny.digest())
    folder.path(1).parent.mkdir()
    folder.path(1).write_text('{"seed": 2}')
    assert folder.read(1) is None and folder.read(3) is None


def test_a_folder_that_cannot_be_made_is_a_sentence_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / 'homes').write_text('in the way')
    assert exam('--homes', '1', '--out', str(tmp_path)) == 2
    assert f'{tmp_path / "homes"}: cannot be written' in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ['homes']
