// Copyright 2026 spatial_ttt developers
// SPDX-License-Identifier: Apache-2.0
#include <type_traits>
#include <utility>

#include "launcher.h"
#include "newton_schulz.cuh"
#include "products.cuh"

namespace spatial_ttt {
namespace {

constexpr int kThreads = 256;
constexpr int kLargeMatrix = 256;  // sides from which tiles of 128 x 128 pay

// One call: its sizes, tensors and stream.
class FastUpdate {
   public:
    FastUpdate(const SpatialTttFastSizes& sizes, const SpatialTttFastTensors& tensors,
               cudaStream_t stream)
        : shape_(sizes), tensors_(tensors), work_(shape_, tensors.workspace), stream_(stream) {
        for (int i = 0; i < kMatrices; ++i) {
            rows_.weight[i] = tensors.weight[i];
            rows_.momentum[i] = tensors.momentum[i];
            rows_.initial[i] = tensors.initial[i];
            rows_.next_weight[i] = tensors.next_weight[i];
            rows_.next_momentum[i] = tensors.next_momentum[i];
        }
        rows_.step = tensors.step;
        rows_.decay = tensors.decay;
        rows_.frame_valid = tensors.frame_valid;
        rows_.gradient = work_.gradient;
        rows_.kept = work_.kept;
    }

    // T: type of the products.
    template <typename T>
    cudaError_t run() {
        TokenOperands<T> operands;
        SPATIAL_TTT_TRY(prepare(operands));
        SPATIAL_TTT_TRY(multiply(operands));
        if (shape_.sizes.rule != SPATIAL_TTT_MUON) {
            return launch(descend_kernel, row_grid(), kRowWarps * kWarp, 0, stream_, shape_,
                          rows_);
        }
        return fits_shared() ? orthogonalise_shared() : orthogonalise<T>();
    }

   private:
    dim3 row_grid() const {
        return dim3(ceil_div(shape_.large(), kRowWarps), kMatrices, shape_.all_heads());
    }

    // Return ``from`` as numbers of type T: itself, or a copy in ``place``.
    template <typename T, typename From>
    cudaError_t converted(const From* from, char* place, int64_t count, const T*& result) {
        if constexpr (std::is_same_v<T, From>) {
            result = from;
            return cudaSuccess;
        } else {
            T* copy = reinterpret_cast<T*>(place);
            result = copy;
            return launch(convert_kernel<From, T>, dim3(ceil_div<int64_t>(count, kThreads)),
                          kThreads, 0, stream_, from, copy, count);
        }
    }

    template <typename T>
    cudaError_t converted(const void* from, char* place, int64_t count, const T*& result) {
        switch (shape_.sizes.type) {
            case SPATIAL_TTT_HALF:
                return converted(static_cast<const __half*>(from), place, count, result);
            case SPATIAL_TTT_BFLOAT:
                return converted(static_cast<const __nv_bfloat16*>(from), place, count, result);
            default:
                return converted(static_cast<const float*>(from), place, count, result);
        }
    }

    template <typename T>
    cudaError_t prepare(TokenOperands<T>& operands) {
        const int64_t count =
            static_cast<int64_t>(shape_.all_heads()) * shape_.sizes.tokens * shape_.sizes.width;
        SPATIAL_TTT_TRY(converted(tensors_.key, work_.key, count, operands.key));
        SPATIAL_TTT_TRY(converted(tensors_.value, work_.value, count, operands.value));
        for (int i = 0; i < kMatrices; ++i) {
            SPATIAL_TTT_TRY(converted(tensors_.weight[i], work_.weight[i],
                                      shape_.all_heads() * shape_.matrix(), operands.weight[i]));
            operands.product[i] = reinterpret_cast<T*>(work_.product[i]);
        }
        if (shape_.sizes.rule == SPATIAL_TTT_GD) {
            return cudaSuccess;
        }
        return launch(kept_kernel, dim3(shape_.all_heads()), kThreads, 0, stream_, shape_,
                      tensors_.gate, tensors_.frame_valid, work_.kept);
    }

    template <typename T>
    cudaError_t multiply(const TokenOperands<T>& operands) {
        const dim3 grid(ceil_div(shape_.sizes.inner, kTile), ceil_div(shape_.sizes.tokens, kTile),
                        shape_.all_heads());
        SPATIAL_TTT_TRY(launch(token_products<T>, grid, TileQuarter::kThreads,
                               kStages * sizeof(TokenStage<T>), stream_, shape_, operands,
                               tensors_.rates, tensors_.frame_valid));
        return shape_.small() < kLargeMatrix ? sum_gradients<T, 2>(operands)
                                             : sum_gradients<T, 4>(operands);
    }

    template <typename T, int Parts>
    cudaError_t sum_gradients(const TokenOperands<T>& operands) {
        constexpr int kSide = Quarter<Parts>::kSide;
        const dim3 grid(ceil_div(shape_.sizes.inner, kSide) * ceil_div(shape_.sizes.width, kSide),
                        kMatrices * shape_.splits, shape_.all_heads());
        return launch(gradient_kernel<T, Parts>, grid, Quarter<Parts>::kThreads,
                      kStages * sizeof(GradientStage<T, Parts>), stream_, shape_, operands,
                      work_.gradient, tensors_.frame_valid);
    }

