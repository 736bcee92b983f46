#!/usr/bin/env bash
# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
# All checks that need a GPU, in one go: build for it, tests, checks of memory, races and barriers,
# times.
# Needs CUDA 12.8 or newer, CMake, and a Python with PyTorch, pytest and ONNX Runtime.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# PyTorch asks the driver; a Jetson's nvidia-smi, where there is one, knows no compute capability.
capability=$(python3 -c 'import torch; print("%d%d" % torch.cuda.get_device_capability())')
out=${OUT:-out/trt_plugins}
mkdir -p "$out"
export PYTHONPATH=.:tests PYTHONUNBUFFERED=1

trt_plugins/compile.sh "-DCMAKE_CUDA_ARCHITECTURES=$capability" >"$out/build.log"
export SPATIAL_TTT_KERNELS=$PWD/build/trt_plugins/libspatial_ttt_kernels.so
export SPATIAL_TTT_PLUGINS=$PWD/build/trt_plugins/libspatial_ttt_plugins.so
failed=0
python3 -m pytest -q -p no:cacheprovider tests/trt_plugins -k gpu 2>&1 | tee "$out/tests.log" || failed=1
if command -v compute-sanitizer >/dev/null; then
  for tool in memcheck racecheck initcheck synccheck; do
    compute-sanitizer --tool "$tool" --error-exitcode 1 --target-processes all \
      python3 -m pytest -q -p no:cacheprovider tests/trt_plugins \
      -k 'gpu and (equals_the_oracle or partial or muon_without) and not hundred' \
      >"$out/$tool.log" 2>&1 || failed=1
    tail -3 "$out/$tool.log"
  done
fi
python3 tests/trt_plugins/measure.py "$SPATIAL_TTT_KERNELS" 2>&1 | tee "$out/times.log" || failed=1
exit $failed
