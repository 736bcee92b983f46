# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The backbone as an ONNX graph: local functions, and a long stream in ONNX Runtime and torch."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('onnx')
pytest.importorskip('onnxscript')

import torch
from onnx import inliner
from torch import nn

from ros2_spatial_ttt.training.backbone import BackboneConfig, HybridBackbone
from ros2_spatial_ttt.training.layers import custom_layer_calls
from ros2_spatial_ttt.training.onnx_functions import CustomPart, export_graph

pytestmark = pytest.mark.torch

FRAMES, TOKENS, WIDTH = 8, 24, 16


class Flat(nn.Module):
    """The backbone with its state as tensors in a row, as a graph takes them."""

    def __init__(self, backbone: HybridBackbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.names = list(backbone.initial_state(1))

    def forward(self, tokens, frame_valid, *state):
        named = dict(zip(self.names, state, strict=True))
        tokens, after, surprise = self.backbone(tokens, frame_valid, named)
        return tokens, surprise, *after.values()


def make(rule: str) -> HybridBackbone:
    """Return a small backbone with every parameter moved off its start, where gates are shut."""
    torch.manual_seed(5)
    # An anchor is a hybrid block less its fast weights; an export takes seconds per block.
    config = BackboneConfig(
        width=WIDTH,
        grid=(4, 6),
        cells=(2, 3),
        frames=FRAMES,
        blocks=2 if rule == 'momentum' else 1,
        heads=2,
        window=4,
        sinks=2,
        update_rule=rule,
    )
    backbone = HybridBackbone(config).eval()
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return backbone


# gd is momentum less one product.
@pytest.fixture(scope='module', params=['momentum', 'muon'])
def flat_and_model(request):
    """The backbone and its ONNX model."""
    flat = Flat(make(request.param))
    state = [tensor.detach() for tensor in flat.backbone.initial_state(1).values()]
    arguments = (torch.randn(1, FRAMES, TOKENS, WIDTH), torch.ones(1, FRAMES), *state)
    logging.getLogger('torch.onnx').setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        # The exporter warns of its own internals.
        warnings.simplefilter('ignore')
        model = export_graph(
            flat,
            arguments,
            ['tokens', 'frame_valid', *(f'state/{name}' for name in flat.names)],
            ['context', 'surprise', *(f'next_state/{name}' for name in flat.names)],
            parts=[CustomPart(*pair, {}) for pair in custom_layer_calls(flat, arguments)],
        )
    return flat, model


def test_blocks_share_one_function_each(flat_and_model):
    flat, model = flat_and_model
    rule = flat.backbone.config.update_rule.capitalize()
    names = ['SpatioTemporalConv4x6Heads2', f'FastWeightUpdate{rule}']
    assert [function.name for function in model.functions] == names
    calls = [node.op_type for node in model.graph.node if node.domain == 'spatial_ttt']
    assert sorted(calls) == sorted(flat.backbone.config.blocks * names)


# Largest difference over the largest entry after 100 chained chunks, float32 both.
PARITY = {
    # Copies or single sums of the newest frames: rounding only.
    'seen': 0.0,
    'keys': 5e-6,
    'values': 5e-6,
    'tail': 5e-6,
    'prediction': 5e-6,
    'surprise': 5e-6,
    'context': 1e-5,
    # Carried for 100 chunks; row lengths and decay keep rounding from adding up.
    'w': 2e-5,
    'm': 2e-5,
}
# Newton-Schulz multiplies what is far below the largest singular value, rounding included.
MUON_TIMES = 20.0


@pytest.mark.ort
def test_onnx_runtime_equals_torch_after_100_chunks(flat_and_model):
    onnxruntime = pytest.importorskip('onnxruntime')
    flat, model = flat_and_model
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=['CPUExecutionProvider']
    )
    expected = flat.backbone.initial_state(1)
    state = {f'state/{name}': tensor.detach().numpy() for name, tensor in expected.items()}
    worst = dict.fromkeys(PARITY, 0.0)

    def compare(kind, got, want):
        error = np.abs(got - want).max() / max(np.abs(want).max(), 1e-6)
        worst[kind] = max(worst[kind], float(error))

    torch.manual_seed(20)
    for index in range(100):
        count = (8, 5, 8, 0, 1)[index % 5]
        chunk = torch.randn(1, FRAMES, TOKENS, WIDTH)
        valid = (torch.arange(FRAMES) < count).float()[None]
        with torch.no_grad():
            tokens, expected, surprise = flat.backbone(chunk, valid, expected)
        inputs = {'tokens': chunk.numpy(), 'frame_valid': valid.numpy(), **state}
        context, surprised, *after = session.run(None, inputs)
        state = {f'state/{name}': array for name, array in zip(flat.names, after, strict=True)}
        if count:
            compare('context', context[:, :count], tokens[:, :count].numpy())
        compare('surprise', surprised, surprise.numpy())
    for name, array in zip(flat.names, after, strict=True):
        kind = name.split('.')[-1].rstrip('012')
        compare(kind, array, expected[name].numpy())
    times = MUON_TIMES if flat.backbone.config.update_rule == 'muon' else 1.0
    for kind, error in worst.items():
        assert error <= times * PARITY[kind], f'{kind}: relative maximum {error:.3g}'


@pytest.mark.trt
def test_tensorrt_reads_the_functions_as_it_reads_them_inlined(flat_and_model):
    """Runtime parity cannot see formal names that leak; the parser's networks can."""
    trt = pytest.importorskip('tensorrt_rtx', reason='needs TensorRT-RTX')
    _, model = flat_and_model
    counts = []
    for form in (model, inliner.inline_local_functions(model)):
        logger = trt.Logger(trt.Logger.ERROR)
        network = trt.Builder(logger).create_network(0)
        parser = trt.OnnxParser(network, logger)
        assert parser.parse(form.SerializeToString()), parser.get_error(0)
        layers = [network.get_layer(i) for i in range(network.num_layers)]
        counts.append(sorted(str(layer.type) for layer in layers))
    assert counts[0] == counts[1]
