# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The library that CUDA's compiler made, as far as it goes without a GPU."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from ros2_spatial_ttt.errors import SpatialTTTError
from trt_plugins import test_fast_weight_update as fast
from trt_plugins import test_field_update as field
from trt_plugins import test_spatio_temporal_conv as conv

# Orin, Ada, Hopper, Thor, Blackwell.
ARCHITECTURES = {'sm_87', 'sm_89', 'sm_90', 'sm_110', 'sm_120'}


@pytest.fixture
def no_gpu() -> None:
    if gpus():
        pytest.skip('there is a GPU')


def gpus() -> int:
    """Return how many GPUs the driver shows; not every machine with one has /dev/nvidia0."""
    try:
        driver = ctypes.CDLL('libcuda.so.1')
    except OSError:
        return 0
    count = ctypes.c_int(0)
    failed = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    return 0 if failed else count.value


@pytest.fixture
def cuobjdump() -> str:
    """NVIDIA's tool that lists what a library holds, of requirements/dev.txt or of CUDA."""
    wheel = Path(sysconfig.get_path('purelib'), 'nvidia/cu13/bin/cuobjdump')
    found = str(wheel) if wheel.is_file() else shutil.which('cuobjdump')
    if found is None:
        pytest.skip('no cuobjdump: make setup, or install it with CUDA')
    return found


@pytest.mark.cuda
def test_holds_machine_code_for_all_architectures(compiled, cuobjdump):
    command = [cuobjdump, '--list-elf', str(compiled.launchers.path)]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    found = set(re.findall(r'sm_\d+', result.stdout))
    assert found
    if not found >= ARCHITECTURES:  # one architecture builds faster; CI lets no skip pass
        pytest.skip(f'built without code for {sorted(ARCHITECTURES - found)}')


@pytest.mark.cuda
def test_loads_without_a_gpu_and_refuses_with_sentences(compiled):
    fast.test_refuses_what_it_cannot_do(compiled)
    field.test_refuses_what_it_cannot_do(compiled)


@pytest.mark.usefixtures('no_gpu')
@pytest.mark.parametrize('operator', ['conv', 'fast', 'field'])
def test_a_launch_without_a_gpu_is_an_error_code(compiled, operator):
    rng = np.random.default_rng(0)
    with pytest.raises(SpatialTTTError, match=rf'spatial_ttt_{operator}: CUDA error \d+'):
        if operator == 'conv':
            arrays = conv.given(rng, 1, 1, (1, 1), 6)
            compiled.conv(**arrays, frame_valid=np.ones((1, 1)), grid=(1, 1), heads=1)
        elif operator == 'fast':
            compiled.fast(*fast.given(rng, 1, 1, 4, 4, 1, 2), rule='gd')
        else:
            samples = field.samples_of(rng, 3, 2)
            compiled.field(field.empty(4, 2), samples, field.omega_of(rng, 4), rule=field.RULE)
