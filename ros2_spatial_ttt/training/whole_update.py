# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The whole update of a model folder as plain PyTorch: what other backends are compared with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from ros2_spatial_ttt.errors import ModelError
from ros2_spatial_ttt.runtime.base import ChunkInput, Manifest, State
from ros2_spatial_ttt.training.backbone import BackboneConfig, HybridBackbone
from ros2_spatial_ttt.training.chunk_encoder import ChunkEncoder, folded
from ros2_spatial_ttt.training.model import ModelConfig, SpatialNet
from ros2_spatial_ttt.training.operators import Run, repeated

__all__ = ['WholeUpdate', 'network_of_folder', 'whole_update']

# Entries of the manifest's backbone that follow from the others.
_DERIVED = ('step_max', 'decay_max')


@dataclass(frozen=True)
class WholeUpdate:
    """The update of a model with its inputs.

    Attributes:
        encoder: its PyTorch form. inputs: by name, in the encoder's order.
        flops: of its products and convolutions, one multiplication and one addition each.
        bytes: that must be read and written at least: weights, inputs and outputs.
    """

    encoder: ChunkEncoder
    inputs: dict[str, Tensor]
    flops: int
    bytes: int

    def outputs(self) -> dict[str, NDArray]:
        """Return what eager PyTorch says, by name."""
        with torch.no_grad():
            said = self.encoder(*self.inputs.values())
        names = (*self.encoder.outputs, *(f'next_state/{n}' for n in self.encoder.state_names))
        return {name: value.numpy() for name, value in zip(names, said, strict=True)}

    def pytorch(self, device: str, *, threads: int) -> dict[str, Run]:
        """Return how PyTorch runs it so many times: eager; on 'cuda' compiled and as a graph."""
        torch.set_num_threads(threads)
        encoder = self.encoder.to(device)
        arguments = [tensor.to(device) for tensor in self.inputs.values()]
        ways: dict[str, Callable[..., object]] = {'eager': encoder}
        if device == 'cuda':
            ways['compiled'] = torch.compile(encoder)
            ways['graph'] = torch.compile(encoder, mode='reduce-overhead')
        return {name: repeated(function, arguments, device) for name, function in ways.items()}


def network_of_folder(manifest: Manifest) -> SpatialNet:
    """Return the network of a model folder; its batch norms are folded.

    Raises:
        ModelError: the model is no trained network.
    """
    if manifest.network != 'spatial':
        raise ModelError(
            f'model {manifest.name!r} holds network {manifest.network!r}, expected one that '
            'spatial-ttt train made, such as nano'
        )
    weights = load_file(manifest.folder / 'weights.safetensors')
    trunk = (f'trunk.{name}.0.weight' for name in ('first', 'second', 'third'))
    stem = [len(weights[name]) for name in (*trunk, 'down.0.weight', 'around.0.0.weight')]
    config = ModelConfig(
        image_width=manifest.image_width,
        image_height=manifest.image_height,
        stem=(stem[0], stem[1], stem[2], stem[3], stem[4]),
        labels=manifest.labels,
        semantic=len(weights['semantic.weight']),
        appearance=manifest.embedding,
        chunk_frames=manifest.chunk_frames,
        blocks=int(manifest.backbone.get('blocks', 0)),
    )
    net = SpatialNet(config, _blocks(manifest))
    folded(net.eval().requires_grad_(False))
    net.load_state_dict(weights)
    return net


def whole_update(manifest: Manifest, chunk: ChunkInput, state: State) -> WholeUpdate:
    """Return the update of a model on a chunk and a state."""
    encoder = ChunkEncoder(
        network_of_folder(manifest),
        free_margin_m=manifest.free_margin_m,
        depth_max_m=manifest.depth_max_m,
        worst_depth=manifest.worst_depth,
    ).eval()
    arrays = vars(chunk) | {f'state/{name}': state[name] for name in encoder.state_names}
    inputs = {
        name: torch.from_numpy(np.ascontiguousarray(arrays[name])) for name in encoder.inputs
    }
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        said = encoder(*inputs.values())
    used = [*encoder.parameters(), *inputs.values(), *said]
    return WholeUpdate(
        encoder, inputs, counter.get_total_flops(), sum(tensor.nbytes for tensor in used)
    )


def _blocks(manifest: Manifest) -> HybridBackbone | None:
    if not manifest.backbone:
        return None
    values = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in manifest.backbone.items()
        if name not in _DERIVED
    }
    return HybridBackbone(BackboneConfig(**values))
