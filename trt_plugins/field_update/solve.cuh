// Copyright 2026 spatial_ttt developers
// SPDX-License-Identifier: Apache-2.0
// Conjugate gradients on (A + ridge I) W = B with one scalar step for all columns. Scalars stay on
// the device: a kernel leaves partial sums, the next one adds them up in a fixed order.
#pragma once

#include "../common/matrix.cuh"
#include "workspace.cuh"

namespace spatial_ttt {

constexpr float kSmallest = 1e-30f;  // under a division

// A stage of apply_kernel: a tile of A and one of x.
struct ApplyStage {
    using Left = Tile<float, kSide, kSamplesTogether>;
    using Right = Tile<float, kSamplesTogether, kSide>;
    float left[Left::kNumbers];
    float right[Right::kNumbers];

    __device__ void fetch(const FieldShape& shape, const float* curvature, const float* x, int row,
                          int column, int k) {
        const int features = shape.sizes.features, channels = shape.sizes.channels;
        Left::fetch(left, curvature + static_cast<int64_t>(row) * features + k, features,
                    features - row, features - k);
        Right::fetch(right, x + static_cast<int64_t>(k) * channels + column, channels,
                     features - k, channels - column);
    }
};

// Grid (channel tiles, feature tiles): image = (A + ridge I) x, and per block a part of <x,
// image>.
static __global__ void apply_kernel(FieldShape shape, const float* curvature, const float* x,
                                    float* image, float* dots) {
    __shared__ float scratch[kWarp];
    constexpr int kParts = kSide / (2 * kFragment);
    using Left = ApplyStage::Left;
    using Right = ApplyStage::Right;
    auto* stages = reinterpret_cast<ApplyStage*>(dynamic_shared());
    const int first_row = blockIdx.y * kSide, first_column = blockIdx.x * kSide;
    const int features = shape.sizes.features, channels = shape.sizes.channels;
    const Quarter<kParts> quarter;
    Sum<float> sums[kParts][kParts];
    clear(sums);
    pipelined(
        ceil_div(features, kSamplesTogether),
        [&](int stage, int step) {
            stages[stage].fetch(shape, curvature, x, first_row, first_column,
                                step * kSamplesTogether);
        },
        [&](int stage) {
            WarpProduct<float, false, false, kParts, kParts>::add(
                sums, stages[stage].left + quarter.row * Left::kStride, Left::kStride,
                stages[stage].right + quarter.column, Right::kStride, kSamplesTogether);
        });
    float dot = 0.0f;
    spread(sums, quarter.scratch(), [&](int row, int column, float number) {
        row += first_row + quarter.row;
        column += first_column + quarter.column;
        if (row >= features || column >= channels) {
            return;
        }
        const int64_t at = static_cast<int64_t>(row) * channels + column;
        const float result = number + shape.sizes.ridge * x[at];
        image[at] = result;
        dot += x[at] * result;
    });
    dot = block_sum(dot, scratch);
    if (threadIdx.x == 0) {
        dots[blockIdx.y * gridDim.x + blockIdx.x] = dot;
    }
}

struct SolveTensors {
    const float* target;  // B
    const float* weight;  // W before the chunk
    float* next_weight;
    float* residual;
    float* direction;
    const float* image;
    const int* live;
};

// Number of the calling thread, or -1 beyond the last.
__device__ inline int64_t own_number(const FieldShape& shape) {
    const int64_t at = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    return at < shape.numbers() ? at : -1;
}

// Grid (numbers,): residual = direction = B - image of W; per block a part of |residual|^2.
static __global__ void start_kernel(FieldShape shape, SolveTensors solve, float* energies) {
    __shared__ float scratch[kWarp];
    const int64_t at = own_number(shape);
    float residual = 0.0f;
    if (at >= 0) {
        residual = solve.target[at] - solve.image[at];
        solve.residual[at] = residual;
        solve.direction[at] = residual;
        solve.next_weight[at] = solve.weight[at];
    }
    const float energy = block_sum(residual * residual, scratch);
    if (threadIdx.x == 0) {
        energies[blockIdx.x] = energy;
    }
}

// Grid (numbers,): one step along the direction; per block a part of the next |residual|^2.
static __global__ void advance_kernel(FieldShape shape, SolveTensors solve, const float* dots,
                                      const float* energies, float* next_energies) {
    __shared__ float scratch[kWarp];
    const float energy = total_of(energies, shape.element_blocks(), scratch);
    const float dot = total_of(dots, shape.apply_blocks(), scratch);
    const float step = energy / fmaxf(dot, kSmallest);
    const int64_t at = own_number(shape);
    float residual = 0.0f;
    if (at >= 0) {
        residual = solve.residual[at] - step * solve.image[at];
        solve.residual[at] = residual;
        if (*solve.live != 0) {
            solve.next_weight[at] += step * solve.direction[at];
        }
    }
    const float next = block_sum(residual * residual, scratch);
    if (threadIdx.x == 0) {
        next_energies[blockIdx.x] = next;
    }
}

// Grid (numbers,): the next direction.
static __global__ void turn_kernel(FieldShape shape, SolveTensors solve, const float* energies,
                                   const float* next_energies) {
    __shared__ float scratch[kWarp];
    const float energy = total_of(energies, shape.element_blocks(), scratch);
    const float next = total_of(next_energies, shape.element_blocks(), scratch);
    const int64_t at = own_number(shape);
    if (at >= 0) {
        solve.direction[at] =
            solve.residual[at] + next / fmaxf(energy, kSmallest) * solve.direction[at];
    }
}

}  // namespace spatial_ttt
