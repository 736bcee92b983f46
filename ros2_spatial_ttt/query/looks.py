# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""How a point of the map looks, as the fast weights say: an example that needs no picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.memory.field import EMBEDDING, SEEN
from ros2_spatial_ttt.memory.state import MemoryState
from ros2_spatial_ttt.memory.tiles import TileGrid
from ros2_spatial_ttt.runtime.base import Runtime

__all__ = ['looks_at']

# Below this seen channel, or this length of a mean embedding, a look is extrapolation.
_MIN_SEEN, _MIN_LENGTH = 0.3, 0.35


def looks_at(
    state: MemoryState, runtime: Runtime, grid: TileGrid, point: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return the embeddings (k, E) of a point, each of length 1: one per side it was seen from.

    Args:
        state: to be read.
        runtime: reads its fields.
        grid: of its tiles.
        point: (3,) m in the map.
    """
    x, y, z = map(int, grid.index_of(point[None])[0])
    tile = state.tiles.get((x, y, z))
    looks = [np.zeros((0, runtime.manifest.embedding), np.float32)]
    if tile is None:
        return looks[0]
    local = (point[None] - grid.centre(tile.index)).astype(np.float32)
    for field in tile.appearance.values():
        said = runtime.read('appearance', field.weight.astype(np.float32), local)
        embedding = np.asarray(said[:, EMBEDDING], np.float32)
        length = float(np.linalg.norm(embedding))
        if said[0, SEEN] > _MIN_SEEN and length > _MIN_LENGTH:
            looks.append(embedding / length)
    return np.concatenate(looks)
