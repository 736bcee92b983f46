# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Point the CMake files of the ROS 2 wheels at this interpreter.

The wheels' exported CMake files name the Python of the container that built them. This replaces
those folders, in the environment whose interpreter runs the script, by the ones that exist here.
Running it again changes nothing.
"""

from __future__ import annotations

import re
import sys
import sysconfig
from pathlib import Path

import numpy

__all__ = ['fix_file', 'main']

_NUMPY = re.compile(r'/opt/python/cp\d+-cp\d+/lib/python3\.\d+/site-packages/numpy/_?core/include')
_PYTHON = re.compile(r'/opt/python/cp\d+-cp\d+/include/python3\.\d+')


def fix_file(path: Path) -> bool:
    """Rewrite one CMake file in place; return whether it named the build container."""
    text = path.read_text(encoding='utf-8')
    fixed = _NUMPY.sub(lambda _: numpy.get_include(), text)
    fixed = _PYTHON.sub(lambda _: sysconfig.get_path('include'), fixed)
    if fixed == text:
        return False
    path.write_text(fixed, encoding='utf-8')
    return True


def main() -> int:
    """Fix every CMake file under share/ of this environment; return the exit code."""
    files = sorted(Path(sys.prefix, 'share').rglob('*.cmake'))
    changed = sum(fix_file(path) for path in files)
    left = [str(path) for path in files if '/opt/python/' in path.read_text(encoding='utf-8')]
    if left:
        print(f'still naming the build container: {", ".join(left)}', file=sys.stderr)
        return 1
    print(f'CMake files of the ROS 2 wheels: {changed} pointed at {sys.executable}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
