# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Engine files: the compiled graphs of one model for one TensorRT and one kind of GPU.

A file is safetensors: one array of bytes per graph, and a stamp that says what it was built for.
Its name says the same for people; only the stamp counts.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ros2_spatial_ttt.errors import ModelError
from ros2_spatial_ttt.resources import share_directory
from ros2_spatial_ttt.runtime.base import Manifest
from ros2_spatial_ttt.runtime.unavailable import Unavailable

__all__ = [
    'EngineFile',
    'Stamp',
    'build_command',
    'engine_directory',
    'engine_path',
    'find_engine',
    'graphs_of',
    'prepare_directory',
    'read_engine',
    'write_engine',
]

# Graphs of every model folder, in the order they are built.
_GRAPHS = (
    *('geometry_update', 'appearance_update', 'geometry_read', 'appearance_read'),
    *('embed', 'update'),
)
_FORMAT = 1
_KEY = 'spatial_ttt_engine'
# Folder of engine files, in place of the user's cache.
_VARIABLE = 'SPATIAL_TTT_ENGINES'

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stamp:
    """What an engine file was built for.

    Attributes:
        model: name. model_hash: of the model folder.
        backend: 'tensorrt' or 'tensorrt_rtx'. version: of that TensorRT.
        architectures: of the GPUs that it runs on, such as 'sm_87'.
        plugins: version of the plugins in it; '' = none.
    """

    model: str
    model_hash: str
    backend: str
    version: str
    architectures: tuple[str, ...]
    plugins: str

    def unlike(self, asked: Stamp) -> str:
        """Return how an engine with this stamp differs from what is needed; '' if it runs.

        Args:
            asked: with the architecture of one GPU; its plugins are those that can be loaded.
        """
        if self.model_hash != asked.model_hash:
            return (
                f'built for another version of the model ({self.model_hash[:12]}…, not '
                f'{asked.model_hash[:12]}…)'
            )
        if (self.backend, self.version) != (asked.backend, asked.version):
            return (
                f'built by {self.backend} {self.version}, {asked.backend} {asked.version} is '
                'installed'
            )
        if not set(asked.architectures) <= set(self.architectures):
            return (
                f'built for {", ".join(self.architectures)}, this GPU is '
                f'{", ".join(asked.architectures)}'
            )
        if self.plugins and not asked.plugins:
            return f'built with plugins of version {self.plugins}, their library is not installed'
        if self.plugins not in ('', asked.plugins):
            return f'built with plugins of version {self.plugins}, the library has {asked.plugins}'
        return ''


@dataclass(frozen=True)
class EngineFile:
    """The content of an engine file.

    Attributes:
        path: where it lies. stamp: what it is for. plans: {graph: serialized engine}.
        build_s: seconds that building them took; 0 = not known.
    """

    path: Path
    stamp: Stamp
    plans: dict[str, bytes]
    build_s: float = 0.0


def graphs_of(manifest: Manifest) -> tuple[str, ...]:
    """Return the graphs of a model folder, in the order they are built."""
    return (*_GRAPHS, 'second_look') if manifest.second_look else _GRAPHS


def engine_directory() -> Path:
    """Return the folder of engine files: ``SPATIAL_TTT_ENGINES``, else in the user's cache."""
    if os.environ.get(_VARIABLE):
        return Path(os.environ[_VARIABLE]).expanduser()
    cache = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(cache) / 'spatial_ttt' / 'engines'


def engine_path(folder: Path, stamp: Stamp) -> Path:
    """Return the file of a stamp."""
    many = len(stamp.architectures) > 1
    where = (
        f'{stamp.architectures[0]}-to-{stamp.architectures[-1]}'
        if many
        else (stamp.architectures[0])
    )
    plugins = f'plugins-{stamp.plugins}' if stamp.plugins else 'no-plugins'
    parts = (f'{stamp.model}-{stamp.model_hash[:8]}', f'{stamp.backend}-{stamp.version}')
    return folder / f'{".".join((*parts, where, plugins))}.engine'


