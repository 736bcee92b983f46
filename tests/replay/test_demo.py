# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The demo from end to end: a node process, DDS, questions over the service, a picture."""

import re

import cv2
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('spatial_ttt.srv')

from ros2_spatial_ttt import cli  # noqa: E402
from ros2_spatial_ttt.sim import recording  # noqa: E402

# The parser behind the message types imports modules that Python deprecates.
pytestmark = [
    pytest.mark.ros,
    pytest.mark.filterwarnings('ignore:module .sre_:DeprecationWarning'),
]


def test_the_demo_answers_and_draws(tmp_path, capsys):
    bag = tmp_path / 'small_room'
    recording.simulate(bag, seed=4, count=24, width=640, rate_hz=2.0)
    out = tmp_path / 'out'
    assert cli.main(['demo', '--bag', str(bag), '--out', str(out)]) == 0
    said = capsys.readouterr().out
    assert '24 of 24 frames remembered' in said and 'ended with code 0' in said
    rows = re.findall(r'^(\d+) +(\S.*)$', said, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, len(rows) + 1)) and len(rows) >= 9
    located = [text for _, text in rows if text.startswith('where is')]
    assert len(located) == 6 and all(re.search(r'\(-?\d', text) for text in located)
    # What is free, what is there and what was never seen does not depend on trained features.
    points = [text for _, text in rows if text.startswith('what is at')]
    assert [('wrong' in text) for text in points] == [False] * len(points) and len(points) == 3
    assert 'free space' in points[1] and 'never observed' in points[2]
    assert cv2.imread(str(out / 'demo.png')).std() > 10
    assert (out / 'node.log').stat().st_size and (out / 'node.yaml').stat().st_size


def test_a_recording_without_frames_is_told(tmp_path, capsys):
    (tmp_path / 'none').mkdir()
    assert cli.main(['demo', '--bag', str(tmp_path / 'none'), '--out', str(tmp_path / 'out')]) == 2
    assert 'not a rosbag2' in capsys.readouterr().err
