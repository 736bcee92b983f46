# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What tests of backends share."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def rng():
    return np.random.default_rng(20260101)
