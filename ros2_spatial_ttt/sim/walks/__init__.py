# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""How the robot walks through a home, and what changes meanwhile."""
