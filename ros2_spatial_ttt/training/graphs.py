# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The graphs of a model folder, each from the torch module that defines it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import onnx
import torch
from torch import Tensor, nn

from ros2_spatial_ttt.memory.field import EMBEDDING, GEOMETRY_CHANNELS
from ros2_spatial_ttt.memory.second_look import CROP, KNOWN
from ros2_spatial_ttt.training.backbone import HybridBackbone
from ros2_spatial_ttt.training.chunk_encoder import ChunkEncoder, PictureEmbedder
from ros2_spatial_ttt.training.field_layers import FieldRead, FieldRule, FieldUpdate
from ros2_spatial_ttt.training.layers import FastWeightUpdate
from ros2_spatial_ttt.training.model import WINDOW
from ros2_spatial_ttt.training.onnx_functions import CustomPart, export_graph
from ros2_spatial_ttt.training.second_look import SecondLook, SecondLookGraph
from ros2_spatial_ttt.training.untrained import EncoderConfig, ExampleEmbedder, FrameEncoder

__all__ = [
    'FieldConfig',
    'Graphs',
    'field_graphs',
    'network_graphs',
    'second_look_graph',
    'untrained_graphs',
]

# Graphs by file stem; each is made when it is called for, as one takes seconds.
Graphs = dict[str, Callable[[], onnx.ModelProto]]


@dataclass(frozen=True)
class FieldConfig:
    """Sizes of the fields.

    Attributes:
        sectors: compass directions that looks at a surface are told apart by.
        appearance_features, geometry_features: D of each kind.
        appearance_scales_m, geometry_scales_m: kernel length scales.
        rule: constants of the update.
    """

    sectors: int = 6
    appearance_features: int = 64
    appearance_scales_m: tuple[float, ...] = (0.15, 0.3)
    geometry_features: int = 128
    geometry_scales_m: tuple[float, ...] = (0.4,)
    rule: FieldRule = FieldRule()


def network_graphs(encoder: ChunkEncoder, field: FieldConfig) -> Graphs:
    """Return the graphs of a model with a trained network."""
    net = encoder.net
    fields = field_graphs(field, embedding=net.config.appearance)
    embedder = PictureEmbedder(net)
    return {
        'update': lambda: _network_update(encoder),
        'embed': lambda: _embed_graph(embedder, embedder.inputs, embedder.outputs),
        **fields,
    }


def untrained_graphs(config: EncoderConfig, field: FieldConfig, backbone: nn.Module) -> Graphs:
    """Return the graphs of the model with random convolutions."""
    fields = field_graphs(field, embedding=config.embedding)
    embedder = ExampleEmbedder(backbone)
    return {
        'update': lambda: _untrained_update(config, backbone),
        'embed': lambda: _embed_graph(embedder, embedder.inputs, embedder.outputs),
        **fields,
    }


def field_graphs(field: FieldConfig, *, embedding: int) -> Graphs:
    """Return update and read of the appearance and the geometry field."""
    looks, shape = field.appearance_features, field.geometry_features
    channels = EMBEDDING.start + embedding
    return {
        'appearance_update': lambda: _update_graph(field.rule, looks, channels),
        'appearance_read': lambda: _read_graph(looks, channels),
        'geometry_update': lambda: _update_graph(field.rule, shape, GEOMETRY_CHANNELS),
        'geometry_read': lambda: _read_graph(shape, GEOMETRY_CHANNELS),
    }


def second_look_graph(net: SecondLook) -> onnx.ModelProto:
    """Return the graph of a second look; batch norms of ``net`` are folded."""
    graph, names = SecondLookGraph(net), net.names.out_features - 1
    arguments = (
        torch.zeros(3, CROP, CROP, 3, dtype=torch.uint8),
        torch.zeros(3, CROP, CROP, 4),
        torch.full((3, KNOWN + names), 0.5 / names),
    )
    dynamic = ({0: torch.export.Dim('detections')},) * 3
    return export_graph(graph, arguments, graph.inputs, graph.outputs, dynamic=dynamic)


