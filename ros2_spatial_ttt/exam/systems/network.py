# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""One network for all systems of a home that see its frames: a chunk is looked at once.

Memories and eyes make the same chunks of the same frames and carry the same state from chunk to
chunk, so they would all compute the same, which is most of what an exam on pixels costs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.runtime.base import ChunkInput, Runtime, Samples, State

__all__ = ['OneNetwork']

CAMERAS = 8  # chunks kept: those of all cameras, when they are closed at a question


class OneNetwork:
    """A ``Runtime`` that does not compute again what it was just asked to look at.

    Args:
        runtime: does everything.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._done: deque[tuple[ChunkInput, State, tuple[Samples, State]]] = deque(maxlen=CAMERAS)
        self._named: deque[tuple[Mapping[str, NDArray], NDArray]] = deque(maxlen=CAMERAS)

    def __getattr__(self, name: str) -> Any:
        """Return what the runtime has."""
        return getattr(self._runtime, name)

    def encode(self, chunk: ChunkInput, state: State) -> tuple[Samples, State]:
        """See ``Runtime.encode``."""
        for known, before, encoded in self._done:
            if _same(vars(known), vars(chunk)) and _same(before, state):
                return encoded
        encoded = self._runtime.encode(chunk, state)
        self._done.append((chunk, state, encoded))
        return encoded

    def second_look(
        self, picture: NDArray[np.uint8], place: NDArray[np.float32], known: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """See ``Runtime.second_look``."""
        asked: dict[str, NDArray] = {'known': known, 'picture': picture, 'place': place}
        for before, names in self._named:
            if _same(before, asked):
                return names
        names = self._runtime.second_look(**asked)
        self._named.append((asked, names))
        return names


def _same(a: Mapping[str, NDArray], b: Mapping[str, NDArray]) -> bool:
    """Return whether all arrays are equal; the small ones tell most chunks apart."""
    names = sorted(a, key=lambda name: a[name].nbytes)
    return a.keys() == b.keys() and all(
        a[name] is b[name] or np.array_equal(a[name], b[name]) for name in names
    )
