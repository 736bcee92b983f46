# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""How a home is laid out and furnished."""
