# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The bodies of local functions, run alone in ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

__all__ = ['Body', 'functions', 'run_body']


def functions(path) -> dict[str, onnx.FunctionProto]:
    """Return the local functions of a graph by name."""
    return {function.name: function for function in onnx.load(path).functions}


class Body:
    """A local function as a session of its own.

    Args:
        function: with float inputs of any shape.
    """

    def __init__(self, function: onnx.FunctionProto) -> None:
        self.inputs = [formal.rpartition('.')[2] for formal in function.input]
        self.outputs = [formal.rpartition('.')[2] for formal in function.output]
        call = helper.make_node(function.name, self.inputs, self.outputs, domain=function.domain)
        graph = helper.make_graph(
            [call],
            'call',
            *(
                [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in names]
                for names in (self.inputs, self.outputs)
            ),
        )
        imports = [helper.make_opsetid('', 18), helper.make_opsetid(function.domain, 1)]
        model = helper.make_model(graph, opset_imports=imports, functions=[function], ir_version=9)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=['CPUExecutionProvider']
        )

    def __call__(self, inputs: dict) -> dict[str, np.ndarray]:
        """Return the outputs by name for arrays by name, which are rounded to float32."""
        feed = {name: np.asarray(inputs[name], np.float32) for name in self.inputs}
        return dict(zip(self.outputs, self._session.run(self.outputs, feed), strict=True))


def run_body(function: onnx.FunctionProto, inputs: dict) -> list[np.ndarray]:
    """Return the outputs of a local function for float arrays by formal name."""
    return list(Body(function)(inputs).values())
