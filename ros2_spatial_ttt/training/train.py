# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
r"""``spatial-ttt train``: from simulated homes to a checkpoint that ``spatial-ttt export`` takes.

spatial-ttt train --out out/nano --config config/train/nano_perception.yaml \
    config/train/nano_perception_more.yaml config/train/nano_memory.yaml
spatial-ttt train --out out/smoke --config config/train/smoke.yaml --clips out/smoke_clips

Several configs are stages: each starts from the weights that the one before it left.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from ros2_spatial_ttt.training.bag_clips import bag_clips
from ros2_spatial_ttt.training.batches import BatchOptions, HomeShelf, batches, make_batch
from ros2_spatial_ttt.training.data import ClipOptions
from ros2_spatial_ttt.training.distributed import Ranks, choose_device
from ros2_spatial_ttt.training.logs import log_of
from ros2_spatial_ttt.training.machine import has_bfloat16, require_writable
from ros2_spatial_ttt.training.run import Run
from ros2_spatial_ttt.training.scenes import home_path, render_homes
from ros2_spatial_ttt.training.settings import TrainConfig, load_config

__all__ = ['add_arguments', 'batch_options', 'run']

LAST = 'last.safetensors'  # the newest checkpoint in the folder of a run
STATISTICS = 32  # batches that the statistics of an exported model are made of
_LOG = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``spatial-ttt train``."""
    parser.add_argument(
        '--config', type=Path, required=True, nargs='+', help='YAML files of the stages, in order'
    )
    parser.add_argument(
        '--out',
        type=Path,
        required=True,
        help='folder of checkpoints and logs; with several configs, of a folder for each',
    )
    parser.add_argument('--clips', type=Path, default=Path('out/clips'), help='rendered homes')
    parser.add_argument('--start', type=Path, help='checkpoint or model folder to begin with')
    parser.add_argument(
        '--encoder', metavar='NAME', help='timm:NAME or transformers:NAME instead of the trunk'
    )
    parser.add_argument('--device', default='auto', choices=('auto', 'cpu', 'cuda'))
    parser.add_argument('--threads', type=int, default=0, help='of torch; 0 = as torch chooses')
    parser.add_argument('--render', type=int, default=2, help='processes that render homes')
    parser.add_argument('--workers', type=int, default=2, help='threads that make batches')


def run(args: argparse.Namespace) -> int:
    """Train stage by stage, going on where an earlier run of the same configs and folder stopped.

    Raises:
        ConfigError: a config, checkpoint, folder or clip that cannot be used.
    """
    # 1. What to do, and where; all configs are read before the first is run.
    stages = [(path.stem, _settings(path, args)) for path in args.config]
    if args.threads:
        torch.set_num_threads(args.threads)
    for option in ('out', 'clips'):
        require_writable(getattr(args, option), f'--{option}')
    device = choose_device(args.device)
    ranks = Ranks.join(device)
    if ranks.first:
        _warn_of_half([config for _, config in stages], device)
    try:
        # 2. Each stage from the weights before it.
        start, out = args.start, args.out
        for name, config in stages:
            if len(stages) > 1:
                out = args.out / name
            if start:
                config = replace(config, start=str(start))
            out.mkdir(parents=True, exist_ok=True)
            _run_stage(config, args, out, device, ranks)
            ranks.wait()
            start = out / LAST
    finally:
        ranks.leave()
    return 0


def _settings(path: Path, args: argparse.Namespace) -> TrainConfig:
    config = load_config(path)
    return replace(config, encoder=args.encoder) if args.encoder else config


def _warn_of_half(configs: Sequence[TrainConfig], device: torch.device) -> None:
    """Log a line where bfloat16 makes a run slower instead of faster."""
    if device.type == 'cpu' and any(config.half for config in configs) and not has_bfloat16():
        _LOG.warning(
            'half: true, but this CPU has no bfloat16: a step takes about 2.5 times as long as in '
            'float32; set half: false in the config'
        )


