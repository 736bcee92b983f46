# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What the memory is compared with: stores that grow with the stream, and chance.

All answer the same question, where is the thing in this picture, with a point in the map
frame or None. K keypoints, N points.
"""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ros2_spatial_ttt.exam.patch.truth import depth_metres, unproject
from ros2_spatial_ttt.geometry import transform_points
from ros2_spatial_ttt.runtime.base import Runtime
from ros2_spatial_ttt.types import Frame, Intrinsics

__all__ = ['Baseline', 'Chance', 'NearestNeighbourStore', 'SiftStore', 'largest_cluster']

CONTRAST = 0.02  # OpenCV divides it by its three layers per octave, as COLMAP does
RATIO = 0.8
SAME_PLACE_M = 0.25
CLUSTER_M = 0.3


class Baseline(Protocol):
    """A store of what a stream showed."""

    name: str

    def add(self, frame: Frame) -> None:
        """Take in one posed frame."""

    def locate(self, picture: NDArray[np.uint8]) -> NDArray[np.float64] | None:
        """Return the (3,) map point of the thing in ``picture`` (H, W, 3) RGB, or None."""

    @property
    def stored_bytes(self) -> int:
        """Bytes that the answers are made from."""


def largest_cluster(points: NDArray, radius_m: float) -> NDArray[np.float64] | None:
    """Return the median (3,) of the points around the one with most neighbours; None if empty."""
    if not len(points):
        return None
    groups = cKDTree(points).query_ball_point(points, radius_m)
    best = max(groups, key=len)
    return np.median(points[best], axis=0)


class SiftStore:
    """SIFT keypoints of all frames with their 3D points (Lowe 2004), unbounded.

    Threshold and ratio are COLMAP's defaults, which keep more weak keypoints than OpenCV's.

    A keypoint of the picture matches when its nearest stored descriptor is clearly nearer
    (ratio 0.8) than the nearest one from another place, 0.25 m or more away. The same place in
    other frames is no rival: a ratio over all descriptors would reject what was seen often.
    The answer is the median point of the largest group of matches that lie within 0.3 m.
    """

    name = 'sift'

    def __init__(self) -> None:
        self._sift = cv2.SIFT_create(contrastThreshold=CONTRAST)
        self._descriptors: list[NDArray[np.uint8]] = []
        self._points: list[NDArray[np.float32]] = []
        self._index: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None

    def add(self, frame: Frame) -> None:
        """Store the frame's keypoints that have a depth."""
        if frame.depth is None:
            return
        pixels, descriptors = self._detect(frame.colour)
        depth_m = depth_metres(frame.depth)
        cells = np.minimum(pixels.astype(np.int64), np.array(depth_m.shape[::-1]) - 1)
        measured = depth_m[cells[:, 1], cells[:, 0]]
        keep = measured > 0
        local = unproject(frame.intrinsics, pixels[keep], measured[keep])
        self._points.append(transform_points(frame.map_T_camera, local).astype(np.float32))
        self._descriptors.append(descriptors[keep])
        self._index = None

    def locate(self, picture: NDArray[np.uint8]) -> NDArray[np.float64] | None:
        """Return the point that most matches agree on, or None without a match."""
        stored, points = self._stored()
        _, asked = self._detect(picture)
        if not len(asked) or len(stored) < 2:
            return None
        squared = _squared_distances(asked.astype(np.float32), stored)
        kept = [found for row in squared if (found := _clear_match(row, points)) is not None]
        return largest_cluster(np.array(kept, dtype=np.float64).reshape(-1, 3), CLUSTER_M)

    @property
    def stored_bytes(self) -> int:
        """Return 128 B per descriptor and 12 B per point."""
        return sum(a.nbytes for a in self._descriptors) + sum(a.nbytes for a in self._points)

    def _detect(self, image: NDArray[np.uint8]) -> tuple[NDArray, NDArray[np.uint8]]:
        """Return pixels (K, 2) and descriptors (K, 128); SIFT's are whole numbers 0..255."""
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        keypoints, descriptors = self._sift.detectAndCompute(grey, None)
        if not keypoints:
            return np.zeros((0, 2)), np.zeros((0, 128), np.uint8)
        return np.array([k.pt for k in keypoints]), descriptors.astype(np.uint8)

    def _stored(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if self._index is None:
            descriptors = np.concatenate([np.zeros((0, 128), np.uint8), *self._descriptors])
            points = np.concatenate([np.zeros((0, 3), np.float32), *self._points])
            self._index = descriptors.astype(np.float32), points
        return self._index


def _squared_distances(asked: NDArray, stored: NDArray) -> NDArray[np.float32]:
    """Return (K, N) squared distances; whole numbers below 2^24, so exact in float32."""
    norms = (asked**2).sum(axis=1)[:, None] + (stored**2).sum(axis=1)[None, :]
    return norms - 2.0 * asked @ stored.T


def _clear_match(squared: NDArray, points: NDArray) -> NDArray | None:
    """Return the point of the nearest descriptor if no other place comes close, else None."""
    best = int(np.argmin(squared))
    rivals = points[squared <= squared[best] / RATIO**2]
    here = np.linalg.norm(rivals - points[best], axis=1) < SAME_PLACE_M
    return points[best] if here.all() else None


class NearestNeighbourStore:
    """Every token's embedding with its 3D point, unbounded: the features without the field.

    The embeddings are the model's own, of the windows around the tokens that lie wholly inside
    the image and have a depth. The answer is the point of the stored embedding with the largest
    inner product with that of the picture.
    """

    name = 'nearest_neighbour'

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._embeddings: list[NDArray[np.float32]] = []
        self._points: list[NDArray[np.float32]] = []

    def add(self, frame: Frame) -> None:
        """Store the embeddings and points of the frame's tokens."""
        if frame.depth is None:
            return
        corners, pixels = self._tokens(frame.intrinsics)
        depth_m = depth_metres(frame.depth)
        cells = pixels.astype(np.int64)
        measured = depth_m[cells[:, 1], cells[:, 0]]
        keep = measured > 0
        if not keep.any():
            return
        local = unproject(frame.intrinsics, pixels[keep], measured[keep])
        points = transform_points(frame.map_T_camera, local)
        self.keep(points, self._embed(frame.colour, corners[keep]))

    def keep(self, points: NDArray, embeddings: NDArray[np.float32]) -> None:
        """Store embeddings (n, E) with their map points (n, 3) m."""
        if len(points):
            self._points.append(points.astype(np.float32))
            self._embeddings.append(embeddings)

    def locate(self, picture: NDArray[np.uint8]) -> NDArray[np.float64] | None:
        """Return the point of the most similar token; None from an empty store."""
        if not self._points:
            return None
        window = self._runtime.manifest.window
        small = cv2.resize(picture, (window, window), interpolation=cv2.INTER_AREA)
        asked = self._runtime.embed(small[None])[0]
        best = [stored @ asked for stored in self._embeddings]
        frame = int(np.argmax([scores.max() for scores in best]))
        return self._points[frame][int(np.argmax(best[frame]))].astype(np.float64)

    @property
    def stored_bytes(self) -> int:
        """Return the bytes of embeddings and points, float32."""
        return sum(a.nbytes for a in self._embeddings) + sum(a.nbytes for a in self._points)

    def _tokens(self, camera: Intrinsics) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return window corners at the model's size and token centres in image pixels, (N, 2)."""
        manifest = self._runtime.manifest
        size = np.array([manifest.image_width, manifest.image_height])
        rows, columns = np.indices(manifest.grid)
        centres = np.stack([columns.ravel(), rows.ravel()], axis=1) * manifest.stride
        centres = centres + manifest.stride // 2
        corners = centres - manifest.window // 2
        inside = np.all((corners >= 0) & (corners + manifest.window <= size), axis=1)
        scale = np.array([camera.width, camera.height]) / size
        return corners[inside], centres[inside] * scale

    def _embed(self, colour: NDArray[np.uint8], corners: NDArray) -> NDArray[np.float32]:
        manifest = self._runtime.manifest
        size = (manifest.image_width, manifest.image_height)
        small = cv2.resize(colour, size, interpolation=cv2.INTER_AREA)
        window = manifest.window
        pictures = np.stack([small[y : y + window, x : x + window] for x, y in corners])
        return self._runtime.embed(pictures)


class Chance:
    """A seeded random point of the surfaces that the memory holds."""

    name = 'chance'

    def __init__(self, points: NDArray, *, seed: int) -> None:
        self._points = np.asarray(points, dtype=np.float64)
        self._rng = np.random.default_rng(seed)

    def add(self, frame: Frame) -> None:
        """Ignore the frame: chance learns nothing."""

    def locate(self, picture: NDArray[np.uint8]) -> NDArray[np.float64] | None:
        """Return any of the points, whatever the picture shows."""
        return self._points[self._rng.integers(len(self._points))] if len(self._points) else None

    @property
    def stored_bytes(self) -> int:
        """Return 0: no store of its own."""
        return 0
