# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""From torch modules to ONNX graphs whose custom parts are local functions.

A custom part is exported alone and its graph becomes the body of a FunctionProto in domain
``spatial_ttt``; the main graph holds one node that calls it. ONNX Runtime inlines the body; a
TensorRT builder may drop it for a plugin of the same name. TensorRT's parser looks functions up by
name only and leaks formal input names, so every name in a body is made globally unique.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import onnx
import torch
from onnx import helper, numpy_helper
from onnx_ir.passes.common import DeduplicateInitializersPass
from torch import Tensor, nn

from ros2_spatial_ttt.training.layers import DOMAIN

__all__ = ['IR_VERSION', 'OPSET', 'CustomPart', 'export_graph']

# What ONNX Runtime and TensorRT 10.3 (JetPack 6) both take.
OPSET = 18
IR_VERSION = 9


class FunctionBody(nn.Module):
    """The body of a custom part, exported as a plain graph."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        """Run the body whether or not a graph is being exported."""
        return self.part.body(*arguments)


@dataclass(frozen=True)
class CustomPart:
    """A part of a graph: a module with ``function_name``, ``inputs``, ``outputs``, ``body``.

    Attributes:
        module: the part. arguments: example inputs.
        dynamic: {input: {axis: torch.export.Dim}} of the inputs whose shape is not fixed.
    """

    module: nn.Module
    arguments: tuple[Tensor, ...]
    dynamic: dict[str, dict[int, Any]]


def export_graph(
    module: nn.Module,
    arguments: Sequence[Any],
    inputs: Sequence[str],
    outputs: Sequence[str],
    *,
    dynamic: Sequence[Any] | None = None,
    parts: Sequence[CustomPart] = (),
) -> onnx.ModelProto:
    """Return the checked ONNX model of ``module`` with named inputs and outputs.

    Nodes are named after the module they come from, ``net.trunk.first.0/Conv_3``.

    Args:
        module: to be traced; a custom part in it leaves one node.
        arguments: example inputs, nested as the module takes them.
        inputs: names in flattened order.
        outputs: names in flattened order.
        dynamic: shapes as torch.export takes them, nested like ``arguments``; None = all fixed.
        parts: custom parts whose bodies are added as local functions.
    """
    program = torch.onnx.export(
        module.eval(),
        tuple(arguments),
        input_names=list(inputs),
        output_names=list(outputs),
        dynamic_shapes=None if dynamic is None else tuple(dynamic),
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    # Blocks hold equal tables; a graph needs them once.
    DeduplicateInitializersPass(size_limit=1 << 20)(program.model)
    model = program.model_proto
    model.functions.extend(_function_of(part) for part in parts)
    if parts and not any(entry.domain == DOMAIN for entry in model.opset_import):
        model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    _name_nodes(model)
    _strip_notes(model)
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version = DOMAIN, ''
    onnx.checker.check_model(model, full_check=True)
    return model


def _function_of(part: CustomPart) -> onnx.FunctionProto:
    module = part.module
    if len({id(argument) for argument in part.arguments}) < len(part.arguments):
        raise ValueError(
            f'{module.function_name}: one example tensor stands for two inputs, which the export '
            'would merge into one; give each input its own'
        )
    dynamic = tuple(part.dynamic.get(name) for name in module.inputs)
    body = export_graph(
        FunctionBody(module), part.arguments, module.inputs, module.outputs, dynamic=[dynamic]
    )
    return _function(body.graph, module.function_name, module.inputs, module.outputs)


def _function(
    graph: onnx.GraphProto, name: str, inputs: Sequence[str], outputs: Sequence[str]
) -> onnx.FunctionProto:
    def unique(value: str) -> str:
        return f'{name}.{value}' if value else value

    nodes = []
    for tensor in graph.initializer:
        constant = numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name)
        nodes.append(helper.make_node('Constant', [], [unique(tensor.name)], value=constant))
    for original in graph.node:
        node = onnx.NodeProto()
        node.CopyFrom(original)
        node.input[:] = [unique(value) for value in original.input]
        node.output[:] = [unique(value) for value in original.output]
        nodes.append(node)
    for index, node in enumerate(nodes):
        node.name = f'{name}.{node.op_type}.{index}'
    return helper.make_function(
        DOMAIN,
        name,
        [unique(value) for value in inputs],
        [unique(value) for value in outputs],
        nodes,
        [helper.make_opsetid('', OPSET)],
    )


def _name_nodes(model: onnx.ModelProto) -> None:
    """Name nodes and values by module, so that a profile of a runtime tells the time of each part.

    Runtimes name what they fuse after nodes or after values.
    """
    graph = model.graph
    outside = {value.name for value in graph.output}
    named: dict[str, str] = {}
    for index, node in enumerate(graph.node):
        notes = {entry.key: entry.value for entry in node.metadata_props}
        scopes = ast.literal_eval(notes.get('pkg.torch.onnx.name_scopes', "['', '']"))
        node.name = f'{scopes[-2]}/{node.op_type}_{index}'.lstrip('/')
        inside = [value for value in node.output if value and value not in outside]
        named.update({value: f'{scopes[-2]}/{value}'.lstrip('/') for value in inside})
    for node in graph.node:
        for values in (node.input, node.output):
            values[:] = [named.get(value, value) for value in values]
    for value in graph.value_info:
        value.name = named.get(value.name, value.name)


def _strip_notes(model: onnx.ModelProto) -> None:
    """Drop the exporter's notes: they hold source paths of the machine and change the hash."""
    del model.metadata_props[:]
    model.doc_string = ''
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ''
    for value in [*model.graph.value_info, *model.graph.input, *model.graph.output]:
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    for tensor in model.graph.initializer:
        del tensor.metadata_props[:]
