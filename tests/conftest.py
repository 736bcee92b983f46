# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Tiers of tests, one DDS domain per test process, and the renderer.

A tier is what a test needs beyond numpy. ``SPATIAL_TTT_REQUIRE=ort,torch,ros,sim`` (or the option
``--require``) turns a skip for want of that tier into a failure: CI exists to run it.
"""

from __future__ import annotations

import functools
import os
import re
import sys
import warnings
from pathlib import Path

import pytest

# Modules whose absence makes a tier unavailable.
TIERS = {
    'ort': {'onnxruntime'},
    'torch': {'torch', 'onnx', 'onnxscript'},
    'ros': {'rclpy', 'spatial_ttt'},
    'sim': {'mujoco'},
    'ray': {'ray'},
    'trt': {'tensorrt_rtx'},
    # No module: the library of kernels that CUDA's compiler made.
    'cuda': set(),
}
# Markers of what no machine can be asked to have; a test with one of them may always skip.
OPTIONAL = ('installed_ros', 'gpu', 'tensorrt_headers')
DOMAINS = range(20, 100)


def pytest_addoption(parser):
    parser.addoption(
        '--require',
        default=os.environ.get('SPATIAL_TTT_REQUIRE', ''),
        help=f'comma-separated tiers that must not skip, of {sorted(TIERS)}',
    )


def pytest_configure(config):
    unknown = required_tiers(config) - set(TIERS)
    if unknown:
        raise pytest.UsageError(f'--require: expected tiers of {sorted(TIERS)}, got {unknown}')
    isolate_ros(config)


def isolate_ros(config) -> None:
    """Give this process a DDS domain of its own, and keep its logs out of the home folder."""
    run = getattr(config, 'workerinput', {}).get('testrunuid', f'{os.getpid():08x}')
    worker = int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0').removeprefix('gw'))
    domain = DOMAINS[(int(run[:8], 16) * 8 + worker) % len(DOMAINS)]
    os.environ['ROS_DOMAIN_ID'] = str(domain)
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    os.environ.setdefault('ROS_LOG_DIR', str(Path(config.rootpath, 'log', 'ros')))


def required_tiers(config) -> set[str]:
    return {tier for tier in config.getoption('--require').split(',') if tier}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Run DDS tests first and in one process, the others file by file in whichever is free.

    Files that train take longest and come next, so that no process is left alone with one at the
    end. It goes before xdist's own hook, which reads the groups.
    """
    for item in items:
        if item.nodeid.startswith('tests/dds/'):
            item.add_marker('ros')
    items.sort(key=_late)
    for item in items:
        group = 'ros' if item.get_closest_marker('ros') else item.nodeid.partition('::')[0]
        item.add_marker(pytest.mark.xdist_group(group))


def _late(item) -> int:
    if item.get_closest_marker('ros'):
        return 0
    return 1 if item.nodeid.startswith(('tests/training/', 'tests/bench/')) else 2


def missing_tier(config, reason: str, markers: set[str]) -> str | None:
    """Return the required tier for want of which something was skipped, if there is one."""
    if markers & set(OPTIONAL):
        return None
    module = re.search(r"(?:could not import|No module named) '(\w+)", reason)
    for tier in sorted(required_tiers(config)):
        if tier in markers or (module and module[1] in TIERS[tier]):
            return tier
    return None


def fail_instead(report, tier: str) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = 'failed'
    report.longrepr = f'tier {tier!r} is required here, but this was skipped. {reason}'


@pytest.fixture(scope='session')
def renderer() -> str:
    """Return the name of the OpenGL backend that works here; skip where there is none."""
    from ros2_spatial_ttt.sim import stage

    try:
        return stage.require_renderer()
    except stage.RendererError as error:
        pytest.skip(str(error))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.skipped and not hasattr(report, 'wasxfail'):
        markers = {mark.name for mark in item.iter_markers()}
        tier = missing_tier(item.config, str(report.longrepr), markers)
        if tier:
            fail_instead(report, tier)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    report = yield
    if report.skipped:
        tier = missing_tier(collector.config, str(report.longrepr), set())
        if tier:
            fail_instead(report, tier)
    return report


@pytest.fixture(scope='session', autouse=True)
def one_table_of_operators():
    """Let the exporter keep its table of operators, which it makes anew for every graph: 1 s."""
    if 'ros2_spatial_ttt.training.onnx_functions' not in sys.modules:
        return
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        from torch.onnx._internal.exporter._registration import ONNXRegistry
    ONNXRegistry.from_torchlib = staticmethod(functools.cache(ONNXRegistry.from_torchlib))


@pytest.fixture(scope='session')
def tiny_model(tmp_path_factory):
    """The folder of a tiny model with a backbone, and its network; one for all test processes."""
    for needed in ('torch', 'onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(needed)
    import tiny_network

    folder = shared_folder(tmp_path_factory) / 'tiny'
    return folder, tiny_network.write_model(folder)


@pytest.fixture(scope='session')
def second_look_model(tmp_path_factory):
    """The folder of nano with a random second look, and that network, batch norms folded."""
    for needed in ('torch', 'onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(needed)
    import second_look_model

    folder = shared_folder(tmp_path_factory) / 'second_look'
    return folder, second_look_model.write_model(folder)


def shared_folder(tmp_path_factory) -> Path:
    """Return a temporary folder that all processes of a test run have in common."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if 'PYTEST_XDIST_WORKER' in os.environ else base


@pytest.fixture(scope='module')
def tiny_fields(tiny_model):
    """Let exports take the graphs of both fields from the tiny model, which has the same fields.

    They are half of an export's time and know nothing of the network beside them.
    """
    import onnx
    import tiny_network

    from ros2_spatial_ttt.training import graphs

    graph_of = {p.stem: functools.partial(onnx.load, p) for p in tiny_model[0].glob('*_*.onnx')}

    def taken(field, *, embedding):
        assert field == tiny_network.FIELD and embedding == tiny_network.CONFIG.appearance
        return graph_of

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graphs, 'field_graphs', taken)
        yield
