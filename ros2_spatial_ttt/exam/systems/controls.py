# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Controls: the memory of a home, asked with weights that are not its own.

Where it looked and where votes fell stays known; only the fast weights are altered. Whatever such
a memory still answers right did not come from them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np

from ros2_spatial_ttt.config import MemoryConfig
from ros2_spatial_ttt.exam.systems.memory import MemorySystem
from ros2_spatial_ttt.memory.field import PackedField
from ros2_spatial_ttt.memory.pipeline import SpatialMemory
from ros2_spatial_ttt.memory.state import MemoryState
from ros2_spatial_ttt.memory.tiles import Tile, TileIndex
from ros2_spatial_ttt.sim.sensor import CLEAN, SensorConfig
from ros2_spatial_ttt.types import Answer, Percept, Query

__all__ = [
    'AlteredMemory',
    'donor_seed',
    'donor_state',
    'with_other_weights',
    'with_shuffled_weights',
    'without_weights',
]

Alter = Callable[[MemoryState], MemoryState]

# The other home is one of these train seeds: whichever is not the home under exam.
_DONORS = (11, 12)
_DONOR_MINUTES = 2.0


class AlteredMemory:
    """A view on a fed memory: ``observe`` does nothing, ``query`` asks it with altered weights.

    Args:
        name: for tables. source: the fed memory; feed it before asking.
        alter: returns the state with other weights, e.g. ``without_weights``.
    """

    def __init__(self, name: str, source: MemorySystem, alter: Alter) -> None:
        self.name = name
        self._source, self._alter = source, alter
        self._memory: SpatialMemory | None = None
        self._altered: MemoryState | None = None

    def observe(self, percept: Percept) -> None:
        """Do nothing: the source is fed by whoever owns it."""

    def query(self, query: Query) -> Answer:
        """Answer from the places of the source's state now and the altered weights."""
        self._source.settle()
        state = self._source.memory.state
        if self._memory is None:
            # Its own memory, as readers keep what they read; tiles on disk are the source's.
            source = self._source.memory
            config = replace(source.config, tiles=replace(source.config.tiles, directory=''))
            self._memory = SpatialMemory(config, runtime=source.runtime)
        if state is not self._altered:
            self._memory.restore(replace(self._alter(state), on_disk=frozenset()))
            self._altered = state
        return self._memory.query(query)

    @property
    def stored_bytes(self) -> int:
        """Bytes of the source."""
        return self._source.stored_bytes

    @property
    def budget_bytes(self) -> int:
        """Most bytes of the source."""
        return self._source.budget_bytes


def without_weights(state: MemoryState) -> MemoryState:
    """Return the state with all fast weights zero (control 'reset')."""
    return _altered(state, lambda index, name, part: _zero(part))


def with_shuffled_weights(state: MemoryState, *, seed: int) -> MemoryState:
    """Return the state with the features of every field permuted by a seed."""

    def shuffled(index: TileIndex, name: str, part: PackedField) -> PackedField:
        order = np.random.default_rng([seed, 53]).permutation(len(part.weight))
        return part.with_weight(part.weight[order])

    return _altered(state, shuffled)


def with_other_weights(state: MemoryState, donor: MemoryState) -> MemoryState:
    """Return the state with each tile's weights from a tile of another home.

    It is the tile at the same place of the map, where the donor has one, else the next in turn.
    """
    indices = sorted(donor.tiles)
    if not indices:
        return without_weights(state)
    turn = {
        index: indices[number % len(indices)] for number, index in enumerate(sorted(state.tiles))
    }
    others = {
        index: _fields(donor.tiles.get(index, donor.tiles[turn[index]])) for index in state.tiles
    }
    return _altered(state, lambda index, name, part: others[index].get(name) or _zero(part))


def donor_seed(seed: int) -> int:
    """Return the seed of another home than this one."""
    return next(donor for donor in _DONORS if donor != seed)


@lru_cache(maxsize=2)
def donor_state(
    config: MemoryConfig,
    seed: int,
    *,
    perception: str,
    sensor: SensorConfig = CLEAN,
    depth: bool = True,
) -> MemoryState:
    """Return the memory of a short tour of a home; kept for the other homes of this process.

    Args:
        config: of the memory.
        seed: of that home.
        perception: 'oracle', 'noisy' or 'model'.
        sensor: faults of camera and localisation.
        depth: whether frames carry it.
    """
    from ros2_spatial_ttt.exam.showing import shown
    from ros2_spatial_ttt.sim.episode import make_episode

    config = replace(config, tiles=replace(config.tiles, directory=''))
    system = MemorySystem(config, name='donor')
    take = system.observe_frame if perception == 'model' else system.observe
    episode = make_episode(seed, minutes=_DONOR_MINUTES)
    for item in shown(episode, perception, sensor=sensor, depth=depth):
        take(item)
    system.settle()
    return system.memory.state


def _altered(
    state: MemoryState, change: Callable[[TileIndex, str, PackedField], PackedField]
) -> MemoryState:
    """Return the state with every field replaced; its name is that of ``_fields``."""
    tiles = {}
    for index, tile in state.tiles.items():
        new = {name: change(index, name, part) for name, part in _fields(tile).items()}
        tiles[index] = _with_fields(tile, new)
    return replace(state, tiles=MappingProxyType(tiles))


def _fields(tile: Tile) -> dict[str, PackedField]:
    """Return {name: fast weights} of a tile; 'appearance/3' is that of sector 3."""
    out: dict[str, PackedField] = {}
    for item in dataclasses.fields(tile):
        value = getattr(tile, item.name)
        if isinstance(value, PackedField):
            out[item.name] = value
        elif isinstance(value, Mapping):
            out |= {f'{item.name}/{key}': part for key, part in value.items()}
    return out


def _with_fields(tile: Tile, parts: dict[str, PackedField]) -> Tile:
    new: dict[str, Any] = {}
    for item in dataclasses.fields(tile):
        value = getattr(tile, item.name)
        if isinstance(value, PackedField):
            new[item.name] = parts[item.name]
        elif isinstance(value, Mapping):
            new[item.name] = MappingProxyType({k: parts[f'{item.name}/{k}'] for k in value})
    return replace(tile, **new)


def _zero(part: PackedField) -> PackedField:
    return part.with_weight(np.zeros_like(part.weight))
