# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A network with a pretrained backbone reaches a robot: its export says what PyTorch says."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('onnx')
pytest.importorskip('onnxscript')
pytest.importorskip('onnxruntime')

import torch
from small_encoders import save_encoder
from tiny_network import FIELD
from toy_clips import SIZE, tiny_config

from ros2_spatial_ttt.errors import ModelError
from ros2_spatial_ttt.runtime import parity
from ros2_spatial_ttt.runtime.base import ChunkInput, load_manifest
from ros2_spatial_ttt.runtime.ort import OrtRuntime
from ros2_spatial_ttt.runtime.reference import ReferenceRuntime
from ros2_spatial_ttt.training.chunk_encoder import ChunkEncoder
from ros2_spatial_ttt.training.export import Calibration, export_network, network_of
from ros2_spatial_ttt.training.run import Run
from ros2_spatial_ttt.training.settings import load_config

# These libraries and the exporter warn of their own internals.
pytestmark = [pytest.mark.torch, pytest.mark.ort, pytest.mark.filterwarnings('ignore')]

# Float32 through a dozen layers, whose order of sums is another runtime's.
TOLERANCE = 2e-4


@pytest.fixture(scope='module', params=['resnet', 'dinov2'])
def exported(request, tmp_path_factory, tiny_fields):
    """Return the checkpoint, the network read from it, and the manifest of its export."""
    folder = tmp_path_factory.mktemp(request.param)
    save_encoder(request.param, folder / 'weights')
    tiny_config(folder / 'c.yaml', encoder=f'transformers:{folder / "weights"}')
    training = Run(load_config(folder / 'c.yaml'))
    training.save(folder / 'last.safetensors')
    net, header = network_of(folder / 'last.safetensors')
    export_network(folder / 'model', 'own', net, Calibration(), field=FIELD)
    return training, net, header, load_manifest(folder / 'model')


def chunk_of(manifest, rng) -> ChunkInput:
    """Return a chunk of noise that a level camera sees."""
    frames, tokens = manifest.chunk_frames, manifest.grid[0] * manifest.grid[1]
    pose = np.tile([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 1.2]], (frames, 1, 1))
    ray = np.concatenate([rng.uniform(-0.5, 0.5, (tokens, 2)), np.ones((tokens, 1))], axis=1)
    return ChunkInput(
        image=rng.integers(0, 256, (frames, SIZE, SIZE, 3)).astype(np.uint8),
        depth=rng.uniform(0.5, 5.0, (frames, tokens)).astype(np.float32),
        ray=ray.astype(np.float32),
        tile_T_camera=pose.astype(np.float32),
        frame_valid=np.ones(frames, np.float32),
        camera_height=np.full(frames, 1.2, np.float32),
        heights=np.ones(frames, np.float32),
    )


def test_the_network_of_a_checkpoint_has_the_trained_backbone(exported):
    training, net, _, _ = exported
    trained = {n: v for n, v in training.net.state_dict().items() if n.startswith('trunk.enc')}
    assert trained
    for name, value in trained.items():
        assert torch.equal(net.state_dict()[name], value), name


def test_onnx_runtime_says_of_frames_what_torch_says(exported):
    _, net, _, manifest = exported
    chunk = chunk_of(manifest, np.random.default_rng(1))
    samples, _ = OrtRuntime(manifest, threads=1).encode(chunk, {})
    constants = Calibration()
    encoder = ChunkEncoder(
        net,
        free_margin_m=constants.free_margin_m,
        depth_max_m=constants.depth_max_m,
        worst_depth=constants.worst_depth,
    )
    with torch.no_grad():
        said = encoder(*(torch.from_numpy(array) for array in vars(chunk).values()))
    wanted = {n: v.numpy() for n, v in zip(encoder.outputs, said, strict=True)}
    for name, want in wanted.items():
        kind, _, token = name.partition('/')
        got = getattr(samples.tokens, token) if kind == 'tokens' else getattr(samples, name)
        assert np.abs(got - want).max() <= TOLERANCE * max(np.abs(want).max(), 1.0), name


@pytest.mark.parametrize('count', [1, 5])
def test_onnx_runtime_says_of_example_pictures_what_torch_says(exported, count):
    _, net, _, manifest = exported
    pictures = np.random.default_rng(2).integers(0, 256, (count, 48, 48, 3)).astype(np.uint8)
    got = OrtRuntime(manifest, threads=1).embed(pictures)
    with torch.no_grad():
        want = net.embed(torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255.0).numpy()
    assert np.abs(got - want).max() <= TOLERANCE
    assert count == 1 or np.abs(want[0] - want[1]).max() > 100 * TOLERANCE


def test_the_stored_numbers_are_those_of_the_graphs(exported):
    name, error = next(iter(parity.worst(OrtRuntime(exported[3], threads=1)).items()))
    assert error <= 1.0, name


def test_the_manifest_names_the_kind_of_network(exported):
    assert exported[3].network == 'pretrained'


def test_a_form_that_cannot_run_it_says_so(exported):
    with pytest.raises(ModelError, match='pretrained backbone .* no float64 form'):
        ReferenceRuntime(exported[3])
