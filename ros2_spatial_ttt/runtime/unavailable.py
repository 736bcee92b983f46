# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Why a backend cannot run here."""

from __future__ import annotations

from ros2_spatial_ttt.errors import ModelError

__all__ = ['Unavailable']


class Unavailable(ModelError):
    """A backend cannot run on this machine, or not yet.

    Args:
        reason: a few words for ~/status.
        details: what was expected and found.
        remedy: what to do.
    """

    def __init__(self, reason: str, details: str, remedy: str) -> None:
        super().__init__(f'{details}; {remedy}')
        self.reason = reason
