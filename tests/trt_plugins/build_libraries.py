# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Compiles what the tests load: the kernels for the CPU, and the driver of the contract."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

__all__ = ['build_contract', 'build_emulated', 'tensorrt_headers']

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EMULATOR = HERE / 'emulator'
PLUGINS = ROOT / 'trt_plugins'
FLAGS = (
    *('-std=c++17', '-O2', '-fPIC', '-shared', '-fvisibility=hidden', '-Wall', '-Wextra'),
    *('-Werror', '-Wno-unknown-pragmas', '-Wno-deprecated-declarations'),
)


def tensorrt_headers() -> Path | None:
    """Return the folder with TensorRT's headers, of TENSORRT_INCLUDE_DIR or the system."""
    places = [os.environ.get('TENSORRT_INCLUDE_DIR'), '/usr/include/x86_64-linux-gnu']
    places += ['/usr/include/aarch64-linux-gnu', '/usr/include']
    folders = [Path(place) for place in places if place]
    return next((f for f in folders if (f / 'NvInferRuntime.h').is_file()), None)


def build_emulated(headers: Path | None) -> Path:
    """Return the library of the emulated launchers, with the plugins where there are headers."""
    sources = [EMULATOR / 'emulator.cpp', *sorted(PLUGINS.glob('*/launcher.cu'))]
    if headers is not None:
        sources += [*sorted(PLUGINS.glob('*/plugin.cpp')), PLUGINS / 'exports.cpp']
    return _compiled('emulated', sources, headers)


def build_contract(headers: Path) -> Path:
    """Return the library of the driver."""
    return _compiled('contract', [HERE / 'contract.cpp'], headers)


def _compiled(name: str, sources: list[Path], headers: Path | None) -> Path:
    """Compile into build/, unless the same was compiled before."""
    compiler = shutil.which(os.environ.get('CXX', 'g++'))
    if compiler is None:
        raise FileNotFoundError('no C++ compiler: install g++ or set CXX')
    places = [f'-I{EMULATOR}', *([f'-isystem{headers}'] if headers else [])]
    command = [compiler, *FLAGS, *places, '-x', 'c++', *map(str, sources), '-ldl']
    folder = ROOT / 'build' / 'trt_plugins_tests'
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / f'{name}-{_digest(command)}.so'
    with (folder / f'{name}.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes run side by side
        if not library.exists():
            partial = library.with_suffix('.partial')
            result = subprocess.run([*command, '-o', str(partial)], capture_output=True, text=True)
            if result.returncode:
                raise RuntimeError(f'{name} does not compile:\n{result.stderr}')
            partial.replace(library)
    return library


def _digest(command: list[str]) -> str:
    known = hashlib.sha256(repr(command).encode())
    for folder in (PLUGINS, HERE):
        for path in sorted(folder.rglob('*')):
            if path.suffix in {'.h', '.cpp', '.cu', '.cuh'}:
                known.update(path.read_bytes())
    return known.hexdigest()[:16]
