# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Replay of a whole recording through the real memory: files, keys, the same state every time."""

import json

import cv2
import numpy as np
import pytest

pytest.importorskip('onnxruntime')

from ros2_spatial_ttt import cli  # noqa: E402
from ros2_spatial_ttt.config import MemoryConfig  # noqa: E402
from ros2_spatial_ttt.errors import Refusal  # noqa: E402
from ros2_spatial_ttt.memory.pipeline import SpatialMemory  # noqa: E402
from ros2_spatial_ttt.replay import run  # noqa: E402
from ros2_spatial_ttt.replay.bag import Bag  # noqa: E402

pytestmark = pytest.mark.ort

KEYS = {
    'state_bytes',
    'state_hash',
    'frames_received',
    'frames_accepted',
    'frames_per_s',
    'chunks',
    'update.p50_ms',
    'update.p95_ms',
    'rss_slope_mib_per_1000_frames',
    'keyframes',
    'model',
    'backend',
}


def replay(bag, out, *options):
    code = cli.main(['replay', '--bag', str(bag), '--out', str(out), *map(str, options)])
    report = out / 'report.json'
    return code, json.loads(report.read_text()) if report.exists() else {}


@pytest.fixture(scope='module')
def replayed(room_bag, tmp_path_factory):
    out = tmp_path_factory.mktemp('replayed') / 'out'
    code, report = replay(room_bag, out, '--json', out.parent / 'copy' / 'report.json')
    assert code == 0
    return out, report


def test_report_picture_and_snapshot_are_written(replayed):
    out, report = replayed
    assert {path.name for path in out.iterdir()} == {
        'memory.safetensors',
        'report.json',
        'top_down.png',
    }
    assert set(report) >= KEYS | {f'refused.{reason.value}' for reason in Refusal}
    assert report['frames_accepted'] == report['frames_received'] == 6
    assert report['state_bytes'] > 0 and report['rss_slope_mib_per_1000_frames'] is None
    assert json.loads((out.parent / 'copy' / 'report.json').read_text()) == report
    picture = cv2.imread(str(out / 'top_down.png'))
    assert min(picture.shape[:2]) > 400 and picture.std() > 10


def test_the_snapshot_is_the_memory_that_was_reported(replayed):
    out, report = replayed
    memory = SpatialMemory(MemoryConfig())
    memory.load(out / 'memory.safetensors')
    assert memory.status(with_hash=True).state_hash == report['state_hash']


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_the_same_recording_gives_the_same_state(replayed, rewrite, room_bag, tmp_path, storage):
    with Bag(room_bag) as bag:
        kinds = {c.topic: c.msgtype for c in bag.connections}
    copy = rewrite(lambda topic, index, message: [(topic, kinds[topic], message)], storage=storage)
    code, report = replay(copy, tmp_path / 'out', '--no-picture')
    assert code == 0 and report['state_hash'] == replayed[1]['state_hash']


def test_an_earlier_result_is_replaced(room_bag, tmp_path):
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'report.json').write_text('old')
    (out / 'memory.safetensors').write_text('old')
    code, report = replay(room_bag, out, '--no-picture', '--param', 'evidence.keyframes=2')
    assert code == 0 and report['keyframes'] == 2
    assert (out / 'memory.safetensors').stat().st_size > 1000
    assert not [path for path in out.iterdir() if path.name.endswith('.part')]


def test_a_loop_goes_on_in_time_and_the_memory_keeps_its_size(replayed, room_bag, tmp_path):
    code, report = replay(room_bag, tmp_path / 'out', '--loop', 2, '--no-picture')
    assert code == 0
    assert report['frames_received'] == report['frames_accepted'] == 12
    assert report['state_bytes'] == replayed[1]['state_bytes']
    assert report['newest_stamp_ns'] > replayed[1]['newest_stamp_ns'] + 2e9


def test_images_that_become_no_frame_are_in_the_report(rewrite, room_bag, tmp_path):
    with Bag(room_bag) as bag:
        kinds = {c.topic: c.msgtype for c in bag.connections}
        depth = bag.topics.depth

    def change(topic, index, message):
        return [] if (topic, index) == (depth, 2) else [(topic, kinds[topic], message)]

    code, report = replay(rewrite(change), tmp_path / 'out', '--no-picture')
    assert code == 0 and report['refused.unpaired'] == 1
    assert (report['frames_received'], report['frames_accepted']) == (6, 5)


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (['--param', 'chunk.flush_s=-1'], 'chunk.flush_s'),
        (['--param', 'no.such=1'], 'no.such'),
        (['--model', 'nonesuch'], 'nonesuch'),
        (['--loop', '0'], '--loop'),
        (['--colour-topic', '/nowhere'], '/nowhere'),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_written(
    room_bag, tmp_path, capsys, options, said
):
    code, _ = replay(room_bag, tmp_path / 'out', *options)
    assert code == 2 and said in capsys.readouterr().err
    assert not (tmp_path / 'out' / 'report.json').exists()


def test_a_folder_that_cannot_be_made_is_said(room_bag, tmp_path, capsys):
    (tmp_path / 'file').write_text('in the way')
    assert cli.main(['replay', '--bag', str(room_bag), '--out', str(tmp_path / 'file')]) == 2
    assert '--out' in capsys.readouterr().err


def test_the_slope_of_memory_use():
    count = np.arange(0, 1000, 5)
    steady = [(int(n), 10**8) for n in count]
    growing = [(int(n), 10**8 + int(n) * 2**20 // 100) for n in count]
    assert run.memory_slope(steady) == pytest.approx(0.0, abs=1e-6)
    assert run.memory_slope(growing) == pytest.approx(10.0, rel=0.01)
    assert np.isnan(run.memory_slope(steady[:10]))
    assert np.isnan(run.memory_slope([]))
