// Copyright 2026 spatial_ttt developers
// SPDX-License-Identifier: Apache-2.0
// Muon: five Newton-Schulz steps X <- a X + (b G + c G G) X, G = X X', bring the singular values
// of the momentum near 1. X lies with its smaller side down, so G is as small as it can be.
//
// orthogonal_kernel does all of it for one matrix in shared memory. Where that is too small, the
// kernels below it do the same with X and G in global memory.
#pragma once

#include "../common/matrix.cuh"
#include "rows.cuh"

namespace spatial_ttt {

constexpr int kSteps = 5;
// Coefficients a, b, c (LaCT), as in memory/oracle_layers.py.
struct Quintic {
    float a, b, c;
};
__host__ __device__ inline Quintic quintic(int step) {
    switch (step) {
        case 0:
            return {4.0848f, -6.8946f, 2.9270f};
        case 1:
            return {3.9505f, -6.3029f, 2.6377f};
        case 2:
            return {3.7418f, -5.5913f, 2.3037f};
        case 3:
            return {2.8769f, -3.1427f, 1.2046f};
        default:
            return {2.8366f, -3.0525f, 1.2012f};
    }
}

// Return one over the Frobenius norm, given its square.
__device__ inline float inverse_norm(float squares) {
    return 1.0f / (sqrtf(squares + 1e-14f) + 1e-7f);
}

// Number (i, j) of X of a matrix, as an index into the matrix.
__device__ inline int64_t natural(const FastShape& shape, int which, int i, int j) {
    const bool wide = shape.rows(which) <= shape.columns(which);
    const int columns = shape.columns(which);
    return wide ? static_cast<int64_t>(i) * columns + j : static_cast<int64_t>(j) * columns + i;
}

constexpr int kOrthogonalWarps = 8;
constexpr int kMostSmall = 128;  // of a matrix in shared memory, as registers hold all of G

// X (small x large) and G (small x small) in shared memory, padded to whole fragments.
struct SharedMatrices {
    int small, large, x_stride, gram_stride;

    __host__ __device__ explicit SharedMatrices(const FastShape& shape)
        : small(round_up(shape.small(), kFragment)), large(round_up(shape.large(), kFragment)) {
        x_stride = large + 4;
        gram_stride = small + 4;
    }
    __host__ __device__ int numbers() const { return small * (x_stride + gram_stride); }
};

// One step on X in shared memory by the whole block. Ends with a barrier.
class SharedStep {
   public:
    __device__ SharedStep(const SharedMatrices& sizes, float* x)
        : sizes_(sizes), x_(x), gram_(x + sizes.small * sizes.x_stride) {}

    __device__ void run(const Quintic& q) {
        square();
        polynomial(q);
        apply(q.a);
    }

   private:
    static constexpr int kMostParts = kMostSmall / kFragment;
    static constexpr int kMostTiles = kMostParts * kMostParts / kOrthogonalWarps;

    __device__ int warp() const { return threadIdx.x / kWarp; }
    __device__ float* gram_tile(int tile) const {
        const int across = sizes_.small / kFragment;
        return gram_ + tile / across * kFragment * sizes_.gram_stride + tile % across * kFragment;
    }

    // G = X X'.
    __device__ void square() {
        const int across = sizes_.small / kFragment;
        for (int tile = warp(); tile < across * across; tile += kOrthogonalWarps) {
            Sum<float> sums[1][1];
            clear(sums);
            WarpProduct<float, false, true, 1, 1>::add(
                sums, x_ + tile / across * kFragment * sizes_.x_stride, sizes_.x_stride,
                x_ + tile % across * kFragment * sizes_.x_stride, sizes_.x_stride, sizes_.large);
            wmma::store_matrix_sync(gram_tile(tile), sums[0][0], sizes_.gram_stride,
                                    wmma::mem_row_major);
        }
        __syncthreads();
    }

