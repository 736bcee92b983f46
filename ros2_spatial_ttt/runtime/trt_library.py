# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""TensorRT, TensorRT for RTX and the library of plugins, whichever is installed.

Both have the same Python API. TensorRT for RTX builds without a GPU and knows no plugin layers: a
plugin that is registered there ends the process, so none ever is.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import logging
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ros2_spatial_ttt.resources import library_places
from ros2_spatial_ttt.runtime.unavailable import Unavailable

__all__ = ['NAMES', 'PLUGIN_VERSION', 'Plugins', 'TensorRT', 'load_plugins', 'load_tensorrt']

NAMES = ('tensorrt', 'tensorrt_rtx')

# Of the plugins' creators: counted up when inputs, outputs or attributes of one change.
PLUGIN_VERSION = '1'
# Of the library; trt_plugins/operators.yaml says what each replaces.
_CREATORS = ('SpatioTemporalConv', 'FastWeightUpdate', 'FieldUpdate')
_LIBRARY = 'libspatial_ttt_plugins.so'
# Path of the library of plugins, where it is not installed beside this package.
_VARIABLE = 'SPATIAL_TTT_PLUGIN_LIBRARY'

# Major and minor version at least; JetPack 6.1 brings it, and the plugins are built for it.
_LEAST = {'tensorrt': (10, 3)}
_INSTALL = {
    'tensorrt': 'install TensorRT 10.3 or later (a Jetson brings it, docs/JETSON.md) and its '
    'Python module',
    'tensorrt_rtx': 'pip install "ros2-spatial-ttt[tensorrt]"',
}
# Every later use of a local function gives this warning for each of its nodes.
_HARMLESS = 'output tensors of this new instance will not be queryable'

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class TensorRT:
    """An installed TensorRT.

    Attributes:
        name: 'tensorrt' or 'tensorrt_rtx'. module: of that name.
        logger: hands TensorRT's messages to Python's log. complaints: its errors, oldest first.
    """

    name: str
    module: Any
    logger: Any
    complaints: list[str] = field(default_factory=list)

    @property
    def version(self) -> str:
        """Such as '10.3.0'."""
        return str(self.module.__version__)

    def complaint(self) -> str:
        """Return the errors since the last call, in one line."""
        text = '; '.join(self.complaints) or 'TensorRT gave no reason'
        self.complaints.clear()
        return text


@dataclass(frozen=True)
class Plugins:
    """Plugins that TensorRT knows by now.

    Attributes:
        version: of all of them; '' = there are none. names: of their creators.
    """

    version: str = ''
    names: frozenset[str] = frozenset()


def load_tensorrt(name: str) -> TensorRT:
    """Import a TensorRT by the name of its module.

    Raises:
        Unavailable: it is not installed or too old.
    """
    try:
        module = importlib.import_module(name)
    except (ImportError, OSError) as error:
        raise Unavailable(
            f'{name} is not installed',
            f'Python module {name!r} cannot be imported ({error})',
            _INSTALL[name],
        ) from error
    least = _LEAST.get(name, (0, 0))
    if _numbers(module.__version__) < least:
        raise Unavailable(
            f'{name} is too old',
            f'{name} {module.__version__} found, expected {least[0]}.{least[1]} or later',
            _INSTALL[name],
        )
    return _opened(name, module)


@functools.cache
def _opened(name: str, module: Any) -> TensorRT:
    """Return a TensorRT with its logger: it takes only the first that it gets in a process."""
    complaints: list[str] = []
    return TensorRT(name, module, _logger(module, complaints), complaints)


