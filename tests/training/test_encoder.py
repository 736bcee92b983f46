# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A pretrained backbone in place of the trunk, here ones that are randomly initialised."""

from __future__ import annotations

import importlib
import sys
from types import SimpleNamespace

import pytest

pytest.importorskip('torch')

import torch
from small_encoders import save_encoder
from toy_clips import SIZE, save_toy, tiny_config, toy_home

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.training import encoder as encoder_module
from ros2_spatial_ttt.training.batches import HomeShelf, make_batch
from ros2_spatial_ttt.training.encoder import load_encoder
from ros2_spatial_ttt.training.run import Run
from ros2_spatial_ttt.training.scenes import home_path
from ros2_spatial_ttt.training.settings import load_config
from ros2_spatial_ttt.training.train import batch_options

# These libraries warn of their own internals.
pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings('ignore')]


@pytest.fixture(scope='module', params=['resnet', 'dinov2'])
def weights(request, tmp_path_factory):
    """Return the folder of a small random backbone: one of convolutions, one of patches."""
    folder = tmp_path_factory.mktemp(request.param)
    save_encoder(request.param, folder)
    return folder


@pytest.fixture
def begun(weights, tmp_path):
    """Return a run with a pretrained backbone, and a batch."""
    path = home_path(tmp_path, 1)
    save_toy(path, toy_home())
    tiny_config(tmp_path / 'c.yaml', encoder=f'transformers:{weights}')
    config = load_config(tmp_path / 'c.yaml')
    batch = make_batch(HomeShelf([path]), batch_options(config, 0), seed=0, step=0)
    return Run(config), batch


def test_features_lie_on_the_grid_of_the_tokens(begun):
    training, _ = begun
    trunk = training.net.trunk
    features = trunk(torch.rand(2, 3, SIZE, SIZE))
    assert features.shape == (2, 8, SIZE // 8, SIZE // 8)
    looks = trunk.appearance(features)
    assert looks.shape == (2, 8, SIZE // 16, SIZE // 16)
    assert training.net.embed(torch.rand(3, 3, 48, 48)).shape == (3, 8)


def test_a_step_trains_what_is_on_top_and_leaves_the_backbone(begun):
    training, batch = begun
    before = {name: value.clone() for name, value in training.net.state_dict().items()}
    assert training.advance(batch) is not None
    changed = {
        name
        for name, value in training.net.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert 'trunk.project.weight' in changed
    assert not [name for name in changed if name.startswith('trunk.encoder.')]


def test_the_maps_of_strides_8_and_16_are_used(tmp_path):
    save_encoder('resnet', tmp_path)
    encoder = load_encoder(f'transformers:{tmp_path}')
    maps = encoder(torch.zeros(1, 3, encoder_module.PROBE_PX, encoder_module.PROBE_PX))
    used = [encoder_module._nearest_stride(maps, stride) for stride in (8, 16)]
    assert [maps[number].shape[1] for number in used] == [6, 8]


def test_a_timm_backbone_is_asked_for_its_weights_and_maps(monkeypatch):
    asked = []

    def create_model(name, **options):
        asked.append((name, options))
        return _Maps()

    monkeypatch.setitem(sys.modules, 'timm', SimpleNamespace(create_model=create_model))
    maps = load_encoder('timm:small')(torch.zeros(1, 3, 64, 64))
    assert asked == [('small', {'pretrained': True, 'features_only': True})]
    assert [each.shape[3] for each in maps] == [8, 4]


@pytest.mark.parametrize('name', ['resnet18', 'keras:resnet18', ''])
def test_a_name_without_its_library_is_refused(name):
    with pytest.raises(ConfigError, match="expected one of .*'timm', 'transformers'"):
        load_encoder(name)


def test_a_library_that_is_not_installed_is_named(monkeypatch):
    def missing(name):
        raise ImportError(f'No module named {name!r}')

    monkeypatch.setattr(importlib, 'import_module', missing)
    with pytest.raises(ConfigError, match='pip install timm'):
        load_encoder('timm:resnet18')


def test_weights_that_are_not_there_are_named(tmp_path):
    pytest.importorskip('transformers')
    with pytest.raises(ConfigError, match='expected a backbone whose weights are here'):
        load_encoder(f'transformers:{tmp_path}')


class _Maps(torch.nn.Module):
    """Gives maps at strides 8 and 16, as a model of timm with ``features_only`` does."""

    def forward(self, picture):
        return [torch.nn.functional.avg_pool2d(picture, stride) for stride in (8, 16)]
