# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The sizes that are shipped: nano stays small, base trains, graphs keep to what runtimes take."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip('torch')
pytest.importorskip('onnx')

import onnx
import torch
from safetensors import safe_open
from toy_clips import SCENES, save_toy, tiny_config, toy_home

from ros2_spatial_ttt.training.backbone import BackboneConfig, HybridBackbone
from ros2_spatial_ttt.training.batches import HomeShelf, make_batch
from ros2_spatial_ttt.training.model import PRESETS, SpatialNet
from ros2_spatial_ttt.training.onnx_functions import IR_VERSION, OPSET
from ros2_spatial_ttt.training.run import Run
from ros2_spatial_ttt.training.scenes import home_path
from ros2_spatial_ttt.training.settings import load_config
from ros2_spatial_ttt.training.train import batch_options

pytestmark = pytest.mark.torch
MODELS = Path(__file__).resolve().parents[2] / 'models'
GRAPHS = sorted(MODELS.glob('*/*.onnx'))
MOST = 3_000_000


def test_nano_has_at_most_three_million_parameters():
    net = SpatialNet(PRESETS['nano'], HybridBackbone(BackboneConfig()))
    count = sum(parameter.numel() for parameter in net.parameters())
    assert 1_000_000 < count <= MOST


def test_the_shipped_nano_has_at_most_three_million_numbers():
    with safe_open(MODELS / 'nano/weights.safetensors', framework='pt') as file:
        sizes = [torch.Size(file.get_slice(name).get_shape()).numel() for name in file.keys()]  # noqa: SIM118
    assert 1_000_000 < sum(sizes) <= MOST


def test_there_are_graphs():
    assert {path.parent.name for path in GRAPHS} == {'nano', 'untrained'}


@pytest.mark.parametrize('path', GRAPHS, ids=lambda path: f'{path.parent.name}/{path.stem}')
def test_a_shipped_graph_has_the_opset_and_format_that_runtimes_take(path):
    model = onnx.load(path, load_external_data=False)
    assert (OPSET, IR_VERSION) == (18, 9), 'the newest that TensorRT 10.3 of JetPack 6 takes'
    assert model.ir_version == IR_VERSION
    for entry in (model, *model.functions):
        opsets = {o.domain: o.version for o in entry.opset_import}
        assert opsets.pop('') == OPSET
        assert opsets in ({}, {'spatial_ttt': 1})


@pytest.mark.parametrize('stage', ['perception', 'memory'])
def test_base_takes_a_step(stage, tmp_path):
    """At the smallest pictures that example pictures can be cut out of."""
    save_toy(home_path(tmp_path, 30_000), toy_home(clips=1, frames=8), SCENES)
    tiny_config(
        tmp_path / 'config.yaml',
        preset='base',
        stage=stage,
        chunks=1,
        half=False,
        backbone={'cells': [3, 3]},
    )
    config = load_config(tmp_path / 'config.yaml')
    training = Run(config)
    before = {name: value.clone() for name, value in training.net.named_parameters()}
    shelf = HomeShelf([home_path(tmp_path, 30_000)])
    logged = training.advance(make_batch(shelf, batch_options(config, 0), seed=1, step=0))
    assert logged is not None and training.skipped == 0
    part = 'backbone.blocks.11.' if stage == 'memory' else 'trunk.'
    moved = [
        n for n, value in training.net.named_parameters() if not torch.equal(value, before[n])
    ]
    assert any(name.startswith(part) for name in moved)
