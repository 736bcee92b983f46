# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Model definition and export; the only place for torch."""
