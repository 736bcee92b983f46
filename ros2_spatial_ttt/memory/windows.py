# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Windows of a keyframe, cut and embedded as example pictures are.

A token of a frame sees more around it than an example picture shows, so the network says something
else of it. What keyframes keep is therefore what the network says of windows of the size of an
example.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.memory.evidence import LOOK_SCALE, Keyframe
from ros2_spatial_ttt.runtime.base import Manifest, Runtime

__all__ = ['SPACING', 'window_grid', 'window_looks', 'window_middles']

# Pixels between windows, at the model's size.
SPACING = 16
# Windows that the network gets at once; more are no faster and take more memory.
_BATCH = 128


def window_grid(manifest: Manifest) -> tuple[int, int]:
    """Return rows and columns of the windows that lie in a picture as a whole."""
    size, window = (manifest.image_height, manifest.image_width), manifest.window
    rows, columns = ((edge - window) // SPACING + 1 for edge in size)
    return rows, columns


def window_middles(manifest: Manifest) -> NDArray[np.float64]:
    """Return the pixels (x, y) in the middle of all windows, row by row, (n, 2)."""
    rows, columns = np.indices(window_grid(manifest)).reshape(2, -1)
    corners = SPACING * np.stack([columns, rows], axis=1).astype(np.float64)
    return np.asarray(corners + (manifest.window - 1) / 2)


def window_looks(keyframe: Keyframe, runtime: Runtime) -> NDArray[np.int8]:
    """Return the embeddings of all windows of a keyframe times ``LOOK_SCALE``, (n, E).

    Those in whose middle no depth was measured are 0: nobody could say where they are.
    """
    manifest = runtime.manifest
    rows, columns = window_grid(manifest)
    looks = np.zeros((rows * columns, manifest.embedding), np.int8)
    measured = np.flatnonzero(_depths(keyframe, manifest) > 0)
    shape = (manifest.window, manifest.window)
    picture = keyframe.picture()[..., ::-1]
    windows = np.lib.stride_tricks.sliding_window_view(picture, shape, axis=(0, 1))
    windows = windows[::SPACING, ::SPACING].transpose(0, 1, 3, 4, 2)
    for begin in range(0, len(measured), _BATCH):
        batch = measured[begin : begin + _BATCH]
        seen = runtime.embed(windows[batch // columns, batch % columns])
        looks[batch] = np.rint(np.clip(seen, -1.0, 1.0) * LOOK_SCALE)
    return looks


def _depths(keyframe: Keyframe, manifest: Manifest) -> NDArray[np.float16]:
    """Return the depth of the token in the middle of each window, (n,) m."""
    (rows, columns), k = manifest.grid, keyframe.intrinsics
    u, v = window_middles(manifest).T
    token = (v * rows / k.height).astype(np.int64) * columns + (u * columns / k.width).astype(int)
    return keyframe.depth[token]
