// Copyright 2026 spatial_ttt developers
// SPDX-License-Identifier: Apache-2.0
// Momentum, step, decay and row lengths: the end of the update, one warp per row.
#pragma once

#include "workspace.cuh"

namespace spatial_ttt {

constexpr int kRowWarps = 4;

struct RowTensors {
    const float* weight[kMatrices];
    const float* momentum[kMatrices];
    const float* initial[kMatrices];
    const float* step;
    const float* decay;
    const float* frame_valid;
    float* next_weight[kMatrices];
    float* next_momentum[kMatrices];
    const float* gradient;
    const float* kept;
};

// Grid (all heads,): the share of the momentum that stays, the mean gate over real tokens.
static __global__ void kept_kernel(FastShape shape, const float* gate, const float* frame_valid,
                                   float* kept) {
    __shared__ float scratch[kWarp];
    const int head = blockIdx.x, stream = head / shape.sizes.heads, tokens = shape.sizes.tokens;
    float sum = 0.0f;
    for (int token = threadIdx.x; token < tokens; token += blockDim.x) {
        const float mask = shape.token_mask(frame_valid, stream, token);
        const float open = gate[static_cast<int64_t>(head) * tokens + token] * mask;
        sum += mask != 0.0f ? open : 0.0f;
    }
    sum = block_sum(sum, scratch);
    const float count = shape.seen(frame_valid, stream) * (tokens / shape.sizes.frames);
    if (threadIdx.x == 0) {
        kept[head] = sum / (count > 1.0f ? count : 1.0f);
    }
}

// Return the momentum after the chunk at number ``at`` of a matrix of a head.
__device__ inline float moved(const FastShape& shape, const RowTensors& tensors, int which,
                              int head, int64_t at) {
    const int64_t matrix = shape.matrix(), heads = shape.all_heads();
    float sum = 0.0f;
    for (int split = 0; split < shape.splits; ++split) {
        sum +=
            tensors.gradient[((static_cast<int64_t>(split) * kMatrices + which) * heads + head) *
                                 matrix +
                             at];
    }
    if (shape.sizes.rule == SPATIAL_TTT_GD) {
        return sum;
    }
    return sum + tensors.kept[head] * tensors.momentum[which][head * matrix + at];
}

// What a row of a matrix of a head becomes, given the direction of each of its numbers.
struct RowStep {
    const float* weight;
    const float* initial;
    float* next;
    float step, decay;
    int columns;

    __device__ RowStep(const FastShape& shape, const RowTensors& tensors, int which, int head,
                       int row)
        : columns(shape.columns(which)) {
        const int own = head % shape.sizes.heads, stream = head / shape.sizes.heads;
        const int64_t at = static_cast<int64_t>(row) * columns;
        weight = tensors.weight[which] + head * shape.matrix() + at;
        initial = tensors.initial[which] + own * shape.matrix() + at;
        next = tensors.next_weight[which] + head * shape.matrix() + at;
        const float share = shape.seen(tensors.frame_valid, stream) / shape.sizes.frames;
        decay = tensors.decay[own] * share;
        step = tensors.step[own] * (shape.sizes.rule == SPATIAL_TTT_MUON ? share : 1.0f);
    }

    __device__ float stepped(int column, float direction) const {
        const float now = weight[column];
        return now + decay * (initial[column] - now) + step * direction;
    }

    // Write the row, as long as that of the initial weights. ``direction(column)`` must give the
    // same number twice. One warp.
    template <typename Direction>
    __device__ void write(Direction direction) const {
        float want = 0.0f, have = 0.0f;
        for (int c = threadIdx.x % kWarp; c < columns; c += kWarp) {
            const float x = stepped(c, direction(c));
            have += x * x;
            want += initial[c] * initial[c];
        }
        const float scale = sqrtf((warp_sum(want) + 1e-12f) / (warp_sum(have) + 1e-12f));
        for (int c = threadIdx.x % kWarp; c < columns; c += kWarp) {
            next[c] = stepped(c, direction(c)) * scale;
        }
    }
};

// Keep a row of weights and momentum as they are: the chunk had no real frame. One warp.
__device__ inline void keep_row(const FastShape& shape, const RowTensors& tensors, int which,
                                int head, int row) {
    const int columns = shape.columns(which);
    const int64_t at = head * shape.matrix() + static_cast<int64_t>(row) * columns;
    for (int c = threadIdx.x % kWarp; c < columns; c += kWarp) {
        tensors.next_weight[which][at + c] = tensors.weight[which][at + c];
        tensors.next_momentum[which][at + c] = tensors.momentum[which][at + c];
    }
}

// Grid (rows, 3, all heads): gd and momentum, whose direction is the momentum itself.
static __global__ void descend_kernel(FastShape shape, RowTensors tensors) {
    const int which = blockIdx.y, head = blockIdx.z;
    const int row = blockIdx.x * kRowWarps + threadIdx.x / kWarp;
    if (row >= shape.rows(which)) {
        return;  // a whole warp
    }
    if (shape.seen(tensors.frame_valid, head / shape.sizes.heads) <= 0.0f) {
        keep_row(shape, tensors, which, head, row);
        return;
    }
    const int64_t at = static_cast<int64_t>(row) * shape.columns(which);
    float* momentum = tensors.next_momentum[which] + head * shape.matrix() + at;
    for (int c = threadIdx.x % kWarp; c < shape.columns(which); c += kWarp) {
        momentum[c] = moved(shape, tensors, which, head, at + c);
    }
    RowStep(shape, tensors, which, head, row).write([&](int c) { return momentum[c]; });
}

}  // namespace spatial_ttt
