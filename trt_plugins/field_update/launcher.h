// Copyright 2026 spatial_ttt developers
// SPDX-License-Identifier: Apache-2.0
// One chunk of samples into a spatial field; see README.md.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

#include "../common/types.h"

struct SpatialTttFieldSizes {
    int32_t features;  // D, even
    int32_t channels;  // C
    int32_t samples;   // N, may be 0
    int32_t steps;     // K, conjugate-gradient steps
    int32_t type;      // SpatialTttType of values
    float ridge;       // lambda, in units of sample weight
    float decay;       // gamma per chunk
    float mass_max;    // written mass at which new samples reach their smallest weight
    float weight_min;  // that smallest factor
};

// Device pointers, dense and row-major, each to a multiple of 16 bytes.
struct SpatialTttFieldTensors {
    const float* curvature;  // A (D, D), symmetric
    const float* target;     // B (D, C); column 0 is the written mass
    const float* weight;     // W (D, C)
    const float* points;     // (N, 3) m
    const void* values;      // (N, C)
    const float* weights;    // (N,) at least 0; 0 means the sample does not exist
    const float* omega;      // (D / 2, 3) rad/m
    float* next_curvature;   // each may be the buffer it replaces
    float* next_target;
    float* next_weight;
    void* workspace;
};

// Return why these sizes are not taken, as a sentence; null where they are.
SPATIAL_TTT_API const char* spatial_ttt_field_refusal(const SpatialTttFieldSizes* sizes);

// Return the bytes of workspace, which grow with samples; 0 where the sizes are refused.
SPATIAL_TTT_API size_t spatial_ttt_field_workspace(const SpatialTttFieldSizes* sizes);

// Enqueue the operator. cudaErrorInvalidValue where the sizes are refused.
SPATIAL_TTT_API cudaError_t spatial_ttt_field(const SpatialTttFieldSizes* sizes,
                                              const SpatialTttFieldTensors* tensors,
                                              cudaStream_t stream);
