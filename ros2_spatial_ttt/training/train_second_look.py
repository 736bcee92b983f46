# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
r"""``spatial-ttt train-second-look``: teach a model to look again at what it detects.

spatial-ttt train-second-look --model models/nano --out out/second_look

Training homes are rendered, the model detects things in them, and each detection is cut out
(``looks.py``). A small network (``second_look.py``) learns what they are and is put into the
model's folder. Then run ``spatial-ttt tune``: detections are worth something else now.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as nnf
from numpy.typing import NDArray
from torch import Tensor, nn

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.memory.second_look import KNOWN
from ros2_spatial_ttt.resources import model_directory
from ros2_spatial_ttt.runtime.base import load_manifest
from ros2_spatial_ttt.sim.world import TRAIN_SEEDS
from ros2_spatial_ttt.training.artefact import add_second_look
from ros2_spatial_ttt.training.chunk_encoder import folded
from ros2_spatial_ttt.training.descent import Descent
from ros2_spatial_ttt.training.distributed import Ranks, choose_device
from ros2_spatial_ttt.training.logs import log_of
from ros2_spatial_ttt.training.looks import LookOptions, Looks, load_looks, make_looks
from ros2_spatial_ttt.training.machine import require_writable
from ros2_spatial_ttt.training.second_look import SecondLook

__all__ = ['LookBatch', 'LookConfig', 'LookObjective', 'add_arguments', 'run', 'training_batch']

LAST = 'last.safetensors'
HELD_OUT = range(10)  # homes that are looked at but never trained on
# Augmentation: deviation of the logarithm of brightness and of each colour, most px of a shift,
# shares of cut-outs without shape and without what the first look says.
_LIGHT, _COLOUR, _SHIFT, _NO_SHAPE, _NO_NAMES = 0.15, 0.08, 3, 0.05, 0.15
_SMOOTHING = 0.02
_CHECKED = 256  # detections at a time


@dataclass(frozen=True)
class LookConfig:
    """A training run of the second look.

    Attributes:
        labels: class table. homes, first_home: how many training homes, from which seed on.
        steps, batch: of detections; batch is that of all processes together. seed: of all chance.
        rate, warmup, weight_decay, clip_norm, average, check_every, save_every: as in
            ``TrainConfig``.
        looks: how detections are made.
    """

    labels: tuple[str, ...]
    homes: int = 240
    first_home: int = 21_200
    steps: int = 5000
    batch: int = 256
    seed: int = 8
    rate: float = 3e-3
    warmup: int = 200
    weight_decay: float = 0.05
    clip_norm: float = 5.0
    average: float = 0.998
    check_every: int = 500
    save_every: int = 500
    looks: LookOptions = LookOptions()

    def __post_init__(self) -> None:
        seeds = self.seeds
        if not (len(seeds) and seeds[0] in TRAIN_SEEDS and seeds[-1] in TRAIN_SEEDS):
            raise ConfigError(
                f'--homes {self.homes} --first-home {self.first_home}: expected homes within '
                f'{TRAIN_SEEDS[0]}..{TRAIN_SEEDS[-1]}, as the others are for exams'
            )
        if self.first_home in HELD_OUT:
            raise ConfigError(
                f'--first-home {self.first_home}: expected no home that is held out '
                f'({HELD_OUT[0]}..{HELD_OUT[-1]}); begin at {HELD_OUT.stop} or later'
            )
        if self.steps < 1:
            raise ConfigError(f'--steps {self.steps}: expected at least 1')

    @property
    def seeds(self) -> range:
        """Homes to train on."""
        return range(self.first_home, self.first_home + self.homes)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self), 'labels': list(self.labels)}


@dataclass(frozen=True)
class LookBatch:
    """n detections as tensors: seen (n, 7, CROP, CROP), known (n, KNOWN + K), target (n,).

    ``chance`` seeds what is dropped, so that a run that is taken up again drops the same.
    """

    seen: Tensor
    known: Tensor
    target: Tensor
    chance: int = 0

    def to(self, device: torch.device) -> LookBatch:
        """Return the batch on a device."""
        tensors = (self.seen, self.known, self.target)
        return LookBatch(*(tensor.to(device) for tensor in tensors), self.chance)


class LookObjective(nn.Module):
    """The network with its loss: cross entropy over nothing and all names."""

    def __init__(self, config: LookConfig) -> None:
        super().__init__()
        self.config = config
        net = SecondLook(len(config.labels))
        self.net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, batch: LookBatch) -> tuple[Tensor, dict[str, float]]:
        """Return the loss of a batch and what to log."""
        if self.training:
            torch.manual_seed(batch.chance)
        scores = self.net(batch.seen, batch.known)
        smoothing = _SMOOTHING if self.training else 0.0
        loss = nnf.cross_entropy(scores, batch.target, label_smoothing=smoothing)
        there = batch.target > 0
        with torch.no_grad():
            first = batch.known[:, KNOWN:].argmax(dim=1) + 1
            second = scores[:, 1:].argmax(dim=1) + 1
            count = there.sum().clamp(min=1)
            logged = {
                'names': float(loss),
                'things_right': float(((second == batch.target) & there).sum() / count),
                'first_look_right': float(((first == batch.target) & there).sum() / count),
            }
        return loss, logged

    def groups(self) -> list[dict]:
        """Return AdamW's groups: biases and scales do not decay."""
        return [
            {
                'params': [p for p in self.parameters() if (p.ndim > 1) == is_matrix],
                'weight_decay': decay,
                'factor': 1.0,
            }
            for decay, is_matrix in ((self.config.weight_decay, True), (0.0, False))
        ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``spatial-ttt train-second-look``."""
    parser.add_argument('--model', required=True, help='name or folder of the model')
    parser.add_argument('--out', type=Path, required=True, help='folder of checkpoints and logs')
    parser.add_argument(
        '--looks', type=Path, default=Path('out/looks'), help='detections, cut out (out/looks)'
    )
    parser.add_argument('--homes', type=int, default=LookConfig.homes, help='training homes')
    parser.add_argument('--first-home', type=int, default=LookConfig.first_home, help='seed')
    parser.add_argument('--steps', type=int, default=LookConfig.steps, help='of training')
    parser.add_argument('--device', default='auto', choices=('auto', 'cpu', 'cuda'))
    parser.add_argument('--threads', type=int, default=0, help='of torch; 0 = as torch chooses')
    parser.add_argument('--processes', type=int, default=2, help='homes at a time (2)')


def run(args: argparse.Namespace) -> int:
    """Train, going on where an earlier run stopped, and put the network into the model's folder.

    Raises:
        ConfigError: homes, folders or a checkpoint that cannot be used. ModelError: no such model.
    """
    folder = model_directory(args.model)
    manifest = load_manifest(folder)
    if not manifest.labels:
        raise ConfigError(
            f'{folder}: model {manifest.name!r} knows no names, so it detects nothing; '
            'give a trained model'
        )
    config = LookConfig(
        manifest.labels, homes=args.homes, first_home=args.first_home, steps=args.steps
    )
    for option in ('out', 'looks'):
        require_writable(getattr(args, option), f'--{option}')
    if args.threads:
        torch.set_num_threads(args.threads)
    device = choose_device(args.device)
    ranks = Ranks.join(device)
    try:
        training = _trained(config, folder, args, device, ranks)
        if ranks.first:
            with training.averaged() as objective:
                net = folded(copy.deepcopy(objective.net).cpu().eval().requires_grad_(False))
                add_second_look(folder, net, {'config': config.to_dict(), 'step': training.step})
            print(f'{folder}: looks again at what it detects; run spatial-ttt tune now')
        ranks.wait()
    finally:
        ranks.leave()
    return 0


def _trained(
    config: LookConfig, folder: Path, args: argparse.Namespace, device: torch.device, ranks: Ranks
) -> Descent:
    torch.manual_seed(config.seed)
    seeds = [*HELD_OUT, *config.seeds]
    if ranks.first:
        make_looks(args.looks, folder, seeds, config.looks, processes=args.processes)
    ranks.wait()
    paths = make_looks(args.looks, folder, seeds, config.looks, processes=1)
    # Each process keeps its own share of the homes in memory.
    looks = load_looks(paths[len(HELD_OUT) :][ranks.rank :: ranks.world])
    objective = LookObjective(config)
    _measure(objective.net, looks)
    training, last = Descent(config, objective, device, ranks), args.out / LAST
    if last.is_file():
        training.load(last)
    checks = load_looks(paths[: len(HELD_OUT)]) if ranks.first else None
    with log_of(training, args.out) as log:
        for step in range(training.step, config.steps):
            logged = training.advance(training_batch(looks, config, step, ranks))
            if log is None or checks is None:
                continue
            step = training.step
            log.add(step, logged, training.skipped)
            if step % config.check_every == 0 or step == config.steps:
                log.write(step, check(training, checks), 'held_out')
            if step % config.save_every == 0 or step == config.steps:
                training.save(last)
    return training


def _measure(net: SecondLook, looks: Looks) -> None:
    """Take mean and deviation of the known numbers from cut-outs."""
    numbers = looks.known[:, :KNOWN].astype(np.float64)
    net.mean.copy_(torch.from_numpy(numbers.mean(axis=0)))
    net.deviation.copy_(torch.from_numpy(np.maximum(numbers.std(axis=0), 1e-2)))


def training_batch(looks: Looks, config: LookConfig, step: int, ranks: Ranks) -> LookBatch:
    """Return the batch of a step of this process; it depends on seed, step and rank alone."""
    rng = np.random.default_rng([config.seed, step, ranks.rank])
    count = config.batch // ranks.world
    rows = rng.integers(0, len(looks), count)
    picture = looks.picture[rows].astype(np.float32)
    light = rng.normal(0.0, _LIGHT, (count, 1, 1, 1)) + rng.normal(0.0, _COLOUR, (count, 1, 1, 3))
    picture *= np.exp(light).astype(np.float32)
    np.minimum(picture, 255.0, out=picture)
    place = looks.place[rows].astype(np.float32)
    place[rng.random(count) < _NO_SHAPE] = 0.0
    known = looks.known[rows].copy()
    known[rng.random(count) < _NO_NAMES, KNOWN:] = 1.0 / len(config.labels)
    seen = _seen(picture, place)
    mirrored = rng.random(count) < 0.5
    # The level frame's y is to the left.
    seen[mirrored] = seen[mirrored, :, ::-1] * np.array([1, 1, 1, 1, -1, 1, 1], np.float32)
    shift = rng.integers(-_SHIFT, _SHIFT + 1, 2).tolist()
    seen = np.roll(seen, shift, axis=(1, 2))
    arrays = (seen.transpose(0, 3, 1, 2), known, looks.target[rows])
    return LookBatch(*map(torch.from_numpy, arrays), chance=int(rng.integers(2**31)))


def _seen(picture: NDArray[np.float32], place: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what the network sees of pictures of 0..255 and places, (n, CROP, CROP, 7)."""
    return np.concatenate([picture / np.float32(127.5) - np.float32(1.0), place], axis=3)


def _plain_batches(looks: Looks) -> Iterator[LookBatch]:
    """Yield all detections as they are."""
    for begin in range(0, len(looks), _CHECKED):
        rows = slice(begin, begin + _CHECKED)
        seen = _seen(looks.picture[rows].astype(np.float32), looks.place[rows].astype(np.float32))
        arrays = (seen.transpose(0, 3, 1, 2), looks.known[rows], looks.target[rows])
        yield LookBatch(*map(torch.from_numpy, arrays))


@torch.no_grad()
def check(training: Descent, looks: Looks) -> dict[str, float]:
    """Return mean loss and accuracy of the averaged weights on homes never trained on."""
    sums: dict[str, float] = {}
    with training.averaged() as objective:
        for batch in _plain_batches(looks):
            share = len(batch.target) / len(looks)
            for name, value in objective(batch.to(training.device))[1].items():
                sums[name] = sums.get(name, 0.0) + share * value
    return {name: round(value, 4) for name, value in sums.items()}
