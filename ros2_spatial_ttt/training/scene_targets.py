# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What a memory should be able to tell after each chunk: the whole scene of the stream so far.

Letters: C chunks of a stream, K names, S = ``SLOTS`` things of a name, Z kinds of rooms.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.training.data import UNKNOWN, Clip
from ros2_spatial_ttt.training.scenes import ROOM_KINDS

__all__ = ['SLOTS', 'SceneTruth', 'describe']

# A thing counts as seen once it covered so many tokens of a frame.
LEAST_TOKENS = 4
# So many things of a name are asked for one by one; all of them are counted.
SLOTS = 3


@dataclass(frozen=True)
class SceneTruth:
    """The scene after each chunk.

    Attributes:
        known: (C,) float32 1 = things have names here; else nothing is known of them.
        count: (C, K) float32 things of each name seen so far.
        centre: (C, K, S, 3) float32 m, of the nearest first, in the level frame of the newest
            frame, as each was last seen; 0 where there are not so many. size: (C, K, S, 3)
            float32 m, of those; 1 where there are not so many.
        room: (C,) int64 number in ``ROOM_KINDS`` of the room one is in, -1 = not known.
        rooms: (C, Z) float32 1 = one has been in a room of that kind.
    """

    known: NDArray[np.float32]
    count: NDArray[np.float32]
    centre: NDArray[np.float32]
    size: NDArray[np.float32]
    room: NDArray[np.int64]
    rooms: NDArray[np.float32]

    @staticmethod
    def names() -> tuple[str, ...]:
        """Return the names of the arrays."""
        return tuple(field.name for field in fields(SceneTruth))


@dataclass(frozen=True)
class _Seen:
    """A thing as it was last seen: name, centre (3,) m in the map, size (3,) m."""

    name: int
    centre: NDArray[np.float64]
    size: NDArray[np.float32]


def describe(clip: Clip, chunk_frames: int, names: int) -> SceneTruth:
    """Return the scene after each whole chunk of a clip.

    Args:
        clip: F frames.
        chunk_frames: frames per chunk.
        names: K.
    """
    seen: dict[int, _Seen] = {}
    known = np.float32((clip.label != UNKNOWN).any())
    rows = []
    for frame in range(len(clip.image) // chunk_frames * chunk_frames):
        seen.update(_things(clip, frame))
        if (frame + 1) % chunk_frames == 0:
            table = _table(seen, clip.map_T_level[frame], names)
            rows.append((known, *table, clip.room[frame], _visited(clip.room[: frame + 1])))
    return SceneTruth(*(np.stack(column) for column in zip(*rows, strict=True)))


def _visited(room: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return which kinds of rooms (Z,) are among those of the frames (F,)."""
    return np.isin(np.arange(len(ROOM_KINDS)), room).astype(np.float32)


def _things(clip: Clip, frame: int) -> dict[int, _Seen]:
    """Return the things that a frame shows, by number."""
    things, first, tokens = np.unique(clip.thing[frame], return_index=True, return_counts=True)
    map_T_level = clip.map_T_level[frame].astype(np.float64)
    return {
        int(thing): _Seen(
            int(clip.label[frame, token]) - 1,
            map_T_level[:3, :3] @ clip.centre[frame, token] + map_T_level[:3, 3],
            clip.size[frame, token],
        )
        for thing, token, count in zip(things, first, tokens, strict=True)
        if clip.label[frame, token] > 0 and count >= LEAST_TOKENS
    }


def _table(
    seen: dict[int, _Seen], map_T_level: NDArray[np.float32], names: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return count, centre and size of one chunk, as ``SceneTruth`` has them."""
    count = np.zeros(names, np.float32)
    centre = np.zeros((names, SLOTS, 3), np.float32)
    size = np.ones((names, SLOTS, 3), np.float32)
    here = [
        (map_T_level[:3, :3].T @ (thing.centre - map_T_level[:3, 3]), thing)
        for thing in seen.values()
    ]
    for place, thing in sorted(here, key=lambda pair: float(np.linalg.norm(pair[0]))):
        slot = int(count[thing.name])
        if slot < SLOTS:
            centre[thing.name, slot], size[thing.name, slot] = place, thing.size
        count[thing.name] += 1
    return count, centre, size
