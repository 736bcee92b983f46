# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Which backend runs a model: the one that was named, or the best that runs here.

A named backend that cannot start is an error. Only ``auto`` goes on to the next, and its choice
and the reasons are in the log and, as part of the backend's name, in ~/status.
"""

from __future__ import annotations

import logging

from ros2_spatial_ttt.errors import ModelError
from ros2_spatial_ttt.runtime.base import Manifest, Runtime
from ros2_spatial_ttt.runtime.cuda import DeviceError
from ros2_spatial_ttt.runtime.unavailable import Unavailable

__all__ = ['open_backend']

_TENSORRT = ('tensorrt', 'tensorrt_rtx')

_LOG = logging.getLogger(__name__)


def open_backend(manifest: Manifest, name: str, *, threads: int) -> Runtime:
    """Return the runtime of a model.

    Args:
        manifest: of the model.
        name: one of ``config.BACKENDS``.
        threads: of ONNX Runtime.

    Raises:
        Unavailable: the named backend cannot run here. ModelError: it cannot run this model.
        DeviceError: its GPU failed, or has too little memory.
    """
    name = name.replace('onnxruntime', 'ort')
    if name == 'auto':
        return _best(manifest, threads)
    # Each import needs a library that the others do without.
    if name == 'reference':
        from ros2_spatial_ttt.runtime.reference import ReferenceRuntime

        return ReferenceRuntime(manifest)
    if name in _TENSORRT:
        from ros2_spatial_ttt.runtime.trt import open_tensorrt

        return open_tensorrt(manifest, name)
    from ros2_spatial_ttt.runtime.ort import OrtRuntime

    return OrtRuntime(manifest, threads=threads, name=name)


def _best(manifest: Manifest, threads: int) -> Runtime:
    reasons: list[str] = []
    for name in _TENSORRT:
        try:
            runtime = open_backend(manifest, name, threads=threads)
        except (ModelError, DeviceError) as error:
            reason = error.reason if isinstance(error, Unavailable) else f'{name} failed'
            # Without a GPU both say the same.
            reasons += [reason] if reason not in reasons else []
            _LOG.info("backend 'auto': not %s: %s", name, error)
        else:
            _LOG.info("backend 'auto': chose %s", name)
            return runtime
    why = ', '.join(reasons)
    _LOG.info("backend 'auto': chose ONNX Runtime on the CPU: %s", why)
    runtime = open_backend(manifest, 'ort', threads=threads)
    runtime.name = f'{runtime.name} (auto: {why})'
    return runtime
