# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The command line: exit codes, sentences, and that it stays light."""

import subprocess
import sys

import pytest

from ros2_spatial_ttt import cli
from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.replay import options
from ros2_spatial_ttt.ros.params import yaml_text


def test_help_lists_every_command_and_imports_nothing_heavy():
    code = (
        'import sys; from ros2_spatial_ttt import cli\n'
        "try: cli.main(['--help'])\n"
        'except SystemExit as end: assert end.code == 0\n'
        "heavy = {'numpy', 'cv2', 'torch', 'rclpy', 'matplotlib', 'onnxruntime', 'rosbags'}\n"
        'assert not heavy & set(sys.modules), heavy & set(sys.modules)\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in cli.COMMANDS)


@pytest.mark.parametrize('words', [[], ['fly'], ['replay'], ['replay', '--fly']])
def test_wrong_usage_ends_with_2(words, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    assert end.value.code == 2 and 'usage' in capsys.readouterr().err


def test_params_prints_what_the_configuration_file_holds(capsys):
    assert cli.main(['params']) == 0
    assert capsys.readouterr().out == yaml_text()


def test_an_error_is_one_line_and_a_traceback_only_on_request(tmp_path, capsys):
    (tmp_path / 'there').mkdir()
    words = ['simulate', '--out', str(tmp_path / 'there')]
    assert cli.main(words) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith('spatial-ttt simulate: ') and '\n' not in said
    with pytest.raises(ConfigError):
        cli.main([*words, '--debug'])


@pytest.mark.parametrize(
    ('raised', 'code', 'said'),
    [
        (KeyboardInterrupt(), 130, 'interrupted'),
        (ModuleNotFoundError("No module named 'torch'", name='torch'), 2, 'pip install'),
        (ModuleNotFoundError("No module named 'rclpy'", name='rclpy'), 2, 'install/setup.bash'),
    ],
)
def test_interruption_and_missing_parts(monkeypatch, capsys, raised, code, said):
    def fail(args):
        raise raised

    monkeypatch.setattr('ros2_spatial_ttt.replay.parameters.run', fail)
    assert cli.main(['params']) == code
    assert said in capsys.readouterr().err


def test_parameters_are_read_as_yaml_with_and_without_the_prefix():
    items = ['chunk.flush_s=3', 'memory.gate.time_jump=reset', 'sync.wait_s=2.5', 'map_frame=odom']
    assert options.parse_parameters(items) == {
        'memory.chunk.flush_s': 3,
        'memory.gate.time_jump': 'reset',
        'sync.wait_s': 2.5,
        'map_frame': 'odom',
    }


@pytest.mark.parametrize('item', ['chunk.flush_s', '=3', 'chunk.flush_s=[1'])
def test_what_is_no_parameter_is_refused(item):
    with pytest.raises(ConfigError, match='--param'):
        options.parse_parameters([item])
