# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The command ``spatial-ttt params``: every parameter with default, unit, range and sentence."""

from __future__ import annotations

import argparse

from ros2_spatial_ttt.ros.params import yaml_text

__all__ = ['add_arguments', 'run']


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare no options: the text is what config/memory.yaml holds."""


def run(args: argparse.Namespace) -> int:
    """Print the parameters as YAML."""
    print(yaml_text(), end='')
    return 0
