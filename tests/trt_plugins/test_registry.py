# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The registry of TensorRT for RTX loads the plugin library and lists its creators."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml
from trt_plugins.build_libraries import PLUGINS

pytest.importorskip('tensorrt_rtx', reason='pip install -r requirements/tensorrt.txt')

pytestmark = [pytest.mark.trt, pytest.mark.tensorrt_headers]

# In its own process: what a registry has loaded stays, and a plugin that TensorRT for RTX selects
# aborts the process.
PROGRAM = """
import sys
import tensorrt_rtx as trt
registry = trt.get_plugin_registry()
registry.load_library(sys.argv[1])
for creator in registry.all_creators:
    print(creator.name, repr(creator.plugin_namespace), creator.plugin_version)
"""


def test_lists_every_creator(contract):
    driver, _ = contract
    command = [sys.executable, '-c', PROGRAM, str(driver.plugins)]
    result = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    for operator in yaml.safe_load((PLUGINS / 'operators.yaml').read_text()):
        assert f"{operator['creator']} '' 1" in result.stdout.splitlines()
