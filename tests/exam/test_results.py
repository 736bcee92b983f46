# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Results are written whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ros2_spatial_ttt.exam import report
from ros2_spatial_ttt.exam.results import ResultError, write_atomically, write_text


def test_text_is_there_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / 'new' / 'table.md'
    write_text(path, 'one\n')
    write_text(path, 'two\n')
    assert path.read_text() == 'two\n'
    assert [entry.name for entry in path.parent.iterdir()] == ['table.md']


def test_temporary_file_keeps_the_ending(tmp_path: Path) -> None:
    seen = []

    def write(aside: Path) -> None:
        seen.append(aside)
        aside.write_bytes(b'x')

    write_atomically(tmp_path / 'plot.png', write)
    assert seen[0].suffix == '.png' and seen[0].parent == tmp_path


def test_full_disk_leaves_the_old_result_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / 'results.json'
    write_text(path, 'old')

    def fill(aside: Path) -> None:
        aside.write_text('ha')
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(ResultError, match='No space left.*make room'):
        write_atomically(path, fill)
    assert path.read_text() == 'old'
    assert [entry.name for entry in tmp_path.iterdir()] == ['results.json']


@pytest.mark.skipif(not Path('/dev/full').exists(), reason='needs /dev/full of Linux')
def test_a_disk_that_is_full_is_a_sentence(tmp_path: Path) -> None:
    def fill(_aside: Path) -> None:
        with open('/dev/full', 'w', encoding='utf-8') as full:
            full.write('x')

    with pytest.raises(ResultError, match='No space left'):
        write_atomically(tmp_path / 'x.json', fill)


def test_folder_that_is_a_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / 'out').write_text('a file')
    with pytest.raises(ResultError, match='cannot be written'):
        report.write_json(tmp_path / 'out' / 'results.json', {'a': 1})


def test_an_interrupt_while_writing_leaves_nothing(tmp_path: Path) -> None:
    def stop(aside: Path) -> None:
        aside.write_text('half')
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / 'x.json', stop)
    assert not list(tmp_path.iterdir())
