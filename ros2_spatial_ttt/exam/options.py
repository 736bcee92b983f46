# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What an exam on simulated homes is asked to do, checked before any work begins."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from ros2_spatial_ttt.config import MemoryConfig
from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.exam.question import SETS
from ros2_spatial_ttt.resources import model_directory
from ros2_spatial_ttt.runtime.base import load_manifest
from ros2_spatial_ttt.sim.sensor import PRESETS, SensorConfig
from ros2_spatial_ttt.sim.world import EXAM_SEEDS, SEEDS, TRAIN_SEEDS

__all__ = [
    'PERCEPTIONS',
    'VIAS',
    'HomeOptions',
    'check_numbers',
    'check_seeds',
    'check_senses',
    'model_hash',
    'model_labels',
]

PERCEPTIONS = ('oracle', 'noisy', 'model')
VIAS = ('core', 'ros')
MOST_ROOMS = 8
MOST_NOISE_M = 1.0


@dataclass(frozen=True)
class HomeOptions:
    """Everything that the result of one home depends on, besides its seed.

    Attributes:
        sets: of questions. minutes: length of each tour. rate_hz: frames per second.
        rooms: of each home; 0 = as its seed says.
        perception: 'oracle' and 'noisy' are a perfect and a poor detector on true geometry;
            'model' is the memory's own model on rendered pictures.
        sensor: faults of camera and localisation, of ``sim.sensor.PRESETS``.
        pose_noise_m: standard deviation of each pose, per axis; None = as the sensor says.
        depth: whether frames carry depth.
        systems: names of the systems under exam.
        model, backend: of the memory. budget_mb: bytes of its tiles, 10^6 B.
        params: (name, value) of other parameters of the memory.
        via: 'core' asks the memory in this process, 'ros' the node.
        thresholds: (system, confidence from which on it tells a thing); 0.5 for the others.
    """

    sets: tuple[str, ...] = SETS
    minutes: float = 5.0
    rate_hz: float = 2.0
    rooms: int = 0
    perception: str = 'oracle'
    sensor: str = 'clean'
    pose_noise_m: float | None = None
    depth: bool = True
    systems: tuple[str, ...] = ('memory',)
    model: str = MemoryConfig().model
    backend: str = MemoryConfig().backend
    budget_mb: float = MemoryConfig().tiles.budget_mb
    params: tuple[tuple[str, Any], ...] = ()
    via: str = 'core'
    thresholds: tuple[tuple[str, float], ...] = ()

    @property
    def frames(self) -> int:
        """About how many frames a tour has."""
        return max(1, round(60 * self.minutes * self.rate_hz))

    @property
    def sensor_config(self) -> SensorConfig:
        """What is wrong with camera and localisation."""
        preset = PRESETS[self.sensor]
        if self.pose_noise_m is None:
            return preset
        return replace(preset, pose_noise_m=self.pose_noise_m)

    def digest(self) -> str:
        """Return 16 hexadecimal digits that change with options, package, code and model."""
        named = asdict(self) | {
            'version': _version(),
            'code': _code_hash(),
            'model_hash': model_hash(self.model),
        }
        text = json.dumps(named, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def model_hash(model: str) -> str:
    """Return the hash that the manifest of a model states.

    Raises:
        ModelError: there is no model of that name, or it has no valid manifest.
    """
    return load_manifest(model_directory(model)).hash


def model_labels(model: str) -> tuple[str, ...]:
    """Return the names that a model knows.

    Raises:
        ModelError: there is no model of that name, or it has no valid manifest.
    """
    return load_manifest(model_directory(model)).labels


def check_seeds(first: int, homes: int) -> Sequence[int]:
    """Return the seeds of the homes.

    Raises:
        ConfigError: none is asked for, or they leave the published ranges.
    """
    if homes < 1:
        raise ConfigError(f'--homes: expected at least 1, got {homes}')
    seeds = range(first, first + homes)
    for allowed in SEEDS:
        if seeds[0] in allowed and seeds[-1] in allowed:
            return seeds
    raise ConfigError(
        f'--first-seed {first} with --homes {homes} asks for seeds {seeds[0]}..{seeds[-1]}; the '
        f'exam has seeds {EXAM_SEEDS[0]}..{EXAM_SEEDS[-1]} and training '
        f'{TRAIN_SEEDS[0]}..{TRAIN_SEEDS[-1]}: stay within one of them'
    )


def check_numbers(options: HomeOptions) -> None:
    """Raise ConfigError for a length, rate, number of rooms or budget that cannot be."""
    for name, value in (
        ('--minutes', options.minutes),
        ('--rate', options.rate_hz),
        ('--budget-mb', options.budget_mb),
    ):
        if not (math.isfinite(value) and value > 0):
            raise ConfigError(f'{name}: expected more than 0, got {value:g}')
    if not 0 <= options.rooms <= MOST_ROOMS:
        raise ConfigError(f'--rooms: expected 1..{MOST_ROOMS}, got {options.rooms}')


def check_senses(options: HomeOptions) -> None:
    """Raise ConfigError for senses that cannot be, or that nobody under exam could use."""
    noise = options.pose_noise_m
    if noise is not None and not 0.0 <= noise <= MOST_NOISE_M:
        raise ConfigError(f'--pose-noise: expected 0..{MOST_NOISE_M:g} m, got {noise:g}')
    if options.depth:
        return
    if options.perception != 'model':
        raise ConfigError(
            f'--no-depth: {options.perception} perception is made of depth; use it with '
            '--perception model'
        )
    if options.via == 'ros':
        raise ConfigError('--no-depth and --via ros: the published camera has depth; use one')
    if not load_manifest(model_directory(options.model)).predicts_depth:
        raise ConfigError(
            f'--no-depth: model {options.model!r} writes measured surfaces only, so it would '
            'remember nothing; choose another --model'
        )


@lru_cache(maxsize=1)
def _code_hash() -> str:
    """Return a hash of this package's modules: the version stays while one works on them."""
    root = Path(__file__).resolve().parents[1]
    total = hashlib.sha256()
    for path in sorted(root.rglob('*.py')):
        total.update(str(path.relative_to(root)).encode() + b'\0' + path.read_bytes())
    return total.hexdigest()


def _version() -> str:
    try:
        return metadata.version('ros2-spatial-ttt')
    except metadata.PackageNotFoundError:
        return 'unknown'
