# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What a system of the exam is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ros2_spatial_ttt.config import MemoryConfig
from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.exam.options import PERCEPTIONS
from ros2_spatial_ttt.runtime import Runtime
from ros2_spatial_ttt.sim.sensor import CLEAN, SensorConfig
from ros2_spatial_ttt.sim.world import CATEGORIES

if TYPE_CHECKING:
    from ros2_spatial_ttt.exam.systems.memory import MemorySystem

__all__ = ['SystemContext']


@dataclass(frozen=True)
class SystemContext:
    """What a constructor in ``SYSTEMS`` may use.

    Attributes:
        memory_config: of the memory under exam; model, backend, tiles and votes are in it.
        perception: of PERCEPTIONS. 'model' learns from pixels, the others from percepts.
        sensor: faults of camera and localisation. depth: whether frames carry it.
        budget_bytes: of the equal-byte stores; 0 = as many as the memory's tiles may hold
            (``tiles.budget_mb``). Give the bytes the memory really used for a fair comparison.
        seed: of the home; random systems and controls derive theirs from it.
        labels: names that things can have; () where the model knows none.
        window_frames: what the window-only system keeps.
        thresholds: confidence from which on a system tells a thing; others do as the memory.
        runtime: of the model, for all systems of a home; without it each opens its own.
        memory: the memory system of the same home, fed by the caller. The controls are views on
            it: their ``observe`` does nothing, their ``query`` asks it with altered weights.
    """

    memory_config: MemoryConfig = field(default_factory=MemoryConfig)
    perception: str = 'oracle'
    sensor: SensorConfig = CLEAN
    depth: bool = True
    budget_bytes: int = 0
    seed: int = 0
    labels: tuple[str, ...] = CATEGORIES
    window_frames: int = 64
    thresholds: Mapping[str, float] = field(default_factory=dict)
    runtime: Runtime | None = None
    memory: MemorySystem | None = None

    def __post_init__(self) -> None:
        if self.perception not in PERCEPTIONS:
            raise ConfigError(
                f'perception: expected one of {PERCEPTIONS}, got {self.perception!r}'
            )
        if self.budget_bytes < 0 or self.window_frames < 1:
            raise ConfigError(
                'expected budget_bytes >= 0 and window_frames >= 1, got '
                f'{self.budget_bytes} and {self.window_frames}'
            )

    @property
    def budget(self) -> int:
        """Bytes of an equal-byte store."""
        return self.budget_bytes or int(self.memory_config.tiles.budget_mb * 1e6)

    def threshold(self, system: str) -> float:
        """Return the confidence from which on a system tells a thing."""
        return self.thresholds.get(system, self.memory_config.read.found_threshold)

    def fed_memory(self, control: str) -> MemorySystem:
        """Return the memory that a control is a view on.

        Raises:
            ConfigError: there is none.
        """
        if self.memory is None:
            raise ConfigError(
                f'control {control!r} needs the fed memory of the home in SystemContext.memory, '
                "got None; construct SYSTEMS['memory'] first"
            )
        return self.memory
