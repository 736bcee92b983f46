# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Compiling a model folder for TensorRT; ``runtime/trt.py`` runs what comes out."""
