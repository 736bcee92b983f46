# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The patch set: example pictures of a real recording, without labels."""
