// Copyright 2026 spatial_ttt developers
// SPDX-License-Identifier: Apache-2.0
// Closed-form gradients of -<f_W(k), v>: two kernels around one intermediate per matrix.
#pragma once

#include "../common/matrix.cuh"
#include "workspace.cuh"

namespace spatial_ttt {

using TileQuarter = Quarter<kTile / (2 * kFragment)>;

template <typename T>
struct TokenOperands {
    const T* key;
    const T* value;
    const T* weight[kMatrices];
    T* product[kMatrices];
};

template <typename From, typename To>
__global__ void convert_kernel(const From* from, To* to, int64_t count) {
    const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i < count) {
        to[i] = from_float<To>(to_float(from[i]));
    }
}

// A stage of token_products: five tiles.
template <typename T>
struct TokenStage {
    using Tokens = Tile<T, kTile, kTokensTogether>;  // tokens or rows of W0, W2, by channels
    using Inner = Tile<T, kTokensTogether, kTile>;   // channels by columns of W1
    T key[Tokens::kNumbers];
    T value[Tokens::kNumbers];
    T weight0[Tokens::kNumbers];
    T weight2[Tokens::kNumbers];
    T weight1[Inner::kNumbers];

    __device__ void fetch(const TokenOperands<T>& from, const FastShape& shape, int head,
                          int token, int tokens_left, int inner, int channel) {
        const int e = shape.sizes.width, m = shape.sizes.inner;
        const int channels_left = e - channel, inner_left = m - inner;
        const int64_t at_token = (static_cast<int64_t>(head) * shape.sizes.tokens + token) * e;
        const int64_t matrix = head * shape.matrix();
        const int64_t at_row = matrix + static_cast<int64_t>(inner) * e + channel;
        Tokens::fetch(key, from.key + at_token + channel, e, tokens_left, channels_left);
        Tokens::fetch(value, from.value + at_token + channel, e, tokens_left, channels_left);
        Tokens::fetch(weight0, from.weight[0] + at_row, e, inner_left, channels_left);
        Tokens::fetch(weight2, from.weight[2] + at_row, e, inner_left, channels_left);
        Inner::fetch(weight1, from.weight[1] + matrix + static_cast<int64_t>(channel) * m + inner,
                     m, channels_left, inner_left);
    }
};

// Per token and inner channel, with a = W0 k, u = W2 k, g = W1' v: what k, v and k are multiplied
// by in the gradients of W0, W1, W2, without the token's rates.
struct Slopes {
    float of[kMatrices];

    __device__ Slopes(float a, float u, float g) {
        const float sigma = 1.0f / (1.0f + expf(-a));
        const float s = a * sigma;
        of[0] = g * u * (sigma + s * (1.0f - sigma));
        of[1] = s * u;
        of[2] = g * s;
    }
};

// Sums a, u, g of a warp: a quarter of a tile.
template <typename T>
struct TokenSums {
    static constexpr int kParts = kTile / (2 * kFragment);
    Sum<T> a[kParts][kParts], u[kParts][kParts], g[kParts][kParts];

    __device__ TokenSums() {
        clear(a);
        clear(u);
        clear(g);
    }

    __device__ void add(const TokenStage<T>& stage, const TileQuarter& quarter) {
        constexpr int kWide = TokenStage<T>::Tokens::kStride;
        constexpr int kTall = TokenStage<T>::Inner::kStride;
        using Rows = WarpProduct<T, false, true, kParts, kParts>;
        using Columns = WarpProduct<T, false, false, kParts, kParts>;
        const T* key = stage.key + quarter.row * kWide;
        Rows::add(a, key, kWide, stage.weight0 + quarter.column * kWide, kWide, kTokensTogether);
        Rows::add(u, key, kWide, stage.weight2 + quarter.column * kWide, kWide, kTokensTogether);
        Columns::add(g, stage.value + quarter.row * kWide, kWide, stage.weight1 + quarter.column,
                     kTall, kTokensTogether);
    }

    // Fragments of one type hold equal places in equal order.
    __device__ void turn_into_slopes() {
#pragma unroll
        for (int i = 0; i < kParts; ++i) {
#pragma unroll
            for (int j = 0; j < kParts; ++j) {
#pragma unroll
                for (int n = 0; n < a[i][j].num_elements; ++n) {
                    const Slopes slopes(a[i][j].x[n], u[i][j].x[n], g[i][j].x[n]);
                    a[i][j].x[n] = slopes.of[0];
                    u[i][j].x[n] = slopes.of[1];
                    g[i][j].x[n] = slopes.of[2];
                }
            }
        }
    }
};

