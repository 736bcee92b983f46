# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Comparison with the oracle: largest and relative RMS error."""

from __future__ import annotations

import numpy as np

__all__ = ['assert_near', 'largest_error', 'prefix_mask']


def largest_error(got: np.ndarray, want: np.ndarray) -> float:
    """Return the largest error over the largest number."""
    scale = max(float(np.abs(want).max()), 1e-30)
    return float(np.abs(got.astype(np.float64) - want).max()) / scale


def assert_near(got: np.ndarray, want: np.ndarray, tolerance: float, name: str) -> None:
    """Fail unless every number of ``got`` is set and near ``want``, relative to its largest."""
    assert got.shape == want.shape, name
    if not want.size:
        return
    assert np.isfinite(got.astype(np.float64)).all(), f'{name}: a number was not written'
    largest = largest_error(got, want)
    rms = float(np.sqrt(np.mean((got.astype(np.float64) - want) ** 2)))
    rms /= max(float(np.sqrt(np.mean(want.astype(np.float64) ** 2))), 1e-30)
    message = f'{name}: largest relative error {largest:.2e}, RMS {rms:.2e}, allowed {tolerance}'
    assert largest <= tolerance, message


def prefix_mask(valid: list[int], frames: int) -> np.ndarray:
    """Return frame_valid (B, F) with that many real frames first."""
    return (np.arange(frames) < np.array(valid)[:, None]).astype(np.float32)
