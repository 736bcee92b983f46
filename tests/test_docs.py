# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The documents say what the code does: names, commands, tables, links and examples exist."""

from __future__ import annotations

import argparse
import ast
import importlib
import re
import shlex
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from ros2_spatial_ttt.cli import COMMANDS
from ros2_spatial_ttt.errors import Refusal
from ros2_spatial_ttt.ros.settings import NodeConfig, resolve, settings_parameters
from ros2_spatial_ttt.types import ResultCode

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / 'README.md'
TROUBLESHOOTING = ROOT / 'docs/TROUBLESHOOTING.md'
ARCHITECTURE = ROOT / 'docs/ARCHITECTURE.md'
CONTRIBUTING = ROOT / 'CONTRIBUTING.md'
CHANGELOG = ROOT / 'CHANGELOG.rst'
PAGES = [README, CONTRIBUTING, *sorted(ROOT.glob('docs/*.md'))]
# The log of experiments names options and parameters of its day.
CURRENT = [page for page in PAGES if page.name != 'LOG.md']
NODE_SOURCES = ('publishers.py', 'parts.py')
FENCE = re.compile(r'^ *```(\w+)\n(.*?)^ *```$', re.MULTILINE | re.DOTALL)
LINK = re.compile(r'\[[^\]]*\]\(([^)\s]+)\)')
SERVICE_CALL = re.compile(r'ros2 service call (\S+) (\S+)/srv/(\w+) "(.*)"')


def text_of(page: Path) -> str:
    return page.read_text(encoding='utf-8')


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return [body for name, body in FENCE.findall(text_of(page)) if name == language]


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return FENCE.sub('', text_of(page))


def table_rows(page: Path, heading: str) -> list[list[str]]:
    """Return the cells of the tables below a heading, without header rows."""
    section = re.split(rf'^#+ {re.escape(heading)}$', text_of(page), flags=re.MULTILINE)[1]
    lines = re.split(r'^#+ ', section, flags=re.MULTILINE)[0].splitlines()
    rows = [[c.strip() for c in line.strip('|').split('|')] for line in lines if line[:1] == '|']
    return [
        row for row, after in zip(rows, [*rows[1:], []], strict=True) if not is_rule(row, after)
    ]


def is_rule(row: list[str], after: list[str]) -> bool:
    """Return whether a row is the rule under a header, or the header itself."""
    return any(cells and set(cells[0]) <= set('-:') for cells in (row, after))