def _network_update(encoder: ChunkEncoder) -> onnx.ModelProto:
    config, backbone = encoder.net.config, encoder.net.backbone
    frames, tokens = config.chunk_frames, config.grid[0] * config.grid[1]
    state: dict[str, Tensor] = {}
    parts: list[CustomPart] = []
    if isinstance(backbone, HybridBackbone):
        state, parts = backbone.initial_state(1), _backbone_parts(backbone)
    arguments = (
        torch.zeros(frames, config.image_height, config.image_width, 3, dtype=torch.uint8),
        torch.ones(frames, tokens),
        torch.ones(tokens, 3),
        torch.eye(4)[:3].expand(frames, 3, 4).contiguous(),
        *(torch.ones(frames) for _ in range(3)),
        *state.values(),
    )
    outputs = [*encoder.outputs, *(f'next_state/{name}' for name in state)]
    return export_graph(encoder, arguments, encoder.inputs, outputs, parts=parts)


def _backbone_parts(backbone: HybridBackbone) -> list[CustomPart]:
    """Return the custom parts of the blocks; equal blocks share one function."""
    config, state = backbone.config, backbone.initial_state(1)
    width, count = config.width, config.frames * config.tokens
    valid = torch.ones(1, config.frames)
    parts = []
    for number, block in enumerate(backbone.blocks):
        fast = block.fast
        if fast is None:
            continue
        if config.use_conv:
            tokens = torch.zeros(1, config.frames, config.tokens, 3 * width)
            tail = state[f'block{number}.tail']
            parts.append(CustomPart(fast.conv, (tokens, tail, valid, fast.kernel, fast.bias), {}))
        weights = [state[f'block{number}.{name}'] for name in FastWeightUpdate.inputs[:6]]
        # One tensor in two places would be taken for one input of the function.
        per_token = (1, config.heads, count)
        own = (
            *(torch.zeros(*per_token, width // config.heads) for _ in range(2)),
            torch.zeros(*per_token, 3),
            torch.zeros(per_token),
            *(torch.zeros(config.heads) for _ in range(2)),
            valid,
        )
        initial = (fast.w0, fast.w1, fast.w2)
        parts.append(CustomPart(fast.update, (*weights, *initial, *own), {}))
        break
    return parts


def _untrained_update(config: EncoderConfig, backbone: nn.Module) -> onnx.ModelProto:
    frames, tokens = config.chunk_frames, config.tokens
    arguments = (
        torch.zeros(frames, config.image_height, config.image_width, 3, dtype=torch.uint8),
        torch.ones(frames, tokens),
        torch.ones(tokens, 3),
        torch.eye(4)[:3].expand(frames, 3, 4).contiguous(),
        torch.ones(frames),
    )
    encoder = FrameEncoder(config, backbone)
    return export_graph(encoder, arguments, encoder.inputs, encoder.outputs)


def _update_graph(rule: FieldRule, features: int, channels: int) -> onnx.ModelProto:
    update, samples = FieldUpdate(rule), 48
    arguments = (
        torch.zeros(features, features),
        torch.zeros(features, channels),
        torch.zeros(features, channels),
        torch.zeros(samples, 3),
        torch.zeros(samples, channels),
        torch.ones(samples),
        torch.zeros(features // 2, 3),
    )
    many = {0: torch.export.Dim('samples')}
    state = update.inputs[:3]
    return export_graph(
        update,
        arguments,
        [*(f'state/{name}' for name in state), *update.inputs[3:]],
        [f'next_state/{name}' for name in state],
        dynamic=((None, None, None, many, many, many, None),),
        parts=[CustomPart(update, arguments, dict.fromkeys(update.inputs[3:6], many))],
    )


def _read_graph(features: int, channels: int) -> onnx.ModelProto:
    read = FieldRead()
    arguments = (
        torch.zeros(features, channels),
        torch.zeros(48, 3),
        torch.zeros(features // 2, 3),
    )
    dynamic = (None, {0: torch.export.Dim('points')}, None)
    return export_graph(read, arguments, read.inputs, read.outputs, dynamic=dynamic)


def _embed_graph(
    embedder: nn.Module, inputs: tuple[str, ...], outputs: tuple[str, ...]
) -> onnx.ModelProto:
    pictures = torch.zeros(3, WINDOW, WINDOW, 3, dtype=torch.uint8)
    many = ({0: torch.export.Dim('pictures')},)
    return export_graph(embedder, (pictures,), inputs, outputs, dynamic=many)
