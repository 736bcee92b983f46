# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""TensorRT's parser reads the graph with local functions as it reads the inlined one.

It looks functions up by name and leaks the names of their inputs without a warning: numbers of
ONNX Runtime cannot show that. No GPU is needed to parse.
"""

from __future__ import annotations

import hashlib

import pytest

pytest.importorskip('tensorrt_rtx', reason='pip install -r requirements/tensorrt.txt')
pytest.importorskip('onnx')

import onnx
import onnx.inliner
import tensorrt_rtx as trt

pytestmark = pytest.mark.trt

# What the types of layers may be told apart by, as far as a layer has it.
ATTRIBUTES = (
    *('op', 'type', 'axes', 'axis', 'keep_dims', 'mode', 'to_type', 'stride_nd', 'padding_nd'),
    *('num_groups', 'kernel_size_nd', 'num_output_maps', 'op_a', 'op_b', 'equation', 'alpha'),
    *('beta', 'first_transpose', 'second_transpose', 'reshape_dims', 'start', 'shape'),
    *('num_elementwise_dims', 'window_size_nd', 'pre_padding_nd', 'post_padding_nd'),
)


def structure(model: onnx.ModelProto) -> dict[str, str]:
    """Return a hash of all that leads to each output, whatever its layers are called."""
    logger = trt.Logger(trt.Logger.ERROR)
    network = trt.Builder(logger).create_network(0)
    parser = trt.OnnxParser(network, logger)
    parsed = parser.parse(model.SerializeToString())
    assert parsed, [str(parser.get_error(i)) for i in range(parser.num_errors)]
    given = [network.get_input(i).name for i in range(network.num_inputs)]
    known = {name: name for name in given}
    for number in range(network.num_layers):
        layer = network.get_layer(number)
        inputs = [layer.get_input(i) for i in range(layer.num_inputs)]
        above = [known[tensor.name] if tensor else '' for tensor in inputs]
        for i in range(layer.num_outputs):
            tensor = layer.get_output(i)
            text = repr((_described(layer), above, i, tuple(tensor.shape)))
            known[tensor.name] = hashlib.sha256(text.encode()).hexdigest()
    outputs = [network.get_output(i).name for i in range(network.num_outputs)]
    return {name: known[name] for name in outputs}


def _described(layer) -> list[str]:
    """Return the kind of a layer with its attributes and weights."""
    name = str(layer.type).rpartition('.')[2]
    kinds = {kind.lower(): kind for kind in dir(trt) if kind.startswith('I')}
    kind = kinds.get(f'i{name.replace("_", "").lower()}layer')
    out = [name]
    if kind:
        layer.__class__ = getattr(trt, kind)
    for attribute in (*ATTRIBUTES, 'weights', 'kernel', 'bias'):
        value = getattr(layer, attribute, None)
        if attribute in ('weights', 'kernel', 'bias') and value is not None:
            value = hashlib.sha256(value.tobytes()).hexdigest()
        out.append(f'{attribute}={value}')
    return out


@pytest.mark.parametrize('kind', ['appearance', 'geometry'])
def test_the_fields_update_is_the_same_with_and_without_functions(manifest, kind):
    model = onnx.load(manifest.folder / f'{kind}_update.onnx')
    assert structure(model) == structure(onnx.inliner.inline_local_functions(model))


@pytest.mark.torch
@pytest.mark.filterwarnings('ignore')
def test_the_network_is_the_same_with_and_without_functions(tiny_model):
    model = onnx.load(tiny_model[0] / 'update.onnx')
    with_functions = structure(model)
    inlined = structure(onnx.inliner.inline_local_functions(model))
    assert with_functions == inlined
    wrong = structure(swapped_update(model))
    assert wrong != with_functions, 'the hash sees two inputs that changed places'


def swapped_update(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model whose first fast-weight update gets two momenta in the wrong order."""
    wrong = onnx.ModelProto()
    wrong.CopyFrom(model)
    call = next(node for node in wrong.graph.node if node.op_type.startswith('FastWeightUpdate'))
    call.input[3], call.input[5] = call.input[5], call.input[3]
    return wrong
