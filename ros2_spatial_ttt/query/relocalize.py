# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Where a picture was taken: the pose of its camera from what it has in common with keyframes.

Keyframes whose looks are like the picture's are candidates. SIFT features (Lowe, IJCV 60(2), 2004;
with the square root of Arandjelovic and Zisserman, CVPR 2012) that match there and back give pairs
of a ray and a point, as keyframes hold depth; a pose is fitted to these (``query/resection.py``).
Features are taken at the model's size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import cv2
import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.errors import BadRequest, FrameRefused
from ros2_spatial_ttt.memory.evidence import Keyframe
from ros2_spatial_ttt.memory.preprocess import rays, shrunk
from ros2_spatial_ttt.memory.reader import Reader
from ros2_spatial_ttt.memory.state import MemoryState
from ros2_spatial_ttt.query.intervals import ball90
from ros2_spatial_ttt.query.objects import ObjectRegistry
from ros2_spatial_ttt.query.resection import LEAST_PAIRS, Fit, Pairs, fitted
from ros2_spatial_ttt.query.search import checked_roi
from ros2_spatial_ttt.query.things import ThingSource, not_found, told
from ros2_spatial_ttt.runtime.base import Runtime
from ros2_spatial_ttt.types import Answer, Example, Instance, Intrinsics, Query, ResultCode

__all__ = ['Relocalizer']

Array = NDArray[np.float64]

# Keyframes that are compared feature by feature. Windows that a picture is cut into, to find them.
_CANDIDATES, _ROWS, _COLUMNS = 8, 5, 6
# Features of a picture: most of them, and least contrast (OpenCV divides it by three layers).
_FEATURES, _CONTRAST = 600, 0.015
# A match must be nearer than this share of the next best, and agrees with a pose within so many
# pixels of the model's picture.
_RATIO, _REACH_PX = 0.85, 3.0
# A picture of another shape than its camera's by more than this was cropped.
_ASPECT = 0.01
# Log-odds that a pose is right: bias, per logarithm of the features that agree, of their share of
# those that matched. Confidence that a picture without pose is from elsewhere (docs/LOG.md).
_ODDS, _ELSEWHERE = (4.5, 0.65, 3.4), 0.83
_NOTHING_AGREES = 'too little in this picture agrees with what keyframes show of one place'


@dataclass(frozen=True)
class _Landmarks:
    """What a keyframe offers: m points in the map (m, 3) and their descriptors (m, 128)."""

    points: Array
    descriptors: NDArray[np.float32]


