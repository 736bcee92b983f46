// Copyright 2026 spatial_ttt developers
// SPDX-License-Identifier: Apache-2.0
// Causal depthwise 3x3x3 convolution of q, k, v with SiLU and unit length; see README.md.
#pragma once

#include <cuda_runtime_api.h>

#include "../common/types.h"

struct SpatialTttConvSizes {
    int32_t batch;
    int32_t frames;
    int32_t rows;  // of the grid of tokens of a frame
    int32_t columns;
    int32_t heads;
    int32_t width;  // channels of a head
    int32_t type;   // SpatialTttType of tokens, query, key and value
};

// Device pointers, dense and row-major, each to a multiple of 16 bytes.
struct SpatialTttConvTensors {
    const void* tokens;        // (batch, frames, rows columns, 3 heads width)
    const float* tail;         // (batch, 2, rows columns, 3 heads width)
    const float* frame_valid;  // (batch, frames), 1 for a frame, then 0 for padding
    const float* kernel;       // (3, 3 heads width, 1, 3, 3), oldest frame first
    const float* bias;         // (3 heads width,)
    void* query;               // (batch, heads, frames rows columns, width)
    void* key;
    void* value;
    float* next_tail;  // like tail, and another buffer
};

// Return why these sizes are not taken, as a sentence; null where they are.
SPATIAL_TTT_API const char* spatial_ttt_conv_refusal(const SpatialTttConvSizes* sizes);

// Enqueue the operator. cudaErrorInvalidValue where the sizes are refused.
SPATIAL_TTT_API cudaError_t spatial_ttt_conv(const SpatialTttConvSizes* sizes,
                                             const SpatialTttConvTensors* tensors,
                                             cudaStream_t stream);
