// Copyright 2026 spatial_ttt developers
// SPDX-License-Identifier: Apache-2.0
#include "plugin.h"

#include <algorithm>
#include <cctype>
#include <stdexcept>

namespace spatial_ttt {

using nvinfer1::Dims;
using nvinfer1::PluginField;
using nvinfer1::PluginFieldType;

namespace {

// Inputs; weights, momenta and initial weights are three matrices each.
enum Input {
    kWeight,
    kMomentum = 3,
    kInitial = 6,
    kKey = 9,
    kValue,
    kRates,
    kGate,
    kStep,
    kDecay,
    kFrameValid,
};
enum Output { kNextWeight, kNextMomentum = 3, kOutputs = 6 };

SpatialTttRule rule_of(std::string name) {
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (name == "gd") return SPATIAL_TTT_GD;
    if (name == "momentum") return SPATIAL_TTT_MOMENTUM;
    if (name == "muon") return SPATIAL_TTT_MUON;
    throw std::invalid_argument("attribute rule must be gd, momentum or muon, got '" + name + "'");
}

SpatialTttType products_of(std::string const& name, nvinfer1::DataType key) {
    if (name.empty()) return storage_type(key);
    if (name == "fp32") return SPATIAL_TTT_FLOAT;
    if (name == "fp16") return SPATIAL_TTT_HALF;
    if (name == "bf16") return SPATIAL_TTT_BFLOAT;
    throw std::invalid_argument("attribute products must be fp32, fp16 or bf16, got '" + name +
                                "'");
}

}  // namespace

std::array<PluginField, 3> const FastPlugin::kFields{
    PluginField("rule", nullptr, PluginFieldType::kCHAR, 1),
    PluginField("products", nullptr, PluginFieldType::kCHAR, 1),
    PluginField("in_place", nullptr, PluginFieldType::kINT32, 1),
};

FastPlugin::FastPlugin(Attributes const& attributes)
    : Plugin(kSignature),
      rule_(attributes.text("rule", "")),
      products_(attributes.text("products", "")),
      in_place_(attributes.integer("in_place", 0)) {
    rule_of(rule_);
    products_of(products_, nvinfer1::DataType::kFLOAT);
}

std::unique_ptr<Plugin> FastPlugin::copy() const { return std::make_unique<FastPlugin>(*this); }

void FastPlugin::store(FieldStore& fields) const {
    fields.add("rule", rule_);
    fields.add("products", products_);
    fields.add("in_place", in_place_);
}

void FastPlugin::shapes(nvinfer1::DimsExprs const* in, nvinfer1::DimsExprs* out,
                        nvinfer1::IExprBuilder&) const {
    std::copy_n(in + kWeight, kOutputs, out);  // weights, then momenta
}

SpatialTttFastSizes FastPlugin::sizes(Tensors in) const {
    Dims const& weight = in[kWeight].dims;
    return {static_cast<int32_t>(weight.d[0]),
            static_cast<int32_t>(weight.d[1]),
            static_cast<int32_t>(weight.d[2]),
            static_cast<int32_t>(weight.d[3]),
            static_cast<int32_t>(in[kKey].dims.d[2]),
            static_cast<int32_t>(in[kFrameValid].dims.d[1]),
            rule_of(rule_),
            storage_type(in[kKey].type),
            products_of(products_, in[kKey].type)};
}

void FastPlugin::check(Tensors in) const {
    require_rank("w0", in[kWeight].dims, 4);
    require_rank("key", in[kKey].dims, 4);
    require_rank("frame_valid", in[kFrameValid].dims, 2);
    SpatialTttFastSizes const s = sizes(in);
    static char const* const names[] = {"w0", "w1",       "w2",       "m0",      "m1",
                                        "m2", "initial0", "initial1", "initial2"};
    for (int i = kWeight; i < kKey; ++i) {
        int32_t const rows = i % 3 == 1 ? s.width : s.inner;
        int32_t const columns = i % 3 == 1 ? s.inner : s.width;
        if (i < kInitial) {
            require_shape(names[i], in[i].dims, {s.batch, s.heads, rows, columns});
        } else {
            require_shape(names[i], in[i].dims, {s.heads, rows, columns});
        }
    }
    require_shape("key", in[kKey].dims, {s.batch, s.heads, s.tokens, s.width});
    require_shape("value", in[kValue].dims, {s.batch, s.heads, s.tokens, s.width});
    require_shape("rates", in[kRates].dims, {s.batch, s.heads, s.tokens, 3});
    require_shape("gate", in[kGate].dims, {s.batch, s.heads, s.tokens});
    require_shape("step", in[kStep].dims, {s.heads});
    require_shape("decay", in[kDecay].dims, {s.heads});
    require_shape("frame_valid", in[kFrameValid].dims, {s.batch, s.frames});
    require_none(spatial_ttt_fast_refusal(&s));
}

size_t FastPlugin::workspace(Tensors in) const {
    SpatialTttFastSizes const s = sizes(in);
    return spatial_ttt_fast_workspace(&s);
}

int32_t FastPlugin::aliased(int32_t output) const { return in_place_ != 0 ? output : -1; }

cudaError_t FastPlugin::launch(Tensors in, void const* const* inputs, void* const* outputs,
                               void* workspace, cudaStream_t stream) const {
    SpatialTttFastSizes const s = sizes(in);
    auto input = [inputs](int i) { return static_cast<float const*>(inputs[i]); };
    auto output = [outputs](int i) { return static_cast<float*>(outputs[i]); };
    SpatialTttFastTensors tensors{};
    for (int i = 0; i < 3; ++i) {
        tensors.weight[i] = input(kWeight + i);
        tensors.momentum[i] = input(kMomentum + i);
        tensors.initial[i] = input(kInitial + i);
        tensors.next_weight[i] = output(kNextWeight + i);
        tensors.next_momentum[i] = output(kNextMomentum + i);
    }
    tensors.key = inputs[kKey];
    tensors.value = inputs[kValue];
    tensors.rates = input(kRates);
    tensors.gate = input(kGate);
    tensors.step = input(kStep);
    tensors.decay = input(kDecay);
    tensors.frame_valid = input(kFrameValid);
    tensors.workspace = workspace;
    return spatial_ttt_fast(&s, &tensors, stream);
}

}  // namespace spatial_ttt
