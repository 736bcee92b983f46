# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The package as users get it: versions, interfaces, wheel, imports of the robot side."""

from __future__ import annotations

import importlib
import os
import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib import metadata
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml

from ros2_spatial_ttt.errors import ModelError
from ros2_spatial_ttt.resources import model_directory, share_directory
from ros2_spatial_ttt.types import QueryType, ResultCode

ROOT = Path(__file__).resolve().parents[1]
INTERFACES = sorted([*ROOT.glob('msg/*.msg'), *ROOT.glob('srv/*.srv')])
TRAINING_ONLY = ('torch', 'onnx', 'onnxscript', 'mujoco')
FIELD = re.compile(r'^(?P<type>[\w/]+(\[\d*\])?) (?P<name>[a-z]\w*) +# (?P<comment>.+)$')
CONSTANT = re.compile(r'^uint8 [A-Z_]+=\d+ +# \S')
# A bracket with the unit and, where that applies, the frame; [-] where neither does.
UNITS = 's|ms|m|px|B|MiB|JPEG|frames|chunks|questions|tiles|pictures|objects|places'
UNIT = re.compile(rf'^\[(-|unit of|optical frame|({UNITS})\b)[^\]]*\] \S')
SPATIAL = re.compile(
    r'^(geometry_msgs/|spatial_ttt/Spatial|sensor_msgs/(Image|Comp|Region)|std_msgs/Header)'
)


def lines_of(path: Path) -> list[str]:
    """Return the lines of an interface file that define a field or a constant."""
    lines = path.read_text(encoding='utf-8').splitlines()
    return [line for line in lines if line and not line.startswith(('#', '---'))]


def run_python(code: str, *, cwd: Path) -> str:
    """Run ``code`` in a fresh interpreter outside the checkout; return what it printed."""
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(ROOT), *sys.path[1:]])}
    done = subprocess.run(
        [sys.executable, '-c', code], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope='module')
def version() -> str:
    return ElementTree.parse(ROOT / 'package.xml').findtext('version')