    // G <- b G + c G G, in place: every warp holds its tiles in registers until all have read.
    __device__ void polynomial(const Quintic& q) {
        const int across = sizes_.small / kFragment;
        Sum<float> sums[kMostTiles][1][1];
#pragma unroll
        for (int own = 0; own < kMostTiles; ++own) {
            const int tile = warp() + own * kOrthogonalWarps;
            if (tile < across * across) {
                clear(sums[own]);
                WarpProduct<float, false, false, 1, 1>::add(
                    sums[own], gram_ + tile / across * kFragment * sizes_.gram_stride,
                    sizes_.gram_stride, gram_ + tile % across * kFragment, sizes_.gram_stride,
                    sizes_.small);
                combine(sums[own][0][0], q.c, gram_tile(tile), sizes_.gram_stride, q.b);
            }
        }
        __syncthreads();
#pragma unroll
        for (int own = 0; own < kMostTiles; ++own) {
            const int tile = warp() + own * kOrthogonalWarps;
            if (tile < across * across) {
                wmma::store_matrix_sync(gram_tile(tile), sums[own][0][0], sizes_.gram_stride,
                                        wmma::mem_row_major);
            }
        }
        __syncthreads();
    }

    // X <- a X + G X, in place: a warp owns 16 columns, which no other warp reads.
    __device__ void apply(float a) {
        const int parts = sizes_.small / kFragment;
        for (int panel = warp(); panel < sizes_.large / kFragment; panel += kOrthogonalWarps) {
            float* columns = x_ + panel * kFragment;
            Sum<float> sums[kMostParts][1][1];
#pragma unroll
            for (int i = 0; i < kMostParts; ++i) {
                if (i < parts) {
                    clear(sums[i]);
                    WarpProduct<float, false, false, 1, 1>::add(
                        sums[i], gram_ + i * kFragment * sizes_.gram_stride, sizes_.gram_stride,
                        columns, sizes_.x_stride, sizes_.small);
                    combine(sums[i][0][0], 1.0f, columns + i * kFragment * sizes_.x_stride,
                            sizes_.x_stride, a);
                }
            }
            __syncwarp();
#pragma unroll
            for (int i = 0; i < kMostParts; ++i) {
                if (i < parts) {
                    wmma::store_matrix_sync(columns + i * kFragment * sizes_.x_stride,
                                            sums[i][0][0], sizes_.x_stride, wmma::mem_row_major);
                }
            }
        }
        __syncthreads();
    }

    // sums <- scale sums + other_scale other.
    static __device__ void combine(Sum<float>& sums, float scale, const float* other, int stride,
                                   float other_scale) {
        Sum<float> more;
        wmma::load_matrix_sync(more, other, stride, wmma::mem_row_major);
        for (int i = 0; i < sums.num_elements; ++i) {
            sums.x[i] = scale * sums.x[i] + other_scale * more.x[i];
        }
    }

