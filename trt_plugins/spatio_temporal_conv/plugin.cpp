// Copyright 2026 spatial_ttt developers
// SPDX-License-Identifier: Apache-2.0
#include "plugin.h"

namespace spatial_ttt {

using nvinfer1::DimensionOperation;
using nvinfer1::Dims;
using nvinfer1::PluginField;
using nvinfer1::PluginFieldType;

namespace {

enum Input { kTokens, kTail, kFrameValid, kKernel, kBias };
enum Output { kQuery, kKey, kValue, kNextTail };

}  // namespace

std::array<PluginField, 3> const ConvPlugin::kFields{
    PluginField("rows", nullptr, PluginFieldType::kINT32, 1),
    PluginField("columns", nullptr, PluginFieldType::kINT32, 1),
    PluginField("heads", nullptr, PluginFieldType::kINT32, 1),
};

ConvPlugin::ConvPlugin(Attributes const& attributes)
    : Plugin(kSignature),
      rows_(attributes.size("rows")),
      columns_(attributes.size("columns")),
      heads_(attributes.size("heads")) {}

std::unique_ptr<Plugin> ConvPlugin::copy() const { return std::make_unique<ConvPlugin>(*this); }

void ConvPlugin::store(FieldStore& fields) const {
    fields.add("rows", rows_);
    fields.add("columns", columns_);
    fields.add("heads", heads_);
}

void ConvPlugin::shapes(nvinfer1::DimsExprs const* in, nvinfer1::DimsExprs* out,
                        nvinfer1::IExprBuilder& builder) const {
    nvinfer1::DimsExprs const& tokens = in[kTokens];
    auto const* parts = builder.constant(3 * heads_);
    nvinfer1::DimsExprs head{};
    head.nbDims = 4;
    head.d[0] = tokens.d[0];
    head.d[1] = builder.constant(heads_);
    head.d[2] = builder.operation(DimensionOperation::kPROD, *tokens.d[1], *tokens.d[2]);
    head.d[3] = builder.operation(DimensionOperation::kFLOOR_DIV, *tokens.d[3], *parts);
    out[kQuery] = out[kKey] = out[kValue] = head;
    out[kNextTail] = in[kTail];
}

SpatialTttConvSizes ConvPlugin::sizes(Tensors in) const {
    Dims const& tokens = in[kTokens].dims;
    return {static_cast<int32_t>(tokens.d[0]),
            static_cast<int32_t>(tokens.d[1]),
            rows_,
            columns_,
            heads_,
            static_cast<int32_t>(tokens.d[3] / (3 * heads_)),
            storage_type(in[kTokens].type)};
}

void ConvPlugin::check(Tensors in) const {
    require_rank("tokens", in[kTokens].dims, 4);
    SpatialTttConvSizes const s = sizes(in);
    int64_t const places = static_cast<int64_t>(rows_) * columns_, channels = 3 * heads_ * s.width;
    require_shape("tokens", in[kTokens].dims, {s.batch, s.frames, places, channels});
    require_shape("tail", in[kTail].dims, {s.batch, 2, places, channels});
    require_shape("frame_valid", in[kFrameValid].dims, {s.batch, s.frames});
    require_shape("kernel", in[kKernel].dims, {3, channels, 1, 3, 3});
    require_shape("bias", in[kBias].dims, {channels});
    require_none(spatial_ttt_conv_refusal(&s));
}

size_t ConvPlugin::workspace(Tensors) const { return 0; }

cudaError_t ConvPlugin::launch(Tensors in, void const* const* inputs, void* const* outputs, void*,
                               cudaStream_t stream) const {
    SpatialTttConvSizes const s = sizes(in);
    SpatialTttConvTensors const tensors{inputs[kTokens],
                                        static_cast<float const*>(inputs[kTail]),
                                        static_cast<float const*>(inputs[kFrameValid]),
                                        static_cast<float const*>(inputs[kKernel]),
                                        static_cast<float const*>(inputs[kBias]),
                                        outputs[kQuery],
                                        outputs[kKey],
                                        outputs[kValue],
                                        static_cast<float*>(outputs[kNextTail])};
    return spatial_ttt_conv(&s, &tensors, stream);
}

}  // namespace spatial_ttt
