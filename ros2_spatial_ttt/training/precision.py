# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Half precision, written out: casts around the products of tokens, everything else in float32.

TensorRT takes the types of a strongly typed network from its ONNX. State, norms, softmax, row
lengths and solves stay in float32; so does the main graph's shape: a local function gets another
body, not another place.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ['in_half']

PRODUCTS = ('Conv', 'MatMul', 'Gemm')


def in_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of a model whose convolutions and products run in float16."""
    half = onnx.ModelProto()
    half.CopyFrom(model)
    nodes = _with_casts(list(half.graph.node))
    _shrink_weights(half.graph, nodes)
    del half.graph.node[:]
    half.graph.node.extend(nodes)
    for function in half.functions:
        body = _with_casts(list(function.node))
        del function.node[:]
        function.node.extend(body)
    onnx.checker.check_model(half, full_check=True)
    return half


def _with_casts(nodes: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
    out: list[onnx.NodeProto] = []
    for node in nodes:
        if node.op_type not in PRODUCTS:
            out.append(node)
            continue
        for index, value in enumerate(node.input):
            if value:
                name = f'{node.name}.half{index}'
                out.append(_cast(value, name, TensorProto.FLOAT16))
                node.input[index] = name
        result = node.output[0]
        node.output[0] = f'{node.name}.half'
        out += [node, _cast(node.output[0], result, TensorProto.FLOAT)]
    return out


def _cast(value: str, result: str, kind: int) -> onnx.NodeProto:
    return helper.make_node('Cast', [value], [result], name=f'{result}.cast', to=kind)


def _shrink_weights(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    """Store weights that are only ever cast to half as half, without the cast; in place."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in nodes:
        for value in node.input:
            readers.setdefault(value, []).append(node)
    shrunk = set()
    for tensor in graph.initializer:
        casts = readers.get(tensor.name, [])
        halved = all(node.op_type == 'Cast' and node.name.endswith('.cast') for node in casts)
        if not casts or not halved or tensor.data_type != TensorProto.FLOAT:
            continue
        array = numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
        shrunk.add(tensor.name)
        replaced = {node.output[0] for node in casts}
        for node in nodes:
            node.input[:] = [tensor.name if value in replaced else value for value in node.input]
        for node in casts:
            nodes.remove(node)
    kept = [value for value in graph.value_info if value.name not in shrunk]
    del graph.value_info[:]
    graph.value_info.extend(kept)
