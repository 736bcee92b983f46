# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The training run of a stage of the network."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ros2_spatial_ttt.runtime.base import load_manifest
from ros2_spatial_ttt.training.batches import Batch
from ros2_spatial_ttt.training.checkpoint import load_checkpoint
from ros2_spatial_ttt.training.descent import Descent, part, require_equal
from ros2_spatial_ttt.training.distributed import Ranks
from ros2_spatial_ttt.training.objective import Objective
from ros2_spatial_ttt.training.settings import TrainConfig
from ros2_spatial_ttt.training.unfold import load_folded, unfolded

__all__ = ['Run']


class Run(Descent):
    """A stage of the network in training.

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
        super().__init__(config, Objective(config), device, ranks)

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
            require_equal(path, 'preset', self.config.preset, header['config'].get('preset'))
            self._require_labels(path, header.get('labels'))
            weights = part(tensors, 'average.')
        if self.config.stage == 'perception':
            weights = {n: w for n, w in weights.items() if not n.startswith('backbone.')}
        self._fill(path, weights, optional='backbone.')
        self._restart()

    def extra(self) -> dict[str, Tensor]:
        """Return the weights of the reader of scenes."""
        reader = self.objective.reader
        state = {} if reader is None else reader.state_dict()
        return {f'reader.{name}': value for name, value in state.items()}

    def load_extra(self, tensors: dict[str, Tensor]) -> None:
        """Take the weights of the reader of scenes."""
        if self.objective.reader is not None:
            self.objective.reader.load_state_dict(part(tensors, 'reader.'))

    def completed(self, old: dict[str, Any]) -> dict[str, Any]:
        """See ``Descent``."""
        new = TrainConfig().to_dict()
        inner = {name: {**new[name], **old.get(name, {})} for name in ('loss', 'scenes')}
        return {**new, **old, **inner}
