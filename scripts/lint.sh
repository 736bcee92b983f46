#!/usr/bin/env bash
# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
# The checks that run nothing of the package. All of them run; any failure fails the script.
set -eo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh

failed=0
ruff check . || failed=1
ruff format --check . || failed=1
lint-imports --no-logo || failed=1
mypy || failed=1
exit $failed
