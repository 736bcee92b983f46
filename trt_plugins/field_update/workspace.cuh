// Copyright 2026 spatial_ttt developers
// SPDX-License-Identifier: Apache-2.0
// Tiles of a field, and where intermediate results lie.
#pragma once

#include "../common/device.cuh"
#include "launcher.h"

namespace spatial_ttt {

constexpr int kSide = 64;                // features or channels of a tile
constexpr int kFrequencies = kSide / 2;  // of a tile: each gives a cosine and a sine
constexpr int kSamplesTogether = 32;     // depth of one step of a product over samples
constexpr int kElementThreads = 256;

// What one call works on; passed to kernels by value. The tiles of a chunk's sums are those of A
// on and above the diagonal, row by row, then those of B.
struct FieldShape {
    SpatialTttFieldSizes sizes;
    int feature_tiles;
    int channel_tiles;
    int splits;  // parts of the samples that are summed apart, then in order

    __host__ __device__ explicit FieldShape(const SpatialTttFieldSizes& s)
        : sizes(s),
          feature_tiles(ceil_div(s.features, kSide)),
          channel_tiles(ceil_div(s.channels, kSide)) {
        // A small field does not fill a GPU by its tiles alone.
        constexpr int kBlocksWanted = 256, kMostSplits = 32;
        const int wanted = ceil_div(kBlocksWanted, tiles());
        const int possible = ceil_div(s.samples, 2 * kSamplesTogether);
        splits = wanted < possible ? wanted : possible;
        splits = splits < kMostSplits ? splits : kMostSplits;
        splits = splits > 1 ? splits : 1;
    }

    __host__ __device__ int curvature_tiles() const {
        return feature_tiles * (feature_tiles + 1) / 2;
    }
    __host__ __device__ int tiles() const {
        return curvature_tiles() + feature_tiles * channel_tiles;
    }
    __host__ __device__ int half() const { return sizes.features / 2; }
    __host__ __device__ int64_t numbers() const {
        return static_cast<int64_t>(sizes.features) * sizes.channels;
    }
    // Samples of a split, a multiple of the step.
    __host__ __device__ int split_samples() const {
        return round_up(ceil_div(sizes.samples, splits), kSamplesTogether);
    }
    // Blocks of kernels over numbers(), and of apply_kernel.
    __host__ __device__ int element_blocks() const {
        return static_cast<int>(ceil_div<int64_t>(numbers(), kElementThreads));
    }
    __host__ __device__ int apply_blocks() const { return feature_tiles * channel_tiles; }

    // Number of the feature at place 0..63 of a tile: cosines, then sines of its frequencies; -1
    // where there is none. So one sine-cosine serves two features.
    __host__ __device__ int feature(int tile, int place) const {
        const int frequency = tile * kFrequencies + place % kFrequencies;
        if (frequency >= half()) {
            return -1;
        }
        return place < kFrequencies ? frequency : half() + frequency;
    }
};

// A tile of the chunk's sums: of A, or of B where ``column`` counts tiles of channels.
struct SumTile {
    int row, column;
    bool of_target;

    __device__ SumTile(const FieldShape& shape, int number)
        : row(0), column(0), of_target(number >= shape.curvature_tiles()) {
        if (of_target) {
            number -= shape.curvature_tiles();
            row = number / shape.channel_tiles;
            column = number % shape.channel_tiles;
            return;
        }
        while (number >= shape.feature_tiles - row) {
            number -= shape.feature_tiles - row;
            ++row;
        }
        column = row + number;
    }
};

// Places in the workspace.
struct FieldWorkspace {
    int* live;           // whether a sample has weight
    float* fresh;        // (N,), weights less what is already written there
    float* sums;         // (splits, tiles, 64, 64)
    float* residual;     // (D, C)
    float* direction;    // (D, C)
    float* image;        // (D, C), of the direction
    float* dots;         // partial <direction, image>
    float* energies[2];  // partial |residual|^2, before and after a step
    size_t bytes;

    FieldWorkspace(const FieldShape& shape, void* base) {
        char* start = static_cast<char*>(base);
        char* next = start;
        auto floats = [&next](size_t count) {
            char* own = next;
            next += round_up<size_t>(count * sizeof(float), 256);
            return reinterpret_cast<float*>(own);
        };
        live = reinterpret_cast<int*>(floats(1));
        fresh = floats(shape.sizes.samples);
        sums = floats(static_cast<size_t>(shape.splits) * shape.tiles() * kSide * kSide);
        residual = floats(shape.numbers());
        direction = floats(shape.numbers());
        image = floats(shape.numbers());
        dots = floats(shape.apply_blocks());
        for (auto& e : energies) {
            e = floats(shape.element_blocks());
        }
        bytes = next - start;
    }
};

}  // namespace spatial_ttt
