# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""From an exported model back to a network that can be trained on.

An export folds batch norms into the convolutions before them. Here each is put back with the mean
and the variance that the folded convolution has on given pictures, so that the network says the
same as before, and goes on saying so when batch norms follow their batches again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.training.batches import Batch
from ros2_spatial_ttt.training.chunk_encoder import folded
from ros2_spatial_ttt.training.model import ModelConfig, SpatialNet

__all__ = ['load_folded', 'unfolded']

WEIGHTS = 'weights.safetensors'
EPSILON = 1e-5  # of PyTorch's batch norms


def load_folded(folder: Path) -> dict[str, Tensor]:
    """Return the weights of an exported model by name.

    Raises:
        ConfigError: there are none, or the file is damaged.
    """
    try:
        return load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise ConfigError(
            f'{folder / WEIGHTS}: expected the weights of an exported model, got {error}; give a '
            'folder that spatial-ttt export wrote, or a checkpoint'
        ) from error


@torch.no_grad()
def unfolded(
    config: ModelConfig, weights: dict[str, Tensor], batches: Iterable[Batch]
) -> dict[str, Tensor]:
    """Return the state of a ``SpatialNet`` without blocks that says what ``weights`` say.

    Args:
        config: sizes of the network.
        weights: of an exported model; those of its blocks are left out.
        batches: of which the statistics of the batch norms are made.

    Raises:
        ConfigError: the weights are of another network.
    """
    plain = folded(SpatialNet(config).eval())
    own = {n: w for n, w in weights.items() if not n.startswith('backbone.')}
    try:
        plain.load_state_dict(own)
    except RuntimeError as error:
        raise ConfigError(
            f'exported weights of another network ({str(error).splitlines()[-1].strip()}); '
            'give those of the same preset'
        ) from error
    net = SpatialNet(config).eval()
    seen = _statistics(plain, batches)
    state = {name: own.get(name, value) for name, value in net.state_dict().items()}
    for name, norm in _norms(net):
        state |= _put_back(name, norm, own, *seen[name])
    return state


def _norms(net: nn.Module) -> Iterator[tuple[str, str]]:
    """Yield the name of each convolution that a batch norm follows, and that norm's."""
    for name, module in net.named_modules():
        if isinstance(module, nn.Sequential):
            for number in range(len(module) - 1):
                pair = module[number], module[number + 1]
                if isinstance(pair[0], nn.Conv2d) and isinstance(pair[1], nn.BatchNorm2d):
                    yield f'{name}.{number}', f'{name}.{number + 1}'


def _statistics(net: nn.Module, batches: Iterable[Batch]) -> dict[str, tuple[Tensor, Tensor]]:
    """Return mean and variance (C,) of every convolution's output over all batches."""
    sums: dict[str, list[Tensor]] = {}

    def note(name: str, out: Tensor) -> None:
        flat = out.double().transpose(0, 1).flatten(1)
        now = [flat.sum(dim=1), (flat * flat).sum(dim=1), torch.tensor(float(flat.shape[1]))]
        before = sums.get(name, [torch.zeros(())] * 3)
        sums[name] = [old + new for old, new in zip(before, now, strict=True)]

    hooks = [
        module.register_forward_hook(lambda _module, _given, out, name=name: note(name, out))
        for name, module in net.named_modules()
        if isinstance(module, nn.Conv2d)
    ]
    for batch in batches:
        net(batch.picture, batch.geometry)
    for hook in hooks:
        hook.remove()
    return {
        name: (first / count, (second / count - (first / count) ** 2).clamp(min=0.0))
        for name, (first, second, count) in sums.items()
    }


def _put_back(
    name: str, norm: str, weights: dict[str, Tensor], mean: Tensor, variance: Tensor
) -> dict[str, Tensor]:
    """Return convolution and batch norm that together do what the folded convolution does.

    Kernels get the length that they have in a fresh network: a batch norm undoes their scale, but
    the optimiser's steps are as long for a long kernel as for a short one.
    """
    kernel, bias = weights[f'{name}.weight'].double(), weights[f'{name}.bias'].double()
    scale = (3.0**0.5 * kernel.flatten(1).norm(dim=1)).clamp(min=1e-6)
    deviation = torch.sqrt(variance + EPSILON * scale**2)
    return {
        f'{name}.weight': (kernel / scale[:, None, None, None]).float(),
        f'{norm}.running_mean': ((mean - bias) / scale).float(),
        f'{norm}.running_var': (variance / scale**2).float(),
        f'{norm}.weight': deviation.float(),
        f'{norm}.bias': mean.float(),
    }