    size_t shared_bytes() const { return SharedMatrices(shape_).numbers() * sizeof(float); }

    bool fits_shared() const {
        int device = 0, most = 0;
        return shape_.small() <= kMostSmall && cudaGetDevice(&device) == cudaSuccess &&
               cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device) ==
                   cudaSuccess &&
               shared_bytes() + kWarp * sizeof(float) <= static_cast<size_t>(most);
    }

    cudaError_t orthogonalise_shared() {
        return launch(orthogonal_kernel, dim3(kMatrices, shape_.all_heads()),
                      kOrthogonalWarps * kWarp, shared_bytes(), stream_, shape_, rows_);
    }

    template <typename T>
    cudaError_t orthogonalise() {
        T* x = reinterpret_cast<T*>(work_.direction[0]);
        T* next = reinterpret_cast<T*>(work_.direction[1]);
        SPATIAL_TTT_TRY(launch(momentum_kernel, row_grid(), kRowWarps * kWarp, 0, stream_, shape_,
                               rows_, work_.squares));
        SPATIAL_TTT_TRY(launch(norm_kernel, dim3(kMatrices, shape_.all_heads()), kThreads, 0,
                               stream_, shape_, work_.squares, work_.norm));
        const dim3 numbers(static_cast<unsigned>(ceil_div<int64_t>(shape_.matrix(), kThreads)),
                           kMatrices, shape_.all_heads());
        SPATIAL_TTT_TRY(launch(direction_kernel<T>, numbers, kThreads, 0, stream_, shape_, rows_,
                               work_.norm, x));
        for (int step = 0; step < kSteps; ++step) {
            SPATIAL_TTT_TRY(orthogonal_step(quintic(step), x, next));
            std::swap(x, next);
        }
        return launch(orthogonal_rows_kernel<T>, row_grid(), kRowWarps * kWarp, 0, stream_, shape_,
                      rows_, x);
    }

    template <typename T>
    cudaError_t orthogonal_step(const Quintic& q, const T* x, T* next) {
        const int small = shape_.small(), large = shape_.large();
        T* gram = reinterpret_cast<T*>(work_.gram);
        T* polynomial = reinterpret_cast<T*>(work_.polynomial);
        SPATIAL_TTT_TRY(
            (product<T, true>({x, x, nullptr, gram, small, small, large, 1.0f, 0.0f})));
        SPATIAL_TTT_TRY(
            (product<T, false>({gram, gram, gram, polynomial, small, small, small, q.c, q.b})));
        return product<T, false>({polynomial, x, x, next, small, large, small, 1.0f, q.a});
    }

    template <typename T, bool Flip>
    cudaError_t product(const BatchProduct<T>& one) {
        const dim3 grid(ceil_div(one.columns, kTile), ceil_div(one.rows, kTile),
                        kMatrices * shape_.all_heads());
        return launch(batch_product_kernel<T, Flip>, grid, TileQuarter::kThreads,
                      kStages * sizeof(BatchStage<T, Flip>), stream_, one);
    }

    FastShape shape_;
    SpatialTttFastTensors tensors_;
    FastWorkspace work_;
    RowTensors rows_{};
    cudaStream_t stream_;
};

bool is_type(int32_t type) { return type >= SPATIAL_TTT_FLOAT && type <= SPATIAL_TTT_BFLOAT; }

}  // namespace
}  // namespace spatial_ttt

const char* spatial_ttt_fast_refusal(const SpatialTttFastSizes* sizes) {
    const SpatialTttFastSizes& s = *sizes;
    if (s.batch < 1 || s.heads < 1 || s.inner < 1 || s.width < 1 || s.tokens < 1 || s.frames < 1) {
        return "batch, heads, inner width, width, tokens and frames must be at least 1";
    }
    if (s.tokens % s.frames != 0) {
        return "the tokens of a chunk must be a multiple of its frames";
    }
    if (static_cast<int64_t>(s.batch) * s.heads > 65535 / spatial_ttt::kMatrices) {
        return "batch times heads must be at most 21845";
    }
    if (s.rule < SPATIAL_TTT_GD || s.rule > SPATIAL_TTT_MUON) {
        return "the rule must be gd, momentum or muon";
    }
    if (!spatial_ttt::is_type(s.type) || !spatial_ttt::is_type(s.products)) {
        return "key, value and products must be float, half or bfloat16";
    }
    return nullptr;
}

size_t spatial_ttt_fast_workspace(const SpatialTttFastSizes* sizes) {
    if (spatial_ttt_fast_refusal(sizes) != nullptr) {
        return 0;
    }
    return spatial_ttt::FastWorkspace(spatial_ttt::FastShape(*sizes), nullptr).bytes;
}

cudaError_t spatial_ttt_fast(const SpatialTttFastSizes* sizes,
                             const SpatialTttFastTensors* tensors, cudaStream_t stream) {
    using namespace spatial_ttt;
    if (spatial_ttt_fast_refusal(sizes) != nullptr) {
        return cudaErrorInvalidValue;
    }
    FastUpdate update(*sizes, *tensors, stream);
    switch (sizes->products) {
        case SPATIAL_TTT_HALF:
            return update.run<__half>();
        case SPATIAL_TTT_BFLOAT:
            return update.run<__nv_bfloat16>();
        default:
            return update.run<float>();
    }
}
