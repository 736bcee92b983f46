# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""A streaming spatial memory of fixed size for ROS 2 robots."""
