# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Building engines with TensorRT for RTX, the real compiler, which needs no GPU for that."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

import pytest
import yaml

pytest.importorskip('onnx')
pytest.importorskip('tensorrt_rtx', reason='pip install -r requirements/tensorrt.txt')

import onnx
from fake_tensorrt import make_tensorrt

from ros2_spatial_ttt import cli
from ros2_spatial_ttt.engine import command
from ros2_spatial_ttt.engine.build import EngineBuilder
from ros2_spatial_ttt.engine.graphs import OPSET_MOST, Graph, load_graph
from ros2_spatial_ttt.engine.plugins import plugin_calls
from ros2_spatial_ttt.errors import ModelError
from ros2_spatial_ttt.resources import model_directory
from ros2_spatial_ttt.runtime.base import load_manifest
from ros2_spatial_ttt.runtime.cuda import Gpu
from ros2_spatial_ttt.runtime.engine_file import graphs_of, read_engine
from ros2_spatial_ttt.runtime.trt import SUMS
from ros2_spatial_ttt.runtime.trt_library import Plugins, load_tensorrt
from ros2_spatial_ttt.runtime.unavailable import Unavailable
from ros2_spatial_ttt.training.precision import in_half

pytestmark = pytest.mark.trt

NANO = model_directory('nano')


@pytest.fixture(autouse=True)
def no_surroundings(tmp_path, monkeypatch):
    monkeypatch.setenv('SPATIAL_TTT_ENGINES', str(tmp_path / 'engines'))
    monkeypatch.delenv('SPATIAL_TTT_PLUGIN_LIBRARY', raising=False)


@pytest.fixture(scope='module')
def rtx():
    return load_tensorrt('tensorrt_rtx')


@pytest.fixture
def model(tmp_path):
    """A copy of the smallest model, to be spoiled."""
    return shutil.copytree(model_directory('untrained'), tmp_path / 'model')


@pytest.fixture
def built_networks(rtx, monkeypatch):
    """Return a function that gives the networks that another one builds."""

    def record(build) -> list:
        networks = []
        original = rtx.module.Builder.build_serialized_network

        def kept(self, network, config):
            networks.append(network)
            return original(self, network, config)

        with monkeypatch.context() as patch:
            patch.setattr(rtx.module.Builder, 'build_serialized_network', kept)
            build()
        return networks

    return record


def spatial_ttt(*words) -> int:
    return cli.main(['build-engine', *map(str, words)])


def built_blindly(tensorrt, stamp, graphs, folder):
    return {graph.name: b'plan' for graph in graphs}


