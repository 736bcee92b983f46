// Copyright 2026 spatial_ttt developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "emulator.h"

inline void __pipeline_commit() { emulator::commit_copies(); }
inline void __pipeline_wait_prior(int pending) { emulator::wait_for_copies(pending); }