@pytest.fixture(scope='module')
def wheel(tmp_path_factory) -> Path:
    """Build the wheel with the installed setuptools from a copy, so that the checkout stays."""
    target = tmp_path_factory.mktemp('wheel')
    source = target / 'source'
    ignore = ['.*', 'build', 'install', 'log', 'out', '__pycache__', '*.egg-info']
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*ignore))
    command = [sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation']
    subprocess.run([*command, '-q', '-w', target, source], check=True, capture_output=True)
    return next(target.glob('*.whl'))


@pytest.mark.parametrize('path', INTERFACES, ids=lambda path: path.name)
def test_every_field_says_its_unit_and_frame(path):
    lines = lines_of(path)
    assert lines
    for line in lines:
        if CONSTANT.match(line):
            continue
        field = FIELD.match(line)
        assert field, f'{path.name}: no comment, or not a field: {line!r}'
        assert UNIT.match(field['comment']), f'{path.name}: no unit in brackets: {line!r}'
        if SPATIAL.match(field['type']):
            assert re.search('frame|ROS time|image', field['comment']), f'no frame: {line!r}'


def test_cmake_builds_every_interface():
    listed = re.findall(r'(?:msg|srv)/\w+\.(?:msg|srv)', (ROOT / 'CMakeLists.txt').read_text())
    assert sorted(listed) == sorted(str(path.relative_to(ROOT)) for path in INTERFACES)


@pytest.mark.ros
@pytest.mark.parametrize(
    'part, enumeration', [('Request', QueryType), ('Response', ResultCode)], ids=str
)
def test_constants_of_the_service_are_those_of_the_core(part, enumeration):
    service = importlib.import_module('spatial_ttt.srv').SpatialQuery
    message = getattr(service, part)
    assert {name: getattr(message, name) for name in enumeration.__members__} == {
        name: member.value for name, member in enumeration.__members__.items()
    }


@pytest.mark.ros
def test_every_interface_imports_and_can_be_made():
    for path in INTERFACES:
        module = importlib.import_module(f'spatial_ttt.{path.parent.name}')
        kind = getattr(module, path.stem)
        for part in [kind] if path.suffix == '.msg' else [kind.Request, kind.Response]:
            names = set(part.get_fields_and_field_types())
            assert names <= {
                FIELD.match(line)['name'] for line in lines_of(path) if '=' not in line
            }
            part()


@pytest.mark.ros
def test_installed_version_is_that_of_package_xml(version):
    for name in ('ros2_spatial_ttt', 'spatial_ttt'):
        assert metadata.version(name) == version


@pytest.mark.ros
def test_executables_are_installed():
    prefix = Path(importlib.import_module('spatial_ttt').__file__)
    folder = next(
        p / 'lib/spatial_ttt' for p in prefix.parents if (p / 'lib/spatial_ttt').is_dir()
    )
    for name in ('memory_node', 'spatial-ttt'):
        assert os.access(folder / name, os.X_OK), f'{folder / name} is not executable'


@pytest.mark.ros
def test_a_sourced_workspace_has_the_command_line_on_its_path(tmp_path):
    prefix = Path(importlib.import_module('spatial_ttt').__file__)
    setup = next(p / 'setup.bash' for p in prefix.parents if (p / 'setup.bash').is_file())
    done = subprocess.run(
        ['bash', '-c', '. "$1" && command -v spatial-ttt && spatial-ttt --help', 'bash', setup],
        cwd=tmp_path,
        # As in a new shell: nothing of this environment helps to find it.
        env={'PATH': '/usr/bin:/bin', 'HOME': str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    where, _, usage = done.stdout.partition('\n')
    assert Path(where).is_relative_to(setup.parent) and 'build-engine' in usage


def test_wheel_carries_data_version_and_command(wheel, version):
    assert wheel.name.startswith(f'ros2_spatial_ttt-{version}-')
    names = zipfile.ZipFile(wheel).namelist()
    data = f'ros2_spatial_ttt-{version}.data/data/share/spatial_ttt/'
    shipped = {name.removeprefix(data) for name in names if name.startswith(data)}
    expected = {
        str(path.relative_to(ROOT))
        for top in ('config', 'models')
        for path in (ROOT / top).rglob('*')
        if path.is_file()
    }
    assert expected
    assert expected | {'package.xml'} <= shipped
    assert 'ros2_spatial_ttt/py.typed' in names
    entries = zipfile.ZipFile(wheel).read(f'ros2_spatial_ttt-{version}.dist-info/entry_points.txt')
    assert b'spatial-ttt = ros2_spatial_ttt.cli:main' in entries


def test_pip_installed_package_finds_its_models(wheel, tmp_path):
    command = [sys.executable, '-m', 'pip', 'install', '--no-deps', '-q', '--target', tmp_path]
    subprocess.run([*command, wheel], check=True, capture_output=True)
    code = (
        'import ros2_spatial_ttt.resources as r; '
        'print(r.__file__, r.share_directory(), r.model_directory("untrained"), sep="\\n")'
    )
    done = subprocess.run(
        [sys.executable, '-c', code],
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': ''},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    share = tmp_path / 'share/spatial_ttt'
    module = tmp_path / 'ros2_spatial_ttt/resources.py'
    assert done.stdout.split() == [str(module), str(share), str(share / 'models/untrained')]


def test_checkout_is_its_own_share_directory():
    assert share_directory() == ROOT


def test_model_directory_takes_names_and_paths(tmp_path):
    (tmp_path / 'manifest.yaml').touch()
    assert model_directory(tmp_path) == tmp_path
    assert model_directory(str(tmp_path)) == tmp_path
    for missing in ('no_such_model', tmp_path / 'none', '..'):
        with pytest.raises(ModelError, match='manifest.yaml'):
            model_directory(missing)


def test_cmake_files_of_wheels_are_pointed_at_this_python(tmp_path):
    fix_file = runpy.run_path(str(ROOT / 'scripts/fix_wheel_cmake.py'))['fix_file']
    python = '/opt/python/cp311-cp311/include/python3.11'
    site = '/opt/python/cp311-cp311/lib/python3.11/site-packages'
    path = tmp_path / 'Export.cmake'
    path.write_text(f'set(folders "{python};{site}/numpy/_core/include;${{prefix}}/include")')
    assert fix_file(path)
    here = f'{sysconfig.get_path("include")};{np.get_include()}'
    assert path.read_text() == f'set(folders "{here};${{prefix}}/include")'
    assert not fix_file(path)


IMPORT_ALL = """
import importlib, pkgutil, sys
for name in {blocked!r}:
    sys.modules[name] = None
for top in {packages!r}:
    package = importlib.import_module('ros2_spatial_ttt.' + top)
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):
        if not module.name.endswith({skipped!r}):
            importlib.import_module(module.name)
print(sorted(set({forbidden!r}) & set(sys.modules)))
"""


@pytest.mark.ros
def test_robot_side_never_imports_training(tmp_path):
    code = IMPORT_ALL.format(
        blocked=(),
        packages=('ros', 'memory', 'query', 'runtime', 'replay'),
        skipped=(),
        forbidden=TRAINING_ONLY,
    )
    assert run_python(code, cwd=tmp_path) == '[]'


def test_core_and_replay_need_neither_ros_nor_training(tmp_path):
    code = IMPORT_ALL.format(
        blocked=('rclpy', 'spatial_ttt', 'sensor_msgs', 'tf2_ros', 'cv_bridge', *TRAINING_ONLY),
        packages=('memory', 'query', 'runtime', 'replay'),
        skipped=('.publish',),
        forbidden=(),
    )
    assert run_python(code, cwd=tmp_path) == '[]'


def test_pre_commit_and_ci_run_the_same_ruff():
    hooks = yaml.safe_load((ROOT / '.pre-commit-config.yaml').read_text())['repos'][-1]['hooks']
    pinned = (ROOT / 'requirements/constraints.txt').read_text().splitlines()
    for hook in hooks:
        assert set(hook['additional_dependencies']) <= set(pinned)