    SharedMatrices sizes_;
    float* x_;
    float* gram_;
};

// Grid (3, all heads), one block per matrix: momentum, orthogonalisation, step, row lengths.
static __global__ void orthogonal_kernel(FastShape shape, RowTensors tensors) {
    __shared__ float scratch[kWarp];
    const int which = blockIdx.x, head = blockIdx.y, warp = threadIdx.x / kWarp;
    if (shape.seen(tensors.frame_valid, head / shape.sizes.heads) <= 0.0f) {
        for (int row = warp; row < shape.rows(which); row += kOrthogonalWarps) {
            keep_row(shape, tensors, which, head, row);
        }
        return;  // the whole block
    }
    const SharedMatrices sizes(shape);
    float* x = reinterpret_cast<float*>(dynamic_shared());
    const int padded = sizes.small * sizes.large, threads = blockDim.x;
    const bool wide = shape.rows(which) <= shape.columns(which);
    float squares = 0.0f;
    for (int n = threadIdx.x; n < padded; n += threads) {
        // Neighbouring threads read neighbouring numbers of the matrix as it is stored.
        const int i = wide ? n / sizes.large : n % sizes.small;
        const int j = wide ? n % sizes.large : n / sizes.small;
        float number = 0.0f;
        if (i < shape.small() && j < shape.large()) {
            const int64_t at = natural(shape, which, i, j);
            number = moved(shape, tensors, which, head, at);
            tensors.next_momentum[which][head * shape.matrix() + at] = number;
        }
        x[i * sizes.x_stride + j] = number;
        squares += number * number;
    }
    const float scale = inverse_norm(block_sum(squares, scratch));
    for (int n = threadIdx.x; n < padded; n += threads) {
        x[n / sizes.large * sizes.x_stride + n % sizes.large] *= scale;
    }
    __syncthreads();
    SharedStep step(sizes, x);
    for (int s = 0; s < kSteps; ++s) {
        step.run(quintic(s));
    }
    for (int row = warp; row < shape.rows(which); row += kOrthogonalWarps) {
        RowStep(shape, tensors, which, head, row).write([&](int c) {
            return x[wide ? row * sizes.x_stride + c : c * sizes.x_stride + row];
        });
    }
}

// Grid (rows, 3, all heads): momentum and the squares of its rows.
static __global__ void momentum_kernel(FastShape shape, RowTensors tensors, float* squares) {
    const int which = blockIdx.y, head = blockIdx.z;
    const int row = blockIdx.x * kRowWarps + threadIdx.x / kWarp;
    if (row >= shape.rows(which)) {
        return;  // a whole warp
    }
    const int columns = shape.columns(which);
    const int64_t at = static_cast<int64_t>(row) * columns;
    float* next = tensors.next_momentum[which] + head * shape.matrix() + at;
    const bool live = shape.seen(tensors.frame_valid, head / shape.sizes.heads) > 0.0f;
    float sum = 0.0f;
    for (int c = threadIdx.x % kWarp; c < columns; c += kWarp) {
        next[c] = live ? moved(shape, tensors, which, head, at + c)
                       : tensors.momentum[which][head * shape.matrix() + at + c];
        sum += next[c] * next[c];
    }
    sum = warp_sum(sum);
    if (threadIdx.x % kWarp == 0) {
        squares[(static_cast<int64_t>(which) * shape.all_heads() + head) * shape.large() + row] =
            sum;
    }
}

// Grid (3, all heads): one over the Frobenius norm of each matrix.
static __global__ void norm_kernel(FastShape shape, const float* squares, float* norm) {
    __shared__ float scratch[kWarp];
    const int matrix = blockIdx.x * shape.all_heads() + blockIdx.y;
    const float sum = total_of(squares + static_cast<int64_t>(matrix) * shape.large(),
                               shape.rows(blockIdx.x), scratch);
    if (threadIdx.x == 0) {
        norm[matrix] = inverse_norm(sum);
    }
}

// Grid (numbers, 3, all heads): X = momentum over its norm.
template <typename T>
__global__ void direction_kernel(FastShape shape, RowTensors tensors, const float* norm, T* x) {
    const int which = blockIdx.y, head = blockIdx.z;
    const int64_t n = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (n >= shape.matrix()) {
        return;
    }
    const int matrix = which * shape.all_heads() + head;
    const int64_t at = natural(shape, which, static_cast<int>(n / shape.large()),
                               static_cast<int>(n % shape.large()));
    x[matrix * shape.matrix() + n] =
        from_float<T>(tensors.next_momentum[which][head * shape.matrix() + at] * norm[matrix]);
}

// Grid (rows, 3, all heads): step and row lengths along X.
template <typename T>
__global__ void orthogonal_rows_kernel(FastShape shape, RowTensors tensors, const T* x) {
    const int which = blockIdx.y, head = blockIdx.z;
    const int row = blockIdx.x * kRowWarps + threadIdx.x / kWarp;
    if (row >= shape.rows(which)) {
        return;  // a whole warp
    }
    if (shape.seen(tensors.frame_valid, head / shape.sizes.heads) <= 0.0f) {
        keep_row(shape, tensors, which, head, row);
        return;
    }
    const T* own = x + (static_cast<int64_t>(which) * shape.all_heads() + head) * shape.matrix();
    const bool wide = shape.rows(which) <= shape.columns(which);
    RowStep(shape, tensors, which, head, row).write([&](int c) {
        const int64_t at = wide ? static_cast<int64_t>(row) * shape.large() + c
                                : static_cast<int64_t>(c) * shape.large() + row;
        return to_float(own[at]);
    });
}

// Dense matrices of one product of a batch: result = scale left right + other_scale other.
template <typename T>
struct BatchProduct {
    const T* left;   // (batch, rows, depth)
    const T* right;  // (batch, depth, columns), or (batch, columns, depth) where flipped
    const T* other;  // like result, or null
    T* result;       // (batch, rows, columns)
    int rows, columns, depth;
    float scale, other_scale;
};

// A stage of batch_product_kernel.
template <typename T, bool Flip>
struct BatchStage {
    using Left = Tile<T, kTile, kTokensTogether>;
    using Right = std::conditional_t<Flip, Left, Tile<T, kTokensTogether, kTile>>;
    T left[Left::kNumbers];
    T right[Right::kNumbers];

