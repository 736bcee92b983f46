#!/usr/bin/env bash
# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
# All checks: lint, import contracts, types, then every tier of tests. Arguments go to pytest.
set -eo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh

failed=0
scripts/lint.sh || failed=1

# What the set-up provides must not be skipped silently: such a skip is a failure.
export SPATIAL_TTT_REQUIRE=${SPATIAL_TTT_REQUIRE-ort,torch,ros}
# Tests share the cores as processes; threads of libraries beside them spin and take three times as long.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# One more than there are cores: tests over DDS mostly wait.
python -m pytest --numprocesses $(($(nproc) + 1)) --maxprocesses 4 --dist loadgroup "$@" || failed=1
[ $failed = 0 ] || echo 'test: a check failed, see above' >&2
exit $failed
