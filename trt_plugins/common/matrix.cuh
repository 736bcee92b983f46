// Copyright 2026 spatial_ttt developers
// SPDX-License-Identifier: Apache-2.0
// Matrix products on tensor cores, from shared memory, accumulated in float.
//
// half and bfloat: one product of 16-bit numbers. float: three products of numbers rounded to
// TF32, high x high + high x low + low x high, which keeps about 21 bits of a product. Tensor
// cores may cut their sums towards zero instead of rounding them. Over thousands of terms of one
// sign that would cost 6 of those bits, so for float they sum 8 deep only, from zero, and threads
// add these sums, rounded (nvcuda::wmma).
#pragma once

#include <cuda_pipeline.h>
#include <mma.h>

#include <type_traits>

#include "device.cuh"

namespace spatial_ttt {

namespace wmma = nvcuda::wmma;

constexpr int kFragment = 16;  // rows and columns of an accumulator fragment

template <typename T>
struct TensorCore;

template <typename T>
struct NarrowCore {
    static constexpr int kDepth = 16;
    using Number = T;
};
template <>
struct TensorCore<__half> : NarrowCore<__half> {};
template <>
struct TensorCore<__nv_bfloat16> : NarrowCore<__nv_bfloat16> {};
template <>
struct TensorCore<float> {
    static constexpr int kDepth = 8;
    using Number = wmma::precision::tf32;
};

using Accumulator = wmma::fragment<wmma::accumulator, kFragment, kFragment, 16, float>;
using WideAccumulator = wmma::fragment<wmma::accumulator, kFragment, kFragment, 8, float>;

template <typename T>
struct AccumulatorOf {
    using type = Accumulator;
};
template <>
struct AccumulatorOf<float> {
    using type = WideAccumulator;
};
// The accumulator of products of T.
template <typename T>
using Sum = typename AccumulatorOf<T>::type;

// Split x into two fragments of TF32 numbers whose sum is x but for the last bits.
template <typename Fragment>
__device__ void split(const Fragment& x, Fragment& high, Fragment& low) {
    for (int i = 0; i < x.num_elements; ++i) {
        high.x[i] = wmma::__float_to_tf32(x.x[i]);
        low.x[i] = wmma::__float_to_tf32(x.x[i] - high.x[i]);
    }
}

// sums (16 M x 16 N) += A B, by one warp. A (i, k) is a[i * lda + k], or a[k * lda + i] where
// FlipA; B (k, j) is b[k * ldb + j], or b[j * ldb + k] where FlipB. Both in shared memory.
template <typename T, bool FlipA, bool FlipB, int M, int N>
struct WarpProduct {
    static constexpr int kDepth = TensorCore<T>::kDepth;
    using Number = typename TensorCore<T>::Number;
    template <bool Flip>
    using Order = std::conditional_t<Flip, wmma::col_major, wmma::row_major>;
    using A = wmma::fragment<wmma::matrix_a, kFragment, kFragment, kDepth, Number, Order<FlipA>>;
    using B = wmma::fragment<wmma::matrix_b, kFragment, kFragment, kDepth, Number, Order<FlipB>>;

    static __device__ void add(Sum<T> (&sums)[M][N], const T* a, int lda, const T* b, int ldb,
                               int depth) {
        for (int k = 0; k < depth; k += kDepth) {
            step(sums, a + (FlipA ? k * lda : k), lda, b + (FlipB ? k : k * ldb), ldb);
        }
    }

   private:
    static __device__ void step(Sum<T> (&sums)[M][N], const T* a, int lda, const T* b, int ldb) {
        A left[M];
        B right[N];
#pragma unroll
        for (int i = 0; i < M; ++i) {
            wmma::load_matrix_sync(left[i], a + kFragment * i * (FlipA ? 1 : lda), lda);
        }
#pragma unroll
        for (int j = 0; j < N; ++j) {
            wmma::load_matrix_sync(right[j], b + kFragment * j * (FlipB ? ldb : 1), ldb);
        }
        if constexpr (std::is_same_v<T, float>) {
            multiply_split(sums, left, right);
        } else {
            multiply(sums, left, right);
        }
    }

    static __device__ void multiply(Sum<T> (&sums)[M][N], const A (&left)[M],
                                    const B (&right)[N]) {
#pragma unroll
        for (int i = 0; i < M; ++i) {
#pragma unroll
            for (int j = 0; j < N; ++j) {
                wmma::mma_sync(sums[i][j], left[i], right[j], sums[i][j]);
            }
        }
    }

    // sum += (high + low) (right_high + right_low) without low x low, the smaller products first.
    static __device__ void add_split(Sum<T>& sum, const A& high, const A& low,
                                     const B& right_high, const B& right_low) {
        Sum<T> part;
        wmma::fill_fragment(part, 0.0f);
        wmma::mma_sync(part, low, right_high, part);
        wmma::mma_sync(part, high, right_low, part);
        wmma::mma_sync(part, high, right_high, part);
        for (int n = 0; n < sum.num_elements; ++n) {
            sum.x[n] += part.x[n];
        }
    }

