# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Finding the library of plugins, and what is said when it does not fit."""

from __future__ import annotations

import logging
import sys
from types import SimpleNamespace

import pytest
from fake_tensorrt import Severity, make_tensorrt

from ros2_spatial_ttt.runtime import trt_library
from ros2_spatial_ttt.runtime.trt_library import Plugins, load_plugins, load_tensorrt
from ros2_spatial_ttt.runtime.unavailable import Unavailable


@pytest.fixture
def headers(monkeypatch):
    """Return a function that sets the TensorRT that libraries were built with."""

    def built_with(number: int) -> None:
        exports = SimpleNamespace(spatial_ttt_tensorrt_version=lambda: number)
        monkeypatch.setattr(trt_library.ctypes, 'CDLL', lambda path: exports)

    built_with(100300)
    return built_with


@pytest.fixture
def library(tmp_path, monkeypatch, headers):
    monkeypatch.delenv('SPATIAL_TTT_PLUGIN_LIBRARY', raising=False)
    path = tmp_path / 'libspatial_ttt_plugins.so'
    path.write_bytes(b'')
    return path


@pytest.fixture
def install(monkeypatch):
    """Return a maker of an installed TensorRT."""

    def install(name='tensorrt', version='10.3.0', **options):
        module = make_tensorrt(version=version, **options)
        monkeypatch.setitem(sys.modules, name, module)
        return load_tensorrt(name)

    return install


def test_creators_of_this_package_become_plugins(install, library):
    tensorrt = install(creators=[('FieldUpdate', '1'), ('FastWeightUpdate', '1')])
    plugins = load_plugins(tensorrt, library)
    assert plugins.version == '1'
    assert plugins.names == {'FieldUpdate', 'FastWeightUpdate'}


def test_a_library_is_loaded_once_per_process(install, library):
    tensorrt = install(creators=[('FieldUpdate', '1')])
    assert load_plugins(tensorrt, library) == load_plugins(tensorrt, library)
    assert tensorrt.module.get_plugin_registry().loaded == [str(library)]


def test_without_a_library_there_are_no_plugins(install, library):
    assert load_plugins(install(creators=[('FieldUpdate', '1')])) == Plugins()


@pytest.mark.parametrize('by', ['option', 'variable'])
def test_a_named_library_that_is_missing_is_an_error(install, library, monkeypatch, by):
    library.unlink()
    if by == 'variable':
        monkeypatch.setenv('SPATIAL_TTT_PLUGIN_LIBRARY', str(library))
    with pytest.raises(Unavailable, match=r'no such file; build it with colcon .*--no-plugins'):
        load_plugins(install(), library if by == 'option' else None)


def test_plugins_of_another_version_are_refused(install, library):
    with pytest.raises(Unavailable, match=r"version \['7'\], this package expects '1'; build"):
        load_plugins(install(creators=[('FieldUpdate', '7')]), library)


def test_a_library_that_does_not_load_says_for_which_tensorrt_to_build_it(install, library):
    tensorrt = install(creators=None)
    tensorrt.logger.log(Severity.ERROR, 'undefined symbol')
    with pytest.raises(Unavailable, match=r'undefined symbol; build it again .*TensorRT 10\.3\.0'):
        load_plugins(tensorrt, library)


def test_a_library_for_another_tensorrt_is_not_even_registered(install, library, headers):
    tensorrt = install(version='10.13.2', creators=[('FieldUpdate', '1')])
    headers(110100)
    with pytest.raises(Unavailable, match=r'built for TensorRT 11\.1\.0; build it again .*10\.13'):
        load_plugins(tensorrt, library)
    assert not tensorrt.module.get_plugin_registry().loaded
    headers(100300)
    assert load_plugins(tensorrt, library).version == '1'


def test_a_file_that_is_no_library_says_so(install, library, monkeypatch):
    monkeypatch.undo()
    with pytest.raises(Unavailable, match=r'plugins\.so: .*; build it again with colcon'):
        load_plugins(install(), library)


def test_tensorrt_for_rtx_never_gets_plugins(install, library, monkeypatch):
    tensorrt = install('tensorrt_rtx', creators=[('FieldUpdate', '1')])
    monkeypatch.setenv('SPATIAL_TTT_PLUGIN_LIBRARY', str(library))
    assert load_plugins(tensorrt) == Plugins()
    with pytest.raises(Unavailable, match='TensorRT for RTX has no plugin layers'):
        load_plugins(tensorrt, library)
    assert not tensorrt.module.get_plugin_registry().loaded


def test_messages_go_to_the_log_and_errors_are_kept_for_the_next_sentence(install, caplog):
    tensorrt = install()
    with caplog.at_level(logging.DEBUG):
        tensorrt.logger.log(Severity.WARNING, 'slow')
        tensorrt.logger.log(Severity.ERROR, 'first')
        tensorrt.logger.log(Severity.ERROR, 'second')
        tensorrt.logger.log(Severity.VERBOSE, 'chatter')
    assert [record.message for record in caplog.records] == ['slow', 'first', 'second']
    assert tensorrt.complaint() == 'first; second'
    assert tensorrt.complaint() == 'TensorRT gave no reason'
