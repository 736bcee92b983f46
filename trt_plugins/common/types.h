// Copyright 2026 spatial_ttt developers
// SPDX-License-Identifier: Apache-2.0
// What every launcher's C interface shares. No TensorRT type appears in it.
#pragma once

#include <cstdint>

// Storage types of the tensors that may be narrower than float; state is always float.
enum SpatialTttType : int32_t {
    SPATIAL_TTT_FLOAT = 0,
    SPATIAL_TTT_HALF = 1,
    SPATIAL_TTT_BFLOAT = 2,
};

// Functions that other languages load by name.
#define SPATIAL_TTT_API extern "C" __attribute__((visibility("default")))
