# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Colour, depth, intrinsics and pose of one camera become frames, paired by stamp.

Nothing here locks: all calls come from one thread (the node's executor, or replay).
"""

from __future__ import annotations

import bisect
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.errors import ConfigError, FrameRefused, Refusal
from ros2_spatial_ttt.types import Frame, Intrinsics

__all__ = ['FrameAssembler']

NS_PER_S = 1_000_000_000
PoseAt = Callable[[int], 'NDArray[np.float64] | None']


class _Stream:
    """Images by stamp, oldest first, at most ``length`` of them."""

    def __init__(self, length: int) -> None:
        self.stamps: list[int] = []
        self.newest_ns: int | None = None
        self._images: dict[int, NDArray[Any]] = {}
        self._length = length

    def __contains__(self, stamp_ns: int) -> bool:
        return stamp_ns in self._images

    def __getitem__(self, stamp_ns: int) -> NDArray[Any]:
        return self._images[stamp_ns]

    def add(self, stamp_ns: int, image: NDArray[Any]) -> int | None:
        """Keep an image; return the stamp of the one that had to go, if any."""
        bisect.insort(self.stamps, stamp_ns)
        self._images[stamp_ns] = image
        if len(self.stamps) <= self._length:
            return None
        oldest = self.stamps[0]
        self.drop_before(oldest + 1)
        return oldest

    def passed(self, stamp_ns: int) -> bool:
        """Return whether the stream has reached a stamp, whatever became of its images."""
        return self.newest_ns is not None and self.newest_ns >= stamp_ns

    def saw(self, stamp_ns: int) -> None:
        """Note that the stream has reached a stamp."""
        if not self.passed(stamp_ns):
            self.newest_ns = stamp_ns

    def nearest(self, stamp_ns: int, tolerance_ns: float) -> int | None:
        """Return the stamp within the tolerance that is nearest, the earlier of two as near."""
        index = bisect.bisect_left(self.stamps, stamp_ns)
        around = self.stamps[max(0, index - 1) : index + 1]
        best = min(around, key=lambda other: abs(other - stamp_ns), default=None)
        return best if best is not None and abs(best - stamp_ns) <= tolerance_ns else None

    def drop_before(self, stamp_ns: int) -> None:
        """Forget all images with an earlier stamp."""
        count = bisect.bisect_left(self.stamps, stamp_ns)
        for stamp in self.stamps[:count]:
            del self._images[stamp]
        del self.stamps[:count]

    def clear(self) -> None:
        """Forget everything."""
        self.stamps.clear()
        self._images.clear()
        self.newest_ns = None


class FrameAssembler:
    """Puts the messages of one camera together to frames, in stamp order.

    Topics may arrive in any order relative to each other; each topic by itself must keep its
    order, as DDS delivers one writer's. The oldest image is decided first and the later ones
    wait behind it, so the sequence of frames does not depend on the order of arrival, as long as
    what belongs to an image (its depth, the poses around it) is there before a colour image that
    is ``wait_s`` newer. Depth is decided when its stream has reached the colour's stamp. Each
    depth image belongs to one colour image at most and pairs never cross. Keep ``tolerance_s``
    below half the time between colour images, else a colour image whose own depth was lost
    may take that of the next.

    Args:
        camera: name put into the frames.
        tolerance_s: largest difference of the stamps of a pair.
        wait_s: an image that is incomplete when a colour image this much newer is there, is
            given up.
        use_depth: True needs a depth image, False ignores depth, 'auto' takes it where there is
            one. Without a depth topic choose False: 'auto' would wait for it ``wait_s`` long.
        pose_at: returns map_T_camera (4, 4) at a stamp in ns, or None while it is not known.
        refuse: told the reason and a sentence for every image that never becomes a frame.
        length: images kept of either kind; one more drops the oldest.
    """

    def __init__(
        self,
        camera: str,
        *,
        tolerance_s: float,
        wait_s: float,
        use_depth: bool | str,
        pose_at: PoseAt,
        refuse: Callable[[Refusal, str], None],
        length: int = 32,
    ) -> None:
        if not isinstance(use_depth, bool) and use_depth != 'auto':
            raise ConfigError(f"use_depth: expected True, False or 'auto', got {use_depth!r}")
        if not 0.0 <= tolerance_s <= wait_s or length < 1:
            raise ConfigError(
                'expected 0 <= tolerance_s <= wait_s and length >= 1, '
                f'got {tolerance_s}, {wait_s}, {length}'
            )
        self._camera = camera
        self._tolerance_ns = round(tolerance_s * NS_PER_S)
        self._wait_ns = round(wait_s * NS_PER_S)
        self._use_depth = use_depth
        self._pose_at = pose_at
        self._refuse = refuse
        self._intrinsics: Intrinsics | None = None
        self._colours = _Stream(length)
        self._depths = _Stream(length)
        # Colour up to here is decided; depth before the floor can no longer be used.
        self._decided_ns: int | None = None
        self._depth_floor_ns: int | None = None

    @property
    def newest_ns(self) -> int | None:
        """Newest colour stamp since the last clear; much older ones mean that time went back."""
        return self._colours.newest_ns

    @property
    def intrinsics(self) -> Intrinsics | None:
        """The newest that were set; None before."""
        return self._intrinsics

    def add_colour(self, stamp_ns: int, rgb: NDArray[np.uint8]) -> None:
        """Take a (H, W, 3) uint8 RGB image; it is kept, not copied."""
        if stamp_ns in self._colours or stamp_ns == self._decided_ns:
            self._refuse_image(Refusal.STAMP_REPEAT, f'colour stamp {stamp_ns} ns came twice')
            return
        if self._decided_ns is not None and stamp_ns < self._decided_ns:
            self._refuse_image(
                Refusal.STAMP_BACK,
                f'colour stamp {stamp_ns} ns is older than {self._decided_ns} ns, already decided',
            )
            return
        self._colours.saw(stamp_ns)
        dropped = self._colours.add(stamp_ns, rgb)
        if dropped is not None:
            self._refuse_image(
                Refusal.UNPAIRED,
                f'colour at {dropped} ns was still incomplete when the buffer was full',
            )
            self._settle(dropped, None)

    def add_depth(self, stamp_ns: int, depth: NDArray[np.uint16] | NDArray[np.float32]) -> None:
        """Take a (H, W) depth image, uint16 mm or float32 m; it is kept, not copied."""
        if self._use_depth is False:
            return
        self._depths.saw(stamp_ns)
        too_late = self._depth_floor_ns is not None and stamp_ns < self._depth_floor_ns
        if too_late or stamp_ns in self._depths:
            return
        dropped = self._depths.add(stamp_ns, depth)
        if dropped is not None:
            self._refuse_image(
                Refusal.UNPAIRED,
                f'depth at {dropped} ns met no colour image before the buffer was full',
            )

    def set_intrinsics(self, intrinsics: Intrinsics) -> None:
        """Use these for all frames completed from now on."""
        self._intrinsics = intrinsics

    def ready(self) -> list[Frame]:
        """Return the frames completed since the last call, in stamp order."""
        frames = []
        while self._colours.stamps:
            stamp_ns = self._colours.stamps[0]
            overdue = self._colours.passed(stamp_ns + self._wait_ns)
            if not (overdue or self._depth_known(stamp_ns)):
                break
            depth_ns = self._depths.nearest(stamp_ns, self._tolerance_ns)
            try:
                frame = self._complete(stamp_ns, depth_ns, overdue=overdue)
            except FrameRefused as error:
                self._refuse(error.reason, str(error))
            else:
                if frame is None:
                    break
                frames.append(frame)
            self._settle(stamp_ns, depth_ns)
        return frames

    def clear(self, *, reason: Refusal = Refusal.TIME_JUMP) -> None:
        """Start anew, as when time has jumped; waiting colour is refused, intrinsics stay."""
        for stamp_ns in self._colours.stamps:
            self._refuse_image(reason, f'colour at {stamp_ns} ns was waiting when it was cleared')
        self._colours.clear()
        self._depths.clear()
        self._decided_ns = self._depth_floor_ns = None

    def _depth_known(self, stamp_ns: int) -> bool:
        return self._use_depth is False or self._depths.passed(stamp_ns)

    def _complete(self, stamp_ns: int, depth_ns: int | None, *, overdue: bool) -> Frame | None:
        """Return the frame, or None while something may still come.

        The order of the checks is fixed, so that a frame that lacks two things is always
        refused for the same one.
        """
        rgb = self._colours[stamp_ns]
        depth = self._checked_depth(stamp_ns, depth_ns)
        if self._intrinsics is None:
            if overdue:
                raise FrameRefused(
                    Refusal.INTRINSICS,
                    f'no usable CameraInfo of camera {self._camera!r} yet; check its topic',
                )
            return None
        height, width = rgb.shape[:2]
        if (self._intrinsics.width, self._intrinsics.height) != (width, height):
            raise FrameRefused(
                Refusal.INTRINSICS,
                f'colour is {width}x{height}, CameraInfo says '
                f'{self._intrinsics.width}x{self._intrinsics.height}; use the one of this image',
            )
        map_T_camera = self._pose_at(stamp_ns)
        if map_T_camera is None:
            if overdue:
                raise FrameRefused(
                    Refusal.POSE_MISSING,
                    f'no pose at {stamp_ns} ns within {self._wait_ns / NS_PER_S:g} s; check '
                    'pose.source and its topic',
                )
            return None
        return Frame(self._camera, stamp_ns, rgb, depth, self._intrinsics, map_T_camera)

    def _checked_depth(self, stamp_ns: int, depth_ns: int | None) -> NDArray[Any] | None:
        if depth_ns is None:
            if self._use_depth is True:
                raise FrameRefused(
                    Refusal.UNPAIRED,
                    f'colour at {stamp_ns} ns has no depth within '
                    f'{self._tolerance_ns / NS_PER_S:g} s; the newest depth is '
                    f'{self._depths.newest_ns}; check the topic, or raise the tolerance',
                )
            return None
        rgb, depth = self._colours[stamp_ns], self._depths[depth_ns]
        if depth.shape != rgb.shape[:2]:
            raise FrameRefused(
                Refusal.DEPTH_SIZE,
                f'depth is {depth.shape[1]}x{depth.shape[0]}, colour '
                f'{rgb.shape[1]}x{rgb.shape[0]}; use the depth aligned to colour',
            )
        return depth

    def _settle(self, stamp_ns: int, depth_ns: int | None) -> None:
        """Forget a decided colour image and all depth that no later one can use."""
        self._decided_ns = stamp_ns
        self._colours.drop_before(stamp_ns + 1)
        floor = stamp_ns - self._tolerance_ns
        if depth_ns is not None:
            floor = max(floor, depth_ns + 1)
        if self._depth_floor_ns is not None:
            floor = max(floor, self._depth_floor_ns)
        self._depth_floor_ns = floor
        self._depths.drop_before(floor)

    def _refuse_image(self, reason: Refusal, message: str) -> None:
        self._refuse(reason, str(FrameRefused(reason, message)))
