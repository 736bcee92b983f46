# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A model of any size with random weights, to measure what no trained model has the size of."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ros2_spatial_ttt.runtime.trt_library import NAMES

__all__ = ['SIZES', 'fresh_model']

# Presets and the pictures (width, height) that give the blocks their tokens: 80 and 768 a frame.
SIZES = {'nano': (320, 240), 'base': (1024, 768)}


@contextmanager
def fresh_model(preset: str, backend: str, pixels: tuple[int, int]) -> Iterator[Path]:
    """Give the folder of a new model in a temporary folder, with engines where they are needed.

    Args:
        preset: of the network, 'nano' or 'base'.
        backend: that will run it.
        pixels: width and height of pictures.

    Raises:
        ConfigError: the network cannot have pictures of this size.
        ModelError: the engine cannot be built.
    """
    from ros2_spatial_ttt.training.fresh import write_fresh

    with tempfile.TemporaryDirectory() as place, _environment('SPATIAL_TTT_ENGINES', place):
        folder = Path(place) / f'{preset}-random'
        write_fresh(folder, preset, pixels)
        if backend in NAMES:
            _build(folder, backend)
        yield folder


def _build(folder: Path, backend: str) -> None:
    from ros2_spatial_ttt.engine import command

    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    command.run(parser.parse_args(['--model', str(folder), '--backend', backend]))


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
