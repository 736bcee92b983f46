# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What goes into the memory and what comes out. Numpy only; SI units; map frame; stamps in ns."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

__all__ = [
    'Answer',
    'Example',
    'FeedResult',
    'Frame',
    'Instance',
    'Intrinsics',
    'MemoryStatus',
    'Percept',
    'Query',
    'QueryType',
    'Region',
    'ResultCode',
]


class QueryType(IntEnum):
    """Kinds of question; the numbers are those of srv/SpatialQuery."""

    AUTO = 0
    LOCATE = 1
    COUNT = 2
    DISTANCE = 3
    DIRECTION = 4
    SIZE = 5
    ORDER = 6
    EXISTS = 7
    NEAREST = 8
    ROOM_SIZE = 9
    DESCRIBE = 10
    RELOCALIZE = 11


class ResultCode(IntEnum):
    """Outcome of a question; the numbers are those of srv/SpatialQuery."""

    OK = 0
    NOT_FOUND = 1
    NEVER_OBSERVED = 2
    NOT_LOCALIZED = 3
    BUSY = 4
    TIMEOUT = 5
    BAD_REQUEST = 6
    MAP_MISMATCH = 7
    NOT_READY = 8
    INTERNAL = 9


@dataclass(frozen=True)
class Intrinsics:
    """Pinhole camera of the full image, pixels, optical axes (x right, y down, z forward).

    Attributes:
        width, height: image size in pixels.
        fx, fy, cx, cy: focal lengths and principal point in pixels.
        distortion: OpenCV coefficients of ``model``; empty means none.
        model: 'plumb_bob', 'rational_polynomial' or 'equidistant'.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...] = ()
    model: str = 'plumb_bob'


@dataclass(frozen=True)
class Frame:
    """One posed camera frame.

    Attributes:
        camera: name of the camera; stamps must increase per camera.
        stamp_ns: acquisition time in nanoseconds (ROS time of the image header).
        colour: (H, W, 3) uint8 RGB.
        depth: (H, W) float32 metres along the optical axis, or uint16 millimetres; 0 and
            non-finite mean no measurement; None when the camera has no depth.
        intrinsics: of ``colour`` and ``depth``, which are aligned.
        map_T_camera: (4, 4) float64, optical frame to map.
    """

    camera: str
    stamp_ns: int
    colour: NDArray[np.uint8]
    depth: NDArray[np.float32] | NDArray[np.uint16] | None
    intrinsics: Intrinsics
    map_T_camera: NDArray[np.float64]


@dataclass(frozen=True)
class Percept:
    """What a detector and a depth sensor say about one frame, instead of its pixels.

    Enters the memory by ``SpatialMemory.feed_percept``: a perfect, noisy or external detector.
    Everything is in the optical frame of the camera (x right, y down, z forward), metres.

    Attributes:
        camera: name; stamps must increase per camera. stamp_ns: acquisition time.
        map_T_camera: (4, 4) float64, optical frame to map.
        labels: name of each of n things; names are those of ``votes.labels``.
        centre: (n, 3) float64 centre of each thing's box.
        size: (n, 3) float64 extent of each box: longer and shorter horizontal edge, height.
        yaw: (n,) float64 rad, of the longer edge about the map's z axis, modulo pi.
        weight: (n,) float64 probability that each is right, 0..1.
        surface: (m, 3) float64 measured surface points.
        free: (f, 3) float64 points known to be empty.
        worth: (n,) float64 what each counts as a vote, 0..1 of a whole look; None = its weight.
        guessed: (n,) float64 share of each whose depth was predicted, 0..1; None = 0, measured.
    """

    camera: str
    stamp_ns: int
    map_T_camera: NDArray[np.float64]
    labels: tuple[str, ...]
    centre: NDArray[np.float64]
    size: NDArray[np.float64]
    yaw: NDArray[np.float64]
    weight: NDArray[np.float64]
    surface: NDArray[np.float64]
    free: NDArray[np.float64]
    worth: NDArray[np.float64] | None = None
    guessed: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class FeedResult:
    """What became of a frame: ``refused`` is None when it was taken; ``message`` says why not."""

    refused: str | None = None
    message: str = ''
    chunk_updated: bool = False

    @property
    def accepted(self) -> bool:
        """True when the frame entered a chunk."""
        return self.refused is None


@dataclass(frozen=True)
class Region:
    """Axis-aligned box in the map frame, metres. ``minimum == maximum`` is a point."""

    minimum: tuple[float, float, float]
    maximum: tuple[float, float, float]

    @property
    def is_point(self) -> bool:
        """True for a box without extent."""
        return self.minimum == self.maximum

    def contains(self, points: NDArray) -> NDArray[np.bool_]:
        """Return for points (N, 3) in the map frame whether each lies inside, (N,) bool."""
        lower, upper = np.asarray(self.minimum), np.asarray(self.maximum)
        return np.all((points >= lower) & (points <= upper), axis=-1)


@dataclass(frozen=True)
class Example:
    """A picture of the thing asked for.

    Attributes:
        image: (H, W, 3) uint8 RGB at the resolution of the memory's camera.
        roi: (x, y, width, height) in pixels of the thing; None means the whole image.
        intrinsics: of the camera that took it, at its full size; RELOCALIZE needs them.
    """

    image: NDArray[np.uint8]
    roi: tuple[int, int, int, int] | None = None
    intrinsics: Intrinsics | None = None


@dataclass(frozen=True)
class Query:
    """One question. Points and poses are in the map frame; 0 stamps are open ends.

    Attributes:
        examples: pictures of things; DISTANCE takes two.
        labels: names of things, or '#ID' for an object of an earlier answer.
        viewpoint: (4, 4) map_T_observer, x forward, z up (REP-103); None where nobody stands.
        region: limit of the search, a point admits things whose box holds it; without labels and
            examples also the place to describe, or for LOCATE, EXISTS and SIZE the point where
            the thing is; None = everywhere.
        since_ns, until_ns: only things seen within.
    """

    type: QueryType
    text: str = ''
    labels: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()
    viewpoint: NDArray[np.float64] | None = None
    region: Region | None = None
    since_ns: int = 0
    until_ns: int = 0
    max_results: int = 10


@dataclass(frozen=True)
class Instance:
    """One thing or place in an answer (map frame, metres).

    Attributes:
        id: stable within this process; may be referred to as label '#ID'.
        position: (3,) float64.
        covariance: (3, 3) float64 of ``position``, m².
        size: (3,) float64 extent of its box: along ``yaw``, across it, up; 0 where unknown.
        yaw: rad, of the box about the map's z axis; 0 where unknown.
        size_error: standard deviation of the logarithms of the edges; 0 where unknown.
        confidence: 0..1.
        first_seen_ns, last_seen_ns: stamps of the observations there.
        observations: how many surface samples were taken there.
        evidence_jpeg: picture with the place marked; empty when no keyframe sees it.
        evidence_map_T_camera: (4, 4) pose of that picture, or None.
        confirmed: a keyframe shows the example there, not the fast weights alone.
        map_T_camera: (4, 4) of a camera, optical frame to map (RELOCALIZE); None for a thing.
        pose_covariance: (6, 6) of it: position, m², and turns about the map's axes, rad².
    """

    id: int
    label: str
    position: NDArray[np.float64]
    covariance: NDArray[np.float64]
    size: NDArray[np.float64]
    confidence: float
    first_seen_ns: int
    last_seen_ns: int
    observations: int
    evidence_jpeg: bytes = b''
    evidence_map_T_camera: NDArray[np.float64] | None = None
    evidence_stamp_ns: int = 0
    confirmed: bool = False
    yaw: float = 0.0
    size_error: float = 0.0
    map_T_camera: NDArray[np.float64] | None = None
    pose_covariance: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Answer:
    """Answer to one question; ``value`` with its 90 % interval in ``unit``; NaN where none."""

    code: ResultCode
    message: str = ''
    instances: tuple[Instance, ...] = ()
    value: float = float('nan')
    value_low: float = float('nan')
    value_high: float = float('nan')
    unit: str = ''
    sentence: str = ''
    confidence: float = 0.0
    valid_at_ns: int = 0
    latency_ms: float = 0.0


@dataclass(frozen=True)
class MemoryStatus:
    """Counters of a memory; also the content of ~/status.

    ``state_bytes`` is the fixed size of the memory, ``state_bytes_used`` what holds something.
    """

    frames_received: int = 0
    frames_accepted: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    chunks: int = 0
    queries: int = 0
    state_bytes: int = 0
    state_bytes_used: int = 0
    state_hash: str = ''
    tiles_resident: int = 0
    tiles_on_disk: int = 0
    tiles_forgotten: int = 0
    keyframes: int = 0
    newest_stamp_ns: int = 0
    update_p50_ms: float = 0.0
    update_p95_ms: float = 0.0
    query_p50_ms: float = 0.0
    query_p95_ms: float = 0.0
    model: str = ''
    backend: str = ''
    map_id: str = ''
