# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Backends that run an exported model."""

from __future__ import annotations

import logging

from ros2_spatial_ttt.resources import model_directory
from ros2_spatial_ttt.runtime.base import ChunkInput, Manifest, Runtime, Samples, load_manifest

__all__ = ['ChunkInput', 'Manifest', 'Runtime', 'Samples', 'open_runtime']

_LOG = logging.getLogger(__name__)


def open_runtime(model: str, backend: str, *, threads: int) -> Runtime:
    """Return the runtime of a model.

    Args:
        model: name in models/ or path of a model folder.
        backend: 'ort' or 'reference'; 'auto' chooses and logs its choice.
        threads: of the runtime.

    Raises:
        ModelError: the folder is no valid model, or the backend cannot load it.
    """
    manifest = load_manifest(model_directory(model))
    if backend == 'auto':
        _LOG.info("backend 'auto': chose 'ort', the only accelerated backend of this version")
        backend = 'ort'
    if backend == 'reference':
        from ros2_spatial_ttt.runtime.reference import ReferenceRuntime

        return ReferenceRuntime(manifest)
    from ros2_spatial_ttt.runtime.ort import OrtRuntime

    return OrtRuntime(manifest, threads=threads)
