// Copyright 2026 spatial_ttt developers
// SPDX-License-Identifier: Apache-2.0
#include "kernels.cuh"
#include "launcher.h"

namespace spatial_ttt {
namespace {

template <typename T, int V>
cudaError_t launch_conv(const SpatialTttConvSizes& sizes, const SpatialTttConvTensors& tensors,
                        cudaStream_t stream) {
    const ConvTensors<T> typed{static_cast<const T*>(tensors.tokens),
                               tensors.tail,
                               tensors.frame_valid,
                               tensors.kernel,
                               tensors.bias,
                               static_cast<T*>(tensors.query),
                               static_cast<T*>(tensors.key),
                               static_cast<T*>(tensors.value),
                               tensors.next_tail};
    const int threads = round_up(ceil_div(sizes.width, V), kWarp);
    const int together = kConvThreads / threads;
    const dim3 block(threads, together);
    const dim3 grid(ceil_div(sizes.rows * sizes.columns, together), 3 * sizes.heads, sizes.batch);
    return launch(conv_kernel<T, V>, grid, block, 0, stream, sizes, typed);
}

// Channels per thread: as few as let a warp hold a token, as 27 weights of each are in registers.
template <typename T>
cudaError_t launch_typed(const SpatialTttConvSizes& sizes, const SpatialTttConvTensors& tensors,
                         cudaStream_t stream) {
    if (sizes.width % 4 == 0 && sizes.width > 2 * kWarp) {
        return launch_conv<T, 4>(sizes, tensors, stream);
    }
    if (sizes.width % 2 == 0 && sizes.width > kWarp) {
        return launch_conv<T, 2>(sizes, tensors, stream);
    }
    return launch_conv<T, 1>(sizes, tensors, stream);
}

}  // namespace
}  // namespace spatial_ttt

const char* spatial_ttt_conv_refusal(const SpatialTttConvSizes* sizes) {
    const SpatialTttConvSizes& s = *sizes;
    if (s.batch < 1 || s.frames < 1 || s.rows < 1 || s.columns < 1 || s.heads < 1 || s.width < 1) {
        return "batch, frames, rows, columns, heads and channels of a head must be at least 1";
    }
    const int widest = s.width % 4 == 0 ? 4 : s.width % 2 == 0 ? 2 : 1;
    if (s.width > spatial_ttt::kConvThreads * widest) {
        return "a head has at most 1024 channels, 512 where not a multiple of 4, 255 where odd";
    }
    if (s.batch > 65535 || 3 * s.heads > 65535) {
        return "batch and three times the heads must stay below 65536";
    }
    if (s.type < SPATIAL_TTT_FLOAT || s.type > SPATIAL_TTT_BFLOAT) {
        return "tokens must be float, half or bfloat16";
    }
    return nullptr;
}

cudaError_t spatial_ttt_conv(const SpatialTttConvSizes* sizes,
                             const SpatialTttConvTensors* tensors, cudaStream_t stream) {
    using namespace spatial_ttt;
    if (spatial_ttt_conv_refusal(sizes) != nullptr) {
        return cudaErrorInvalidValue;
    }
    switch (sizes->type) {
        case SPATIAL_TTT_HALF:
            return launch_typed<__half>(*sizes, *tensors, stream);
        case SPATIAL_TTT_BFLOAT:
            return launch_typed<__nv_bfloat16>(*sizes, *tensors, stream);
        default:
            return launch_typed<float>(*sizes, *tensors, stream);
    }
}
