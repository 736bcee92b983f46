# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Errors and refusals of the core: what, where, expected, got, next step."""

from __future__ import annotations

from enum import Enum

__all__ = [
    'BadRequest',
    'ConfigError',
    'FrameRefused',
    'ModelError',
    'Refusal',
    'SnapshotError',
    'SpatialTTTError',
]


class SpatialTTTError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigError(SpatialTTTError):
    """A parameter is unknown, of the wrong type or out of range; lists every violation."""


class ModelError(SpatialTTTError):
    """A model folder is missing, incomplete, altered or made for another version."""


class SnapshotError(SpatialTTTError):
    """A snapshot cannot be written, or a file is not a valid snapshot for this memory."""

    def __init__(self, message: str, *, map_mismatch: bool = False) -> None:
        super().__init__(message)
        self.map_mismatch = map_mismatch


class BadRequest(SpatialTTTError):
    """A question cannot be understood or answered as asked; the message says what to change."""


class Refusal(str, Enum):
    """Why a frame never entered memory. The value is the key of the counter in ~/status."""

    ENCODING = 'encoding'
    STEP = 'step'
    BIG_ENDIAN = 'big_endian'
    EMPTY_IMAGE = 'empty_image'
    CORRUPT_IMAGE = 'corrupt_image'
    INTRINSICS = 'intrinsics'
    DEPTH_SIZE = 'depth_size'
    DEPTH_MISSING = 'depth_missing'
    DEPTH_NEGATIVE = 'depth_negative'
    DEPTH_NOT_FINITE = 'depth_not_finite'
    DEPTH_EMPTY = 'depth_empty'
    POSE_MISSING = 'pose_missing'
    POSE_NOT_FINITE = 'pose_not_finite'
    QUATERNION = 'quaternion'
    POSE_JUMP = 'pose_jump'
    STAMP_BACK = 'stamp_back'
    STAMP_REPEAT = 'stamp_repeat'
    TIME_JUMP = 'time_jump'
    FROZEN = 'frozen'
    BLUR = 'blur'
    PERCEPT = 'percept'
    UNPAIRED = 'unpaired'
    QUEUE_FULL = 'queue_full'
    INACTIVE = 'inactive'
    UPDATE_REJECTED = 'update_rejected'


class FrameRefused(SpatialTTTError):
    """A frame or one of its parts is unusable.

    Args:
        reason: the counter it falls under.
        message: what was wrong, expected and got.
    """

    def __init__(self, reason: Refusal, message: str) -> None:
        super().__init__(f'{reason.value}: {message}')
        self.reason = reason
