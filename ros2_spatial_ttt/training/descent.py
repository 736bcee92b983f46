# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Training step by step: what changes from one to the next, and how it is saved and taken up."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.training.checkpoint import load_checkpoint, save_checkpoint
from ros2_spatial_ttt.training.distributed import Ranks

__all__ = ['Descent', 'part', 'require_equal']

# So many steps in a row that are not finite mean that no later one will be.
MOST_SKIPPED = 50


class Descent:
    """Network, moving average, optimiser and step of a training.

    Args:
        config: of the training; ``rate``, ``warmup``, ``steps``, ``clip_norm``, ``average``,
            ``labels`` and ``to_dict`` as ``TrainConfig`` has them.
        objective: what is trained: a module from a batch to its loss and what to log, with ``net``
            inside and ``groups`` as ``Objective`` has them.
        device: to train on.
        ranks: this process among those that train together.
    """

    def __init__(self, config: Any, objective: Any, device: torch.device, ranks: Ranks) -> None:
        self.config, self.device, self.ranks = config, device, ranks
        self.step, self.skipped, self._in_a_row = 0, 0, 0
        self.objective = objective.to(device)
        self.net = self.objective.net
        self._restart()

    @cached_property
    def _shared(self) -> nn.Module:
        """The objective as all ranks train it; made once its weights are loaded."""
        return self.ranks.shared(self.objective)

    def _restart(self) -> None:
        """Begin average and optimiser from the present weights."""
        config = self.config
        self.average = {name: value.clone() for name, value in self.net.state_dict().items()}
        groups = self.objective.groups()
        self.optimiser = torch.optim.AdamW(groups, lr=config.rate, betas=(0.9, 0.98))
        self.objective.train()

    def rate(self, step: int) -> float:
        """Return the learning rate of a step: linear to its largest, then a cosine to 0."""
        config = self.config
        if step < config.warmup:
            return config.rate * (step + 1) / config.warmup
        done = (step - config.warmup) / max(config.steps - config.warmup, 1)
        return config.rate * 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))

    def advance(self, batch: Any) -> dict[str, float] | None:
        """Take one step down the loss of a batch and return what to log.

        One that is not finite leaves everything as it was, is counted and returns None.

        Raises:
            ConfigError: many steps in a row were not finite.
        """
        for group in self.optimiser.param_groups:
            group['lr'] = self.rate(self.step) * group['factor']
        # Batch norms have followed a bad batch before its loss is known.
        buffers = [buffer.clone() for buffer in self.net.buffers()]
        self.optimiser.zero_grad(set_to_none=True)
        loss, logged = self._shared(batch.to(self.device))
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.objective.parameters(), self.config.clip_norm)
        self.step += 1
        if not self.ranks.all(torch.isfinite(norm) & torch.isfinite(loss.detach())):
            for buffer, before in zip(self.net.buffers(), buffers, strict=True):
                buffer.copy_(before)
            self._count_skipped()
            return None
        self.optimiser.step()
        self._follow()
        self._in_a_row = 0
        return {**logged, 'norm': float(norm)}

    @contextmanager
    def averaged(self) -> Iterator[Any]:
        """Give the objective with averaged weights, not training; then all is as before."""
        present = {name: value.clone() for name, value in self.net.state_dict().items()}
        self.net.load_state_dict(self.average)
        try:
            yield self.objective.eval()
        finally:
            self.net.load_state_dict(present)
            self.objective.train()

    def save(self, path: Path) -> None:
        """Write everything that the training needs to go on."""
        moments = {
            f'moment.{number}.{key}': torch.as_tensor(value)
            for number, state in self.optimiser.state_dict()['state'].items()
            for key, value in state.items()
        }
        weights = {f'net.{name}': value for name, value in self.net.state_dict().items()}
        average = {f'average.{name}': value for name, value in self.average.items()}
        header = {
            'config': self.config.to_dict(),
            'labels': list(self.config.labels),
            'step': self.step,
            'skipped': self.skipped,
        }
        save_checkpoint(path, {**weights, **average, **self.extra(), **moments}, header)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint of the same config.

        Raises:
            ConfigError: it is no sound checkpoint, or one of another config.
        """
        tensors, header = load_checkpoint(path)
        self._require_same(path, header)
        self._fill(path, part(tensors, 'net.'))
        self.load_extra(tensors)
        for name, value in part(tensors, 'average.').items():
            self.average[name].copy_(value)
        self._load_moments(part(tensors, 'moment.'))
        self.step, self.skipped = int(header['step']), int(header['skipped'])

    def extra(self) -> dict[str, Tensor]:
        """Return what else is saved, by name."""
        return {}

    def load_extra(self, tensors: dict[str, Tensor]) -> None:
        """Take what ``extra`` of an earlier process gave, among other tensors."""

    def _follow(self) -> None:
        """Move the average towards the weights."""
        keep = min(self.config.average, self.step / (9 + self.step))
        with torch.no_grad():
            for name, value in self.net.state_dict().items():
                if value.dtype.is_floating_point:
                    self.average[name].lerp_(value, 1.0 - keep)
                else:
                    self.average[name].copy_(value)

    def _count_skipped(self) -> None:
        self.skipped += 1
        self._in_a_row += 1
        if self._in_a_row >= MOST_SKIPPED:
            raise ConfigError(
                f'step {self.step}: expected finite losses, got {MOST_SKIPPED} in a row that are '
                'not; go on from the last checkpoint with a smaller rate, or look for broken data'
            )

    def _fill(self, path: Path, tensors: dict[str, Tensor], optional: str = '\0') -> None:
        """Load weights of the network; those that begin with ``optional`` may lack."""
        own = self.net.state_dict()
        wrong = [f'{name}: expected none, got one' for name in tensors.keys() - own.keys()]
        for name, value in own.items():
            if name not in tensors and not name.startswith(optional):
                wrong.append(f'{name}: expected {tuple(value.shape)}, got none')
            elif name in tensors and tensors[name].shape != value.shape:
                got = tuple(tensors[name].shape)
                wrong.append(f'{name}: expected {tuple(value.shape)}, got {got}')
        if wrong:
            raise ConfigError(
                f'{path}: checkpoint of another network: {"; ".join(sorted(wrong)[:4])}'
                f'{" …" if len(wrong) > 4 else ""}; give one that was made with the same preset, '
                'size of pictures and parts'
            )
        self.net.load_state_dict(tensors, strict=False)

    def _load_moments(self, tensors: dict[str, Tensor]) -> None:
        parameters = [p for group in self.optimiser.param_groups for p in group['params']]
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            number, key = name.split('.')
            like = parameters[int(number)]
            if value.shape == like.shape and value.ndim == 4:
                # As AdamW lays them out: other strides may round otherwise.
                value = torch.empty_like(like).copy_(value)
            state.setdefault(int(number), {})[key] = value
        whole = self.optimiser.state_dict()
        self.optimiser.load_state_dict({**whole, 'state': state})

    def _require_same(self, path: Path, header: dict[str, Any]) -> None:
        new, old = json.loads(json.dumps(self.config.to_dict())), self.completed(header['config'])
        for name, value in new.items():
            require_equal(path, name, value, old.get(name))
        self._require_labels(path, header.get('labels'))

    def completed(self, old: dict[str, Any]) -> dict[str, Any]:
        """Return an older config with the defaults of options that are younger than it."""
        return old

    def _require_labels(self, path: Path, got: Any) -> None:
        labels = list(self.config.labels)
        if got != labels:
            raise ConfigError(
                f'{path}: labels: expected {labels}, the class table of this version, got {got}; '
                'give a checkpoint or model that was trained for these names'
            )


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose name begins with a prefix, by the rest of it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def require_equal(path: Path, name: str, expected: Any, got: Any) -> None:
    """Raise ConfigError unless an option is that of the checkpoint."""
    if expected != got:
        raise ConfigError(
            f'{path}: checkpoint of another config: {name}: expected {expected!r}, got {got!r}; '
            'give the config it was made with, or another --out'
        )
