# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The state of a memory: immutable, so that readers never wait and never see half an update."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.memory.evidence import EvidenceBank
from ros2_spatial_ttt.memory.lens import Lens, Statistics
from ros2_spatial_ttt.memory.tiles import Tile, TileIndex
from ros2_spatial_ttt.runtime.base import State

__all__ = [
    'MOST_CAMERAS',
    'MemoryState',
    'backbone_tensors',
    'shared_tensors',
    'state_hash',
    'tile_tensors',
]

# Cameras whose backbone keeps its state; one more starts anew with every turn.
MOST_CAMERAS = 8


@dataclass(frozen=True)
class MemoryState:
    """Everything that is remembered.

    Attributes:
        statistics, lens: of all embeddings; how they are compared.
        tiles: in working memory. on_disk: indices of tiles in the tile directory.
        evidence: keyframes.
        backbones: {camera: state of the network's backbone}, of at most ``MOST_CAMERAS`` cameras;
            that which was written last stands at the end.
        chunks: how many were written. newest_ns: stamp of the newest frame.
        camera_width: pixels of the newest camera image, the scale of example pictures.
        forgotten_tiles: how many tiles were lost for want of a tile directory.
    """

    statistics: Statistics
    lens: Lens
    tiles: MappingProxyType[TileIndex, Tile] = field(default_factory=lambda: MappingProxyType({}))
    on_disk: frozenset[TileIndex] = frozenset()
    evidence: EvidenceBank = EvidenceBank()
    backbones: MappingProxyType[str, State] = field(default_factory=lambda: MappingProxyType({}))
    chunks: int = 0
    newest_ns: int = 0
    camera_width: int = 0
    forgotten_tiles: int = 0

    @staticmethod
    def empty(width: int) -> MemoryState:
        """Return the state before anything was seen; ``width`` is that of an embedding."""
        return MemoryState(statistics=Statistics.empty(width), lens=Lens.identity(width))

    def with_backbone(self, camera: str, backbone: State) -> MemoryState:
        """Return the state with that of a camera's backbone; beyond the most, the oldest goes."""
        others = {name: own for name, own in self.backbones.items() if name != camera}
        kept = list(others.items())[-(MOST_CAMERAS - 1) :]
        return replace(self, backbones=MappingProxyType(dict([*kept, (camera, backbone)])))


def backbone_tensors(state: MemoryState) -> dict[str, NDArray]:
    """Return {name: array} of the backbones, cameras by number."""
    return {
        f'backbone/{number}/{name}': array
        for number, own in enumerate(state.backbones.values())
        for name, array in own.items()
    }


def shared_tensors(state: MemoryState) -> dict[str, NDArray]:
    """Return {name: array} of what belongs to no tile."""
    statistics, lens = state.statistics, state.lens
    return {
        'statistics/count': np.array([statistics.count]),
        'statistics/total': statistics.total,
        'statistics/outer': statistics.outer,
        'lens/count': np.array([lens.count]),
        'lens/mean': lens.mean,
        'lens/matrix': lens.matrix,
    }


def tile_tensors(tile: Tile) -> dict[str, NDArray]:
    """Return {name: array} of everything in a tile."""
    out = {f'places/{name}': array for name, array in tile.places.arrays().items()}
    out |= {f'geometry/{name}': tensor for name, tensor in tile.geometry.tensors().items()}
    for sector, look in tile.appearance.items():
        out |= {f'appearance/{sector}/{name}': t for name, t in look.tensors().items()}
    if tile.votes is not None:
        out |= {f'votes/{name}': tensor for name, tensor in tile.votes.tensors().items()}
        out |= {f'vote_places/{name}': array for name, array in tile.vote_places.arrays().items()}
    return out


def state_hash(state: MemoryState) -> str:
    """Return the SHA-256 over everything, hex; equal states have equal hashes."""
    digest = hashlib.sha256()
    parts = [('', shared_tensors(state)), (repr([*state.backbones]), backbone_tensors(state))]
    parts += [(repr(index), tile_tensors(state.tiles[index])) for index in sorted(state.tiles)]
    for label, tensors in parts:
        for name, array in sorted(tensors.items()):
            digest.update(f'{label}{name}'.encode())
            digest.update(np.ascontiguousarray(array).data)
    for keyframe in state.evidence.keyframes:
        digest.update(f'{keyframe.camera}:{keyframe.stamp_ns}'.encode())
        digest.update(keyframe.jpeg)
    return digest.hexdigest()
