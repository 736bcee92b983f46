# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A run says where bfloat16 slows it down."""

from __future__ import annotations

import argparse

import pytest

pytest.importorskip('torch')
pytest.importorskip('tensorboard')

from toy_clips import tiny_config, toy_folder

from ros2_spatial_ttt.training import machine
from ros2_spatial_ttt.training.train import add_arguments, run

pytestmark = pytest.mark.torch
X86 = 'processor : 0\nmodel name : bf16 in a name\nflags : fpu avx512f {}\n'
ARM = 'processor : 0\nFeatures : fp asimd {}\n'


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        (X86.format(''), False),
        (X86.format('avx512_bf16'), True),
        (X86.format('amx_bf16'), True),
        (ARM.format(''), False),
        (ARM.format('bf16'), True),
        ('hart : 0\n', True),
    ],
)
def test_flags_of_the_cpu_tell(text, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(machine, 'CPUINFO', tmp_path / 'cpuinfo')
    (tmp_path / 'cpuinfo').write_text(text)
    assert machine.has_bfloat16() == expected


def test_where_nothing_tells_nothing_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, 'CPUINFO', tmp_path / 'nowhere')
    assert machine.has_bfloat16()


@pytest.mark.parametrize(
    ('half', 'flag', 'warned'), [(True, '', 1), (True, 'avx512_bf16', 0), (False, '', 0)]
)
def test_a_run_warns_once(half, flag, warned, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(machine, 'CPUINFO', tmp_path / 'cpuinfo')
    (tmp_path / 'cpuinfo').write_text(X86.format(flag))
    toy_folder(tmp_path / 'clips')
    configs = [tmp_path / 'one.yaml', tmp_path / 'two.yaml']
    for path in configs:
        tiny_config(path, half=half, steps=1)
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = ['--config', *map(str, configs), '--out', str(tmp_path / 'out'), '--device', 'cpu']
    assert run(parser.parse_args([*words, '--clips', str(tmp_path / 'clips')])) == 0
    said = [record.message for record in caplog.records if 'bfloat16' in record.message]
    assert len(said) == warned
    assert all('set half: false' in line for line in said)
