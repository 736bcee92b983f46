# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What can be seen of a home, and how sensors and detectors err."""
