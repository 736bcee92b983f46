// Copyright 2026 spatial_ttt developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "../common/plugin.h"
#include "launcher.h"

namespace spatial_ttt {

class ConvPlugin final : public Plugin {
   public:
    static constexpr Signature kSignature{"SpatioTemporalConv", "TFFFF", "TTTF"};
    static std::array<nvinfer1::PluginField, 3> const kFields;

    explicit ConvPlugin(Attributes const& attributes);

   protected:
    std::unique_ptr<Plugin> copy() const override;
    void store(FieldStore& fields) const override;
    void shapes(nvinfer1::DimsExprs const* in, nvinfer1::DimsExprs* out,
                nvinfer1::IExprBuilder& builder) const override;
    void check(Tensors in) const override;
    size_t workspace(Tensors in) const override;
    cudaError_t launch(Tensors in, void const* const* inputs, void* const* outputs,
                       void* workspace, cudaStream_t stream) const override;

   private:
    SpatialTttConvSizes sizes(Tensors in) const;

    int32_t rows_, columns_, heads_;
};

}  // namespace spatial_ttt
