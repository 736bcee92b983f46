# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What systems share that keep nothing of a home."""

from __future__ import annotations

__all__ = ['Idle']


class Idle:
    """A system that never looks."""

    @property
    def stored_bytes(self) -> int:
        """0: it stores nothing of the home."""
        return 0

    @property
    def budget_bytes(self) -> int:
        """0: it stores nothing of the home."""
        return 0
