// Copyright 2026 spatial_ttt developers
// SPDX-License-Identifier: Apache-2.0
// Letters: C = 3 heads width channels, T = rows columns tokens of a frame, a "group" is the width
// channels of one head of q, k or v.
#pragma once

#include "../common/device.cuh"
#include "launcher.h"

namespace spatial_ttt {

constexpr int kTaps = 3;    // frames
constexpr int kWindow = 9;  // places around a token
constexpr float kEpsilon = 1e-6f;
// Of a block at most: with the weights of 4 channels in registers no more fit a multiprocessor.
constexpr int kConvThreads = 256;

template <typename T>
struct ConvTensors {
    const T* tokens;
    const float* tail;
    const float* frame_valid;
    const float* kernel;
    const float* bias;
    T* query;
    T* key;
    T* value;
    float* next_tail;
};

// V channels of one place in the film, which is the tail and then the chunk.
template <int V>
struct Channels {
    float x[V];

    template <typename T>
    __device__ void load(const T* source) {
        const auto pack = *reinterpret_cast<const Pack<T, V>*>(source);
#pragma unroll
        for (int v = 0; v < V; ++v) {
            x[v] = to_float(pack.values[v]);
        }
    }

    template <typename T>
    __device__ void store(T* target) const {
        Pack<T, V> pack;
#pragma unroll
        for (int v = 0; v < V; ++v) {
            pack.values[v] = from_float<T>(x[v]);
        }
        *reinterpret_cast<Pack<T, V>*>(target) = pack;
    }
};

// The 27 weights of V channels, in registers.
template <int V>
struct Weights {
    float tap[kTaps][kWindow][V];
    float bias[V];

    __device__ void load(const float* kernel, const float* biases, int channel, int channels) {
#pragma unroll
        for (int v = 0; v < V; ++v) {
            bias[v] = biases[channel + v];
#pragma unroll
            for (int t = 0; t < kTaps; ++t) {
                const int64_t own = static_cast<int64_t>(t) * channels + channel + v;
#pragma unroll
                for (int place = 0; place < kWindow; ++place) {
                    tap[t][place][v] = kernel[own * kWindow + place];
                }
            }
        }
    }
};

// A frame of the film as seen from one token: the sums that it adds to three output frames.
template <int V>
struct FrameSums {
    float of[kTaps][V];
    Channels<V> centre{};

