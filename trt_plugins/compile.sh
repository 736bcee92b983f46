#!/usr/bin/env bash
# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
# Compile the kernels for all architectures into build/trt_plugins, on a machine without CUDA too:
# then with the compiler of PyPI's wheels. Arguments go to CMake, as -DCMAKE_CUDA_ARCHITECTURES=90.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! command -v nvcc >/dev/null; then
  wheels=$PWD/build/cuda_compiler
  if ! [ -x "$wheels/nvidia/cu13/bin/nvcc" ]; then
    echo 'compile: installing the CUDA compiler from wheels into build/cuda_compiler'
    "${PYTHON:-python3}" -m pip install --quiet --disable-pip-version-check --no-deps \
      --target "$wheels" --requirement trt_plugins/requirements.txt
  fi
  export PATH=$wheels/nvidia/cu13/bin:$PATH
  # The wheels keep libraries in lib, where their compiler looks in lib64.
  export LIBRARY_PATH=$wheels/nvidia/cu13/lib${LIBRARY_PATH:+:$LIBRARY_PATH}
fi
cmake -S trt_plugins -B build/trt_plugins -DCMAKE_BUILD_TYPE=Release "$@"
cmake --build build/trt_plugins --parallel "$(nproc)"
