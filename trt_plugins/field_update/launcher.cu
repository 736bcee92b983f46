// Copyright 2026 spatial_ttt developers
// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "launcher.h"
#include "solve.cuh"
#include "sums.cuh"

namespace spatial_ttt {
namespace {

constexpr int kWeighWarps = 4;
constexpr int kTileThreads = Quarter<kSide / (2 * kFragment)>::kThreads;

// One call: its sizes, tensors and stream.
class Field {
   public:
    Field(const SpatialTttFieldSizes& sizes, const SpatialTttFieldTensors& tensors,
          cudaStream_t stream)
        : shape_(sizes), tensors_(tensors), work_(shape_, tensors.workspace), stream_(stream) {}

    cudaError_t run() {
        SPATIAL_TTT_TRY(cudaMemsetAsync(work_.live, 0, sizeof(int), stream_));
        const SampleTensors samples{tensors_.points, tensors_.weights, tensors_.omega,
                                    work_.fresh};
        if (shape_.sizes.samples > 0) {
            SPATIAL_TTT_TRY(launch(weigh_kernel, dim3(ceil_div(shape_.sizes.samples, kWeighWarps)),
                                   kWeighWarps * kWarp, 0, stream_, shape_, samples,
                                   tensors_.target, work_.fresh, work_.live));
        }
        SPATIAL_TTT_TRY(sum(samples));
        const FieldMatrices matrices{tensors_.curvature, tensors_.target, tensors_.next_curvature,
                                     tensors_.next_target};
        SPATIAL_TTT_TRY(launch(merge_kernel, dim3(shape_.tiles()), kElementThreads, 0, stream_,
                               shape_, matrices, work_.sums, work_.live));
        return solve();
    }

   private:
    cudaError_t sum(const SampleTensors& samples) {
        switch (shape_.sizes.type) {
            case SPATIAL_TTT_HALF:
                return sum(samples, static_cast<const __half*>(tensors_.values));
            case SPATIAL_TTT_BFLOAT:
                return sum(samples, static_cast<const __nv_bfloat16*>(tensors_.values));
            default:
                return sum(samples, static_cast<const float*>(tensors_.values));
        }
    }

    template <typename T>
    cudaError_t sum(const SampleTensors& samples, const T* values) {
        return launch(sums_kernel<T>, dim3(shape_.tiles(), shape_.splits), kTileThreads, 0,
                      stream_, shape_, samples, values, work_.sums);
    }

    cudaError_t apply(const float* x) {
        return launch(apply_kernel, dim3(shape_.channel_tiles, shape_.feature_tiles), kTileThreads,
                      kStages * sizeof(ApplyStage), stream_, shape_, tensors_.next_curvature, x,
                      work_.image, work_.dots);
    }

    cudaError_t solve() {
        const SolveTensors solve{tensors_.next_target,
                                 tensors_.weight,
                                 tensors_.next_weight,
                                 work_.residual,
                                 work_.direction,
                                 work_.image,
                                 work_.live};
        const dim3 grid(shape_.element_blocks());
        float *energies = work_.energies[0], *next = work_.energies[1];
        SPATIAL_TTT_TRY(apply(tensors_.weight));
        SPATIAL_TTT_TRY(
            launch(start_kernel, grid, kElementThreads, 0, stream_, shape_, solve, energies));
        for (int step = 0; step < shape_.sizes.steps; ++step) {
            SPATIAL_TTT_TRY(apply(work_.direction));
            SPATIAL_TTT_TRY(launch(advance_kernel, grid, kElementThreads, 0, stream_, shape_,
                                   solve, work_.dots, energies, next));
            if (step + 1 < shape_.sizes.steps) {
                SPATIAL_TTT_TRY(launch(turn_kernel, grid, kElementThreads, 0, stream_, shape_,
                                       solve, energies, next));
            }
            std::swap(energies, next);
        }
        return cudaSuccess;
    }

    FieldShape shape_;
    SpatialTttFieldTensors tensors_;
    FieldWorkspace work_;
    cudaStream_t stream_;
};

}  // namespace
}  // namespace spatial_ttt

const char* spatial_ttt_field_refusal(const SpatialTttFieldSizes* sizes) {
    const SpatialTttFieldSizes& s = *sizes;
    if (s.features < 2 || s.features % 2 != 0 || s.channels < 1 || s.samples < 0) {
        return "features must be even and at least 2, channels at least 1, samples at least 0";
    }
    if (s.features > 32768 || s.channels > 4096) {
        return "a field has at most 32768 features and 4096 channels";
    }
    if (s.steps < 0 || s.steps > 1000) {
        return "conjugate-gradient steps must be 0 to 1000";
    }
    if (!(s.mass_max > 0.0f) || !(s.ridge >= 0.0f)) {
        return "mass_max must be above 0 and ridge at least 0";
    }
    if (s.type < SPATIAL_TTT_FLOAT || s.type > SPATIAL_TTT_BFLOAT) {
        return "values must be float, half or bfloat16";
    }
    return nullptr;
}

size_t spatial_ttt_field_workspace(const SpatialTttFieldSizes* sizes) {
    if (spatial_ttt_field_refusal(sizes) != nullptr) {
        return 0;
    }
    return spatial_ttt::FieldWorkspace(spatial_ttt::FieldShape(*sizes), nullptr).bytes;
}

cudaError_t spatial_ttt_field(const SpatialTttFieldSizes* sizes,
                              const SpatialTttFieldTensors* tensors, cudaStream_t stream) {
    if (spatial_ttt_field_refusal(sizes) != nullptr) {
        return cudaErrorInvalidValue;
    }
    return spatial_ttt::Field(*sizes, *tensors, stream).run();
}
