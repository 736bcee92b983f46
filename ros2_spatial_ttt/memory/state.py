# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The state of a memory: immutable, so that readers never wait and never see half an update."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.memory.evidence import EvidenceBank
from ros2_spatial_ttt.memory.tiles import Tile, TileIndex

__all__ = ['MemoryState', 'state_hash', 'tile_tensors']


@dataclass(frozen=True)
class MemoryState:
    """Everything that is remembered.

    Attributes:
        tiles: in working memory. on_disk: indices of tiles in the tile directory.
        evidence: keyframes. chunks: how many were written. newest_ns: stamp of the newest frame.
        camera_width: pixels of the newest camera image, the scale of example pictures.
        forgotten_tiles: how many tiles were lost for want of a tile directory.
    """

    tiles: MappingProxyType[TileIndex, Tile] = field(default_factory=lambda: MappingProxyType({}))
    on_disk: frozenset[TileIndex] = frozenset()
    evidence: EvidenceBank = EvidenceBank()
    chunks: int = 0
    newest_ns: int = 0
    camera_width: int = 0
    forgotten_tiles: int = 0


def tile_tensors(tile: Tile) -> dict[str, NDArray]:
    """Return {name: array} of everything in a tile."""
    out = {f'places/{name}': array for name, array in tile.places.arrays().items()}
    out |= {f'geometry/{name}': tensor for name, tensor in tile.geometry.tensors().items()}
    for sector, field in tile.appearance.items():
        out |= {f'appearance/{sector}/{name}': t for name, t in field.tensors().items()}
    return out


def state_hash(state: MemoryState) -> str:
    """Return the SHA-256 over tiles and keyframes, hex; equal states have equal hashes."""
    digest = hashlib.sha256()
    for index in sorted(state.tiles):
        digest.update(repr(index).encode())
        for name, array in sorted(tile_tensors(state.tiles[index]).items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(array).data)
    for keyframe in state.evidence.keyframes:
        digest.update(f'{keyframe.camera}:{keyframe.stamp_ns}'.encode())
        digest.update(keyframe.jpeg)
    return digest.hexdigest()
