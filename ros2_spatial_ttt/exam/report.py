# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Results as flat JSON and Markdown, with the hardware and the commit they were measured on."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from ros2_spatial_ttt.exam.results import write_text

__all__ = [
    'Outcome',
    'environment',
    'format_bytes',
    'format_number',
    'markdown_table',
    'write_json',
]


@dataclass(frozen=True)
class Outcome:
    """What a set of questions found out.

    Attributes:
        name: of its report file.
        results: flat keys.
        text: Markdown.
        draw: writes pictures into a folder; called where matplotlib is installed.
    """

    name: str
    results: Mapping[str, Any]
    text: str
    draw: Callable[[Path], None]


def environment() -> dict[str, Any]:
    """Return flat keys under 'meta.': processor, cores, Python, numpy, runtime and commit."""
    return {
        'meta.processor': _processor(),
        'meta.cores': len(os.sched_getaffinity(0)),
        'meta.platform': platform.platform(),
        'meta.python': platform.python_version(),
        'meta.numpy': _version('numpy'),
        'meta.onnxruntime': _version('onnxruntime'),
        'meta.commit': _commit(),
    }


def write_json(path: Path, results: Mapping[str, Any]) -> None:
    """Write flat results, sorted by key; a number that is not finite becomes null.

    Raises:
        ResultError: it cannot be written; an older file is still whole.
    """
    strict = {key: _strict(value) for key, value in results.items()}
    text = json.dumps(strict, indent=2, sort_keys=True, allow_nan=False)
    write_text(path, text + '\n')


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table with aligned columns, the first one to the left."""
    lines = [list(header), *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    rule = ['-' * widths[0], *('-' * (width - 1) + ':' for width in widths[1:])]
    lines.insert(1, rule)
    return '\n'.join(
        f'| {line[0].ljust(widths[0])} |'
        + ''.join(f' {cell.rjust(w)} |' for cell, w in zip(line[1:], widths[1:], strict=True))
        for line in lines
    )


def format_number(value: float, digits: int = 2) -> str:
    """Return a number for a table; '–' where there is none."""
    return f'{value:.{digits}f}' if math.isfinite(value) else '–'


def format_bytes(count: float) -> str:
    """Return a size in decimal units, as storage is sold; '–' for nothing."""
    if not count:
        return '–'
    for unit, size in (('GB', 1e9), ('MB', 1e6), ('kB', 1e3)):
        if count >= size:
            return f'{count / size:.1f} {unit}'
    return f'{count:.0f} B'


def _strict(value: Any) -> Any:
    number = value.item() if hasattr(value, 'item') else value
    return None if isinstance(number, float) and not math.isfinite(number) else number


def _processor() -> str:
    try:
        lines = Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(':', 1)[1].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.machine()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return 'not installed'


def _commit() -> str:
    """Return the commit of the checkout this module lies in, with '+' when files differ."""
    here = Path(__file__).resolve().parent
    try:
        command = ['git', '-C', str(here), 'describe', '--always', '--dirty=+', '--abbrev=12']
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return 'unknown'
    return done.stdout.strip()
