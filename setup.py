# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What pyproject.toml cannot say: the version of package.xml and the data under share/."""

from pathlib import Path
from xml.etree import ElementTree

from setuptools import setup

ROOT = Path(__file__).resolve().parent
SHARE = Path('share', 'spatial_ttt')


def data_files() -> list[tuple[str, list[str]]]:
    """Return (folder in the prefix, files) pairs for everything that is not code."""
    folders: dict[str, list[str]] = {str(SHARE): ['package.xml']}
    for top in ('config', 'launch', 'models'):
        for path in sorted((ROOT / top).rglob('*')):
            if path.is_file() and '__pycache__' not in path.parts:
                relative = path.relative_to(ROOT)
                folders.setdefault(str(SHARE / relative.parent), []).append(str(relative))
    return list(folders.items())


setup(
    version=ElementTree.parse(ROOT / 'package.xml').findtext('version'),
    data_files=data_files(),
)
