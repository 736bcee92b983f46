# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A module that looks like TensorRT as far as finding it and its plugins goes."""

from __future__ import annotations

from enum import IntEnum
from types import ModuleType, SimpleNamespace

__all__ = ['make_tensorrt']


class Severity(IntEnum):
    """As TensorRT's."""

    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    VERBOSE = 4


class Registry:
    """A registry into which ``load_library`` puts the given creators."""

    def __init__(self, creators) -> None:
        self.all_creators = []
        self._creators = creators
        self.loaded = []

    def load_library(self, path):
        self.loaded.append(path)
        self.all_creators += self._creators or []
        return object() if self._creators is not None else None


def make_tensorrt(*, version: str, creators=(), runtime=None) -> ModuleType:
    """Return the module.

    Args:
        version: of it.
        creators: (name, version) of each that the library of plugins registers; None = the
            library does not load.
        runtime: what makes runtimes, given the logger.
    """
    module = ModuleType('tensorrt')
    module.__version__ = version
    module.ILogger = type('ILogger', (), {'Severity': Severity, '__init__': lambda self: None})
    module.Runtime = runtime
    made = None
    if creators is not None:
        made = [
            SimpleNamespace(name=name, plugin_version=number, plugin_namespace='')
            for name, number in creators
        ]
    registry = Registry(made)
    module.get_plugin_registry = lambda: registry
    return module
