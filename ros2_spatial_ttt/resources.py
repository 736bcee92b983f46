# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Where the models and the configuration lie: in a checkout, a ROS 2 prefix or a pip prefix."""

from __future__ import annotations

import os
from pathlib import Path

from ros2_spatial_ttt.errors import ModelError

__all__ = ['library_places', 'model_directory', 'share_directory']

_PACKAGE = 'spatial_ttt'


def share_directory() -> Path:
    """Return the folder that holds ``models/``, ``config/`` and ``package.xml``.

    It is the checkout, or the nearest ``share/spatial_ttt`` above this file: colcon, Debian, pip
    and ``pip --target`` all install the data into the prefix that the code lies in.

    Raises:
        ModelError: neither exists, so the installation is incomplete.
    """
    # Not resolved: in a colcon --symlink-install this file is a link into the checkout.
    module = Path(__file__).absolute()
    folders = [module.parents[1], *(parent / 'share' / _PACKAGE for parent in module.parents)]
    for folder in folders:
        if (folder / 'package.xml').is_file():
            return folder
    raise ModelError(
        f'data of {_PACKAGE}: expected share/{_PACKAGE}/package.xml in a folder above {module}, '
        'found none; install the package again with pip or colcon'
    )


def library_places(name: str) -> list[Path]:
    """Return where colcon may have installed a shared library, the nearest to this code first.

    That is the prefix that the data lie in, or what was built in the checkout that the code lies
    in; then the prefixes of sourced workspaces.
    """
    share = share_directory()
    own = share.parents[1] if share.parent.name == 'share' else share / 'install' / _PACKAGE
    sourced = os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
    prefixes = dict.fromkeys((own, *(Path(one) for one in sourced if one)))
    return [prefix / 'lib' / name for prefix in prefixes]


def model_directory(name_or_path: str | Path) -> Path:
    """Return the folder of a model, given its name in ``models/`` or a path to a folder.

    Raises:
        ModelError: there is no such folder, or it holds no ``manifest.yaml``.
    """
    shipped = share_directory() / 'models'
    given = Path(name_or_path).expanduser()
    is_name = given.name == str(name_or_path)
    folder = shipped / given.name if is_name else given
    if (folder / 'manifest.yaml').is_file():
        return folder
    names = sorted(path.parent.name for path in shipped.glob('*/manifest.yaml'))
    raise ModelError(
        f'model {str(name_or_path)!r}: expected a folder with manifest.yaml, found none at '
        f'{folder}; give a path, or one of the shipped models {names}'
    )
