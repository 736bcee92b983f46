# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The one-room world of boxes: drawn by numpy alone, for the demo and quick tests."""
