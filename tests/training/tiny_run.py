# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""``spatial-ttt train`` with the preset ``tiny``, for torchrun to start."""

from __future__ import annotations

import argparse
import sys

from toy_clips import add_tiny_preset

from ros2_spatial_ttt.training.train import add_arguments, run

if __name__ == '__main__':
    add_tiny_preset()
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    sys.exit(run(parser.parse_args()))
