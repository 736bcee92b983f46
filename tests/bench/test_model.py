# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""``spatial-ttt bench model``: what a node of the graph counts for."""

from __future__ import annotations

import pytest

pytest.importorskip('psutil', reason='the benchmarks need psutil')

from ros2_spatial_ttt.bench.model import part_of


@pytest.mark.parametrize(
    ('node', 'part'),
    [
        ('net.trunk.first.2/relu_nchwc', 'trunk'),
        ('net.trunk.look.0.0/Conv_3', 'appearance'),
        ('net.down.2/relu_5_nchwc', 'context'),
        ('net.backbone.blocks.3.attention/MatMul_9', 'blocks: attention'),
        ('net.backbone.blocks.0.fast.gate/MatMul_9', 'blocks: rest'),
        ('_inlfunc_FastWeightUpdateMomentum_token_2_x', 'blocks: fast-weight update'),
        ('net.names/MatMul_1', 'heads'),
        ('samples/Mul_3', 'samples'),
        ('Transpose_6', 'rest'),
    ],
)
def test_nodes_are_counted_for_the_part_they_come_from(node, part):
    assert part_of(node) == part
