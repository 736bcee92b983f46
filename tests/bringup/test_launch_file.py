# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""launch/memory.launch.py: what can be checked without ROS's launch, and a real start with it."""

import ast
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE = ROOT / 'launch' / 'memory.launch.py'
ARGUMENTS = {
    'params_file',
    'namespace',
    'use_sim_time',
    'autostart',
    'backend',
    'model',
    'bag',
    'rviz',
    'log_level',
}


def declared():
    """Return {argument: keywords} of every DeclareLaunchArgument in the source."""
    calls = [
        node
        for node in ast.walk(ast.parse(FILE.read_text(encoding='utf-8')))
        if isinstance(node, ast.Call) and getattr(node.func, 'id', '') == 'DeclareLaunchArgument'
    ]
    return {
        call.args[0].value: {keyword.arg: keyword.value for keyword in call.keywords}
        for call in calls
    }


def test_arguments_are_those_of_the_interface_and_explained():
    arguments = declared()
    assert set(arguments) == ARGUMENTS
    for name, keywords in arguments.items():
        assert set(keywords) >= {'default_value', 'description'}, name
        assert len(ast.literal_eval(keywords['description'])) > 20, name


def test_files_it_names_exist():
    source = FILE.read_text(encoding='utf-8')
    compile(source, FILE.name, 'exec')
    names = re.findall(r"share / 'config' / '([\w.]+)'", source)
    assert sorted(names) == ['memory.rviz', 'memory.yaml']
    for name in names:
        assert (ROOT / 'config' / name).is_file()


def test_what_it_starts_is_installed():
    index = pytest.importorskip(
        'ament_index_python.packages', reason='the index of packages comes with ROS 2'
    )
    try:
        prefix = Path(index.get_package_prefix('spatial_ttt'))
    except index.PackageNotFoundError:
        pytest.skip('the package is not installed; run `make build`')
    assert "executable='memory_node'" in FILE.read_text(encoding='utf-8')
    assert os.access(prefix / 'lib' / 'spatial_ttt' / 'memory_node', os.X_OK)
    share = prefix / 'share' / 'spatial_ttt'
    for path in ('launch/memory.launch.py', 'config/memory.yaml', 'config/memory.rviz'):
        assert (share / path).is_file(), path


@pytest.mark.installed_ros
@pytest.mark.ros
def test_launch_configures_and_activates_the_node(tmp_path):
    pytest.importorskip('launch_ros', reason='launch_ros has no wheel; needs an installed ROS 2')
    parameters = tmp_path / 'parameters.yaml'
    parameters.write_text('/**:\n  ros__parameters:\n    pose: {source: odometry}\n')
    program = (
        'import sys, rclpy\n'
        'from launch import LaunchDescription, LaunchService\n'
        'from launch.actions import IncludeLaunchDescription as Include\n'
        'from launch.launch_description_sources import PythonLaunchDescriptionSource as Source\n'
        'service = LaunchService()\n'
        'given = [word.split(":=") for word in sys.argv[2:]]\n'
        'include = Include(Source(sys.argv[1]), launch_arguments=given)\n'
        'service.include_launch_description(LaunchDescription([include]))\n'
        'sys.exit(service.run())\n'
    )
    process = subprocess.Popen(
        [sys.executable, '-c', program, str(FILE), f'params_file:={parameters}', 'namespace:=l'],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines = []
    try:
        end_s = time.monotonic() + 60.0
        for line in process.stdout:
            lines.append(line)
            if 'spatial_memory is active' in line or time.monotonic() > end_s:
                break
        assert 'spatial_memory is active' in lines[-1], ''.join(lines)
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=30)
        assert 'process has finished cleanly' in rest, rest
    finally:
        process.kill()
