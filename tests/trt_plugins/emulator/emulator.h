// Copyright 2026 spatial_ttt developers
// SPDX-License-Identifier: Apache-2.0
// CUDA's runtime and language as far as the kernels use them, on one CPU thread. See README.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__
#define __launch_bounds__(...)
#define __shared__ static
#define __align__(n) alignas(n)

extern dim3 threadIdx, blockIdx, blockDim, gridDim;

void __syncthreads();
void __syncwarp();

namespace emulator {

// Let every thread of the running thread's warp arrive.
void meet_warp();
// Slot of a lane of the running thread's warp, for shuffles.
float& lane_slot(int lane);
int lane();
unsigned char* shared_memory();
// Copy when the calling thread waits for it; the last ``zeros`` bytes become zero.
void copy_later(void* to, const void* from, size_t bytes, size_t zeros);
void commit_copies();
void wait_for_copies(int pending);

void run(dim3 grid, dim3 block, size_t shared, const std::function<void()>& thread);

}  // namespace emulator

inline float __shfl_xor_sync(unsigned, float x, int offset) {
    emulator::lane_slot(emulator::lane()) = x;
    emulator::meet_warp();
    const float other = emulator::lane_slot(emulator::lane() ^ offset);
    emulator::meet_warp();
    return other;
}
