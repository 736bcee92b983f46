// Copyright 2026 spatial_ttt developers
// SPDX-License-Identifier: Apache-2.0
// What a chunk adds to A and B. The keys phi(p) are made in registers where they are used and
// never lie in global memory.
#pragma once

#include "../common/matrix.cuh"
#include "workspace.cuh"

namespace spatial_ttt {

struct SampleTensors {
    const float* points;
    const float* weights;
    const float* omega;
    const float* fresh;
};

__device__ inline float phase(const float* omega, const float* point) {
    return omega[0] * point[0] + omega[1] * point[1] + omega[2] * point[2];
}

// Grid (samples,), one warp per sample: its weight, less where much is already written.
static __global__ void weigh_kernel(FieldShape shape, SampleTensors samples, const float* target,
                                    float* fresh, int* live) {
    const int sample = blockIdx.x * (blockDim.x / kWarp) + threadIdx.x / kWarp;
    if (sample >= shape.sizes.samples) {
        return;  // a whole warp
    }
    const int lane = threadIdx.x % kWarp, channels = shape.sizes.channels;
    const float weight = samples.weights[sample];
    if (!(weight > 0.0f)) {
        if (lane == 0) {
            fresh[sample] = 0.0f;
        }
        return;
    }
    float mass = 0.0f;
    for (int f = lane; f < shape.half(); f += kWarp) {
        float sine, cosine;
        sincosf(phase(samples.omega + 3 * f, samples.points + 3 * sample), &sine, &cosine);
        mass += cosine * target[static_cast<int64_t>(f) * channels] +
                sine * target[static_cast<int64_t>(shape.half() + f) * channels];
    }
    mass = warp_sum(mass) * rsqrtf(static_cast<float>(shape.half()));
    if (lane == 0) {
        const float factor = 1.0f - mass / shape.sizes.mass_max;
        fresh[sample] = weight * fminf(fmaxf(factor, shape.sizes.weight_min), 1.0f);
        *live = 1;
    }
}

// Shared memory of sums_kernel: keys of the rows times weights; keys or values of the columns.
struct alignas(128) SampleStage {
    using Side = Tile<float, kSamplesTogether, kSide>;
    float left[Side::kNumbers];
    float right[Side::kNumbers];
};

// Write the keys of 32 samples on from ``first`` at the features of a tile to ``plain``, and times
// the samples' weights to ``weighted``, where they are not null. Samples without weight give zeros,
// whatever their points hold.
__device__ inline void make_keys(const FieldShape& shape, const SampleTensors& samples, int tile,
                                 int first, int end, float* weighted, float* plain) {
    const float scale = rsqrtf(static_cast<float>(shape.half()));
    for (int i = threadIdx.x; i < kSamplesTogether * kFrequencies; i += blockDim.x) {
        const int sample = first + i / kFrequencies, place = i % kFrequencies;
        const int frequency = shape.feature(tile, place);
        const float weight = sample < end ? samples.fresh[sample] : 0.0f;
        float sine = 0.0f, cosine = 0.0f;
        if (weight > 0.0f && frequency >= 0) {
            sincosf(phase(samples.omega + 3 * frequency, samples.points + 3 * sample), &sine,
                    &cosine);
        }
        const int own = i / kFrequencies * SampleStage::Side::kStride + place;
        if (weighted != nullptr) {
            weighted[own] = cosine * (scale * weight);
            weighted[own + kFrequencies] = sine * (scale * weight);
        }
        if (plain != nullptr) {
            plain[own] = cosine * scale;
            plain[own + kFrequencies] = sine * scale;
        }
    }
}

// Write the values of 32 samples on from ``first`` at the channels of a tile.
template <typename T>
__device__ void read_values(const FieldShape& shape, const SampleTensors& samples, const T* values,
                            int tile, int first, int end, float* target) {
    for (int i = threadIdx.x; i < kSamplesTogether * kSide; i += blockDim.x) {
        const int sample = first + i / kSide, channel = tile * kSide + i % kSide;
        const bool real =
            sample < end && channel < shape.sizes.channels && samples.fresh[sample] > 0.0f;
        const int64_t at = static_cast<int64_t>(sample) * shape.sizes.channels + channel;
        target[i / kSide * SampleStage::Side::kStride + i % kSide] =
            real ? to_float(values[at]) : 0.0f;
    }
}

// Grid (tiles, splits): sums over the samples of a split of outer products of keys with keys, or
// with values.
template <typename T>
__global__ void sums_kernel(FieldShape shape, SampleTensors samples, const T* values,
                            float* sums) {
    __shared__ SampleStage stage;
    constexpr int kParts = kSide / (2 * kFragment);
    constexpr int kStride = SampleStage::Side::kStride;
    const SumTile tile(shape, blockIdx.x);
    const bool diagonal = !tile.of_target && tile.row == tile.column;
    const int start = blockIdx.y * shape.split_samples();
    const int stop = start + shape.split_samples();
    const int end = stop < shape.sizes.samples ? stop : shape.sizes.samples;
    const Quarter<kParts> quarter;
    Sum<float> parts[kParts][kParts];
    clear(parts);
    for (int first = start; first < end; first += kSamplesTogether) {
        make_keys(shape, samples, tile.row, first, end, stage.left,
                  diagonal ? stage.right : nullptr);
        if (tile.of_target) {
            read_values(shape, samples, values, tile.column, first, end, stage.right);
        } else if (!diagonal) {
            make_keys(shape, samples, tile.column, first, end, nullptr, stage.right);
        }
        __syncthreads();
        WarpProduct<float, true, false, kParts, kParts>::add(parts, stage.left + quarter.row,
                                                             kStride, stage.right + quarter.column,
                                                             kStride, kSamplesTogether);
        __syncthreads();
    }
    float* own =
        sums + (static_cast<int64_t>(blockIdx.y) * shape.tiles() + blockIdx.x) * (kSide * kSide);
    for (int i = 0; i < kParts; ++i) {
        for (int j = 0; j < kParts; ++j) {
            wmma::store_matrix_sync(
                own + (quarter.row + kFragment * i) * kSide + quarter.column + kFragment * j,
                parts[i][j], kSide, wmma::mem_row_major);
        }
    }
}

struct FieldMatrices {
    const float* curvature;
    const float* target;
    float* next_curvature;
    float* next_target;
};

// Write one number of next A, and its mirror image, which keeps A symmetric to the bit.
__device__ inline void merge_curvature(const FieldShape& shape, const FieldMatrices& field,
                                       const SumTile& tile, int row, int column, float sum,
                                       bool live) {
    const int i = shape.feature(tile.row, row), j = shape.feature(tile.column, column);
    if (i < 0 || j < 0 || (tile.row == tile.column && row > column)) {
        return;
    }
    const int64_t at = static_cast<int64_t>(i) * shape.sizes.features + j;
    const int64_t mirrored = static_cast<int64_t>(j) * shape.sizes.features + i;
    const float here = field.curvature[at], there = field.curvature[mirrored];
    const float next = shape.sizes.decay * here + sum;
    field.next_curvature[at] = live ? next : here;
    field.next_curvature[mirrored] = live ? next : there;
}

// Grid (tiles,): next A and B. Without a live sample both stay as they are, to the bit.
static __global__ void merge_kernel(FieldShape shape, FieldMatrices field, const float* sums,
                                    const int* live) {
    const SumTile tile(shape, blockIdx.x);
    for (int n = threadIdx.x; n < kSide * kSide; n += blockDim.x) {
        float sum = 0.0f;
        for (int split = 0; split < shape.splits; ++split) {
            sum +=
                sums[(static_cast<int64_t>(split) * shape.tiles() + blockIdx.x) * (kSide * kSide) +
                     n];
        }
        const int row = n / kSide, column = n % kSide;
        if (!tile.of_target) {
            merge_curvature(shape, field, tile, row, column, sum, *live != 0);
            continue;
        }
        const int i = shape.feature(tile.row, row), channel = tile.column * kSide + column;
        if (i < 0 || channel >= shape.sizes.channels) {
            continue;
        }
        const int64_t at = static_cast<int64_t>(i) * shape.sizes.channels + channel;
        const float here = field.target[at];
        field.next_target[at] = *live != 0 ? shape.sizes.decay * here + sum : here;
    }
}

}  // namespace spatial_ttt
