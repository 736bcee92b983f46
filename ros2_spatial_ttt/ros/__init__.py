# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 side: node, parameters, conversions, pairing. Few of its modules import rclpy."""