def rehashed(folder: Path, name: str) -> None:
    """Make the manifest agree with a file that was changed."""
    path = folder / 'manifest.yaml'
    manifest = yaml.safe_load(path.read_text())
    manifest['files'][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    path.write_text(yaml.safe_dump(manifest))


@pytest.fixture(scope='module')
def nano(tmp_path_factory):
    """The report on the engines of nano, built once."""
    out = tmp_path_factory.mktemp('nano')
    words = ('--model', 'nano', '--backend', 'tensorrt_rtx', '--out', out, '--json')
    assert spatial_ttt(*words, out / 'reports' / 'engine.json') == 0
    return json.loads((out / 'reports' / 'engine.json').read_text())


def test_nano_builds_from_its_functions_bodies(nano):
    engine = read_engine(Path(nano['engine']))
    assert set(engine.plans) == set(graphs_of(load_manifest(NANO)))
    assert engine.stamp.backend == 'tensorrt_rtx' and engine.stamp.plugins == ''
    assert {'sm_86', 'sm_89', 'sm_120'} <= set(engine.stamp.architectures)
    assert nano['engine_bytes'] == engine.path.stat().st_size
    assert nano['build_s'] > 0 and nano['up_to_date'] is False
    # Three blocks with fast weights and two fields.
    assert nano['nodes.plugin'] == [] and len(nano['nodes.body']) == 8


def test_what_is_up_to_date_is_not_built_again(nano, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(command, '_built', lambda *a: pytest.fail('built again'))
    words = ('--model', 'nano', '--backend', 'tensorrt_rtx', '--out', Path(nano['engine']).parent)
    assert spatial_ttt(*words, '--json', tmp_path / 'again.json') == 0
    assert 'is up to date' in capsys.readouterr().out
    # The time is that of the build that made the file.
    assert json.loads((tmp_path / 'again.json').read_text()) == nano | {'up_to_date': True}


def test_all_products_of_the_network_in_half_precision_are_built_so(rtx, built_networks, tmp_path):
    path = tmp_path / 'update.onnx'
    onnx.save(in_half(onnx.load(NANO / 'update.onnx')), path)
    graph = load_graph(path)
    assert len(graph.nodes['body']) == 6
    network = built_networks(lambda: EngineBuilder(rtx, architectures=('sm_89',)).build(graph))[0]
    layers = [network.get_layer(number) for number in range(network.num_layers)]
    kinds = (rtx.module.LayerType.CONVOLUTION, rtx.module.LayerType.MATRIX_MULTIPLY)
    products = [layer for layer in layers if layer.type in kinds]
    assert products
    assert {layer.get_output(0).dtype for layer in products} == {rtx.module.DataType.HALF}
    # The output that the builder adds: one sum per array of state, whatever the precision.
    sums = network.get_output(network.num_outputs - 1)
    assert sums.name == SUMS and sums.dtype == rtx.module.DataType.FLOAT
    assert tuple(sums.shape) == (len(load_manifest(NANO).state),)


@pytest.mark.torch
@pytest.mark.parametrize('precision', ['fp32', 'fp16'])
def test_a_second_look_is_built_for_any_number_of_detections(
    rtx, built_networks, second_look_model, precision
):
    path = second_look_model[0] / 'second_look.onnx'
    graph = load_graph(path)
    if precision == 'fp16':
        graph = Graph(path, in_half(onnx.load(path)), {})
    network = built_networks(lambda: EngineBuilder(rtx, architectures=('sm_89',)).build(graph))[0]
    inputs = [network.get_input(number) for number in range(network.num_inputs)]
    assert [tensor.shape[0] for tensor in inputs] == [-1, -1, -1]
    assert [tensor.get_dimension_name(0) for tensor in inputs] == 3 * ['detections']
    layers = [network.get_layer(number) for number in range(network.num_layers)]
    kinds = (rtx.module.LayerType.CONVOLUTION, rtx.module.LayerType.MATRIX_MULTIPLY)
    products = [layer for layer in layers if layer.type in kinds]
    # Eight convolutions and three linear maps.
    assert len(products) == 11
    kind = {'fp32': rtx.module.DataType.FLOAT, 'fp16': rtx.module.DataType.HALF}[precision]
    assert {layer.get_output(0).dtype for layer in products} == {kind}
    assert network.get_output(0).dtype == rtx.module.DataType.FLOAT


@pytest.mark.torch
def test_engines_of_a_model_with_a_second_look_hold_it(second_look_model, tmp_path, monkeypatch):
    monkeypatch.setattr(command, '_built', built_blindly)
    words = ('--model', second_look_model[0], '--backend', 'tensorrt_rtx', '--out', tmp_path)
    assert spatial_ttt(*words, '--architecture', 'sm_89') == 0
    (path,) = tmp_path.glob('*.engine')
    assert set(read_engine(path).plans) == set(graphs_of(load_manifest(second_look_model[0])))
    assert 'second_look' in read_engine(path).plans


def test_the_steps_towards_a_field_s_solution_are_not_built(rtx, built_networks):
    path = NANO / 'geometry_update.onnx'
    builder = EngineBuilder(rtx, architectures=('sm_89',))
    plans = []
    with_solution = Graph(path, onnx.load(path), {})
    network, _ = built_networks(
        lambda: plans.extend(builder.build(one) for one in (load_graph(path), with_solution))
    )
    outputs = [network.get_output(number).name for number in range(network.num_outputs)]
    inputs = [network.get_input(number).name for number in range(network.num_inputs)]
    assert outputs == ['next_state/curvature', 'next_state/target']
    assert 'state/weight' not in inputs
    assert len(plans[0]) < 0.5 * len(plans[1])


def test_a_node_with_neither_body_nor_plugin_is_named(rtx):
    calls = plugin_calls(load_manifest(NANO), Plugins(version='1', names={'FastWeightUpdate'}))
    graph = load_graph(NANO / 'update.onnx', calls)
    with pytest.raises(ModelError, match=r'cannot read it: net\.backbone.*FastWeightUpdate'):
        EngineBuilder(rtx, architectures=('sm_89',)).build(graph)


def test_progress_is_told(rtx):
    phases = []
    builder = EngineBuilder(rtx, architectures=('sm_89',), progress=phases.append)
    builder.build(load_graph(NANO / 'geometry_read.onnx'))
    assert phases


def test_an_architecture_that_rtx_does_not_know_names_those_it_does(capsys):
    words = ('--model', 'untrained', '--backend', 'tensorrt_rtx', '--architecture')
    assert spatial_ttt(*words, 'sm_87') == 2
    assert 'builds for sm_75, sm_80' in capsys.readouterr().err
    assert spatial_ttt(*words, 'ampere') == 2
    assert 'expected a name such as sm_89' in capsys.readouterr().err


def test_a_folder_without_a_manifest_is_refused(model, capsys):
    (model / 'manifest.yaml').unlink()
    assert spatial_ttt('--model', model) == 2
    assert 'manifest.yaml' in capsys.readouterr().err


def test_a_newer_operator_set_is_refused_with_the_number_that_is_read(model, capsys):
    graph = onnx.load(model / 'geometry_update.onnx')
    graph.opset_import[0].version = graph.opset_import[1].version = 99
    onnx.save(graph, model / 'geometry_update.onnx')
    rehashed(model, 'geometry_update.onnx')
    assert spatial_ttt('--model', model, '--backend', 'tensorrt_rtx') == 2
    error = capsys.readouterr().err
    assert f'operator set 99, TensorRT reads up to {OPSET_MOST}' in error and 'export' in error


def test_a_file_that_is_no_graph_is_refused(model, capsys):
    (model / 'embed.onnx').write_bytes(b'not a graph')
    rehashed(model, 'embed.onnx')
    assert spatial_ttt('--model', model, '--backend', 'tensorrt_rtx') == 2
    assert 'embed.onnx: not an ONNX graph' in capsys.readouterr().err


def test_a_cache_that_cannot_be_written_is_refused_before_anything_is_built(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(command, '_built', lambda *a: pytest.fail('built for nothing'))
    blocker = tmp_path / 'file'
    blocker.write_text('')
    words = ('--model', 'untrained', '--backend', 'tensorrt_rtx', '--architecture', 'sm_89')
    assert spatial_ttt(*words, '--out', blocker / 'engines') == 2
    error = capsys.readouterr().err
    assert 'cannot be written' in error and '--out' in error


@pytest.mark.parametrize('name', ['file/report.json', ''], ids=['in a file', 'a folder'])
def test_a_report_that_cannot_be_written_is_refused_before_anything_is_built(
    tmp_path, capsys, monkeypatch, name
):
    monkeypatch.setattr(command, '_built', lambda *a: pytest.fail('built for nothing'))
    (tmp_path / 'file').write_text('')
    words = ('--model', 'untrained', '--backend', 'tensorrt_rtx', '--architecture', 'sm_89')
    assert spatial_ttt(*words, '--json', tmp_path / name) == 2
    error = capsys.readouterr().err
    assert f'--json {tmp_path / name}: cannot be written' in error and 'name a file' in error


def test_plugins_are_refused_for_rtx_before_anything_is_built(tmp_path, capsys):
    library = tmp_path / 'libspatial_ttt_plugins.so'
    library.write_bytes(b'')
    words = ('--model', 'nano', '--backend', 'tensorrt_rtx', '--plugins', library)
    assert spatial_ttt(*words) == 2
    assert 'TensorRT for RTX has no plugin layers' in capsys.readouterr().err


def test_tensorrt_without_a_gpu_is_refused_and_auto_takes_rtx(capsys, monkeypatch):
    def none(number=0):
        raise Unavailable('no NVIDIA GPU', 'the driver shows 0', 'check nvidia-smi')

    monkeypatch.setattr(Gpu, 'open', none)
    monkeypatch.setitem(sys.modules, 'tensorrt', make_tensorrt(version='10.3.0'))
    assert spatial_ttt('--model', 'untrained', '--backend', 'tensorrt') == 2
    assert 'check nvidia-smi' in capsys.readouterr().err
    monkeypatch.setattr(command, '_built', built_blindly)
    assert spatial_ttt('--model', 'untrained') == 0
    assert 'auto: chose tensorrt_rtx' in capsys.readouterr().out
