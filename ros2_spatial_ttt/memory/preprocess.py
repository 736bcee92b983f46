# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""From a camera frame to what the encoder takes: a small picture, depth along a ray per token."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.errors import FrameRefused, Refusal
from ros2_spatial_ttt.runtime.base import Manifest
from ros2_spatial_ttt.types import Frame, Intrinsics

__all__ = ['CameraTokens', 'PreparedFrame', 'rays', 'shrunk']

# How many coefficients OpenCV takes for each model.
_DISTORTION_LENGTHS = {
    'plumb_bob': (0, 4, 5, 8, 12, 14),
    'rational_polynomial': (0, 4, 5, 8, 12, 14),
    'equidistant': (0, 4),
}


@dataclass(frozen=True)
class PreparedFrame:
    """One frame at the model's size; a fiftieth of the bytes of the camera's.

    Attributes:
        image: (H, W, 3) uint8 RGB. depth: (T,) float32 m, 0 = not measured. ray: (T, 3) float32.
        half_depth: (H/2, W/2) float16 m, depth between tokens too; empty without a sensor.
        intrinsics: of ``image``. map_T_camera: (4, 4) float64.
    """

    camera: str
    stamp_ns: int
    image: NDArray[np.uint8]
    depth: NDArray[np.float32]
    ray: NDArray[np.float32]
    half_depth: NDArray[np.float16]
    intrinsics: Intrinsics
    map_T_camera: NDArray[np.float64]

    def without_depth(self) -> PreparedFrame:
        """Return the frame as a camera without a depth sensor takes it."""
        return replace(
            self, depth=np.zeros_like(self.depth), half_depth=np.zeros((0, 0), np.float16)
        )


def shrunk(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Return a new image of width × height pixels, resized by area averaging."""
    if image.shape[:2] == (height, width):
        return image.copy()
    small: NDArray[Any] = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return small


class CameraTokens:
    """Where the tokens of one camera look: rays and the pixels their depth is taken from.

    Depth beyond ``depth_max_m`` is not used.
    """

    def __init__(self, intrinsics: Intrinsics, manifest: Manifest, *, depth_max_m: float) -> None:
        self.intrinsics = intrinsics
        self._manifest = manifest
        self._depth_max_m = min(depth_max_m, manifest.depth_max_m)
        rows, columns = manifest.grid
        v = (np.arange(rows) + 0.5) * intrinsics.height / rows - 0.5
        u = (np.arange(columns) + 0.5) * intrinsics.width / columns - 0.5
        pixels = np.stack(np.meshgrid(u, v), axis=-1).reshape(-1, 2)
        self.ray = rays(pixels, intrinsics)
        reach_u = intrinsics.width / columns / 8
        reach_v = intrinsics.height / rows / 8
        around = np.array([(0, 0), (reach_u, 0), (-reach_u, 0), (0, reach_v), (0, -reach_v)])
        samples = np.rint(pixels[None] + around[:, None]).astype(int)
        self._u = np.clip(samples[..., 0], 0, intrinsics.width - 1)
        self._v = np.clip(samples[..., 1], 0, intrinsics.height - 1)
        self._half = [
            ((np.arange(size // 2) + 0.5) * full / (size // 2)).astype(int)
            for size, full in (
                (manifest.image_height, intrinsics.height),
                (manifest.image_width, intrinsics.width),
            )
        ]
        self._small_intrinsics = _scaled(intrinsics, manifest.image_width, manifest.image_height)

    def prepare(self, frame: Frame) -> PreparedFrame:
        """Return the frame at the model's size, sharing no array with it."""
        return PreparedFrame(
            camera=frame.camera,
            stamp_ns=frame.stamp_ns,
            image=shrunk(frame.colour, self._manifest.image_width, self._manifest.image_height),
            depth=self._token_depth(frame.depth),
            ray=self.ray,
            half_depth=self._half_depth(frame.depth),
            intrinsics=self._small_intrinsics,
            map_T_camera=frame.map_T_camera.copy(),
        )

    def _token_depth(self, depth: NDArray | None) -> NDArray[np.float32]:
        """Return the lower median of five pixels per token, (T,) m, so that edges stay crisp."""
        if depth is None:
            return np.zeros(len(self.ray), np.float32)
        metres = self._metres(depth[self._v, self._u])
        usable = metres > 0
        metres = np.sort(np.where(usable, metres, np.inf), axis=0)
        count = usable.sum(axis=0)
        middle = np.maximum(count - 1, 0) // 2
        median = np.take_along_axis(metres, middle[None], axis=0)[0]
        return np.where(count > 0, median, 0.0).astype(np.float32)

    def _half_depth(self, depth: NDArray | None) -> NDArray[np.float16]:
        """Return depth at half the model's resolution, (H/2, W/2) m; (0, 0) without depth."""
        if depth is None or not self._manifest.second_look:
            return np.zeros((0, 0), np.float16)
        return self._metres(depth[np.ix_(*self._half)]).astype(np.float16)

    def _metres(self, sample: NDArray) -> NDArray[np.float32]:
        """Return depths as they are used, m; 0 = not measured or beyond the limit."""
        metres = sample * np.float32(0.001) if sample.dtype == np.uint16 else sample
        metres = metres.astype(np.float32)
        usable = (metres > 0) & (metres <= self._depth_max_m)
        return np.where(usable, metres, np.float32(0.0))


def rays(pixels: NDArray[np.float64], k: Intrinsics) -> NDArray[np.float32]:
    """Return the direction (n, 3) that pixels (n, 2) look in, optical frame, z = 1.

    Raises:
        FrameRefused: the distortion model is unknown or has a wrong number of coefficients.
    """
    matrix = np.array([[k.fx, 0, k.cx], [0, k.fy, k.cy], [0, 0, 1]])
    distortion = np.asarray(k.distortion or (0.0,) * 4, np.float64)
    xy: NDArray[Any]
    _check_distortion(k)
    if k.model == 'equidistant':
        # Without coefficients this is still a fisheye.
        xy = cv2.fisheye.undistortPoints(pixels[:, None], matrix, distortion)[:, 0]
    elif not distortion.any():
        xy = (pixels - (k.cx, k.cy)) / (k.fx, k.fy)
    else:
        xy = cv2.undistortPoints(pixels[:, None], matrix, distortion)[:, 0]
    return np.concatenate([xy, np.ones((len(xy), 1))], axis=1).astype(np.float32)


def _check_distortion(k: Intrinsics) -> None:
    if k.model not in _DISTORTION_LENGTHS:
        raise FrameRefused(
            Refusal.INTRINSICS,
            f'distortion model {k.model!r}: expected one of {list(_DISTORTION_LENGTHS)}; rectify '
            'the images or set the model in CameraInfo',
        )
    lengths = _DISTORTION_LENGTHS[k.model]
    if len(k.distortion) not in lengths:
        raise FrameRefused(
            Refusal.INTRINSICS,
            f'distortion model {k.model!r}: expected {lengths} coefficients, got '
            f'{len(k.distortion)}; calibrate the camera or check its CameraInfo',
        )


def _scaled(k: Intrinsics, width: int, height: int) -> Intrinsics:
    x, y = width / k.width, height / k.height
    return Intrinsics(
        width=width,
        height=height,
        fx=k.fx * x,
        fy=k.fy * y,
        cx=(k.cx + 0.5) * x - 0.5,
        cy=(k.cy + 0.5) * y - 0.5,
        distortion=k.distortion,
        model=k.model,
    )
