# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The memory under exam, and the same with the published rule in its vote field."""

from __future__ import annotations

from dataclasses import replace

from ros2_spatial_ttt.config import MemoryConfig, VoteConfig
from ros2_spatial_ttt.memory.field import PackedField
from ros2_spatial_ttt.memory.pipeline import SpatialMemory
from ros2_spatial_ttt.memory.votes import empty_votes
from ros2_spatial_ttt.runtime import Runtime
from ros2_spatial_ttt.types import Answer, Frame, Percept, Query

__all__ = ['MemorySystem', 'muon_config']


class MemorySystem:
    """A ``SpatialMemory`` as a system of the exam.

    Args:
        config: of the memory. name: for tables.
        runtime: shared with others; None opens one of its own.

    Attributes:
        memory: what is examined.
    """

    def __init__(
        self, config: MemoryConfig, *, name: str = 'memory', runtime: Runtime | None = None
    ) -> None:
        self.name = name
        self.memory = SpatialMemory(config, runtime=runtime)
        self._pending = False

    def observe(self, percept: Percept) -> None:
        """Take in one frame's detections; a refused one is counted by the memory."""
        self.memory.feed_percept(percept)
        self._pending = True

    def observe_frame(self, frame: Frame) -> None:
        """Take in one frame's pixels."""
        self.memory.feed_frame(frame)
        self._pending = True

    def settle(self) -> None:
        """Write frames that no full chunk was made of, so that an answer rests on all of them."""
        if self._pending:
            self.memory.flush()
            self._pending = False

    def query(self, query: Query) -> Answer:
        """Answer from all frames so far."""
        self.settle()
        return self.memory.query(query)

    @property
    def stored_bytes(self) -> int:
        """Bytes that hold something."""
        return self.memory.status().state_bytes_used

    @property
    def budget_bytes(self) -> int:
        """Most bytes it may ever hold."""
        return self.memory.state_bytes


def muon_config(config: MemoryConfig, names: tuple[str, ...]) -> MemoryConfig:
    """Return the parameters with the published rule at equal bytes.

    The rule keeps no curvature; its bytes go into as many more features. ``names`` are those that
    things can have; the config may leave them to the model.
    """
    curved = replace(config.votes, labels=','.join(names))
    muon = replace(curved, rule='muon')
    features = int(curved.features * _bytes(curved) / _bytes(muon))
    return replace(config, votes=_with_features(replace(config.votes, rule='muon'), features))


def _bytes(votes: VoteConfig) -> int:
    return PackedField.of(empty_votes(votes), votes.ridge, forgets=True).nbytes


def _with_features(votes: VoteConfig, features: int) -> VoteConfig:
    return replace(votes, features=features - features % 2)
