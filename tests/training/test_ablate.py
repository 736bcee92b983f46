# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Ablations: every variant names parameters that exist, and bad input is refused."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip('torch', reason='ablations train')

from ros2_spatial_ttt import cli
from ros2_spatial_ttt.exam import homes_set
from ros2_spatial_ttt.exam import run as exam
from ros2_spatial_ttt.exam.homes import memory_config
from ros2_spatial_ttt.training.ablate import MEMORY, NETWORK
from ros2_spatial_ttt.training.backbone import BackboneConfig

pytestmark = pytest.mark.torch


def options(words: tuple[str, ...]) -> homes_set.HomeOptions:
    parser = argparse.ArgumentParser()
    exam.add_arguments(parser)
    words = ('--set', 'locate', '--perception', 'model', *words)
    return homes_set.options_of(parser.parse_args(list(words)))


def test_every_variant_of_the_memory_changes_the_exam() -> None:
    shipped = options(())
    for name, words in MEMORY.items():
        changed = options(words)
        memory_config(changed)
        assert (changed == shipped) == (name == 'as shipped'), name


def test_every_variant_of_the_network_changes_the_blocks() -> None:
    for name, change in NETWORK.items():
        blocks = replace(BackboneConfig(), **change)
        blocks.validate()
        assert (blocks == BackboneConfig()) == (name == 'as shipped'), name


CONFIGS = Path(__file__).resolve().parents[2] / 'config/train'


@pytest.mark.parametrize(
    ('words', 'said'),
    [
        (('--of', 'memory', '--only', 'no luck'), "'no luck'] unknown"),
        (('--of', 'network'), '--of network needs --config and --start'),
        (
            ('--of', 'network', '--start', 'x', '--config', '/missing.yaml'),
            '/missing.yaml: not a valid training config',
        ),
        (
            ('--of', 'network', '--start', 'x', '--config', str(CONFIGS / 'smoke.yaml')),
            "stage: expected 'memory', which trains the blocks, got 'perception'",
        ),
    ],
)
def test_bad_input(
    words: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert cli.main(['ablate', '--out', str(tmp_path), *words]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize('of', ['memory', 'network'])
def test_a_folder_that_cannot_be_written(
    of: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / 'file').write_text('here')
    words = ['--config', str(CONFIGS / 'smoke_memory.yaml'), '--start', 'x']
    assert cli.main(['ablate', '--of', of, '--out', str(tmp_path / 'file/x'), *words]) == 2
    assert f'--out {tmp_path}/file/x: expected a folder' in capsys.readouterr().err
