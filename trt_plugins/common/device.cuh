// Copyright 2026 spatial_ttt developers
// SPDX-License-Identifier: Apache-2.0
// Small device functions and the way kernels are launched. Kernels keep to the CUDA that
// tests/trt_plugins/emulator/ understands, so that their arithmetic is tested without a GPU.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "types.h"

namespace spatial_ttt {

constexpr int kWarp = 32;

template <typename Integer>
__host__ __device__ constexpr Integer ceil_div(Integer a, Integer b) {
    return (a + b - 1) / b;
}

template <typename Integer>
__host__ __device__ constexpr Integer round_up(Integer a, Integer b) {
    return ceil_div(a, b) * b;
}

__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(__half x) { return __half2float(x); }
__device__ inline float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }

template <typename T>
__device__ T from_float(float x);
template <>
__device__ inline float from_float<float>(float x) {
    return x;
}
template <>
__device__ inline __half from_float<__half>(float x) {
    return __float2half(x);
}
template <>
__device__ inline __nv_bfloat16 from_float<__nv_bfloat16>(float x) {
    return __float2bfloat16(x);
}

// V values that one instruction loads or stores; addresses must be multiples of its size.
template <typename T, int V>
struct alignas(sizeof(T) * V) Pack {
    T values[V];
};

// Return the sum over the lanes of a warp, in every lane.
__device__ inline float warp_sum(float x) {
    for (int offset = kWarp / 2; offset > 0; offset /= 2) {
        x += __shfl_xor_sync(0xffffffffu, x, offset);
    }
    return x;
}

// Return the sum over the threads of a one-dimensional block, in every thread. ``scratch`` is
// shared memory of one float per warp; all threads must call.
__device__ inline float block_sum(float x, float* scratch) {
    const int warps = blockDim.x / kWarp;
    x = warp_sum(x);
    __syncthreads();
    if (threadIdx.x % kWarp == 0) {
        scratch[threadIdx.x / kWarp] = x;
    }
    __syncthreads();
    float total = 0.0f;
    for (int warp = 0; warp < warps; ++warp) {
        total += scratch[warp];
    }
    return total;
}

// Return the sum of ``count`` floats of global memory in every thread, in a fixed order.
__device__ inline float total_of(const float* partial, int count, float* scratch) {
    float own = 0.0f;
    for (int i = threadIdx.x; i < count; i += blockDim.x) {
        own += partial[i];
    }
    return block_sum(own, scratch);
}

#ifdef __CUDACC__

// Shared memory whose size the launch sets, aligned as matrix fragments need it.
__device__ inline unsigned char* dynamic_shared() {
    extern __shared__ __align__(128) unsigned char spatial_ttt_shared[];
    return spatial_ttt_shared;
}

// Start copying 16 bytes to shared memory, of which the first ``valid`` exist and the others
// become zero. (CUDA's own function branches over 17 values of ``valid``.)
__device__ inline void copy_async(void* shared, const void* global, int valid) {
    const auto address = static_cast<unsigned>(__cvta_generic_to_shared(shared));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(global),
                 "r"(valid)
                 : "memory");
}

// Launch a kernel with up to the device's opt-in limit of shared memory; return what went wrong.
template <typename... Parameters, typename... Arguments>
cudaError_t launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared,
                   cudaStream_t stream, Arguments... arguments) {
    constexpr size_t kWithoutAsking = 48 * 1024;
    if (shared > kWithoutAsking) {
        const cudaError_t refused = cudaFuncSetAttribute(
            kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared));
        if (refused != cudaSuccess) {
            return refused;
        }
    }
    kernel<<<grid, block, shared, stream>>>(static_cast<Parameters>(arguments)...);
    return cudaGetLastError();
}

#endif

}  // namespace spatial_ttt

// Return from the calling launcher where a CUDA call fails.
#define SPATIAL_TTT_TRY(call)                   \
    do {                                        \
        const cudaError_t tried = (call);       \
        if (tried != cudaSuccess) return tried; \
    } while (false)
