# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Going on with the training of a model that was exported."""

from __future__ import annotations

import pytest

pytest.importorskip('torch', reason='networks are trained by PyTorch')

import torch
from safetensors.torch import save_file

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.training.batches import Batch
from ros2_spatial_ttt.training.chunk_encoder import folded
from ros2_spatial_ttt.training.model import GEOMETRY, ModelConfig, SpatialNet
from ros2_spatial_ttt.training.unfold import load_folded, unfolded

pytestmark = pytest.mark.torch

SMALL = ModelConfig(image_width=64, image_height=64, stem=(8, 8, 16, 16, 16), blocks=0)


def trained() -> SpatialNet:
    """Return a network whose batch norms are not those of a fresh one."""
    torch.manual_seed(3)
    net = SpatialNet(SMALL)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data.uniform_(0.2, 3.0)
            module.bias.data.uniform_(-1.0, 1.0)
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.1, 2.0)
    return net.eval().requires_grad_(requires_grad=False)


def pictures(seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(0, 256, (12, 64, 64, 3), dtype=torch.uint8, generator=generator)
    geometry = torch.randn(12, GEOMETRY, 64, generator=generator)
    return Batch(image, geometry, truth=None, clips=12, step=0)


def test_the_network_says_the_same_before_and_after():
    net, batch = trained(), pictures(1)
    before = net(batch.picture, batch.geometry)
    weights = folded(net).state_dict()
    again = SpatialNet(SMALL)
    again.load_state_dict(unfolded(SMALL, weights, [batch]))
    # Float32 sums over up to 144 products, twenty layers deep.
    for mode in (False, True):
        after = again.train(mode)(batch.picture, batch.geometry)
        for name, value in vars(before).items():
            got = getattr(after, name)
            scale = value.abs().max().clamp(min=1.0)
            assert (got - value).abs().max() / scale < 1e-3, f'{name}, train({mode})'


def test_kernels_are_as_long_as_fresh_ones():
    weights = folded(trained()).state_dict()
    state = unfolded(SMALL, weights, [pictures(1)])
    norms = state['trunk.second.0.weight'].flatten(1).norm(dim=1)
    assert torch.allclose(norms, torch.full_like(norms, 3.0**-0.5), rtol=1e-4)


def test_statistics_are_those_of_all_batches():
    weights = folded(trained()).state_dict()
    both = unfolded(SMALL, weights, [pictures(1), pictures(2)])
    one = unfolded(SMALL, weights, [pictures(1)])
    name = 'trunk.third.1.running_mean'
    assert not torch.equal(both[name], one[name])
    other = unfolded(SMALL, weights, [pictures(2)])
    # Every batch has as many pictures.
    assert torch.allclose(both[name], 0.5 * (one[name] + other[name]), atol=1e-5)


def test_weights_of_another_network_are_refused():
    weights = folded(trained()).state_dict()
    with pytest.raises(ConfigError, match=r'another network.*same preset'):
        unfolded(ModelConfig(), weights, [])


def test_a_folder_without_sound_weights_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r'weights\.safetensors: expected the weights'):
        load_folded(tmp_path)
    (tmp_path / 'weights.safetensors').write_bytes(b'half written')
    with pytest.raises(ConfigError, match='spatial-ttt export wrote'):
        load_folded(tmp_path)
    save_file({'a': torch.ones(1)}, tmp_path / 'weights.safetensors')
    assert set(load_folded(tmp_path)) == {'a'}