class Relocalizer:
    """Finds where pictures were taken; any number of threads.

    What was computed of a keyframe is kept while that keyframe is.

    Args:
        runtime: embeds pictures.
        reader: compares looks.
        objects: names the camera that was found.
    """

    def __init__(self, runtime: Runtime, reader: Reader, objects: ObjectRegistry) -> None:
        self._runtime = runtime
        self._reader = reader
        self._objects = objects
        self._landmarks: WeakKeyDictionary[Keyframe, _Landmarks] = WeakKeyDictionary()

    def answer(self, source: ThingSource, state: MemoryState, query: Query) -> Answer:
        """Return where the one picture of a question was taken.

        objects[0] is the camera; value = m, the radius that holds 90 % of the errors of its place.
        The region limits where it may stand, the time which keyframes count.

        Raises:
            BadRequest: there is no picture, or it cannot be used.
        """
        if len(query.examples) != 1:
            raise BadRequest(
                f'RELOCALIZE needs one picture, got {len(query.examples)}: set image to what the '
                'camera sees, whole. Without one nothing is known but the pose that the memory is '
                'given with each frame'
            )
        keyframes = [k for k in state.evidence.keyframes if _within(query, k.stamp_ns)]
        camera = self._camera(state, keyframes, query.examples[0])
        if camera is None or (query.region and not query.region.contains(camera.position)):
            absent = not_found(source, query)
            if absent.code != ResultCode.NOT_FOUND:
                return absent
            return replace(absent, message=_NOTHING_AGREES, confidence=_ELSEWHERE)
        if camera.confidence < source.found_threshold:
            return not_found(source, query, (camera,))
        x, y, z = camera.position
        radius = ball90(camera.covariance)
        return told(
            (camera,),
            (radius, 0.0, radius),
            unit='m',
            sentence=f'It was taken at ({x:.2f}, {y:.2f}, {z:.2f}) m, '
            f'give or take {radius:.2f} m.',
            confidence=camera.confidence,
        )

    def _camera(
        self, state: MemoryState, keyframes: Sequence[Keyframe], example: Example
    ) -> Instance | None:
        """Return the camera that took a picture; None where too few features agree on a place."""
        manifest = self._runtime.manifest
        roi, camera = checked_roi(example), _checked_camera(example)
        picture = shrunk(example.image, manifest.image_width, manifest.image_height)
        scale = np.divide(picture.shape[1::-1], example.image.shape[1::-1])
        grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
        pixels, descriptors = _features(grey, _mask(roi, scale, grey.shape))
        if len(pixels) < LEAST_PAIRS or not keyframes:
            return None
        xy = _directions(pixels, grey.shape, camera)
        nearest = self._reader.alike(state, keyframes, self._looks(picture))[:_CANDIDATES]
        groups = [
            _paired(xy, descriptors, self._landmarks_of(keyframe), number)
            for number, keyframe in enumerate(nearest)
        ]
        fit = fitted(groups, _REACH_PX * camera.width / (camera.fx * manifest.image_width))
        return None if fit is None else self._named(fit, nearest)

    def _looks(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return embeddings (k, E) of windows spread over a picture."""
        (height, width), window = picture.shape[:2], self._runtime.manifest.window
        tops = np.linspace(0, height - window, _ROWS).round().astype(int)
        lefts = np.linspace(0, width - window, _COLUMNS).round().astype(int)
        cut = [picture[y : y + window, x : x + window] for y in tops for x in lefts]
        return self._runtime.embed(np.stack(cut))

    def _landmarks_of(self, keyframe: Keyframe) -> _Landmarks:
        known = self._landmarks.get(keyframe)
        if known is None:
            pixels, descriptors = _features(keyframe.grey)
            points, rows = keyframe.points_at(pixels, self._runtime.manifest.grid)
            known = self._landmarks[keyframe] = _Landmarks(points, descriptors[rows])
        return known

    def _named(self, fit: Fit, keyframes: Sequence[Keyframe]) -> Instance:
        seen = np.bincount(fit.agree.group, minlength=len(keyframes))
        agree = [k for k, count in zip(keyframes, seen, strict=True) if count]
        best = keyframes[int(seen.argmax())]
        return self._objects.remember(
            Instance(
                id=self._objects.next_id(),
                label='camera',
                position=fit.map_T_camera[:3, 3],
                covariance=fit.covariance[:3, :3],
                size=np.zeros(3),
                confidence=_confidence(fit.agree.distinct, fit.matched),
                first_seen_ns=min(k.stamp_ns for k in agree),
                last_seen_ns=max(k.stamp_ns for k in agree),
                observations=fit.agree.distinct,
                evidence_jpeg=best.jpeg,
                evidence_map_T_camera=best.map_T_camera,
                evidence_stamp_ns=best.stamp_ns,
                map_T_camera=fit.map_T_camera,
                pose_covariance=fit.covariance,
            )
        )


def _within(query: Query, stamp_ns: int) -> bool:
    return query.since_ns <= stamp_ns and (not query.until_ns or stamp_ns <= query.until_ns)


def _checked_camera(example: Example) -> Intrinsics:
    """Return the intrinsics of the picture's camera at the size of its calibration."""
    camera = example.intrinsics
    if camera is None:
        raise BadRequest(
            'RELOCALIZE needs the calibration of the camera that took the picture, and there is '
            "none: name the camera's optical frame in image.header.frame_id and wait for its "
            'CameraInfo, or set Example.intrinsics'
        )
    rows, columns = example.image.shape[:2]
    if abs(columns * camera.height / (rows * camera.width) - 1.0) > _ASPECT:
        raise BadRequest(
            f'picture of {columns}x{rows} px, but its camera takes {camera.width}x'
            f'{camera.height} px: expected the same aspect; send the whole picture, uncropped, '
            'and set roi where only a part of it is to be used'
        )
    return camera


def _mask(
    roi: tuple[int, int, int, int], scale: Array, shape: tuple[int, ...]
) -> NDArray[np.uint8]:
    """Return a mask (h, w) of a roi in a picture of that shape, ``scale`` (x, y) as large."""
    x, y, width, height = roi
    left, top = np.floor((x, y) * scale).astype(int)
    right, bottom = np.ceil((x + width, y + height) * scale).astype(int)
    mask = np.zeros(shape, np.uint8)
    mask[top:bottom, left:right] = 255
    return mask


def _features(
    grey: NDArray[np.uint8], mask: NDArray[np.uint8] | None = None
) -> tuple[Array, NDArray[np.float32]]:
    """Return pixels (n, 2) and descriptors (n, 128), of length 1, of a grey picture (h, w)."""
    sift = cv2.SIFT.create(nfeatures=_FEATURES, contrastThreshold=_CONTRAST)
    keypoints, descriptors = sift.detectAndCompute(grey, mask)
    if not keypoints:
        return np.zeros((0, 2)), np.zeros((0, 128), np.float32)
    share = descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-6)
    return np.array([k.pt for k in keypoints], np.float64), np.sqrt(share, dtype=np.float32)


def _directions(pixels: Array, shape: tuple[int, int], camera: Intrinsics) -> Array:
    """Return where pixels (n, 2) of the picture at the model's size look, (n, 2) at z = 1."""
    scale = np.array([camera.width, camera.height]) / shape[::-1]
    try:
        seen = rays((pixels + 0.5) * scale - 0.5, camera)
    except FrameRefused as error:
        raise BadRequest(f'the calibration of the camera cannot be used, {error}') from error
    return seen[:, :2].astype(np.float64)


def _paired(xy: Array, descriptors: NDArray[np.float32], marks: _Landmarks, number: int) -> Pairs:
    """Return the features and landmarks that are each other's best match, and a clear one."""
    none = np.zeros(0, np.int64)
    if len(marks.points) < 2:
        return Pairs(none, np.zeros((0, 2)), np.zeros((0, 3)), none)
    likeness = descriptors @ marks.descriptors.T
    best = likeness.argmax(axis=1)
    second, first = np.partition(likeness, -2, axis=1)[:, -2:].T
    # Of vectors of length 1, |a - b|^2 = 2 - 2 a b.
    clear = 1.0 - first < _RATIO**2 * (1.0 - second)
    mutual = likeness.argmax(axis=0)[best] == np.arange(len(xy))
    rows = np.flatnonzero(clear & mutual)
    return Pairs(rows, xy[rows], marks.points[best[rows]], np.full(len(rows), number))


def _confidence(shared: int, matched: int) -> float:
    """Return how likely a pose is right that these many of the matched features agree with."""
    bias, by_number, by_share = _ODDS
    odds = bias + by_number * np.log(shared) + by_share * np.log(shared / matched)
    return float(1.0 / (1.0 + np.exp(-odds)))