def code_names(cells: list[str]) -> list[str]:
    return [name for cell in cells for name in re.findall(r'`([^`]+)`', cell)]


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of the headings of a page."""
    headings = re.findall(r'^#+ (.+)$', prose(page), re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', line.lower()).replace(' ', '-') for line in headings}


def documented_commands() -> list[str]:
    """Return the ARGS of every ``make cli`` on a page."""
    found = []
    for page in CURRENT:
        found += re.findall(r'make cli ARGS="([^"]+)"', text_of(page))
    return sorted(set(found))


def flat(tree: dict, prefix: str = '') -> dict:
    out = {}
    for name, value in tree.items():
        more = (
            flat(value, f'{prefix}{name}.') if isinstance(value, dict) else {prefix + name: value}
        )
        out |= more
    return out


def test_every_refusal_has_a_remedy_and_none_is_invented():
    sections = re.findall(r'^### (.+)$', text_of(TROUBLESHOOTING), re.MULTILINE)
    rows = [row for heading in sections for row in table_rows(TROUBLESHOOTING, heading)]
    documented = [row[0].strip('`') for row in rows]
    assert sorted(documented) == sorted(reason.value for reason in Refusal)
    for row in rows:
        assert len(row) == 3 and all(row), row


def test_every_result_code_is_explained_with_its_number():
    names = [code.name for code in ResultCode]
    rows = table_rows(README, 'Result codes of a question')
    assert [(int(row[0]), row[1].strip('`')) for row in rows] == [
        (code.value, code.name) for code in ResultCode
    ]
    remedies = table_rows(TROUBLESHOOTING, 'A question gets a result code')
    assert [row[0].strip('`') for row in remedies] == names


def test_reserved_result_codes_are_those_that_nothing_returns():
    folder = ROOT / 'ros2_spatial_ttt'
    sources = [p for part in ('ros', 'query', 'memory') for p in (folder / part).glob('*.py')]
    used = {name for p in sources for name in re.findall(r'ResultCode\.([A-Z_]+)', text_of(p))}
    rows = table_rows(README, 'Result codes of a question')
    reserved = {row[1].strip('`') for row in rows if row[2].startswith('reserved')}
    assert reserved == {code.name for code in ResultCode} - used


def test_topics_and_services_are_those_of_the_node():
    sources = ''.join(text_of(ROOT / 'ros2_spatial_ttt/ros' / name) for name in NODE_SOURCES)
    in_code = set(re.findall(r"'((?:~|/diagnostics)[\w/]*)'", sources)) - {'~'}
    rows = [*table_rows(README, 'Topics'), *table_rows(README, 'Services')]
    assert {row[0].strip('`') for row in rows} == in_code


def test_interfaces_that_the_readme_names_exist_and_all_are_named():
    named = set(re.findall(r'spatial_ttt/((?:msg|srv)/\w+)', text_of(README)))
    files = {f'{p.parent.name}/{p.stem}' for p in ROOT.glob('[ms]*/*.[ms][sr][gv]')}
    assert files
    # Parts of others, which nobody publishes or calls by themselves.
    assert files - named == {'msg/SpatialObject', 'msg/SpatialRegion'}
    assert named <= files


def test_message_types_of_the_topics_are_those_of_the_code():
    source = text_of(ROOT / 'ros2_spatial_ttt/ros/publishers.py')
    created = re.findall(r"create_publisher\((\w+), '([~/\w]+)'", source)
    in_code = {topic: kind for kind, topic in created}
    rows = table_rows(README, 'Topics')
    assert {row[0].strip('`'): row[1].strip('`').split('/')[-1] for row in rows} == in_code


def test_there_are_documented_commands():
    assert {line.split()[0] for line in documented_commands()} >= {'replay', 'exam', 'export'}


@pytest.mark.parametrize('line', documented_commands())
def test_documented_command_is_understood(line):
    name, *words = shlex.split(line)
    if name == 'export':
        pytest.importorskip('torch')
    parser = argparse.ArgumentParser(exit_on_error=False)
    importlib.import_module(COMMANDS[name][0]).add_arguments(parser)
    parser.parse_args(words)


@pytest.mark.parametrize('page', [*CURRENT, CHANGELOG], ids=lambda page: page.name)
def test_commands_named_on_a_page_exist(page):
    named = re.findall(r'spatial-ttt (\w[\w-]*)', text_of(page))
    assert set(named) <= set(COMMANDS)


def test_the_changelog_names_every_command():
    text = text_of(CHANGELOG)
    assert all(re.search(rf'\b{name}\b', text) for name in COMMANDS)


@pytest.mark.parametrize('page', CURRENT, ids=lambda page: page.name)
def test_make_targets_exist(page):
    targets = set(re.findall(r'^([a-z-]+):', text_of(ROOT / 'Makefile'), re.MULTILINE))
    code = '\n'.join([*blocks(page, 'bash'), *re.findall(r'`(make [^`]+)`', prose(page))])
    assert set(re.findall(r'\bmake ([a-z-]+)', code)) <= targets


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_relative_links_resolve(page):
    for link in LINK.findall(prose(page)):
        if re.match(r'\w+:', link):
            continue
        path, _, anchor = link.partition('#')
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f'{page.name}: {link}'
        if anchor:
            assert anchor in anchors(target), f'{page.name}: {link}'


@pytest.mark.parametrize('page', CURRENT, ids=lambda page: page.name)
def test_files_named_in_code_exist(page):
    folders = '|'.join(p.name for p in ROOT.iterdir() if p.is_dir() and p.name[0] != '.')
    names = re.findall(rf'`((?:{folders})/[\w./-]+)`', prose(page))
    own = re.findall(r'`((?:memory|query|runtime|ros|training|replay)/\w+\.py)`', prose(page))
    for name in [*names, *(f'ros2_spatial_ttt/{name}' for name in own)]:
        if not name.startswith(('out/', 'install/', 'build/')):
            assert (ROOT / name).exists(), name


@pytest.mark.parametrize('page', CURRENT, ids=lambda page: page.name)
def test_parameters_named_in_code_exist(page):
    known = {name for name, _, _ in settings_parameters(['<name>'])}
    of_memory = {name.removeprefix('memory.') for name in known if name.startswith('memory.')}
    groups = {name.split('.')[0] for name in known | of_memory if '.' in name}
    for name in code_names([prose(page)]):
        first = name.split('.')[0]
        if first not in groups or not re.fullmatch(r'[\w.<>*]+', name):
            continue
        if '.' in name and not name.endswith(('.py', '.yaml', '.safetensors')):
            # Architecture and log speak of the memory's own parameters without the prefix.
            pattern = re.compile(re.escape(name).replace(r'\*', r'\w+'))
            allowed = known | of_memory if page == ARCHITECTURE else known
            assert any(map(pattern.fullmatch, allowed)), name


def test_parameter_files_of_the_readme_are_accepted():
    examples = [yaml.safe_load(block) for block in blocks(README, 'yaml')]
    assert len(examples) == 2
    for example in examples:
        values = flat(example['/**']['ros__parameters'])
        settings = resolve(values)
        assert set(settings.cameras) == set(NodeConfig().cameras)
        known = {name: value for name, _, value in settings_parameters(list(settings.cameras))}
        assert set(values) <= set(known)


def test_launch_arguments_of_the_readme_are_all_there_are():
    source = ast.parse(text_of(ROOT / 'launch/memory.launch.py'))
    declared = {
        node.args[0].value
        for node in ast.walk(source)
        if isinstance(node, ast.Call) and getattr(node.func, 'id', '') == 'DeclareLaunchArgument'
    }
    section = text_of(README).split('### Start')[1].split('\n## ')[0]
    assert 'params_file:=' in section
    words = set(re.findall(r'`(\w+)`', section)) - {'frames_accepted', 'refused_reasons'}
    assert words | {'params_file'} == declared


def test_every_folder_of_the_code_is_in_the_architecture():
    rows = table_rows(ARCHITECTURE, 'Folders')
    named = {Path(name).name for name in code_names([row[0] for row in rows])}
    packages = {p.parent.name for p in ROOT.glob('ros2_spatial_ttt/*/__init__.py')}
    assert packages and packages <= named
    for name in code_names([row[0] for row in rows]):
        assert (ROOT / name).is_dir(), name


def test_layers_are_those_of_the_import_contract():
    contract = text_of(ROOT / '.importlinter').split('layers =\n')[1].split('exhaustive')[0]
    layers = [set(re.findall(r'\w+', line)) for line in contract.strip().splitlines()]
    rows = table_rows(ARCHITECTURE, 'Imports')
    existing = {p.stem for p in (ROOT / 'ros2_spatial_ttt').iterdir()}
    assert [set(code_names([row[1]])) for row in rows] == [layer & existing for layer in layers]


def test_model_files_are_those_of_the_shipped_model():
    rows = table_rows(ARCHITECTURE, 'Model artefact')
    names = set(code_names([row[0] for row in rows]))
    files = {path.name for path in (ROOT / 'models/nano').iterdir()}
    # Of a model that looks twice.
    optional = {'second_look.onnx', 'second_look.safetensors'}
    assert names == files | optional


def test_every_runtime_dependency_has_its_reason():
    required = re.findall(r'^([\w-]+)', text_of(ROOT / 'requirements/runtime.txt'), re.MULTILINE)
    rows = table_rows(README, 'Dependencies')
    assert [row[0] for row in rows] == required


def test_markers_of_tests_are_those_of_pytest(pytestconfig):
    rows = table_rows(CONTRIBUTING, 'Run the tests')
    registered = {line.split(':')[0] for line in pytestconfig.getini('markers')}
    assert {row[0].strip('`') for row in rows} <= registered
    project = text_of(ROOT / 'pyproject.toml').split('markers = [')[1].split('\n]')[0]
    assert [row[0].strip('`') for row in rows] == re.findall(r'^  "(\w+):', project, re.MULTILINE)


def test_python_example_compiles():
    (example,) = blocks(README, 'python')
    compile(example, 'README.md', 'exec')


@pytest.mark.ros
def test_requests_of_the_readme_fit_the_services():
    calls = SERVICE_CALL.findall(text_of(README))
    assert calls
    for name, package, kind, text in calls:
        assert name == f'/spatial_memory/{name.rsplit("/", 1)[1]}'
        service = getattr(importlib.import_module(f'{package}.srv'), kind)
        fill(service.Request(), yaml.safe_load(text))


def fill(message, values: dict) -> None:
    """Set fields as `ros2 service call` does; a wrong name or type raises."""
    assert set(values) <= set(message.get_fields_and_field_types())
    for name, value in values.items():
        if isinstance(value, dict):
            fill(getattr(message, name), value)
        else:
            setattr(message, name, value)


@pytest.mark.ros
def test_fields_of_the_python_example_exist():
    service = importlib.import_module('spatial_ttt.srv').SpatialQuery
    tree = ast.parse(blocks(README, 'python')[0])
    used = {n.attr for n in ast.walk(tree) if owner(n) == 'answer'}
    assert used and used <= set(service.Response.get_fields_and_field_types())
    assert hasattr(service.Request, 'LOCATE')
    thing = importlib.import_module('spatial_ttt.msg').SpatialObject
    used = {n.attr for n in ast.walk(tree) if owner(n) == 'thing'}
    assert used and used <= set(thing.get_fields_and_field_types())


def owner(node: ast.AST) -> str:
    """Return the name whose attribute a node takes, or ''."""
    return getattr(node.value, 'id', '') if isinstance(node, ast.Attribute) else ''


def test_changelog_begins_with_forthcoming_or_the_released_version():
    core = pytest.importorskip('docutils.core')
    # Level 2 is a warning: whatever docutils complains about fails here.
    document = core.publish_doctree(text_of(CHANGELOG), settings_overrides={'halt_level': 2})
    title, newest = [
        node.astext()
        for node in document.findall()
        if node.tagname in ('title', 'subtitle') and node.astext()
    ][:2]
    version = ElementTree.parse(ROOT / 'package.xml').findtext('version')
    assert title == 'Changelog for package spatial_ttt'
    assert newest == 'Forthcoming' or re.fullmatch(
        rf'{re.escape(version)} \(\d{{4}}-\d\d-\d\d\)', newest
    )


@pytest.mark.parametrize('page', [*PAGES, CHANGELOG], ids=lambda page: page.name)
def test_pages_name_no_folder_of_one_machine(page):
    assert not re.findall(r'(?<![\w.~])/(?:home|root|Users|mnt)/\S+', text_of(page))


def test_pictures_are_there_and_small():
    pictures = re.findall(r'!\[[^\]]+\]\(([^)]+)\)', text_of(README))
    assert len(pictures) == 2
    pictures += [str(path.relative_to(ROOT)) for path in (ROOT / 'docs/images/homes').iterdir()]
    assert len(pictures) == 2 + 12
    for picture in pictures:
        assert 10_000 < (ROOT / picture).stat().st_size < 600_000, picture
