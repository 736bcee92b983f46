# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""``spatial-ttt train``: from simulated homes to a checkpoint that ``spatial-ttt export`` takes.

spatial-ttt train --config training/nano.yaml --out out/nano
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from ros2_spatial_ttt.training.batches import BatchOptions, HomeShelf, batches
from ros2_spatial_ttt.training.checkpoint import load_checkpoint, save_checkpoint
from ros2_spatial_ttt.training.data import ClipOptions
from ros2_spatial_ttt.training.model import PRESETS, SpatialNet
from ros2_spatial_ttt.training.perception import perception_loss
from ros2_spatial_ttt.training.scenes import SceneOptions, home_path, render_homes
from ros2_spatial_ttt.training.settings import TrainConfig, load_config

__all__ = ['Run', 'add_arguments', 'main']


class Run:
    """Network, moving average, optimiser and step of a training run."""

    def __init__(self, config: TrainConfig) -> None:
        torch.manual_seed(config.seed)
        self.config, self.step, self.skipped = config, 0, 0
        net = SpatialNet(PRESETS[config.preset])
        self.net = net.to(memory_format=torch.channels_last)
        self.average = {name: value.clone() for name, value in net.state_dict().items()}
        self.optimiser = torch.optim.AdamW(_groups(net, config), lr=config.rate, betas=(0.9, 0.98))

    def rate(self, step: int) -> float:
        """Return the learning rate of a step: linear to its largest, then a cosine to 0."""
        config = self.config
        if step < config.warmup:
            return config.rate * (step + 1) / config.warmup
        done = (step - config.warmup) / max(config.steps - config.warmup, 1)
        return config.rate * 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))

    def advance(self, loss: Tensor) -> float:
        """Take one step down a loss; one that is not finite is skipped and counted."""
        for group in self.optimiser.param_groups:
            group['lr'] = self.rate(self.step)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = float(nn.utils.clip_grad_norm_(self.net.parameters(), self.config.clip_norm))
        if math.isfinite(norm) and bool(torch.isfinite(loss)):
            self.optimiser.step()
            self._follow()
        else:
            self.skipped += 1
        self.step += 1
        return norm

    def _follow(self) -> None:
        """Move the average towards the weights."""
        keep = min(self.config.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self.net.state_dict().items():
                if value.dtype.is_floating_point:
                    self.average[name].lerp_(value, 1.0 - keep)
                else:
                    self.average[name].copy_(value)

    def save(self, path: Path) -> None:
        """Write everything that the run needs to go on."""
        moments = {
            f'moment.{number}.{key}': torch.as_tensor(value)
            for number, state in self.optimiser.state_dict()['state'].items()
            for key, value in state.items()
        }
        weights = {f'net.{name}': value for name, value in self.net.state_dict().items()}
        average = {f'average.{name}': value for name, value in self.average.items()}
        header = {'config': self.config.to_dict(), 'step': self.step, 'skipped': self.skipped}
        save_checkpoint(path, {**weights, **average, **moments}, header)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint of the same config."""
        tensors, header = load_checkpoint(path)
        self.net.load_state_dict(_part(tensors, 'net.'))
        self.average = {k: v.clone() for k, v in _part(tensors, 'average.').items()}
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in _part(tensors, 'moment.').items():
            number, key = name.split('.')
            state.setdefault(int(number), {})[key] = value
        whole = self.optimiser.state_dict()
        self.optimiser.load_state_dict({**whole, 'state': state})
        self.step, self.skipped = int(header['step']), int(header['skipped'])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``spatial-ttt train``."""
    parser.add_argument('--config', type=Path, required=True, help='YAML file of the run')
    parser.add_argument('--out', type=Path, required=True, help='folder of checkpoints and logs')
    parser.add_argument('--clips', type=Path, default=Path('out/clips'), help='rendered homes')
    parser.add_argument('--threads', type=int, default=0, help='of torch; 0 = as torch chooses')
    parser.add_argument('--render', type=int, default=2, help='processes that render homes')


def main(args: argparse.Namespace) -> int:
    """Render what is missing, then train, going on where an earlier run stopped."""
    config = load_config(args.config)
    if args.threads:
        torch.set_num_threads(args.threads)
    seeds = range(config.first_home, config.first_home + config.homes)
    render_homes(args.clips, seeds, SceneOptions(), processes=args.render)
    shelf = HomeShelf([home_path(args.clips, seed) for seed in seeds])
    run, last = Run(config), args.out / 'last.safetensors'
    if last.is_file():
        run.load(last)
        print(f'going on from step {run.step} of {last}', flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    _train(run, shelf, args.out)
    return 0


def _train(run: Run, shelf: HomeShelf, out: Path) -> None:
    config = run.config
    options = BatchOptions(
        clips=config.clips,
        frames=config.frames,
        clip=ClipOptions(strength=config.strength, without_depth=config.without_depth),
    )
    steps = range(run.step, config.steps)
    begin, sums = time.perf_counter(), {}
    run.net.train()
    with (out / 'log.jsonl').open('a') as log, tqdm(total=config.steps, initial=run.step) as bar:
        for batch in batches(shelf, options, steps, seed=config.seed):
            loss, logged = perception_loss(run.net, batch, config.loss, half=config.half)
            logged['norm'] = run.advance(loss)
            for name, value in logged.items():
                sums[name] = sums.get(name, 0.0) + value
            bar.update()
            if run.step % 50 == 0:
                means = {name: round(value / 50, 4) for name, value in sums.items()}
                seconds = round(time.perf_counter() - begin, 1)
                log.write(json.dumps({'step': run.step, 'seconds': seconds, **means}) + '\n')
                log.flush()
                bar.set_postfix(names=means['names'], right=means['things_right'])
                sums = {}
            if run.step % 500 == 0 or run.step == config.steps:
                run.save(out / 'last.safetensors')


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _groups(net: nn.Module, config: TrainConfig) -> list[dict]:
    """Return parameter groups: biases and scales do not decay."""
    parameters = list(net.parameters())
    return [
        {'params': [p for p in parameters if p.ndim > 1], 'weight_decay': config.weight_decay},
        {'params': [p for p in parameters if p.ndim <= 1], 'weight_decay': 0.0},
    ]
