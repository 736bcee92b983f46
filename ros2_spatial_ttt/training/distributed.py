# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Several processes that train one network, started by ``torchrun``.

Each rank sees clips of its own; gradients are averaged by DistributedDataParallel, so all ranks
keep the same weights. Only rank 0 writes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from ros2_spatial_ttt.errors import ConfigError

__all__ = ['Ranks', 'choose_device']


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together."""

    rank: int = 0
    world: int = 1

    @staticmethod
    def join(device: torch.device) -> Ranks:
        """Return this process's place, having met the others that torchrun started."""
        world = int(os.environ.get('WORLD_SIZE', '1'))
        if world == 1:
            return Ranks()
        distributed.init_process_group('nccl' if device.type == 'cuda' else 'gloo')
        return Ranks(distributed.get_rank(), world)

    def leave(self) -> None:
        """Part from the others."""
        if self.world > 1:
            distributed.destroy_process_group()

    @property
    def first(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    def wait(self) -> None:
        """Return once all have come here."""
        if self.world > 1:
            distributed.barrier()

    def shared(self, module: nn.Module) -> nn.Module:
        """Return a module whose backward pass averages gradients over all ranks."""
        return DistributedDataParallel(module) if self.world > 1 else module

    def all(self, flag: torch.Tensor) -> bool:
        """Return whether a flag () bool is set on every rank."""
        if self.world > 1:
            flag = flag.to(torch.int32)
            distributed.all_reduce(flag, distributed.ReduceOp.MIN)
        return bool(flag)


def choose_device(name: str) -> torch.device:
    """Return the device of this process; 'auto' = a GPU where there is one.

    Raises:
        ConfigError: it is not there.
    """
    if name == 'auto':
        name = 'cuda' if torch.cuda.is_available() else 'cpu'
    if name == 'cpu':
        return torch.device('cpu')
    if not torch.cuda.is_available():
        raise ConfigError(f'--device {name}: torch {torch.__version__} sees no GPU; give cpu')
    device = torch.device('cuda', int(os.environ.get('LOCAL_RANK', '0')))
    torch.cuda.set_device(device)
    return device