def build_command(manifest: Manifest, backend: str) -> str:
    """Return the command that builds an engine file."""
    shipped = manifest.folder == share_directory() / 'models' / manifest.name
    model = manifest.name if shipped else manifest.folder
    return f'spatial-ttt build-engine --model {model} --backend {backend}'


def prepare_directory(folder: Path) -> None:
    """Make a folder for engine files, if need be, and see that it can be written to.

    Raises:
        ModelError: it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise _unwritable(folder, error) from error


def write_engine(file: EngineFile) -> int:
    """Write a file as a whole or not at all; return its bytes.

    Raises:
        ModelError: it cannot be written.
    """
    stamp = dataclasses.asdict(file.stamp) | {
        'format': _FORMAT,
        'sha256': _digest(file.plans),
        'build_s': file.build_s,
    }
    aside = file.path.with_name(f'.{file.path.name}.{os.getpid()}.partial')
    prepare_directory(file.path.parent)
    try:
        arrays = {name: np.frombuffer(plan, np.uint8) for name, plan in file.plans.items()}
        save_file(arrays, aside, {_KEY: json.dumps(stamp)})
        aside.chmod(0o644)
        size = aside.stat().st_size
        os.replace(aside, file.path)
    except (OSError, SafetensorError) as error:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise _unwritable(file.path, error) from error
    return size


def read_engine(path: Path) -> EngineFile:
    """Read a whole engine file.

    Raises:
        ModelError: it is damaged or none of this package.
    """
    stamp, rest = _read_stamp(path)
    try:
        with safe_open(path, framework='numpy') as file:
            plans = {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from error
    if _digest(plans) != rest['sha256']:
        raise _damaged(path, 'the checksum does not match its content')
    return EngineFile(path, stamp, plans, rest['build_s'])


def find_engine(manifest: Manifest, asked: Stamp) -> EngineFile:
    """Return the engine file that runs here; one with plugins before one without.

    Damaged files are passed over, which the log says.

    Args:
        manifest: of the model.
        asked: what this machine has; see ``Stamp.unlike``.

    Raises:
        Unavailable: none does; says why of each and how to build one.
    """
    folder = engine_directory()
    unlike = []
    for path in sorted(folder.glob(f'{manifest.name}-*.{asked.backend}-*.engine'), reverse=True):
        try:
            difference = _read_stamp(path)[0].unlike(asked)
            if not difference:
                return read_engine(path)
        except ModelError as error:
            _LOG.warning('%s', error)
            unlike.append(str(error))
        else:
            unlike.append(f'{path.name} is {difference}')
    found = '; '.join(unlike) or 'found none'
    raise Unavailable(
        'no engine that fits' if unlike else 'no engine was built',
        f'engine of model {manifest.name!r} for {asked.backend} {asked.version} on '
        f'{", ".join(asked.architectures)} in {folder}: {found}',
        f"build it with '{build_command(manifest, asked.backend)}'",
    )


def _read_stamp(path: Path) -> tuple[Stamp, dict[str, Any]]:
    """Return the stamp of a file, and the checksum and build time of its content."""
    try:
        with safe_open(path, framework='numpy') as file:
            values = json.loads((file.metadata() or {})[_KEY])
        if values.pop('format') != _FORMAT:
            raise ValueError(f'expected format {_FORMAT}')
        rest = {'sha256': values.pop('sha256'), 'build_s': float(values.pop('build_s', 0.0))}
        values['architectures'] = tuple(values['architectures'])
        return Stamp(**values), rest
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        raise _damaged(path, error) from error


def _unwritable(path: Path, error: Exception) -> ModelError:
    return ModelError(
        f'{path}: cannot be written ({error}); free some room, name another folder with --out, or '
        f'set {_VARIABLE}'
    )


def _damaged(path: Path, error: object) -> ModelError:
    return ModelError(
        f'{path}: not a whole engine file of this package ({error}); delete it and build it '
        "again with 'spatial-ttt build-engine'"
    )


def _digest(plans: dict[str, bytes]) -> str:
    total = hashlib.sha256()
    for name in sorted(plans):
        total.update(f'{name}:{len(plans[name])}\n'.encode())
        total.update(plans[name])
    return total.hexdigest()
