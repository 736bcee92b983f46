# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Finished homes on disk: written whole or not at all, and used again by the next run."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

from ros2_spatial_ttt.errors import SpatialTTTError
from ros2_spatial_ttt.exam.codec import HomeResult, home_from_json, home_to_json

__all__ = ['HomeFolder', 'ResultError', 'write_atomically', 'write_text']

_LOG = logging.getLogger(__name__)


class ResultError(SpatialTTTError):
    """A result cannot be written; an older file of that name is still whole."""


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Have ``write(temporary path)`` make a file, and put it in place once it is on disk.

    The temporary file has the ending of ``path``, so writers that go by it work.

    Raises:
        ResultError: no room, no right or no folder; nothing half-written stays.
    """
    aside = path.with_name(f'.{path.stem}.{os.getpid()}.partial{path.suffix}')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(aside)
        _sync(aside)
        os.replace(aside, path)
        _sync(path.parent)
    except OSError as error:
        raise _not_written(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()


def _not_written(path: Path, error: OSError) -> ResultError:
    return ResultError(
        f'{path}: cannot be written ({error.strerror or error}); make room or choose another '
        'folder, and run the same command again: homes that are finished are kept'
    )


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all; ResultError as ``write_atomically``."""
    write_atomically(path, lambda aside: aside.write_text(text, encoding='utf-8'))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class HomeFolder:
    """Results of homes, one file each: ``homes/<seed>-<digest>.json``.

    Args:
        out: folder of the exam's results.
        digest: of the options; results of other options are left alone.
    """

    def __init__(self, out: Path, digest: str) -> None:
        self._folder = out / 'homes'
        self._digest = digest

    def prepare(self) -> None:
        """Make the folder; ResultError when that fails, before any work is done in vain."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _not_written(self._folder, error) from error

    def path(self, seed: int) -> Path:
        """Return the file of a home."""
        return self._folder / f'{seed}-{self._digest}.json'

    def read(self, seed: int) -> HomeResult | None:
        """Return the result of a home; None where there is none; a damaged one is warned of."""
        path = self.path(seed)
        try:
            text = path.read_text(encoding='utf-8')
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            _LOG.warning('%s cannot be read (%s); home %d is done again', path, error, seed)
            return None
        try:
            result = home_from_json(json.loads(text))
            if (result.seed, result.digest) != (seed, self._digest):
                raise ValueError(f'it is of seed {result.seed}, digest {result.digest}')
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            _LOG.warning('%s is damaged (%s); home %d is done again', path, error, seed)
            return None
        return result

    def write(self, result: HomeResult) -> None:
        """Keep the result of a home; ResultError when that fails."""
        text = json.dumps(home_to_json(result), allow_nan=False, sort_keys=True)
        write_text(self.path(result.seed), text + '\n')
