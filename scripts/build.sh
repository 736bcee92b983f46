#!/usr/bin/env bash
# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
# Build the package with colcon into install/. Further arguments go to `colcon build`.
set -eo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh

echo 'building the package with colcon'
colcon --log-level error build --base-paths . --packages-select spatial_ttt --symlink-install \
  --event-handlers console_start_end- "$@" \
  --cmake-args -DBUILD_TESTING=OFF "-DPython3_EXECUTABLE=$VIRTUAL_ENV/bin/python"
touch install/.built