    template <typename T>
    __device__ void gather(const T* frame, const Weights<V>& weights, int row, int column,
                           const SpatialTttConvSizes& sizes, int channels) {
#pragma unroll
        for (int t = 0; t < kTaps; ++t) {
#pragma unroll
            for (int v = 0; v < V; ++v) {
                of[t][v] = 0.0f;
            }
        }
#pragma unroll
        for (int place = 0; place < kWindow; ++place) {
            const int y = row + place / 3 - 1, x = column + place % 3 - 1;
            if (y < 0 || y >= sizes.rows || x < 0 || x >= sizes.columns) {
                continue;
            }
            Channels<V> seen;
            seen.load(frame + static_cast<int64_t>(y * sizes.columns + x) * channels);
            if (place == kWindow / 2) {
                centre = seen;
            }
#pragma unroll
            for (int t = 0; t < kTaps; ++t) {
#pragma unroll
                for (int v = 0; v < V; ++v) {
                    of[t][v] += weights.tap[t][place][v] * seen.x[v];
                }
            }
        }
    }
};

// Return the sum over the threads of one token, which are blockDim.x threads of row threadIdx.y.
__device__ inline float token_sum(float x, float* scratch) {
    x = warp_sum(x);
    const int warps = blockDim.x / kWarp;
    if (warps == 1) {
        return x;
    }
    float* own = scratch + threadIdx.y * warps;
    __syncthreads();
    if (threadIdx.x % kWarp == 0) {
        own[threadIdx.x / kWarp] = x;
    }
    __syncthreads();
    float total = 0.0f;
    for (int warp = 0; warp < warps; ++warp) {
        total += own[warp];
    }
    return total;
}

// Real frames of a stream.
__device__ inline int valid_frames(const float* frame_valid, int frames) {
    float count = 0.0f;
    for (int f = 0; f < frames; ++f) {
        count += frame_valid[f];
    }
    return static_cast<int>(count);
}

// SiLU, then unit length over the channels of the token where ``unit``. All threads must call.
template <int V>
__device__ void activate(Channels<V>& out, bool inside, bool unit, float* scratch) {
    float squares = 0.0f;
#pragma unroll
    for (int v = 0; v < V; ++v) {
        out.x[v] = out.x[v] / (1.0f + expf(-out.x[v]));
        squares += inside ? out.x[v] * out.x[v] : 0.0f;
    }
    if (!unit) {
        return;
    }
    const float scale = rsqrtf(token_sum(squares, scratch) + kEpsilon);
#pragma unroll
    for (int v = 0; v < V; ++v) {
        out.x[v] *= scale;
    }
}

// Grid (tokens, 3 heads, batch), block (threads of a token, tokens). A thread owns V channels of a
// token and walks through the film once, carrying the unfinished sums of two output frames.
template <typename T, int V>
__global__ void __launch_bounds__(kConvThreads)
    conv_kernel(SpatialTttConvSizes sizes, ConvTensors<T> tensors) {
    __shared__ float scratch[kWarp];
    const int tokens = sizes.rows * sizes.columns, channels = 3 * sizes.heads * sizes.width;
    const int token = blockIdx.x * blockDim.y + threadIdx.y, batch = blockIdx.z;
    const int part = blockIdx.y / sizes.heads, head = blockIdx.y % sizes.heads;
    const int own = threadIdx.x * V;
    const bool inside = own < sizes.width && token < tokens;
    const int channel = blockIdx.y * sizes.width + own;
    const int64_t frame_size = static_cast<int64_t>(tokens) * channels;
    const int64_t place = static_cast<int64_t>(token) * channels + channel;
    const float* tail = tensors.tail + batch * 2 * frame_size;
    const T* chunk = tensors.tokens + batch * sizes.frames * frame_size;
    float* next_tail = tensors.next_tail + batch * 2 * frame_size;
    T* head_out = part == 0 ? tensors.query : part == 1 ? tensors.key : tensors.value;
    head_out +=
        static_cast<int64_t>(batch * sizes.heads + head) * sizes.frames * tokens * sizes.width +
        own;
    const int count = valid_frames(tensors.frame_valid + batch * sizes.frames, sizes.frames);

    Weights<V> weights;
    if (inside) {
        weights.load(tensors.kernel, tensors.bias, channel, channels);
    }
    const int row = token / sizes.columns, column = token % sizes.columns;
    Channels<V> next{}, after{};  // sums of the output frames that are due next and after it
    for (int j = 0; j < sizes.frames + 2; ++j) {
        Channels<V> out{};
        if (inside) {
            FrameSums<V> sums;
            if (j < 2) {
                sums.gather(tail + j * frame_size + channel, weights, row, column, sizes,
                            channels);
            } else {
                sums.gather(chunk + (j - 2) * frame_size + channel, weights, row, column, sizes,
                            channels);
            }
#pragma unroll
            for (int v = 0; v < V; ++v) {
                out.x[v] = next.x[v] + sums.of[2][v];
                next.x[v] = after.x[v] + sums.of[1][v];
                after.x[v] = weights.bias[v] + sums.of[0][v];
            }
            if (j == count || j == count + 1) {
                sums.centre.store(next_tail + (j - count) * frame_size + place);
            }
        }
        if (j < 2) {
            continue;
        }
        activate(out, inside, part < 2, scratch);
        if (inside) {
            out.store(head_out + (static_cast<int64_t>(j - 2) * tokens + token) * sizes.width);
        }
    }
}

}  // namespace spatial_ttt
