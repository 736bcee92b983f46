# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Recordings and streams of simulated homes: read back, fed to a memory, never half-written."""

import json
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest
import toy_home

pytest.importorskip('mujoco')

from ros2_spatial_ttt import cli, sim  # noqa: E402
from ros2_spatial_ttt.config import MemoryConfig  # noqa: E402
from ros2_spatial_ttt.errors import ConfigError  # noqa: E402
from ros2_spatial_ttt.memory.pipeline import SpatialMemory  # noqa: E402
from ros2_spatial_ttt.replay.bag import Bag, BagOptions, Topics  # noqa: E402
from ros2_spatial_ttt.sim.episode import Episode  # noqa: E402
from ros2_spatial_ttt.sim.home_recording import record_home, topics_of  # noqa: E402
from ros2_spatial_ttt.sim.ros_messages import RecordingError, staged  # noqa: E402
from ros2_spatial_ttt.sim.sensor import REALISTIC  # noqa: E402

TF = Topics('', '', '', 'tf', '')


def simulate(out, *options):
    words = ['simulate', '--out', str(out), '--seed', '5', '--size', '320x240', '--rooms', '2']
    return cli.main([*words, *options])


@pytest.fixture(scope='module')
def recording(renderer, tmp_path_factory):
    """Return a folder with two cameras, masks and a realistic sensor."""
    out = tmp_path_factory.mktemp('home') / 'tour'
    extra = ['--minutes', '0.3', '--sensor', 'realistic', '--second-camera', '--masks']
    assert simulate(out, *extra) == 0
    return out


def frames_of(out, topics=TF):
    with Bag(out, BagOptions(topics=topics)) as bag:
        frames = list(bag.frames())
        return frames, bag


@pytest.mark.sim
def test_a_recording_is_read_back_with_poses_near_the_truth(recording):
    truth = Episode.from_json((recording / 'truth.json').read_bytes())
    frames, bag = frames_of(recording)
    assert bag.topics.colour == topics_of('front')['colour'] and not bag.refused
    stamps = truth.tour.stamps_ns.tolist()
    assert len(stamps) == 36 and len(frames) >= 30
    for frame in frames:
        true = truth.map_T_camera()[stamps.index(frame.stamp_ns)]
        away = np.linalg.norm(frame.map_T_camera[:3, 3] - true[:3, 3])
        assert 0 < away < 0.2, 'noise and drift, but no more'
        assert frame.colour.shape == (240, 320, 3) and frame.depth.dtype == np.uint16
        assert frame.intrinsics.width == truth.tour.cameras[0].width == 320


@pytest.mark.sim
def test_the_second_camera_is_chosen_by_its_topic_and_odometry_agrees(recording):
    truth = Episode.from_json((recording / 'truth.json').read_bytes())
    side = Topics(topics_of('side')['colour'], '', '', 'tf', '')
    frames, bag = frames_of(recording, side)
    assert (bag.topics.info, bag.topics.depth) == (
        topics_of('side')['info'],
        topics_of('side')['depth'],
    )
    index = truth.tour.stamps_ns.tolist().index(frames[0].stamp_ns)
    ahead = truth.map_T_camera(1)[index][:3, 2]
    assert frames[0].map_T_camera[:3, 2] @ ahead > 0.999
    odometry, _ = frames_of(recording, Topics('', '', '', 'odometry', ''))
    by_tf, _ = frames_of(recording)
    assert np.linalg.norm(odometry[0].map_T_camera - by_tf[0].map_T_camera) < 0.1


@pytest.mark.sim
def test_masks_lie_beside_and_name_what_is_in_sight(recording):
    truth = Episode.from_json((recording / 'truth.json').read_bytes())
    table, checked = truth.sights[0], 0
    for frame, stamp_ns in enumerate(truth.tour.stamps_ns.tolist()):
        path = recording / 'masks' / 'front' / f'{stamp_ns}.png'
        if path.exists():
            ids = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            assert ids.dtype == np.uint16 and ids.shape == (240, 320)
            large = table.thing[(table.frame == frame) & (table.pixels > 1500)]
            assert np.isin(large, ids).all()
            checked += len(large)
    assert checked > 20


@pytest.mark.sim
def test_a_recording_feeds_a_memory(recording):
    memory = SpatialMemory(MemoryConfig())
    frames, _ = frames_of(recording)
    results = [memory.feed_frame(frame) for frame in frames]
    assert np.mean([result.accepted for result in results]) > 0.9, {r.refused for r in results}


@pytest.mark.sim
def test_a_clean_recording_holds_the_true_depth_to_the_millimetre(renderer, tmp_path):
    assert simulate(tmp_path / 'tour', '--minutes', '0.1') == 0
    frames, bag = frames_of(tmp_path / 'tour', Topics('', '', '', 'auto', ''))
    made = list(sim.frames(5, minutes=0.1, rooms=2, size=(320, 240)))
    assert len(frames) == len(made) == 12 and not bag.refused
    for read, shot in zip(frames, made, strict=True):
        assert np.abs(read.depth / 1000.0 - shot.true_depth).max() < 6e-4
        assert np.allclose(read.map_T_camera, shot.true_map_T_camera, atol=1e-6)
        assert np.abs(read.colour.astype(int) - shot.true_colour).mean() < 12
    assert 'masks' not in {path.name for path in (tmp_path / 'tour').iterdir()}