    // ``from`` and ``to`` point to the first row of left and column of right that the tile needs.
    __device__ void fetch(const BatchProduct<T>& product, const T* from, const T* to,
                          int rows_left, int columns_left, int k) {
        const int deep = product.depth - k;
        Left::fetch(left, from + k, product.depth, rows_left, deep);
        if constexpr (Flip) {
            Right::fetch(right, to + k, product.depth, columns_left, deep);
        } else {
            Right::fetch(right, to + static_cast<int64_t>(k) * product.columns, product.columns,
                         deep, columns_left);
        }
    }
};

// Grid (column tiles, row tiles, batch).
template <typename T, bool Flip>
__global__ void batch_product_kernel(BatchProduct<T> product) {
    using Stage = BatchStage<T, Flip>;
    using Right = typename Stage::Right;
    constexpr int kParts = kTile / (2 * kFragment);
    const int first_row = blockIdx.y * kTile, first_column = blockIdx.x * kTile;
    const int rows_left = product.rows - first_row, columns_left = product.columns - first_column;
    const int64_t batch = blockIdx.z;
    const T* left = product.left + (batch * product.rows + first_row) * product.depth;
    const T* right = product.right + batch * product.columns * product.depth +
                     (Flip ? static_cast<int64_t>(first_column) * product.depth : first_column);
    auto* stages = reinterpret_cast<Stage*>(dynamic_shared());
    const Quarter<kParts> quarter;
    Sum<T> sums[kParts][kParts];
    clear(sums);
    pipelined(
        ceil_div(product.depth, kTokensTogether),
        [&](int stage, int step) {
            stages[stage].fetch(product, left, right, rows_left, columns_left,
                                step * kTokensTogether);
        },
        [&](int stage) {
            WarpProduct<T, false, Flip, kParts, kParts>::add(
                sums, stages[stage].left + quarter.row * Stage::Left::kStride,
                Stage::Left::kStride,
                stages[stage].right + quarter.column * (Flip ? Right::kStride : 1), Right::kStride,
                kTokensTogether);
        });
    spread(sums, quarter.scratch(), [&](int row, int column, float number) {
        row += quarter.row;
        column += quarter.column;
        if (row >= rows_left || column >= columns_left) {
            return;
        }
        const int64_t at =
            (batch * product.rows + first_row + row) * product.columns + first_column + column;
        const float more = product.other != nullptr ? to_float(product.other[at]) : 0.0f;
        product.result[at] = from_float<T>(product.scale * number + product.other_scale * more);
    });
}

}  // namespace spatial_ttt