def _run_stage(
    config: TrainConfig, args: argparse.Namespace, out: Path, device: torch.device, ranks: Ranks
) -> None:
    # Network, from a checkpoint where there is one.
    training, last = Run(config, device, ranks), out / LAST
    begun = last.is_file()
    if begun:
        training.load(last)
        _tell(training, last)
    if training.step >= config.steps:
        return
    # Clips, which a finished stage needs no more.
    seeds = range(config.first_home, config.first_home + config.homes)
    shelf = _shelf(config, args, seeds, config.bags, ranks)
    checks = _shelf(config, args, config.held_out, (), ranks)
    if config.start and not begun:
        options = batch_options(config, 0)
        seen = (make_batch(shelf, options, seed=config.seed, step=n) for n in range(STATISTICS))
        training.start_from(Path(config.start), seen)
    _train(training, shelf, checks, out, args.workers)


def _tell(training: Run, last: Path) -> None:
    """Print where a run goes on, by its first process."""
    if training.ranks.first:
        done = 'finished: ' if training.step >= training.config.steps else 'going on from '
        print(f'{done}step {training.step} of {last}', flush=True)


def batch_options(config: TrainConfig, step: int) -> BatchOptions:
    """Return what the batch of a step is made of."""
    clip = ClipOptions(
        width=config.scenes.width,
        height=config.scenes.height,
        strength=config.strength,
        without_depth=config.without_depth,
        without_pose=config.without_pose,
    )
    if config.stage == 'perception':
        return BatchOptions(clips=config.clips, frames=config.frames, clip=clip)
    chunk, chunks = config.model.chunk_frames, config.chunks_at(step)
    return BatchOptions(
        clips=max(config.clips * config.chunks // chunks, 1),
        frames=chunk * chunks,
        clip=clip,
        chunk=chunk,
        names=len(config.model.labels),
    )


def _shelf(
    config: TrainConfig,
    args: argparse.Namespace,
    seeds: range,
    bags: Sequence[str],
    ranks: Ranks,
) -> HomeShelf:
    """Return clips of homes and recordings, made by the first process where they lack."""
    if ranks.first and seeds:
        render_homes(args.clips, seeds, config.scenes, processes=args.render)
    if ranks.first:
        for bag in bags:
            bag_clips(args.clips, Path(bag), config.scenes)
    ranks.wait()
    recorded = [bag_clips(args.clips, Path(bag), config.scenes) for bag in bags]
    return HomeShelf([home_path(args.clips, seed) for seed in seeds] + sum(recorded, []))


def _train(training: Run, shelf: HomeShelf, checks: HomeShelf, out: Path, workers: int) -> None:
    config, ranks = training.config, training.ranks
    steps = range(training.step, config.steps)
    made = batches(
        shelf,
        lambda step: batch_options(config, step),
        steps,
        seed=config.seed,
        rank=ranks.rank,
        workers=workers,
    )
    with log_of(training, out) as log:
        for batch in made:
            logged = training.advance(batch)
            step = training.step
            if log is None:
                continue
            log.add(step, logged, training.skipped)
            if len(checks) and (step % config.check_every == 0 or step == config.steps):
                log.write(step, check(training, checks), 'held_out')
            if step % config.save_every == 0 or step == config.steps:
                training.save(out / LAST)


@torch.no_grad()
def check(training: Run, shelf: HomeShelf) -> dict[str, float]:
    """Return mean loss and accuracy of the averaged weights on homes never trained on.

    The same clips each time, one per home, with the faults of cameras that training has.
    """
    config = training.config
    options = replace(batch_options(config, config.steps), clips=1)
    sums: dict[str, float] = {}
    with training.averaged() as objective:
        for number in range(len(shelf)):
            batch = make_batch(shelf.only(number), options, seed=config.seed, step=number)
            loss, logged = objective(batch.to(training.device))
            for name, value in {'loss': float(loss), **logged}.items():
                sums[name] = sums.get(name, 0.0) + value
    return {name: round(value / len(shelf), 4) for name, value in sums.items()}
