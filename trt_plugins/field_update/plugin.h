// Copyright 2026 spatial_ttt developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "../common/plugin.h"
#include "launcher.h"

namespace spatial_ttt {

class FieldPlugin final : public Plugin {
   public:
    static constexpr Signature kSignature{"FieldUpdate", "FFFFTFF", "FFF"};
    static std::array<nvinfer1::PluginField, 6> const kFields;

    explicit FieldPlugin(Attributes const& attributes);

   protected:
    std::unique_ptr<Plugin> copy() const override;
    void store(FieldStore& fields) const override;
    void shapes(nvinfer1::DimsExprs const* in, nvinfer1::DimsExprs* out,
                nvinfer1::IExprBuilder& builder) const override;
    void check(Tensors in) const override;
    size_t workspace(Tensors in) const override;
    cudaError_t launch(Tensors in, void const* const* inputs, void* const* outputs,
                       void* workspace, cudaStream_t stream) const override;
    int32_t aliased(int32_t output) const override;

   private:
    SpatialTttFieldSizes sizes(Tensors in) const;

    int32_t steps_, in_place_;
    float ridge_, decay_, mass_max_, weight_min_;
};

}  // namespace spatial_ttt
