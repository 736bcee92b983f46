# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Calls of local functions that become nodes of plugins."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip('onnx')

from onnx import helper

from ros2_spatial_ttt.engine import plugins as engine_plugins
from ros2_spatial_ttt.engine.graphs import load_graph
from ros2_spatial_ttt.engine.plugins import plugin_calls
from ros2_spatial_ttt.errors import ModelError
from ros2_spatial_ttt.resources import model_directory
from ros2_spatial_ttt.runtime.base import load_manifest
from ros2_spatial_ttt.runtime.trt_library import Plugins

ALL = ('SpatioTemporalConv', 'FastWeightUpdate', 'FieldUpdate')


@pytest.fixture(scope='module')
def manifest():
    return load_manifest(model_directory('nano'))


@pytest.fixture
def graph_with(manifest):
    """Return a reader of a graph of nano with some plugins."""

    def read(name, *creators, **changes):
        calls = plugin_calls(
            replace(manifest, **changes), Plugins(version='1', names=frozenset(creators))
        )
        return load_graph(manifest.folder / f'{name}.onnx', calls)

    return read


def attributes(graph, creator):
    node = next(node for node in graph.model.graph.node if node.op_type == creator)
    return {one.name: helper.get_attribute_value(one) for one in node.attribute}


def test_without_plugins_all_bodies_stay(graph_with):
    graph = graph_with('update')
    assert len(graph.model.functions) == 2
    assert graph.nodes['plugin'] == [] and len(graph.nodes['body']) == 6


def test_a_function_with_a_plugin_loses_its_body_and_the_others_keep_theirs(graph_with):
    graph = graph_with('update', 'FastWeightUpdate', 'FieldUpdate')
    assert [function.name for function in graph.model.functions] == [
        'SpatioTemporalConv8x10Heads4'
    ]
    assert len(graph.nodes['plugin']) == len(graph.nodes['body']) == 3
    assert all('FastWeightUpdateMomentum' in name for name in graph.nodes['plugin'])


def test_with_all_plugins_no_function_is_left(graph_with):
    for name in ('update', 'geometry_update'):
        graph = graph_with(name, *ALL)
        assert not graph.model.functions and not graph.nodes['body']


def test_sizes_in_a_functions_name_become_attributes(graph_with):
    graph = graph_with('update', *ALL)
    conv = attributes(graph, 'SpatioTemporalConv')
    assert conv == {'rows': 8, 'columns': 10, 'heads': 4, 'plugin_version': b'1'}
    assert attributes(graph, 'FastWeightUpdate') == {'rule': b'Momentum', 'plugin_version': b'1'}


def test_constants_of_the_rule_come_from_the_manifest(graph_with, manifest):
    rule = {**manifest.rule, 'mass_max': 7.5}
    got = attributes(graph_with('geometry_update', *ALL, rule=rule), 'FieldUpdate')
    assert got['mass_max'] == 7.5
    assert got['weight_min'] == pytest.approx(0.02) and got['ridge'] == got['decay'] == 1.0


@pytest.mark.parametrize('creators', [(), ALL], ids=['body', 'plugin'])
def test_the_update_of_a_field_gives_sums_and_takes_no_step(graph_with, creators):
    graph = graph_with('appearance_update', *creators)
    names = [value.name for value in graph.model.graph.output]
    assert names == ['next_state/curvature', 'next_state/target']
    assert 'state/weight' not in [value.name for value in graph.model.graph.input]
    if creators:
        assert attributes(graph, 'FieldUpdate')['steps'] == 0


def test_a_model_in_half_precision_multiplies_in_it(graph_with):
    graph = graph_with('update', *ALL, precision='fp16')
    assert attributes(graph, 'FastWeightUpdate')['products'] == b'fp16'


def test_a_missing_table_of_operators_is_an_error_with_a_remedy(graph_with, tmp_path, monkeypatch):
    monkeypatch.setattr(engine_plugins, 'share_directory', lambda: tmp_path)
    with pytest.raises(ModelError, match=r'operators\.yaml: .*cannot be read .*--no-plugins'):
        graph_with('update', *ALL)
