# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Parameters of the memory: frozen dataclasses with unit, bounds and a sentence for each default.

``config/memory.yaml``, the ROS parameters and the tables in the docs are generated from these.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ros2_spatial_ttt.errors import ConfigError

__all__ = [
    'BACKENDS',
    'ChunkConfig',
    'EvidenceConfig',
    'GateConfig',
    'MemoryConfig',
    'ReadConfig',
    'TileConfig',
    'VoteConfig',
    'from_flat',
    'parameter',
    'parameters',
    'to_flat',
    'validate',
]

T = TypeVar('T')

# What may run a model; the last three are long names of the second to fourth.
BACKENDS = (
    *('auto', 'ort', 'ort-cuda', 'ort-tensorrt', 'tensorrt', 'tensorrt_rtx', 'reference'),
    *('onnxruntime', 'onnxruntime-cuda', 'onnxruntime-tensorrt'),
)


def parameter(
    default: Any,
    doc: str,
    *,
    unit: str = '',
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """Return a dataclass field that carries its documentation and bounds (both inclusive)."""
    metadata = {'doc': doc, 'unit': unit, 'low': low, 'high': high, 'choices': choices}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class ChunkConfig:
    """When frames become a chunk. The number of frames in a full chunk is the model's."""

    flush_s: float = parameter(
        2.0,
        'A chunk is closed when it spans this long, even if not full.',
        unit='s',
        low=0.05,
        high=60.0,
    )


@dataclass(frozen=True)
class GateConfig:
    """Which frames may enter memory."""

    max_speed: float = parameter(
        3.0,
        'Camera speed above which a pose is taken for a jump.',
        unit='m/s',
        low=0.1,
        high=100.0,
    )
    max_turn_rate: float = parameter(
        6.0,
        'Camera turn rate above which a pose is taken for a jump.',
        unit='rad/s',
        low=0.1,
        high=100.0,
    )
    min_sharpness: float = parameter(
        2.0,
        'Mean absolute Laplacian of the grey image (0..255) below which a frame is blurred.',
        low=0.0,
        high=255.0,
    )
    frozen_frames: int = parameter(
        5,
        'This many byte-identical frames in a row mean a frozen feed; 0 turns the check off.',
        low=0,
        high=1000,
    )
    depth_max_m: float = parameter(
        8.0, 'Depth beyond this is not used.', unit='m', low=0.5, high=100.0
    )
    time_jump: str = parameter(
        'refuse',
        "When time goes back (a bag loops): 'refuse' the frames until time catches up, or 'reset' "
        'the memory.',
        choices=('refuse', 'reset'),
    )
    time_jump_s: float = parameter(
        1.0,
        'A step back in time of more than this is a jump, of less a late frame.',
        unit='s',
        low=0.01,
        high=3600.0,
    )


@dataclass(frozen=True)
class TileConfig:
    """Tiles of the spatial field under one byte budget."""

    size_m: float = parameter(
        2.0, 'Edge of a tile in the map plane.', unit='m', low=0.5, high=20.0
    )
    height_m: float = parameter(3.5, 'Height of a tile.', unit='m', low=0.5, high=20.0)
    overlap_m: float = parameter(
        0.15,
        'Samples this close to a border are written on both sides.',
        unit='m',
        low=0.0,
        high=1.0,
    )
    places: int = parameter(
        1024, 'Most surface places that a tile remembers the position of.', low=64, high=65536
    )
    budget_mb: float = parameter(
        64.0,
        'Bytes of all tiles in working memory; the least recently written goes to disk.',
        unit='MB',
        low=1.0,
        high=65536.0,
    )
    directory: str = parameter(
        '', "Where tiles over the budget go; '' means they are forgotten (and counted)."
    )


@dataclass(frozen=True)
class VoteConfig:
    """How named things are remembered: a field of votes at their centres, per tile."""

    labels: str = parameter(
        '',
        'Names of things that detections may carry, comma-separated; empty = those of the model.',
    )
    features: int = parameter(
        128, 'Features of the vote field of a tile, an even number.', low=16, high=4096
    )
    scale_m: float = parameter(
        0.2, 'Length scale of a vote: nearer things blur into one.', unit='m', low=0.05, high=2.0
    )
    rule: str = parameter(
        'curvature',
        "Update rule: 'curvature' (second order, forgets where it looks), 'gd', 'hebbian' or "
        "'muon' (as published).",
        choices=('curvature', 'gd', 'hebbian', 'muon'),
    )
    ridge: float = parameter(
        1.5, 'Votes that must agree before a thing is half believed.', low=0.01, high=1000.0
    )
    memory_frames: float = parameter(
        30.0,
        'Frames of looking after which what was seen before at that place has faded to 1/e.',
        low=1.0,
        high=1e6,
    )
    places: int = parameter(
        512, 'Most places of votes that a tile remembers the position of.', low=16, high=65536
    )

    @property
    def names(self) -> tuple[str, ...]:
        """The labels, in the order of their channels."""
        return tuple(name.strip() for name in self.labels.split(',') if name.strip())


@dataclass(frozen=True)
class EvidenceConfig:
    """The fixed bank of keyframes that gives answers their picture."""

    keyframes: int = parameter(64, 'Number of keyframes kept.', low=1, high=4096)
    keyframe_bytes: int = parameter(
        24576, 'Largest JPEG of a keyframe.', unit='B', low=4096, high=1048576
    )


@dataclass(frozen=True)
class ReadConfig:
    """How the field is read."""

    observed_threshold: float = parameter(
        0.5, 'Observed channel above which a point counts as observed.', low=0.0, high=1.0
    )
    occupied_threshold: float = parameter(
        0.5,
        'Share of occupied evidence above which a point counts as a surface.',
        low=0.0,
        high=1.0,
    )
    found_threshold: float = parameter(
        0.3, 'Confidence above which a thing counts as found.', low=0.0, high=1.0
    )
    separation_m: float = parameter(
        0.5, 'Two answers closer than this are one place.', unit='m', low=0.05, high=10.0
    )
    confirm: bool = parameter(
        True,
        'Look for an example picture in the keyframes as well: they confirm and refine what the '
        'field proposes.',
    )


@dataclass(frozen=True)
class MemoryConfig:
    """Everything that shapes a ``SpatialMemory``."""

    model: str = parameter('nano', 'Name of a model in models/, or a path to a model folder.')
    backend: str = parameter(
        'auto',
        "What runs the model; 'auto' takes TensorRT where there is a GPU with an engine, else "
        "'ort', ONNX Runtime on the CPU.",
        choices=BACKENDS,
    )
    threads: int = parameter(2, 'Threads of ONNX Runtime.', low=1, high=256)
    cameras: int = parameter(
        4,
        'Cameras whose working memory is kept; one more starts anew with every turn.',
        low=1,
        high=64,
    )
    floor_at_zero: bool = parameter(
        True,
        'z = 0 of the map is the floor. False: heights above it are unknown, and the model does '
        'without.',
    )
    map_id: str = parameter(
        'default', 'Name of the map the poses live in; a snapshot of another is refused.'
    )
    chunk: ChunkConfig = field(default_factory=ChunkConfig)
    gate: GateConfig = field(default_factory=GateConfig)
    tiles: TileConfig = field(default_factory=TileConfig)
    votes: VoteConfig = field(default_factory=VoteConfig)
    evidence: EvidenceConfig = field(default_factory=EvidenceConfig)
    read: ReadConfig = field(default_factory=ReadConfig)


def parameters(config: Any, prefix: str = '') -> Iterator[tuple[str, dataclasses.Field, Any]]:
    """Yield (dotted name, field, value) of every leaf parameter, in order of declaration."""
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        if dataclasses.is_dataclass(value):
            yield from parameters(value, f'{prefix}{item.name}.')
        else:
            yield f'{prefix}{item.name}', item, value


def to_flat(config: Any) -> dict[str, Any]:
    """Return {dotted name: value} of every leaf parameter."""
    return {name: value for name, _, value in parameters(config)}


def from_flat(kind: type[T], values: Mapping[str, Any]) -> T:
    """Build a validated config of ``kind`` from {dotted name: value}; missing ones keep defaults.

    Raises:
        ConfigError: unknown names, wrong types or values out of range; every one is listed.
    """
    default = kind()
    known = set(to_flat(default))
    unknown = sorted(set(values) - known)
    config = _replace(default, values, '')
    problems = [f'{name}: no such parameter' for name in unknown] + _violations(config)
    if problems:
        raise ConfigError('; '.join(problems))
    return config


def validate(config: T) -> T:
    """Return ``config`` unchanged, or raise ConfigError that lists every violation."""
    problems = _violations(config)
    if problems:
        raise ConfigError('; '.join(problems))
    return config


def _replace(config: Any, values: Mapping[str, Any], prefix: str) -> Any:
    changes = {}
    for item in dataclasses.fields(config):
        value, name = getattr(config, item.name), f'{prefix}{item.name}'
        if dataclasses.is_dataclass(value):
            changes[item.name] = _replace(value, values, f'{name}.')
        elif name in values:
            given = values[name]
            whole = isinstance(value, float) and type(given) is int
            changes[item.name] = float(given) if whole else given
    return dataclasses.replace(config, **changes)


def _violations(config: Any) -> list[str]:
    problems = []
    defaults = to_flat(type(config)())
    for name, item, value in parameters(config):
        meta = item.metadata
        expected = type(defaults[name])
        if type(value) is not expected:
            problems.append(f'{name}: expected {expected.__name__}, got {value!r}')
        elif meta['choices'] and value not in meta['choices']:
            problems.append(f'{name}: expected one of {list(meta["choices"])}, got {value!r}')
        elif meta['low'] is not None and not meta['low'] <= value <= meta['high']:
            bounds = f'{meta["low"]}..{meta["high"]} {meta["unit"]}'.rstrip()
            problems.append(f'{name}: expected {bounds}, got {value!r}')
    return problems
