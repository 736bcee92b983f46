# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Poses over time: a buffer that interpolates, and a tree of frames for replay without tf2.

Nothing here locks: all calls come from one thread (the node's executor, or replay).
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.errors import FrameRefused, Refusal
from ros2_spatial_ttt.geometry import interpolate_transform, invert_transform

__all__ = ['PoseBuffer', 'TransformTree']

NS_PER_S = 1_000_000_000
Matrix = NDArray[np.float64]


class PoseBuffer:
    """The newest poses of one body, asked for at any stamp between them.

    Args:
        max_gap_s: between poses further apart than this nothing is interpolated.
        length: poses kept; one more drops the oldest.
    """

    def __init__(self, max_gap_s: float, length: int) -> None:
        if not max_gap_s >= 0.0 or length < 2:
            raise ValueError(f'needs max_gap_s >= 0 and length >= 2, got {max_gap_s}, {length}')
        self._max_gap_ns = max_gap_s * NS_PER_S
        self._length = length
        self._stamps: list[int] = []
        self._matrices: list[Matrix] = []

    @property
    def oldest_ns(self) -> int | None:
        """Stamp of the oldest pose kept; None when empty."""
        return self._stamps[0] if self._stamps else None

    @property
    def newest_ns(self) -> int | None:
        """Stamp of the newest pose; None when empty."""
        return self._stamps[-1] if self._stamps else None

    def add(self, stamp_ns: int, map_T_body: Matrix) -> None:
        """Keep a copy of a (4, 4) pose, in any order; of a repeated stamp the first one stays.

        Raises:
            FrameRefused: POSE_NOT_FINITE.
        """
        matrix = _checked(map_T_body)
        index = bisect.bisect_left(self._stamps, stamp_ns)
        if index < len(self._stamps) and self._stamps[index] == stamp_ns:
            return
        self._stamps.insert(index, stamp_ns)
        self._matrices.insert(index, matrix)
        if len(self._stamps) > self._length:
            del self._stamps[0], self._matrices[0]

    def at(self, stamp_ns: int) -> Matrix | None:
        """Return the (4, 4) pose at a stamp, read-only and as given where the stamp was given.

        Between two stamps the pose is interpolated; before the first, after the last and in gaps
        over ``max_gap_s`` it is None. Never extrapolated.
        """
        index = bisect.bisect_left(self._stamps, stamp_ns)
        if index == len(self._stamps):
            return None
        if self._stamps[index] == stamp_ns:
            return self._matrices[index]
        if index == 0:
            return None
        before, after = self._stamps[index - 1], self._stamps[index]
        if after - before > self._max_gap_ns:
            return None
        fraction = (stamp_ns - before) / (after - before)
        return interpolate_transform(self._matrices[index - 1], self._matrices[index], fraction)

    def clear(self) -> None:
        """Forget all poses."""
        self._stamps.clear()
        self._matrices.clear()


def _checked(matrix: Matrix) -> Matrix:
    """Return a read-only copy."""
    copy = np.array(matrix, dtype=np.float64)
    if copy.shape != (4, 4) or not np.isfinite(copy).all():
        raise FrameRefused(
            Refusal.POSE_NOT_FINITE, f'pose must be a finite 4x4 matrix, got {copy.tolist()}'
        )
    copy.flags.writeable = False
    return copy


@dataclass(frozen=True)
class _Edge:
    """How a frame hangs on its parent: always the same (matrix), or over time (buffer)."""

    parent: str
    pose: Matrix | PoseBuffer


class TransformTree:
    """Frames from /tf and /tf_static, for reading a recording where tf2 is not installed.

    Args:
        max_gap_s: as in PoseBuffer, per transform. tf2 itself knows no limit.
        length: stamps kept per transform.
    """

    def __init__(self, *, max_gap_s: float = math.inf, length: int = 10_000) -> None:
        self._max_gap_s = max_gap_s
        self._length = length
        self._edges: dict[str, _Edge] = {}

    def add(self, parent: str, child: str, stamp_ns: int | None, parent_T_child: Matrix) -> None:
        """Take one (4, 4) transform; ``stamp_ns`` None means it holds for all times.

        A child that moves to another parent, or from fixed to moving, forgets its past.

        Raises:
            ValueError: an empty name, or a frame hung on itself.
            FrameRefused: POSE_NOT_FINITE.
        """
        parent, child = parent.lstrip('/'), child.lstrip('/')
        if not parent or not child or parent == child:
            raise ValueError(f'transform needs two frames, got {parent!r} -> {child!r}')
        if stamp_ns is None:
            self._edges[child] = _Edge(parent, _checked(parent_T_child))
            return
        edge = self._edges.get(child)
        poses = edge.pose if edge is not None and edge.parent == parent else None
        if not isinstance(poses, PoseBuffer):
            poses = PoseBuffer(self._max_gap_s, self._length)
            self._edges[child] = _Edge(parent, poses)
        poses.add(stamp_ns, parent_T_child)

    def lookup(self, target: str, source: str, stamp_ns: int) -> Matrix:
        """Return the (4, 4) transform target_T_source at a stamp.

        Raises:
            LookupError: a frame is unknown, the two are not connected, or a transform between
                them is not known at that stamp; the message says which.
        """
        target, source = target.lstrip('/'), source.lstrip('/')
        up_source, up_target = self._ancestors(source), self._ancestors(target)
        shared = next((frame for frame in up_source if frame in up_target), None)
        if shared is None:
            raise LookupError(
                f'no transform {target!r} <- {source!r}: they hang on different roots, '
                f'{up_target[-1]!r} and {up_source[-1]!r}; publish one between them'
            )
        shared_T_source = self._climb(up_source[: up_source.index(shared)], stamp_ns)
        shared_T_target = self._climb(up_target[: up_target.index(shared)], stamp_ns)
        if shared_T_target is None:
            return np.eye(4) if shared_T_source is None else shared_T_source
        target_T_shared = invert_transform(shared_T_target)
        return target_T_shared if shared_T_source is None else target_T_shared @ shared_T_source

    def _ancestors(self, frame: str) -> list[str]:
        """Return the frame and all it hangs on, up to its root."""
        chain = [frame]
        while (edge := self._edges.get(chain[-1])) is not None:
            if edge.parent in chain:
                raise LookupError(f'frames {chain} hang on each other in a loop; fix /tf')
            chain.append(edge.parent)
        if len(chain) == 1 and all(edge.parent != frame for edge in self._edges.values()):
            known = sorted({*self._edges, *(edge.parent for edge in self._edges.values())})
            raise LookupError(f'frame {frame!r} is not in the tree; known are {known}')
        return chain

    def _climb(self, chain: list[str], stamp_ns: int) -> Matrix | None:
        """Return parent-of-last_T_first of a chain of frames; None for an empty chain."""
        total: Matrix | None = None
        for frame in chain:
            step = self._step(frame, stamp_ns)
            total = step if total is None else step @ total
        return total

    def _step(self, frame: str, stamp_ns: int) -> Matrix:
        edge = self._edges[frame]
        if not isinstance(edge.pose, PoseBuffer):
            return edge.pose
        matrix = edge.pose.at(stamp_ns)
        if matrix is None:
            raise LookupError(
                f'transform {edge.parent!r} -> {frame!r} is not known at {stamp_ns} ns; it has '
                f'{edge.pose.oldest_ns} to {edge.pose.newest_ns} ns, and gaps over '
                f'{self._max_gap_s} s are not filled'
            )
        return matrix
