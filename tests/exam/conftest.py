# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Small homes for the exam's tests."""

from __future__ import annotations

import dataclasses

import pytest

from ros2_spatial_ttt.exam.codec import HomeResult
from ros2_spatial_ttt.exam.options import HomeOptions


@pytest.fixture(scope='session')
def tiny() -> HomeOptions:
    """One room, one minute; the memory, a control and what answers from priors."""
    return HomeOptions(
        sets=('vsi', 'locate', 'verdict'),
        minutes=1.0,
        rooms=1,
        systems=('memory', 'blind', 'reset'),
    )


@pytest.fixture(scope='session')
def without_times():
    """Return a function that takes the times out of a result; the rest is a matter of the seed."""

    def strip(result: HomeResult) -> HomeResult:
        systems = {
            name: dataclasses.replace(
                system,
                times={},
                responses=tuple(dataclasses.replace(r, seconds=0.0) for r in system.responses),
            )
            for name, system in result.systems.items()
        }
        return dataclasses.replace(result, systems=systems, elapsed_s=0.0)

    return strip
