# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Offline replay of rosbag2 recordings and pictures of a memory."""
