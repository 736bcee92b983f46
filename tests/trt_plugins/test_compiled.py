# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The library that CUDA's compiler made, as far as it goes without a GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trt_plugins import test_fast_weight_update as fast
from trt_plugins import test_field_update as field
from trt_plugins import test_spatio_temporal_conv as conv


def test_loads_without_a_gpu_and_refuses_with_sentences(compiled):
    fast.test_refuses_what_it_cannot_do(compiled)
    field.test_refuses_what_it_cannot_do(compiled)


@pytest.mark.skipif(Path('/dev/nvidia0').exists(), reason='there is a GPU')
@pytest.mark.parametrize('operator', ['conv', 'fast', 'field'])
def test_a_launch_without_a_gpu_is_an_error_code(compiled, operator):
    rng = np.random.default_rng(0)
    with pytest.raises(RuntimeError, match=rf'spatial_ttt_{operator}: CUDA error \d+'):
        if operator == 'conv':
            arrays = conv.given(rng, 1, 1, (1, 1), 6)
            compiled.conv(**arrays, frame_valid=np.ones((1, 1)), grid=(1, 1), heads=1)
        elif operator == 'fast':
            compiled.fast(*fast.given(rng, 1, 1, 4, 4, 1, 2), rule='gd')
        else:
            samples = field.samples_of(rng, 3, 2)
            compiled.field(field.empty(4, 2), samples, field.omega_of(rng, 4), rule=field.RULE)
