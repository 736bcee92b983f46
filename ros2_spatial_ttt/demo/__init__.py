# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""``spatial-ttt demo``: the real node on a recording, questions over DDS, one picture."""
