# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What a run needs of the machine: folders that can be written, and bfloat16 in hardware."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryFile

from ros2_spatial_ttt.errors import ConfigError

__all__ = ['has_bfloat16', 'require_writable']

CPUINFO = Path('/proc/cpuinfo')
# As Linux names products of bfloat16: of AVX-512, of AMX and of ARM.
BFLOAT16 = {'avx512_bf16', 'amx_bf16', 'bf16'}


def require_writable(folder: Path, option: str) -> None:
    """Make a folder where there is none; ConfigError names the option if it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(
            f'{option} {folder}: expected a folder that can be written, got {error}; '
            'choose another'
        ) from error


def has_bfloat16() -> bool:
    """Return whether the CPU multiplies bfloat16 in hardware; True where nothing tells."""
    try:
        lines = CPUINFO.read_text(encoding='utf-8').splitlines()
    except OSError:
        return True
    flags = [
        line.split(':')[-1].split() for line in lines if line.startswith(('flags', 'Features'))
    ]
    return not flags or not BFLOAT16.isdisjoint(flags[0])