// Write a warp's slopes times the rates of their tokens. The tile starts at ``token``, ``inner``.
template <typename T, typename Fragment, int M, int N>
__device__ void write_products(const FastShape& shape, const Fragment (&slopes)[M][N],
                               const TileQuarter& quarter, int which, int token, int inner,
                               const float* rates, const float* frame_valid, T* product) {
    const int head = blockIdx.z, stream = head / shape.sizes.heads;
    spread(slopes, quarter.scratch(), [&](int row, int column, float slope) {
        const int own = token + quarter.row + row, channel = inner + quarter.column + column;
        if (own >= shape.sizes.tokens || channel >= shape.sizes.inner) {
            return;
        }
        const float mask = shape.token_mask(frame_valid, stream, own);
        const int64_t number = static_cast<int64_t>(head) * shape.sizes.tokens + own;
        const float rate = rates[number * kMatrices + which] * mask;
        product[number * shape.sizes.inner + channel] =
            from_float<T>(mask != 0.0f ? slope * rate : 0.0f);
    });
}

// Grid (inner tiles, token tiles, all heads). Writes ``product`` once; nothing else of size N x m.
template <typename T>
__global__ void token_products(FastShape shape, TokenOperands<T> operands, const float* rates,
                               const float* frame_valid) {
    const int head = blockIdx.z, stream = head / shape.sizes.heads;
    const int inner = blockIdx.x * kTile, token = blockIdx.y * kTile;
    const int left = shape.real_tokens(frame_valid, stream) - token;
    if (left <= 0) {
        return;  // the whole block: nothing reads these products
    }
    auto* stages = reinterpret_cast<TokenStage<T>*>(dynamic_shared());
    const TileQuarter quarter;
    TokenSums<T> sums;
    pipelined(
        ceil_div(shape.sizes.width, kTokensTogether),
        [&](int stage, int step) {
            stages[stage].fetch(operands, shape, head, token, left, inner, step * kTokensTogether);
        },
        [&](int stage) { sums.add(stages[stage], quarter); });
    sums.turn_into_slopes();
    write_products(shape, sums.a, quarter, 0, token, inner, rates, frame_valid,
                   operands.product[0]);
    write_products(shape, sums.u, quarter, 1, token, inner, rates, frame_valid,
                   operands.product[1]);
    write_products(shape, sums.g, quarter, 2, token, inner, rates, frame_valid,
                   operands.product[2]);
}

// A stage of gradient_kernel: two tiles, tokens by rows and by columns.
template <typename T, int Parts>
struct GradientStage {
    using Side = Tile<T, kTokensTogether, 2 * Parts * kFragment>;
    T left[Side::kNumbers];
    T right[Side::kNumbers];
};

// Grid (tiles, 3 splits, all heads): sums over the tokens of a split of the outer products that
// are the gradients of W0, W1 and W2. Parts: fragments of a warp, whose block has a tile of
// 32 Parts x 32 Parts.
template <typename T, int Parts>
__global__ void gradient_kernel(FastShape shape, TokenOperands<T> operands, float* gradient,
                                const float* frame_valid) {
    using Stage = GradientStage<T, Parts>;
    using Side = typename Stage::Side;
    constexpr int kSide = Quarter<Parts>::kSide;
    const int head = blockIdx.z, which = blockIdx.y % kMatrices, split = blockIdx.y / kMatrices;
    const int rows = shape.rows(which), columns = shape.columns(which);
    const int across = ceil_div(columns, kSide);
    const int first_row = blockIdx.x / across * kSide, first_column = blockIdx.x % across * kSide;
    const int64_t before = static_cast<int64_t>(head) * shape.sizes.tokens;
    const T* left =
        (which == 1 ? operands.value : operands.product[which]) + before * rows + first_row;
    const T* right =
        (which == 1 ? operands.product[1] : operands.key) + before * columns + first_column;
    const int start = split * shape.split_tokens();
    const int real = shape.real_tokens(frame_valid, head / shape.sizes.heads) - start;
    const int count = real < shape.split_tokens() ? real : shape.split_tokens();

    auto* stages = reinterpret_cast<Stage*>(dynamic_shared());
    const Quarter<Parts> quarter;
    Sum<T> sums[Parts][Parts];
    clear(sums);
    pipelined(
        count > 0 ? ceil_div(count, kTokensTogether) : 0,
        [&](int stage, int step) {
            const int done = step * kTokensTogether;
            const int64_t at = start + done;
            Side::fetch(stages[stage].left, left + at * rows, rows, count - done,
                        rows - first_row);
            Side::fetch(stages[stage].right, right + at * columns, columns, count - done,
                        columns - first_column);
        },
        [&](int stage) {
            WarpProduct<T, true, false, Parts, Parts>::add(
                sums, stages[stage].left + quarter.row, Side::kStride,
                stages[stage].right + quarter.column, Side::kStride, kTokensTogether);
        });
    float* own =
        gradient + ((static_cast<int64_t>(split) * kMatrices + which) * shape.all_heads() + head) *
                       shape.matrix();
    spread(sums, quarter.scratch(), [&](int row, int column, float number) {
        row += first_row + quarter.row;
        column += first_column + quarter.column;
        if (row < rows && column < columns) {
            own[static_cast<int64_t>(row) * columns + column] = number;
        }
    });
}

}  // namespace spatial_ttt
