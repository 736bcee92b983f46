# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What a training run does: one frozen dataclass, read from a YAML file, checked before work."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.training.losses import LossWeights
from ros2_spatial_ttt.training.model import PRESETS

__all__ = ['STAGES', 'TrainConfig', 'load_config']

STAGES = ('perception', 'memory')


@dataclass(frozen=True)
class TrainConfig:
    """A training run.

    Attributes:
        preset: of the network. stage: 'perception' trains all but the blocks on frames, 'memory'
            the blocks through chunks of a stream.
        seed: of every random number. steps: of this stage.
        homes, first_home: how many simulated homes, from which seed on.
        clips, frames: per step and per clip; in the stage 'memory' a clip is a stream of chunks.
        rate: largest learning rate of AdamW. warmup: steps to reach it; it then falls as a cosine.
        weight_decay: of matrices and kernels. clip_norm: largest norm of the gradient.
        average: decay of the moving average of the weights, which is what is exported.
        half: convolutions and products in bfloat16.
        strength: of the augmentation. without_depth: share of clips without depth.
        loss: weight of each loss.
    """

    preset: str = 'nano'
    stage: str = 'perception'
    seed: int = 1
    steps: int = 9000
    homes: int = 1400
    first_home: int = 20_000
    clips: int = 4
    frames: int = 4
    rate: float = 2e-3
    warmup: int = 200
    weight_decay: float = 0.02
    clip_norm: float = 5.0
    average: float = 0.998
    half: bool = True
    strength: float = 1.0
    without_depth: float = 0.3
    loss: LossWeights = field(default_factory=LossWeights)

    def __post_init__(self) -> None:
        wrong = []
        if self.preset not in PRESETS:
            wrong.append(f'preset: expected one of {list(PRESETS)}, got {self.preset!r}')
        if self.stage not in STAGES:
            wrong.append(f'stage: expected one of {list(STAGES)}, got {self.stage!r}')
        for name in ('steps', 'homes', 'clips', 'frames'):
            if getattr(self, name) < 1:
                wrong.append(f'{name}: expected at least 1, got {getattr(self, name)}')
        for name in ('rate', 'clip_norm'):
            if not getattr(self, name) > 0:
                wrong.append(f'{name}: expected more than 0, got {getattr(self, name)}')
        for name in ('average', 'strength', 'without_depth'):
            if not 0.0 <= getattr(self, name) <= 1.0:
                wrong.append(f'{name}: expected 0..1, got {getattr(self, name)}')
        if wrong:
            raise ConfigError('training: ' + '; '.join(wrong))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as in the YAML file."""
        return asdict(self)


def load_config(path: Path) -> TrainConfig:
    """Return the run that a YAML file describes; missing values keep their defaults.

    Raises:
        ConfigError: no such file, no valid YAML, unknown names or values that cannot be.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding='utf-8')) or {}
        known = {item.name for item in fields(TrainConfig)}
        unknown = sorted(values.keys() - known)
        if unknown:
            raise ConfigError(f'{path}: unknown {unknown}; expected some of {sorted(known)}')
        if 'loss' in values:
            values['loss'] = LossWeights(**values['loss'])
        return TrainConfig(**values)
    except (OSError, yaml.YAMLError, TypeError, AttributeError) as error:
        raise ConfigError(f'{path}: not a valid training config ({error})') from error
