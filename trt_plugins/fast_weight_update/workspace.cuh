// Copyright 2026 spatial_ttt developers
// SPDX-License-Identifier: Apache-2.0
// Sizes that several kernels share, and where their intermediate results lie.
#pragma once

#include "../common/device.cuh"
#include "launcher.h"

namespace spatial_ttt {

constexpr int kMatrices = 3;
constexpr int kTile = 64;            // rows and columns of an output tile of small matrices
constexpr int kTokensTogether = 32;  // depth of one step of a product over tokens

// What one call works on; passed to kernels by value.
struct FastShape {
    SpatialTttFastSizes sizes;
    int splits;  // parts of the tokens whose gradients are summed apart, then in order

    __host__ __device__ explicit FastShape(const SpatialTttFastSizes& s) : sizes(s) {
        // Small heads do not fill a GPU by their tiles alone.
        constexpr int kBlocksWanted = 256, kMostSplits = 16;
        const int blocks =
            kMatrices * all_heads() * ceil_div(s.inner, kTile) * ceil_div(s.width, kTile);
        const int wanted = ceil_div(kBlocksWanted, blocks);
        const int possible = ceil_div(s.tokens, 2 * kTokensTogether);
        splits = wanted < possible ? wanted : possible;
        splits = splits < kMostSplits ? splits : kMostSplits;
    }

    __host__ __device__ int all_heads() const { return sizes.batch * sizes.heads; }
    // Numbers of one matrix of one head.
    __host__ __device__ int64_t matrix() const {
        return static_cast<int64_t>(sizes.inner) * sizes.width;
    }
    __host__ __device__ int rows(int which) const {
        return which == 1 ? sizes.width : sizes.inner;
    }
    __host__ __device__ int columns(int which) const {
        return which == 1 ? sizes.inner : sizes.width;
    }
    __host__ __device__ int small() const {
        return sizes.inner < sizes.width ? sizes.inner : sizes.width;
    }
    __host__ __device__ int large() const {
        return sizes.inner < sizes.width ? sizes.width : sizes.inner;
    }
    // Tokens of a split, a multiple of the step.
    __host__ __device__ int split_tokens() const {
        return round_up(ceil_div(sizes.tokens, splits), kTokensTogether);
    }

    // Real frames of a stream.
    __device__ float seen(const float* frame_valid, int stream) const {
        float count = 0.0f;
        for (int f = 0; f < sizes.frames; ++f) {
            count += frame_valid[stream * sizes.frames + f];
        }
        return count;
    }
    // Tokens up to the last real frame of a stream; what lies behind is never read.
    __device__ int real_tokens(const float* frame_valid, int stream) const {
        int last = 0;
        for (int f = 0; f < sizes.frames; ++f) {
            last = frame_valid[stream * sizes.frames + f] != 0.0f ? f + 1 : last;
        }
        return last * (sizes.tokens / sizes.frames);
    }
    __device__ float token_mask(const float* frame_valid, int stream, int token) const {
        return frame_valid[stream * sizes.frames + token / (sizes.tokens / sizes.frames)];
    }
};

inline size_t bytes_of(int32_t type) { return type == SPATIAL_TTT_FLOAT ? 4 : 2; }

// Places in the workspace. An operand that already has the type of the products has no copy.
struct FastWorkspace {
    char* key;
    char* value;
    char* weight[kMatrices];
    char* product[kMatrices];  // (all heads, N, m), by which keys and values are multiplied
    float* gradient;           // (splits, 3, all heads, matrix)
    float* kept;               // (all heads,), the share of the momentum
    char* direction[2];        // Muon: (3, all heads, small, large), before and after a step
    char* gram;                // Muon: (3, all heads, small, small)
    char* polynomial;          // Muon: alike
    float* norm;               // Muon: (3, all heads), one over the Frobenius norm
    float* squares;            // Muon: (3, all heads, large), of the rows
    size_t bytes;

    FastWorkspace(const FastShape& shape, void* base) {
        const SpatialTttFastSizes& s = shape.sizes;
        const size_t number = bytes_of(s.products), heads = shape.all_heads();
        const size_t tokens = heads * s.tokens;
        const bool narrower = s.type != s.products, muon = s.rule == SPATIAL_TTT_MUON;
        char* start = static_cast<char*>(base);
        char* next = start;
        auto take = [&next](size_t size) {
            char* own = next;
            next += round_up<size_t>(size, 256);
            return own;
        };
        key = take(narrower ? tokens * s.width * number : 0);
        value = take(narrower ? tokens * s.width * number : 0);
        for (auto& w : weight) {
            w = take(s.products != SPATIAL_TTT_FLOAT ? heads * shape.matrix() * number : 0);
        }
        for (auto& p : product) {
            p = take(tokens * s.inner * number);
        }
        auto floats = [&take](size_t count) {
            return reinterpret_cast<float*>(take(count * sizeof(float)));
        };
        gradient = floats(shape.splits * kMatrices * heads * shape.matrix());
        kept = floats(heads);
        const size_t matrices = muon ? kMatrices * heads : 0;
        for (auto& d : direction) {
            d = take(matrices * shape.matrix() * number);
        }
        gram = take(matrices * shape.small() * shape.small() * number);
        polynomial = take(matrices * shape.small() * shape.small() * number);
        norm = floats(matrices);
        squares = floats(matrices * shape.large());
        bytes = next - start;
    }
};

}  // namespace spatial_ttt
