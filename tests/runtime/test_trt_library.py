# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Finding the library of plugins, and what is said when it does not fit."""

from __future__ import annotations

import logging
import sys
from types import SimpleNamespace

import pytest
from fake_tensorrt import Severity, make_tensorrt

from ros2_spatial_ttt import resources
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


@pytest.mark.parametrize('version', ['8.6.1', '10.2.0', '10.2.0.19', 'unknown'])
def test_a_tensorrt_before_10_3_is_refused_with_both_versions(install, version):
    with pytest.raises(Unavailable, match=rf'tensorrt {version} found, expected 10\.3 or later'):
        install(version=version)


@pytest.mark.parametrize('version', ['10.3.0', '10.13.2.6', '11.0.0'])
def test_10_3_and_later_are_taken(install, version):
    assert install(version=version).version == version


def test_tensorrt_for_rtx_counts_its_own_versions(install):
    assert install('tensorrt_rtx', version='1.2.0').version == '1.2.0'


def test_a_tensorrt_gets_one_logger_per_process(install):
    first = install()
    again = load_tensorrt('tensorrt')
    assert again.logger is first.logger
    again.logger.log(Severity.ERROR, 'said once')
    assert first.complaint() == 'said once'


def test_creators_of_this_package_become_plugins(install, library):
    tensorrt = install(creators=[('FieldUpdate', '1'), ('FastWeightUpdate', '1')])
    plugins = load_plugins(tensorrt, library)
    assert plugins.version == '1'
    assert plugins.names == {'FieldUpdate', 'FastWeightUpdate'}


def test_a_library_is_loaded_once_per_process(install, library):
    tensorrt = install(creators=[('FieldUpdate', '1')])
    assert load_plugins(tensorrt, library) == load_plugins(tensorrt, library)
    assert tensorrt.module.get_plugin_registry().loaded == [str(library)]


def test_without_a_library_there_are_no_plugins_and_the_log_says_where_it_looked(
    install, library, monkeypatch, tmp_path, caplog
):
    monkeypatch.setattr(resources, 'share_directory', lambda: tmp_path / 'share/spatial_ttt')
    monkeypatch.setenv('AMENT_PREFIX_PATH', f'{tmp_path}/over:{tmp_path}/under')
    with caplog.at_level(logging.INFO):
        assert load_plugins(install(creators=[('FieldUpdate', '1')])) == Plugins()
    for prefix in ('', 'over/', 'under/'):
        assert f'{tmp_path}/{prefix}lib/libspatial_ttt_plugins.so' in caplog.text


@pytest.mark.parametrize(
    ('share', 'where'),
    [
        ('prefix/share/spatial_ttt', 'prefix'),  # installed
        ('prefix/share/spatial_ttt', 'under'),  # the code from one workspace, the library below
        ('checkout', 'checkout/install/spatial_ttt'),  # imported from the checkout
        ('checkout', 'over'),
    ],
)
def test_an_installed_library_is_found(install, library, monkeypatch, tmp_path, share, where):
    monkeypatch.setattr(resources, 'share_directory', lambda: tmp_path / share)
    monkeypatch.setenv('AMENT_PREFIX_PATH', f'{tmp_path}/over:{tmp_path}/under')
    there = tmp_path / where / 'lib' / library.name
    there.parent.mkdir(parents=True)
    library.rename(there)
    tensorrt = install(creators=[('FieldUpdate', '1')])
    assert load_plugins(tensorrt).names == {'FieldUpdate'}
    assert tensorrt.module.get_plugin_registry().loaded == [str(there)]


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