    static __device__ void multiply_split(Sum<T> (&sums)[M][N], const A (&left)[M],
                                          const B (&right)[N]) {
        A high[M], low[M];
#pragma unroll
        for (int i = 0; i < M; ++i) {
            split(left[i], high[i], low[i]);
        }
#pragma unroll
        for (int j = 0; j < N; ++j) {
            B right_high, right_low;
            split(right[j], right_high, right_low);
#pragma unroll
            for (int i = 0; i < M; ++i) {
                add_split(sums[i][j], high[i], low[i], right_high, right_low);
            }
        }
    }
};

template <typename Fragment, int M, int N>
__device__ void clear(Fragment (&sums)[M][N]) {
#pragma unroll
    for (int i = 0; i < M; ++i) {
#pragma unroll
        for (int j = 0; j < N; ++j) {
            wmma::fill_fragment(sums[i][j], 0.0f);
        }
    }
}

// Rows x Columns numbers in shared memory, rows padded by 16 bytes against bank conflicts.
template <typename T, int Rows, int Columns>
struct Tile {
    static constexpr int kStride = Columns + 16 / sizeof(T);
    static constexpr int kNumbers = Rows * kStride;

    // Start copying from global memory: row r, column c is source[r * stride + c]; zeros beyond
    // ``rows`` and ``columns``. One-dimensional block; asynchronous, see pipelined.
    static __device__ void fetch(T* shared, const T* source, int64_t stride, int rows,
                                 int columns) {
        constexpr int kVector = 16 / sizeof(T);
        constexpr int kPerRow = Columns / kVector;
        const bool aligned = stride % kVector == 0;
        for (int i = threadIdx.x; i < Rows * kPerRow; i += blockDim.x) {
            const int row = i / kPerRow, column = i % kPerRow * kVector;
            const int left = row < rows ? columns - column : 0;
            const int valid = left < 0 ? 0 : (left < kVector ? left : kVector);
            T* target = shared + row * kStride + column;
            const T* from = valid > 0 ? source + row * stride + column : source;
            if (aligned) {
                copy_async(target, from, valid * static_cast<int>(sizeof(T)));
                continue;
            }
            for (int j = 0; j < kVector; ++j) {
                target[j] = j < valid ? from[j] : from_float<T>(0.0f);
            }
        }
    }
};

constexpr int kStages = 2;  // of tiles in shared memory, of which one is multiplied

// Multiply step by step while later steps are on their way. ``fetch(stage, step)`` starts copies
// with Tile::fetch, ``use(stage)`` reads what arrived. Ends with a barrier; the whole block.
template <typename Fetch, typename Use>
__device__ void pipelined(int steps, Fetch fetch, Use use) {
    constexpr int kAhead = kStages - 1;
    for (int step = 0; step < kAhead; ++step) {
        if (step < steps) {
            fetch(step, step);
        }
        __pipeline_commit();
    }
    for (int step = 0; step < steps; ++step) {
        if (step + kAhead < steps) {
            fetch((step + kAhead) % kStages, step + kAhead);
        }
        __pipeline_commit();
        __pipeline_wait_prior(kAhead);
        __syncthreads();
        use(step % kStages);
        __syncthreads();
    }
    __pipeline_wait_prior(0);
    __syncthreads();
}

// Floats of shared memory that one warp needs to spread a fragment.
constexpr int kSpreadStride = kFragment + 4;
constexpr int kSpread = kFragment * kSpreadStride;

// Hand every number of a warp's fragments to ``put(row, column, number)``. ``scratch``: kSpread
// floats of the warp's own. The order in which a fragment holds its numbers is not documented.
template <typename Fragment, int M, int N, typename Put>
__device__ void spread(const Fragment (&sums)[M][N], float* scratch, Put put) {
#pragma unroll
    for (int i = 0; i < M; ++i) {
#pragma unroll
        for (int j = 0; j < N; ++j) {
            __syncwarp();
            wmma::store_matrix_sync(scratch, sums[i][j], kSpreadStride, wmma::mem_row_major);
            __syncwarp();
            for (int n = threadIdx.x % kWarp; n < kFragment * kFragment; n += kWarp) {
                const int row = n / kFragment, column = n % kFragment;
                put(kFragment * i + row, kFragment * j + column,
                    scratch[row * kSpreadStride + column]);
            }
        }
    }
}

// A block of 2 x 2 warps over a tile of 32 Parts x 32 Parts: where the calling warp's quarter is.
template <int Parts>
struct Quarter {
    static constexpr int kWarps = 4;
    static constexpr int kThreads = kWarps * kWarp;
    static constexpr int kSide = 2 * Parts * kFragment;
    int warp, row, column;

    __device__ Quarter()
        : warp(threadIdx.x / kWarp),
          row(warp / 2 * Parts * kFragment),
          column(warp % 2 * Parts * kFragment) {}

    // The warp's part of shared memory that no tile needs any more, to spread fragments.
    __device__ float* scratch() const {
        return reinterpret_cast<float*>(dynamic_shared()) + warp * kSpread;
    }
};

}  // namespace spatial_ttt
