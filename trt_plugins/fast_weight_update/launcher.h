// Copyright 2026 spatial_ttt developers
// SPDX-License-Identifier: Apache-2.0
// One chunk into the fast weights of every head; see README.md.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

#include "../common/types.h"

enum SpatialTttRule : int32_t {
    SPATIAL_TTT_GD = 0,
    SPATIAL_TTT_MOMENTUM = 1,
    SPATIAL_TTT_MUON = 2,
};

struct SpatialTttFastSizes {
    int32_t batch;
    int32_t heads;
    int32_t inner;     // m
    int32_t width;     // e
    int32_t tokens;    // N, a multiple of frames
    int32_t frames;    // F
    int32_t rule;      // SpatialTttRule
    int32_t type;      // SpatialTttType of key and value
    int32_t products;  // SpatialTttType in which matrices are multiplied; sums are float
};

// Device pointers, dense and row-major, each to a multiple of 16 bytes. Matrices 0 and 2 are
// (batch, heads, m, e), matrix 1 is (batch, heads, e, m); initial weights have no batch.
struct SpatialTttFastTensors {
    const float* weight[3];
    const float* momentum[3];
    const float* initial[3];
    const void* key;           // (batch, heads, N, e)
    const void* value;         // (batch, heads, N, e)
    const float* rates;        // (batch, heads, N, 3)
    const float* gate;         // (batch, heads, N), 0..1
    const float* step;         // (heads,)
    const float* decay;        // (heads,) per chunk
    const float* frame_valid;  // (batch, F), 1 for a frame, then 0 for padding
    float* next_weight[3];     // may be the buffers of weight
    float* next_momentum[3];   // may be the buffers of momentum
    void* workspace;
};

// Return why these sizes are not taken, as a sentence; null where they are.
SPATIAL_TTT_API const char* spatial_ttt_fast_refusal(const SpatialTttFastSizes* sizes);

// Return the bytes of workspace; 0 where the sizes are refused.
SPATIAL_TTT_API size_t spatial_ttt_fast_workspace(const SpatialTttFastSizes* sizes);

// Enqueue the operator. cudaErrorInvalidValue where the sizes are refused.
SPATIAL_TTT_API cudaError_t spatial_ttt_fast(const SpatialTttFastSizes* sizes,
                                             const SpatialTttFastTensors* tensors,
                                             cudaStream_t stream);
