# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Backends that run an exported model."""

from __future__ import annotations

from ros2_spatial_ttt.resources import model_directory
from ros2_spatial_ttt.runtime.backends import open_backend
from ros2_spatial_ttt.runtime.base import ChunkInput, Manifest, Runtime, Samples, load_manifest

__all__ = ['ChunkInput', 'Manifest', 'Runtime', 'Samples', 'open_runtime']


def open_runtime(model: str, backend: str, *, threads: int) -> Runtime:
    """Return the runtime of a model.

    Args:
        model: name in models/ or path of a model folder.
        backend: one of ``config.BACKENDS``; 'auto' chooses and logs its choice.
        threads: of ONNX Runtime.

    Raises:
        ModelError: the folder is no valid model, or the backend cannot run it here.
        DeviceError: the GPU of a named backend failed.
    """
    return open_backend(load_manifest(model_directory(model)), backend, threads=threads)
