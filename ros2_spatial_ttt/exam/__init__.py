# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The exam that judges a memory."""