def _numbers(version: str) -> tuple[int, int]:
    """Return major and minor of a version such as '10.13.2.6'; zeros where it is none."""
    found = re.match(r'(\d+)\.(\d+)', version)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def load_plugins(tensorrt: TensorRT, path: Path | None = None) -> Plugins:
    """Load the library of plugins, once per process, and return what it offers.

    Args:
        tensorrt: where they are registered; TensorRT for RTX gets none.
        path: of the library; None = ``SPATIAL_TTT_PLUGIN_LIBRARY``, else where colcon installs
            it, and no plugins if it is not there, which the log says.

    Raises:
        Unavailable: a library was named and cannot be loaded, or it is of another version.
    """
    if tensorrt.name != 'tensorrt':
        if path:
            raise Unavailable(
                'no plugins in TensorRT for RTX',
                f'{path}: TensorRT for RTX has no plugin layers',
                'leave out --plugins, or use --backend tensorrt',
            )
        return Plugins()
    named = path or (Path(os.environ[_VARIABLE]) if os.environ.get(_VARIABLE) else None)
    if named is None:
        library = _installed()
        return Plugins() if library is None else _registered(tensorrt, library)
    if not named.is_file():
        raise Unavailable(
            'the plugin library is missing',
            f'{named}: no such file',
            f'build it with colcon where CUDA and TensorRT are installed, or unset {_VARIABLE} '
            'and use --no-plugins',
        )
    return _registered(tensorrt, named)


def _installed() -> Path | None:
    """Return the library that colcon installed, the nearest to this code; None = there is none."""
    places = library_places(_LIBRARY)
    for place in places:
        if place.is_file():
            return place
    _LOG.info(
        'no plugins, TensorRT compiles the bodies of the custom parts: no such file: %s',
        ', '.join(map(str, places)),
    )
    return None


def _registered(tensorrt: TensorRT, library: Path) -> Plugins:
    registry = tensorrt.module.get_plugin_registry()
    own = _own(registry)
    if not own:
        _check_headers(tensorrt, library)
        if registry.load_library(str(library)) is None:
            raise _unfit(tensorrt, library, tensorrt.complaint())
        own = _own(registry)
    versions = {creator.plugin_version for creator in own}
    if versions != {PLUGIN_VERSION}:
        raise Unavailable(
            'plugins of another version',
            f'{library}: plugins of version {sorted(versions)}, this package expects '
            f'{PLUGIN_VERSION!r}',
            'build package and library from one release with colcon, or use --no-plugins',
        )
    names = frozenset(str(creator.name) for creator in own)
    _LOG.info('%s: plugins %s, version %s', library, ', '.join(sorted(names)), PLUGIN_VERSION)
    return Plugins(version=PLUGIN_VERSION, names=names)


def _check_headers(tensorrt: TensorRT, library: Path) -> None:
    """Refuse a library that was built with the headers of another TensorRT."""
    try:
        number = int(ctypes.CDLL(str(library)).spatial_ttt_tensorrt_version())
    except (OSError, AttributeError) as error:
        raise _unfit(tensorrt, library, str(error)) from error
    # As NV_TENSORRT_VERSION: 100300 is 10.3.0.
    if str(number // 10000) != tensorrt.version.partition('.')[0]:
        built = f'{number // 10000}.{number // 100 % 100}.{number % 100}'
        raise _unfit(tensorrt, library, f'built for TensorRT {built}')


def _unfit(tensorrt: TensorRT, library: Path, why: str) -> Unavailable:
    return Unavailable(
        'the plugin library cannot be loaded',
        f'{library}: {why}',
        f'build it again with colcon against TensorRT {tensorrt.version}, or use --no-plugins',
    )


def _own(registry: Any) -> list[Any]:
    return [one for one in registry.all_creators if one.name in _CREATORS]


def _logger(module: Any, complaints: list[str]) -> Any:
    """Return a logger of TensorRT that writes to Python's log and keeps the errors."""
    severity = module.ILogger.Severity
    levels = {
        severity.INTERNAL_ERROR: logging.ERROR,
        severity.ERROR: logging.ERROR,
        severity.WARNING: logging.WARNING,
        severity.INFO: logging.DEBUG,
        severity.VERBOSE: logging.NOTSET,
    }

    class Logger(module.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            module.ILogger.__init__(self)

        def log(self, level: Any, message: str) -> None:
            """Take a message; called by TensorRT from any of its threads."""
            number = levels.get(level, logging.DEBUG)
            if number >= logging.ERROR:
                complaints.append(message)
            if number and _HARMLESS not in message:
                _LOG.log(number, '%s', message)

    return Logger()
