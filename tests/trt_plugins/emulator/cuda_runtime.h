// Copyright 2026 spatial_ttt developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "cuda_runtime_api.h"

// Threads of a block that every kernel can have on every GPU: a thread may take 255 of the 65536
// registers of a multiprocessor.
constexpr unsigned kAlwaysLaunched = 256;

inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }

namespace spatial_ttt {

inline unsigned char* dynamic_shared() { return emulator::shared_memory(); }

inline void copy_async(void* shared, const void* global, int valid) {
    emulator::copy_later(shared, global, 16, 16 - valid);
}

template <typename... Parameters, typename... Arguments>
cudaError_t launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared,
                   cudaStream_t, Arguments... arguments) {
    if (block.x * block.y * block.z > kAlwaysLaunched) {
        return cudaErrorLaunchOutOfResources;
    }
    emulator::run(grid, block, shared, [=] { kernel(static_cast<Parameters>(arguments)...); });
    return cudaSuccess;
}

}  // namespace spatial_ttt
