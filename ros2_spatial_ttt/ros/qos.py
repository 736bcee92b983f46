# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The QoS profiles of the node, by what they are for."""

from __future__ import annotations

from rclpy.qos import (
    QoSDurabilityPolicy,
    QoSHistoryPolicy,
    QoSProfile,
    QoSReliabilityPolicy,
)
from rclpy.qos_overriding_options import QoSOverridingOptions

__all__ = ['LATCHED', 'OVERRIDABLE', 'POSES', 'REPORTS', 'REQUESTS', 'SENSOR']

# Images: the newest matter, a lost one is not worth a delay.
SENSOR = QoSProfile(
    history=QoSHistoryPolicy.KEEP_LAST,
    depth=10,
    reliability=QoSReliabilityPolicy.BEST_EFFORT,
    durability=QoSDurabilityPolicy.VOLATILE,
)
# Poses are small and come in bursts; best effort matches every publisher.
POSES = QoSProfile(
    history=QoSHistoryPolicy.KEEP_LAST,
    depth=100,
    reliability=QoSReliabilityPolicy.BEST_EFFORT,
    durability=QoSDurabilityPolicy.VOLATILE,
)
# The last message waits for whoever subscribes later.
LATCHED = QoSProfile(
    history=QoSHistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=QoSReliabilityPolicy.RELIABLE,
    durability=QoSDurabilityPolicy.TRANSIENT_LOCAL,
)
# Events and diagnostics: every one matters while it is news.
REPORTS = QoSProfile(
    history=QoSHistoryPolicy.KEEP_LAST,
    depth=20,
    reliability=QoSReliabilityPolicy.RELIABLE,
    durability=QoSDurabilityPolicy.VOLATILE,
)
# The default of services keeps 10 requests and loses more without a word.
REQUESTS = QoSProfile(
    history=QoSHistoryPolicy.KEEP_LAST,
    depth=100,
    reliability=QoSReliabilityPolicy.RELIABLE,
    durability=QoSDurabilityPolicy.VOLATILE,
)
# Parameters qos_overrides.<topic>.subscription.{history,depth,reliability,durability}.
OVERRIDABLE = QoSOverridingOptions.with_default_policies()