@pytest.mark.sim
def test_streamed_frames_carry_their_truth(renderer):
    shots = list(sim.frames(5, minutes=0.1, rooms=2, size=(160, 120), sensor=REALISTIC))
    assert {s.frame.camera for s in shots} == {'front'}
    for shot in shots:
        assert shot.frame.colour.shape == (120, 160, 3) and shot.ids.shape == (120, 160)
        counts = np.bincount(shot.ids.ravel(), minlength=1000)
        assert np.array_equal(counts[shot.sights.thing], shot.sights.pixels)
        measured = shot.frame.depth > 0
        error = np.abs(shot.frame.depth - shot.true_depth)[measured]
        assert measured.mean() > 0.5 and np.median(error) < 0.03
        assert not np.array_equal(shot.frame.map_T_camera, shot.true_map_T_camera)
    again = next(iter(sim.frames(5, minutes=0.1, rooms=2, size=(160, 120), sensor=REALISTIC)))
    assert np.array_equal(again.frame.colour, shots[0].frame.colour)
    assert np.array_equal(again.frame.depth, shots[0].frame.depth)


def test_importing_sim_needs_no_mujoco():
    code = 'import sys, ros2_spatial_ttt.sim; sys.exit("mujoco" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0
    with pytest.raises(AttributeError, match='elephants'):
        _ = sim.elephants


FULL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
from ros2_spatial_ttt import cli
sys.exit(cli.main({words!r}))
"""


@pytest.mark.sim
@pytest.mark.parametrize('limit', [40_000, 400_000])
def test_a_full_disk_ends_in_one_sentence_and_leaves_nothing(renderer, tmp_path, limit):
    out = tmp_path / 'there' / 'tour'
    words = ['simulate', '--out', str(out), '--minutes', '0.3', '--size', '320x240']
    done = subprocess.run(
        [sys.executable, '-c', FULL.format(limit=limit, words=words)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert 'no room left' in done.stderr and 'Traceback' not in done.stderr
    assert list(out.parent.iterdir()) == []


@pytest.mark.sim
def test_an_interruption_leaves_the_older_recording_and_no_litter(renderer, tmp_path):
    out = tmp_path / 'tour'
    out.mkdir()
    (out / 'old').write_text('older', encoding='utf-8')
    home = toy_home.make_home([toy_home.thing(1, 'chair', 2.2, 0.0)])
    with pytest.raises(KeyboardInterrupt):
        record_home(
            out,
            home,
            toy_home.make_tour(np.zeros(5)),
            tick=lambda: signal.raise_signal(signal.SIGINT),
        )
    assert [path.name for path in tmp_path.iterdir()] == ['tour']
    assert [path.name for path in out.iterdir()] == ['old']


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / 'file').write_text('', encoding='utf-8')
    with (
        pytest.raises(RecordingError, match='cannot be written'),
        staged(tmp_path / 'file' / 'tour'),
    ):
        raise AssertionError('never begins')


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (['--seed', '500000'], 'seed'),
        (['--seed', '-1'], 'seed'),
        (['--size', '640'], '640x480'),
        (['--size', '8x8'], '32..4096'),
        (['--minutes', '0'], 'minutes'),
        (['--minutes', '-2'], 'minutes'),
        (['--rate', '0'], 'rate'),
        (['--rooms', '9'], 'rooms'),
        (['--frames', '5'], '--frames'),
        (['--world', 'room', '--minutes', '2'], '--minutes'),
        (['--jpeg-quality', '0'], 'jpeg'),
    ],
)
def test_senseless_options_are_refused(renderer, tmp_path, capsys, options, said):
    out = tmp_path / 'tour'
    assert cli.main(['simulate', '--out', str(out), *options]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count('\n') == 1 and not out.exists()


def test_an_existing_folder_is_refused(tmp_path, capsys):
    (tmp_path / 'tour').mkdir()
    assert cli.main(['simulate', '--out', str(tmp_path / 'tour')]) == 2
    assert '--overwrite' in capsys.readouterr().err


def test_without_a_renderer_nothing_is_begun(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('MUJOCO_GL', 'glass')
    assert cli.main(['simulate', '--out', str(tmp_path / 'tour')]) == 2
    assert 'MUJOCO_GL' in capsys.readouterr().err and not (tmp_path / 'tour').exists()


def test_frames_refuse_sizes_before_anything_is_rendered(renderer):
    with pytest.raises(ConfigError, match='size'):
        next(iter(sim.frames(5, minutes=0.1, size=(10, 10))))


@pytest.mark.sim
def test_truth_beside_the_recording_is_canonical(recording):
    data = (recording / 'truth.json').read_bytes()
    text = json.dumps(json.loads(data), sort_keys=True, separators=(',', ':'), ensure_ascii=False)
    assert data == text.encode() + b'\n'
