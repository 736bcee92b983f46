# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Finds MuJoCo, and an OpenGL renderer without a screen, at run time."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from ros2_spatial_ttt.errors import SpatialTTTError

__all__ = ['EngineError', 'RendererError', 'import_mujoco', 'new_context', 'require_renderer']

BACKENDS = ('egl', 'osmesa')
PROBE = """
import importlib, sys
context = importlib.import_module(f'mujoco.{sys.argv[1]}').GLContext(8, 8)
context.make_current()
context.free()
"""
PROBE_S = 60.0


class EngineError(SpatialTTTError):
    """MuJoCo is not installed."""


class RendererError(SpatialTTTError):
    """No OpenGL renderer works on this machine, or not the one that was asked for."""


def import_mujoco() -> Any:
    """Return the module ``mujoco``, whatever ``MUJOCO_GL`` says: rays need no renderer.

    Raises:
        EngineError: it is not installed.
    """
    try:
        with _no_backend():
            return importlib.import_module('mujoco')
    except ModuleNotFoundError as error:
        raise EngineError(
            f'simulated homes need MuJoCo ({error}). Install it: '
            'pip install "ros2-spatial-ttt[sim]"'
        ) from error


def require_renderer() -> str:
    """Return the name of the renderer that works here: 'egl' or 'osmesa'.

    ``MUJOCO_GL`` decides when it is set; else EGL, then OSMesa is tried, each in a process of
    its own, because a process is bound to the first one that it loads.

    Raises:
        EngineError: MuJoCo is not installed.
        RendererError: none works, or not the one of ``MUJOCO_GL``.
    """
    import_mujoco()
    return _find(os.environ.get('MUJOCO_GL', '').lower().strip())


def new_context(width: int, height: int) -> Any:
    """Return an OpenGL context that is current and has ``free()``.

    Raises:
        RendererError: no renderer works.
    """
    backend = require_renderer()
    try:
        context = importlib.import_module(f'mujoco.{backend}').GLContext(width, height)
        context.make_current()
    except Exception as error:
        raise RendererError(_advice(f'{backend}: {error}')) from error
    return context


@lru_cache(maxsize=8)
def _find(asked: str) -> str:
    if asked and asked not in BACKENDS:
        raise RendererError(f'MUJOCO_GL: expected egl or osmesa, or not set; got {asked!r}')
    loaded = [name for name in BACKENDS if f'mujoco.{name}' in sys.modules]
    if loaded and asked in ('', loaded[0]):
        return loaded[0]
    failures = []
    for backend in (asked,) if asked else BACKENDS:
        if (failure := _probe(backend)) is None:
            return backend
        failures.append(f'{backend}: {failure}')
    raise RendererError(_advice('; '.join(failures)))


def _probe(backend: str) -> str | None:
    """Return why a backend does not work; None if it does."""
    environment = {**os.environ, 'MUJOCO_GL': backend}
    environment.pop('PYOPENGL_PLATFORM', None)
    try:
        done = subprocess.run(
            [sys.executable, '-c', PROBE, backend],
            env=environment,
            capture_output=True,
            text=True,
            timeout=PROBE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f'no answer in {PROBE_S:g} s'
    lines = done.stderr.strip().splitlines()
    return None if done.returncode == 0 else (lines[-1] if lines else f'exit {done.returncode}')


def _advice(failure: str) -> str:
    return (
        f'no OpenGL renderer works here ({failure}). Install one: "apt install libosmesa6" '
        'for any CPU, or a GPU driver with EGL; then choose it with MUJOCO_GL=osmesa or '
        'MUJOCO_GL=egl. Rays and questions need none.'
    )


@contextmanager
def _no_backend():
    """Hide a ``MUJOCO_GL`` that MuJoCo would refuse to be imported with."""
    asked = os.environ.get('MUJOCO_GL')
    if asked is None or asked.lower().strip() in BACKENDS or 'mujoco' in sys.modules:
        yield
        return
    os.environ['MUJOCO_GL'] = 'disable'
    try:
        yield
    finally:
        os.environ['MUJOCO_GL'] = asked
