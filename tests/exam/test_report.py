# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Results can be read by strict JSON parsers and by people."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ros2_spatial_ttt.exam import report, summary


def test_json_is_flat_sorted_and_strict(tmp_path: Path) -> None:
    path = tmp_path / 'new' / 'results.json'
    report.write_json(path, {'b': float('inf'), 'a': np.float32(0.5), 'c': np.int64(3), 'd': 'x'})
    text = path.read_text(encoding='utf-8')
    assert 'Infinity' not in text
    assert json.loads(text) == {'a': 0.5, 'b': None, 'c': 3, 'd': 'x'}
    assert list(json.loads(text)) == ['a', 'b', 'c', 'd']


def test_environment_names_machine_and_commit() -> None:
    found = report.environment()
    assert found['meta.cores'] >= 1
    assert found['meta.numpy'] == np.__version__
    assert found['meta.processor'] and found['meta.commit']
    json.dumps(found)


def test_table_is_markdown() -> None:
    lines = report.markdown_table(('system', 'n'), [('a', '1'), ('longer', '22')]).splitlines()
    assert lines == ['| system |  n |', '| ------ | -: |', '| a      |  1 |', '| longer | 22 |']


def test_numbers_for_people() -> None:
    assert report.format_number(float('inf')) == '–'
    assert report.format_number(0.256) == '0.26'
    sizes = [report.format_bytes(n) for n in (0, 512, 4_300, 80_000_000, 2_000_000_000)]
    assert sizes == ['–', '512 B', '4.3 kB', '80.0 MB', '2.0 GB']


def test_further_tables_hold_every_kind_that_was_asked_and_the_intervals() -> None:
    results = {'vsi.object_count': 0.5, 'vsi.object_count.low': 0.4, 'vsi.object_count.high': 0.6}
    results |= {f'control.reset.{key}': 0.0 for key in results}
    table = summary.further_tables(results, ('memory', 'reset', 'blind'))
    lines = [[cell.strip() for cell in line.split('|')[1:-1]] for line in table.splitlines()]
    assert lines[0] == ['system', 'object count']
    assert lines[2:] == [
        ['memory', '0.50 [0.40, 0.60]'],
        ['control: reset', '0.00 [0.00, 0.00]'],
        ['blind', '–'],
    ]
    assert summary.further_tables({}, ('memory',)) == ''
