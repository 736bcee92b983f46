# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The ONNX graphs of a model folder, made ready for TensorRT's parser.

The parser prefers the body of a local function to a plugin of the same name, and before TensorRT
10.8 there is no flag against that: where there is a plugin, the body goes. What the runtime does
not read goes as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from ros2_spatial_ttt.engine.plugins import PluginCalls
from ros2_spatial_ttt.errors import ModelError

__all__ = ['OPSET_MOST', 'Graph', 'load_graph']

# What the parser of TensorRT 10.3 (JetPack 6) reads.
OPSET_MOST = 20
# Solution of a field before and after its update, in the graphs that update fields.
_START, _SOLUTION = 'state/weight', 'next_state/weight'


@dataclass(frozen=True)
class Graph:
    """A graph for the parser.

    Attributes:
        path: of its file, beside which its weights lie. model: without the weights.
        nodes: {'plugin' or 'body': names of the nodes that run a custom part that way}.
    """

    path: Path
    model: onnx.ModelProto
    nodes: dict[str, list[str]]

    @property
    def name(self) -> str:
        """Such as 'update'."""
        return self.path.stem


def load_graph(path: Path, plugins: PluginCalls | None = None) -> Graph:
    """Read a graph and let plugins stand for the functions that they implement.

    The update of a field loses its solution, which the runtime finds on the host, exactly.

    Args:
        path: of the file.
        plugins: what is replaced; None = nothing.

    Raises:
        ModelError: it is no ONNX graph, or of an operator set that TensorRT does not read.
    """
    try:
        model = onnx.load(path, load_external_data=False)
    except (OSError, DecodeError) as error:
        raise ModelError(
            f"{path}: not an ONNX graph ({error}); export it again with 'spatial-ttt export'"
        ) from error
    opset = max((entry.version for entry in model.opset_import if not entry.domain), default=0)
    if not 0 < opset <= OPSET_MOST:
        raise ModelError(
            f'{path}: operator set {opset}, TensorRT reads up to {OPSET_MOST}; export the model '
            "with this package's 'spatial-ttt export'"
        )
    functions = {function.name for function in model.functions}
    replaced = {name for name in functions if plugins and plugins.replaces(name)}
    nodes: dict[str, list[str]] = {'plugin': [], 'body': []}
    for node in model.graph.node:
        if node.op_type in replaced:
            nodes['plugin'].append(node.name)
            assert plugins
            plugins.rewrite(node)
        elif node.op_type in functions:
            nodes['body'].append(node.name)
    kept = [function for function in model.functions if function.name not in replaced]
    del model.functions[:]
    model.functions.extend(kept)
    _drop_solution(model.graph)
    return Graph(path, model, nodes)


def _drop_solution(graph: onnx.GraphProto) -> None:
    """Make the solution of a field no output: TensorRT drops its steps, a plugin is given none."""
    outputs = [value for value in graph.output if value.name == _SOLUTION]
    if not outputs:
        return
    graph.output.remove(outputs[0])
    start = next(value for value in graph.input if value.name == _START)
    graph.input.remove(start)
    shape = [size.dim_value for size in start.type.tensor_type.shape.dim]
    graph.initializer.append(numpy_helper.from_array(np.zeros(shape, np.float32), _START))
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name == 'steps' and _SOLUTION in node.output:
                attribute.i = 0
