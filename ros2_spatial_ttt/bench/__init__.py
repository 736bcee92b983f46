# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Measurements of speed and memory: the node over DDS, the core alone, and long streams."""
