# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The smallest network, for every test of training."""

from __future__ import annotations

import pytest


@pytest.fixture(scope='session', autouse=True)
def tiny_preset():
    """Make ``preset: tiny`` known, where there is torch."""
    pytest.importorskip('torch')
    from toy_clips import add_tiny_preset

    add_tiny_preset()
