# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 side: node, parameters, conversions, pairing. Few of its modules import rclpy."""

import os

# Read by numpy's BLAS when it is first imported. Its threads spin after every small product, and
# took half a core from the node; the memory's threads come from the writer and ONNX Runtime.
os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')
