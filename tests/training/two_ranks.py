# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What one of two processes does for ``test_torchrun.py``, for torchrun to start.

It trains four steps in one go, the same in two halves, and three of which one has a batch with
NaN in the second process alone; checkpoints go into the folder that is given.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import torch
from toy_clips import add_tiny_preset

from ros2_spatial_ttt.training.batches import HomeShelf, make_batch
from ros2_spatial_ttt.training.distributed import Ranks
from ros2_spatial_ttt.training.run import Run
from ros2_spatial_ttt.training.scenes import home_path
from ros2_spatial_ttt.training.settings import load_config
from ros2_spatial_ttt.training.train import batch_options

CPU = torch.device('cpu')


def advance(training: Run, shelf: HomeShelf, steps: Iterable[int], broken: int = -1) -> None:
    """Take steps; the batch of one of them is broken in the second process."""
    config, rank = training.config, training.ranks.rank
    for step in steps:
        options = batch_options(config, step)
        batch = make_batch(shelf, options, seed=config.seed, step=step, rank=rank)
        if step == broken and rank == 1:
            batch = replace(batch, geometry=torch.full_like(batch.geometry, torch.nan))
        training.advance(batch)


def main(folder: Path) -> None:
    """Run all three; every process saves what it holds in the end."""
    config = load_config(folder / 'config.yaml')
    shelf = HomeShelf([home_path(folder, seed) for seed in (30_000, 30_001)])
    ranks = Ranks.join(CPU)

    whole = Run(config, CPU, ranks)
    advance(whole, shelf, range(4))
    whole.save(folder / f'whole-{ranks.rank}.safetensors')

    half = Run(config, CPU, ranks)
    advance(half, shelf, range(2))
    if ranks.first:
        half.save(folder / 'half.safetensors')
    ranks.wait()
    rest = Run(config, CPU, ranks)
    rest.load(folder / 'half.safetensors')
    advance(rest, shelf, range(2, 4))
    rest.save(folder / f'halves-{ranks.rank}.safetensors')

    met = Run(config, CPU, ranks)
    advance(met, shelf, range(1))
    met.save(folder / f'before-{ranks.rank}.safetensors')
    advance(met, shelf, range(1, 2), broken=1)
    met.save(folder / f'after-{ranks.rank}.safetensors')
    advance(met, shelf, range(2, 3))
    met.save(folder / f'later-{ranks.rank}.safetensors')
    ranks.leave()


if __name__ == '__main__':
    add_tiny_preset()
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
