// Copyright 2026 spatial_ttt developers
// SPDX-License-Identifier: Apache-2.0
// Fragments whose numbers all live in lane 0, in rows; the other lanes hold and do nothing.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cuda_bf16.h"
#include "cuda_fp16.h"
#include "emulator.h"

namespace nvcuda::wmma {

struct matrix_a {};
struct matrix_b {};
struct accumulator {};
struct row_major {};
struct col_major {};
enum layout_t { mem_row_major, mem_col_major };
namespace precision {
struct tf32 {};
}  // namespace precision

inline float to_float(float x) { return x; }
inline float to_float(__half x) { return __half2float(x); }
inline float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }

// To nearest, ties away from zero, as the instruction cvt.rna.tf32.f32 does.
inline float __float_to_tf32(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    if (std::isnan(x)) return x;
    bits = (bits + 0x1000) & ~0x1fffu;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}

template <typename Use, int M, int N, int K, typename Number, typename Layout = void>
struct fragment {
    static constexpr int kRows = std::is_same_v<Use, matrix_b> ? K : M;
    static constexpr int kColumns = std::is_same_v<Use, matrix_a> ? K : N;
    static constexpr int num_elements = kRows * kColumns;
    using Element = std::conditional_t<std::is_same_v<Number, precision::tf32>, float, Number>;
    Element x[num_elements];
};

template <typename Fragment>
void fill_fragment(Fragment& f, float value) {
    for (auto& x : f.x) x = value;
}

template <typename Fragment, typename T>
void load(Fragment& f, const T* source, unsigned stride, bool flip) {
    if (emulator::lane() != 0) return;
    for (int i = 0; i < Fragment::kRows; ++i) {
        for (int j = 0; j < Fragment::kColumns; ++j) {
            f.x[i * Fragment::kColumns + j] = source[flip ? j * stride + i : i * stride + j];
        }
    }
}

template <typename Use, int M, int N, int K, typename Number, typename Layout, typename T>
void load_matrix_sync(fragment<Use, M, N, K, Number, Layout>& f, const T* source,
                      unsigned stride) {
    if (reinterpret_cast<uintptr_t>(source) % 32 || stride * sizeof(T) % 16) std::abort();
    load(f, source, stride, std::is_same_v<Layout, col_major>);
}

template <typename Fragment>
void load_matrix_sync(Fragment& f, const float* source, unsigned stride, layout_t layout) {
    if (reinterpret_cast<uintptr_t>(source) % 32 || stride % 4) std::abort();
    load(f, source, stride, layout == mem_col_major);
}

template <typename Fragment>
void store_matrix_sync(float* target, const Fragment& f, unsigned stride, layout_t layout) {
    if (reinterpret_cast<uintptr_t>(target) % 32 || stride % 4) std::abort();
    if (emulator::lane() != 0) return;
    for (int i = 0; i < Fragment::kRows; ++i) {
        for (int j = 0; j < Fragment::kColumns; ++j) {
            target[layout == mem_col_major ? j * stride + i : i * stride + j] =
                f.x[i * Fragment::kColumns + j];
        }
    }
}

// The float next to x on the side of zero, as tensor cores cut sums.
inline float cut(double x) {
    const float near = static_cast<float>(x);
    return std::abs(static_cast<double>(near)) > std::abs(x) ? std::nextafter(near, 0.0f) : near;
}

template <typename Sum, typename A, typename B>
void mma_sync(Sum& sum, const A& a, const B& b, const Sum& start) {
    if (emulator::lane() != 0) return;
    for (int i = 0; i < A::kRows; ++i) {
        double row[B::kColumns];
        for (int j = 0; j < B::kColumns; ++j) row[j] = start.x[i * B::kColumns + j];
        for (int k = 0; k < A::kColumns; ++k) {
            const double left = to_float(a.x[i * A::kColumns + k]);
            for (int j = 0; j < B::kColumns; ++j) {
                row[j] += left * to_float(b.x[k * B::kColumns + j]);
            }
        }
        for (int j = 0; j < B::kColumns; ++j) sum.x[i * B::kColumns + j] = cut(row[j]);
    }
}

}  // namespace nvcuda::wmma
