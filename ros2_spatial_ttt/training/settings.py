# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What a training run does: one frozen dataclass, read from a YAML file, checked before work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.sim.world import TRAIN_SEEDS
from ros2_spatial_ttt.training.backbone import BackboneConfig
from ros2_spatial_ttt.training.losses import LossWeights
from ros2_spatial_ttt.training.model import COARSE, PRESETS, ModelConfig
from ros2_spatial_ttt.training.scenes import SceneOptions

__all__ = ['STAGES', 'TrainConfig', 'load_config']

STAGES = ('perception', 'memory')


@dataclass(frozen=True)
class TrainConfig:
    """A training run.

    Attributes:
        preset: of the network. stage: 'perception' trains all but the blocks on frames, 'memory'
            the blocks and heads through chunks of a stream.
        start: checkpoint of another run whose averaged weights this one starts from, or folder of
            an exported model; '' = random.
        encoder: name of a timm or transformers backbone in place of the trunk; '' = none.
        seed: of every random number. steps: of this stage.
        homes, first_home: how many simulated homes, from which seed on.
        bags: folders of posed RGB-D recordings, used beside the homes.
        clips, frames: per step and per clip of the stage 'perception'; in the stage 'memory'
            a step has ``clips`` streams of ``chunks`` chunks, or more that are shorter.
        chunks: longest stream. grow: share of the steps over which streams grow to it.
        detach_every: chunks that gradients go back through.
        trunk_rate: learning rate of all before the blocks in the stage 'memory', as a share.
        rate: largest learning rate of AdamW. warmup: steps to reach it; it then falls as a cosine.
        weight_decay: of matrices and kernels. clip_norm: largest norm of the gradient.
        average: decay of the moving average of the weights, which is what is exported.
        half: convolutions and products in bfloat16.
        strength: of the augmentation. without_depth, without_pose: share of clips without them.
        check_every: steps between two looks at held-out homes, 0 = never. check_homes: number of
            them, from seed 0 on. save_every: steps between two checkpoints.
        loss: weight of each loss. scenes: how homes are filmed; the size of the pictures is that
            of the network's. backbone: changes to the parts of the blocks, for ablations.
    """

    preset: str = 'nano'
    stage: str = 'perception'
    start: str = ''
    encoder: str = ''
    seed: int = 1
    steps: int = 9000
    homes: int = 1400
    first_home: int = 20_000
    bags: tuple[str, ...] = ()
    clips: int = 4
    frames: int = 4
    chunks: int = 2
    grow: float = 0.3
    detach_every: int = 4
    trunk_rate: float = 0.0
    rate: float = 2e-3
    warmup: int = 200
    weight_decay: float = 0.02
    clip_norm: float = 5.0
    average: float = 0.998
    half: bool = True
    strength: float = 1.0
    without_depth: float = 0.3
    without_pose: float = 0.0
    check_every: int = 1000
    check_homes: int = 10
    save_every: int = 500
    loss: LossWeights = field(default_factory=LossWeights)
    scenes: SceneOptions = field(default_factory=SceneOptions)
    backbone: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wrong = [*_wrong_types(self)] or [*self._wrong_values(), *self._wrong_sizes()]
        if wrong:
            raise ConfigError('training: ' + '; '.join(wrong))

    @property
    def model(self) -> ModelConfig:
        """Sizes of the network."""
        return replace(
            PRESETS[self.preset],
            image_width=self.scenes.width,
            image_height=self.scenes.height,
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """Class table."""
        return self.model.labels

    @property
    def blocks(self) -> BackboneConfig:
        """Sizes and parts of the hybrid blocks."""
        model = self.model
        sizes = {
            'width': model.stem[3],
            'grid': model.context_grid,
            'frames': model.chunk_frames,
            'blocks': model.blocks,
        }
        return BackboneConfig(**{**sizes, **self.backbone})

    @property
    def longest(self) -> int:
        """Frames of the longest stream."""
        return self.frames if self.stage == 'perception' else self.chunks * self.model.chunk_frames

    @property
    def held_out(self) -> range:
        """Seeds of the homes that are looked at but never trained on."""
        return range(self.check_homes if self.check_every else 0)

    def chunks_at(self, step: int) -> int:
        """Return how many chunks the streams of a step have."""
        if step >= self.grow * self.steps:
            return self.chunks
        return 1 + int((self.chunks - 1) * step / (self.grow * self.steps))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as in the YAML file."""
        return {**asdict(self), 'bags': list(self.bags)}

    def _wrong_values(self) -> Iterator[str]:
        for name, known in (('preset', tuple(PRESETS)), ('stage', STAGES)):
            if getattr(self, name) not in known:
                yield f'{name}: expected one of {list(known)}, got {getattr(self, name)!r}'
        for name in ('steps', 'clips', 'frames', 'chunks', 'detach_every', 'save_every'):
            if getattr(self, name) < 1:
                yield f'{name}: expected at least 1, got {getattr(self, name)}'
        for name in (
            'homes',
            'warmup',
            'check_every',
            'check_homes',
            'trunk_rate',
            'weight_decay',
        ):
            if not getattr(self, name) >= 0:
                yield f'{name}: expected at least 0, got {getattr(self, name)}'
        for name in ('rate', 'clip_norm'):
            if not getattr(self, name) > 0:
                yield f'{name}: expected more than 0, got {getattr(self, name)}'
        for name in ('average', 'strength', 'without_depth', 'without_pose', 'grow'):
            if not 0.0 <= getattr(self, name) <= 1.0:
                yield f'{name}: expected 0..1, got {getattr(self, name)}'
        if not self.homes and not self.bags:
            yield 'homes, bags: expected homes or at least one recording to learn from, got none'
        if not all(isinstance(bag, str) for bag in self.bags):
            yield f'bags: expected a list of folders, got {list(self.bags)}'
        yield from self._wrong_homes()

    def _wrong_homes(self) -> Iterator[str]:
        homes = range(self.first_home, self.first_home + self.homes)
        if homes and not (homes[0] in TRAIN_SEEDS and homes[-1] in TRAIN_SEEDS):
            yield (
                f'first_home, homes: expected seeds within {TRAIN_SEEDS[0]}..{TRAIN_SEEDS[-1]}, '
                f'as the others are for exams, got {homes[0]}..{homes[-1]}'
            )
        held = self.held_out
        if range(max(homes.start, held.start), min(homes.stop, held.stop)):
            yield (
                f'first_home: expected no home that is held out ({held[0]}..{held[-1]}), '
                f'got {homes[0]}..{homes[-1]}; begin at {held.stop} or later'
            )

    def _wrong_sizes(self) -> Iterator[str]:
        sizes = (self.scenes.width, self.scenes.height)
        if any(size < 1 or size % COARSE for size in sizes):
            yield (
                f'scenes: expected width and height divisible by the patch of {COARSE} px, '
                f'got {sizes[0]}x{sizes[1]}; choose the nearest multiples'
            )
        elif self.preset in PRESETS:
            try:
                self.blocks.validate()
            except (TypeError, ValueError) as error:
                yield str(error)
        if self.preset in PRESETS and self.scenes.frames < self.longest:
            yield (
                f'scenes.frames: expected at least the {self.longest} frames of a stream, '
                f'got {self.scenes.frames}'
            )


def _wrong_types(values: Any, prefix: str = '') -> Iterator[str]:
    """Yield what is wrong with the types of a dataclass of options and those within it."""
    for item in fields(values):
        value, default = getattr(values, item.name), item.default
        if item.default_factory is not MISSING:
            default = item.default_factory()
        if is_dataclass(default) and type(value) is type(default):
            yield from _wrong_types(value, f'{item.name}.')
        elif type(value) is not type(default) and not (
            isinstance(default, float) and type(value) is int
        ):
            yield f'{prefix}{item.name}: expected {type(default).__name__}, got {value!r}'


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
        for name, kind in (('loss', LossWeights), ('scenes', SceneOptions)):
            if name in values:
                values[name] = kind(**values[name])
        bags = values.get('bags', [])
        if not isinstance(bags, list):
            raise ConfigError(
                f'{path}: bags: expected a list of folders, got {bags!r}; write [{bags}]'
            )
        return TrainConfig(**{**values, 'bags': tuple(bags)})
    except (OSError, yaml.YAMLError, TypeError, AttributeError) as error:
        raise ConfigError(f'{path}: not a valid training config ({error})') from error
