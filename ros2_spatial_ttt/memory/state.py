# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The state of a memory: immutable, so that readers never wait and never see half an update."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.memory.evidence import EvidenceBank
from ros2_spatial_ttt.memory.lens import Lens, Statistics
from ros2_spatial_ttt.memory.tiles import Tile, TileIndex
from ros2_spatial_ttt.runtime.base import ResidentState, State

__all__ = [
    'Backbone',
    'MemoryState',
    'backbone_bytes',
    'backbone_tensors',
    'shared_tensors',
    'state_hash',
    'tile_tensors',
]

# State of a backbone as it is kept: half the bytes, and names that change by 1e-4 at most. What
# lies on a device stays there as it is.
Backbone = Mapping[str, NDArray[np.float16]] | ResidentState


@dataclass(frozen=True)
class MemoryState:
    """Everything that is remembered.

    Attributes:
        statistics, lens: of all embeddings; how they are compared.
        tiles: in working memory. on_disk: indices of tiles in the tile directory.
        evidence: keyframes.
        backbones: {camera: state of the network's backbone, float16}, of a bounded number of
            cameras; that which was written last stands at the end.
        chunks: how many were written. newest_ns: stamp of the newest frame.
        camera_width: pixels of the newest camera image, the scale of example pictures.
        forgotten_tiles: how often a tile lost its space or its votes for want of a tile directory.
        forgotten_looks: how often a tile lost what one of its sectors looked like.
    """

    statistics: Statistics
    lens: Lens
    tiles: MappingProxyType[TileIndex, Tile] = field(default_factory=lambda: MappingProxyType({}))
    on_disk: frozenset[TileIndex] = frozenset()
    evidence: EvidenceBank = EvidenceBank()
    backbones: MappingProxyType[str, Backbone] = field(
        default_factory=lambda: MappingProxyType({})
    )
    chunks: int = 0
    newest_ns: int = 0
    camera_width: int = 0
    forgotten_tiles: int = 0
    forgotten_looks: int = 0

    @staticmethod
    def empty(width: int) -> MemoryState:
        """Return the state before anything was seen; ``width`` is that of an embedding."""
        return MemoryState(statistics=Statistics.empty(width), lens=Lens.identity(width))

    def with_backbone(self, camera: str, backbone: State, *, most: int) -> MemoryState:
        """Return the state with that of a camera's backbone; beyond ``most``, the oldest goes."""
        others = [(name, own) for name, own in self.backbones.items() if name != camera]
        own = backbone if isinstance(backbone, ResidentState) else _halved(backbone)
        kept = [*others, (camera, own)][-most:]
        return replace(self, backbones=MappingProxyType(dict(kept)))

    def backbone(self, camera: str) -> State | None:
        """Return the state of a camera's backbone as float32; None = it was not seen."""
        if camera not in self.backbones:
            return None
        own = self.backbones[camera]
        if isinstance(own, ResidentState):
            return own
        return {name: array.astype(np.float32) for name, array in own.items()}


def _halved(backbone: Mapping[str, NDArray]) -> dict[str, NDArray[np.float16]]:
    with np.errstate(over='ignore'):  # what becomes infinite is refused by who writes it
        return {name: array.astype(np.float16, copy=False) for name, array in backbone.items()}


def backbone_bytes(backbone: State) -> int:
    """Return the bytes that a state of a backbone takes as it is kept."""
    each = 4 if isinstance(backbone, ResidentState) else 2
    return each * sum(array.size for array in backbone.values())


def backbone_tensors(state: MemoryState) -> dict[str, NDArray]:
    """Return {name: array} of the backbones, cameras by number."""
    return {
        f'backbone/{number}/{name}': array
        for number, own in enumerate(state.backbones.values())
        for name, array in _halved(own).items()
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
    if tile.geometry is not None:
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
