#!/usr/bin/env bash
# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
# All checks: every tier of tests; beside them lint, import contracts, types. Arguments go to pytest.
set -eo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh

failed=0
# Lint needs one core for a while and runs beside the tests; what it says is shown after them.
said=$(mktemp)
scripts/lint.sh >"$said" 2>&1 &
lint=$!
trap 'kill $lint 2>/dev/null || true; rm -f "$said"' EXIT

# What the set-up provides must not be skipped silently: such a skip is a failure.
export SPATIAL_TTT_REQUIRE=${SPATIAL_TTT_REQUIRE-ort,torch,ros}
# One more than there are cores: tests over DDS mostly wait. (nproc heeds OMP_NUM_THREADS.)
processes=$(($(nproc) + 1))
# Tests share the cores as processes; threads of libraries beside them spin and take three times as long.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 OPENCV_FOR_THREADS_NUM=1
python -m pytest --numprocesses $processes --maxprocesses 4 --dist loadgroup "$@" || failed=1
wait $lint || failed=1
cat "$said"
[ $failed = 0 ] || echo 'test: a check failed, see above' >&2
exit $failed
