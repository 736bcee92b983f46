# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A training run: what changes from step to step, and how it is saved and taken up again."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.runtime.base import load_manifest
from ros2_spatial_ttt.training.batches import Batch
from ros2_spatial_ttt.training.checkpoint import load_checkpoint, save_checkpoint
from ros2_spatial_ttt.training.distributed import Ranks
from ros2_spatial_ttt.training.objective import Objective
from ros2_spatial_ttt.training.settings import TrainConfig
from ros2_spatial_ttt.training.unfold import load_folded, unfolded

__all__ = ['Run']

# So many steps in a row that are not finite mean that no later one will be.
MOST_SKIPPED = 50


class Run:
    """Network, moving average, optimiser and step of a training run.

    Args:
        config: of the run.
        device: to train on.
        ranks: this process among those that train together.
    """

    def __init__(
        self,
        config: TrainConfig,
        device: torch.device = torch.device('cpu'),  # noqa: B008
        ranks: Ranks = Ranks(),  # noqa: B008
    ) -> None:
        torch.manual_seed(config.seed)
        self.config, self.device, self.ranks = config, device, ranks
        self.step, self.skipped, self._in_a_row = 0, 0, 0
        self.objective = Objective(config).to(device)
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

    def advance(self, batch: Batch) -> dict[str, float] | None:
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
    def averaged(self) -> Iterator[Objective]:
        """Give the objective with averaged weights, not training; then all is as before."""
        present = {name: value.clone() for name, value in self.net.state_dict().items()}
        self.net.load_state_dict(self.average)
        try:
            yield self.objective.eval()
        finally:
            self.net.load_state_dict(present)
            self.objective.train()

    def save(self, path: Path) -> None:
        """Write everything that the run needs to go on."""
        moments = {
            f'moment.{number}.{key}': torch.as_tensor(value)
            for number, state in self.optimiser.state_dict()['state'].items()
            for key, value in state.items()
        }
        weights = {f'net.{name}': value for name, value in self.net.state_dict().items()}
        average = {f'average.{name}': value for name, value in self.average.items()}
        reader = {f'reader.{name}': value for name, value in self._reader_state().items()}
        header = {
            'config': self.config.to_dict(),
            'labels': list(self.config.model.labels),
            'step': self.step,
            'skipped': self.skipped,
        }
        save_checkpoint(path, {**weights, **average, **reader, **moments}, header)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint of the same config.

        Raises:
            ConfigError: it is no sound checkpoint, or one of another config.
        """
        tensors, header = load_checkpoint(path)
        self._require_same(path, header)
        self._fill(path, _part(tensors, 'net.'))
        if self.objective.reader is not None:
            self.objective.reader.load_state_dict(_part(tensors, 'reader.'))
        for name, value in _part(tensors, 'average.').items():
            self.average[name].copy_(value)
        self._load_moments(_part(tensors, 'moment.'))
        self.step, self.skipped = int(header['step']), int(header['skipped'])

    def start_from(self, path: Path, batches: Iterable[Batch] = ()) -> None:
        """Begin with the averaged weights of another run, or with those of an exported model.

        Blocks that they lack stay as they are; the stage 'perception' has none and leaves theirs.

        Args:
            path: checkpoint, or folder of an exported model.
            batches: for the statistics of the batch norms, which an export does not keep.

        Raises:
            ConfigError: it is no sound checkpoint, or one of another network or class table.
            ModelError: the folder holds no sound model.
        """
        if path.is_dir():
            self._require_labels(path, list(load_manifest(path).labels))
            folded = load_folded(path)
            blocks = {n: w for n, w in folded.items() if n.startswith('backbone.')}
            weights = blocks | unfolded(self.config.model, folded, batches)
        else:
            tensors, header = load_checkpoint(path)
            _require_equal(path, 'preset', self.config.preset, header['config'].get('preset'))
            self._require_labels(path, header.get('labels'))
            weights = _part(tensors, 'average.')
        if self.config.stage == 'perception':
            weights = {n: w for n, w in weights.items() if not n.startswith('backbone.')}
        self._fill(path, weights, optional='backbone.')
        self._restart()

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

    def _reader_state(self) -> dict[str, Tensor]:
        return {} if self.objective.reader is None else self.objective.reader.state_dict()

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
        # Options that are younger than the checkpoint had their defaults.
        old = {**TrainConfig().to_dict(), **header['config']}
        new = json.loads(json.dumps(self.config.to_dict()))
        for name in ('loss', 'scenes'):
            old[name] = {**TrainConfig().to_dict()[name], **old[name]}
        for name, value in new.items():
            _require_equal(path, name, value, old[name])
        self._require_labels(path, header.get('labels'))

    def _require_labels(self, path: Path, got: Any) -> None:
        labels = list(self.config.model.labels)
        if got != labels:
            raise ConfigError(
                f'{path}: labels: expected {labels}, the class table of this version, got {got}; '
                'give a checkpoint or model that was trained for these names'
            )


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _require_equal(path: Path, name: str, expected: Any, got: Any) -> None:
    if expected != got:
        raise ConfigError(
            f'{path}: checkpoint of another config: {name}: expected {expected!r}, got {got!r}; '
            'give the config it was made with, or another --out'
        )
