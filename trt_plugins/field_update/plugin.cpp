// Copyright 2026 spatial_ttt developers
// SPDX-License-Identifier: Apache-2.0
#include "plugin.h"

#include <algorithm>

namespace spatial_ttt {

using nvinfer1::PluginField;
using nvinfer1::PluginFieldType;

namespace {

enum Input { kCurvature, kTarget, kWeight, kPoints, kValues, kWeights, kOmega };
enum Output { kNextCurvature, kNextTarget, kNextWeight, kOutputs };

}  // namespace

std::array<PluginField, 6> const FieldPlugin::kFields{
    PluginField("steps", nullptr, PluginFieldType::kINT32, 1),
    PluginField("ridge", nullptr, PluginFieldType::kFLOAT32, 1),
    PluginField("decay", nullptr, PluginFieldType::kFLOAT32, 1),
    PluginField("mass_max", nullptr, PluginFieldType::kFLOAT32, 1),
    PluginField("weight_min", nullptr, PluginFieldType::kFLOAT32, 1),
    PluginField("in_place", nullptr, PluginFieldType::kINT32, 1),
};

// The defaults are those of training.field_layers.FieldRule, which the function bodies hold.
FieldPlugin::FieldPlugin(Attributes const& attributes)
    : Plugin(kSignature),
      // 0 where only the sums are wanted; a missing one is refused with the sizes.
      steps_(attributes.integer("steps", -1)),
      in_place_(attributes.integer("in_place", 0)),
      ridge_(attributes.real("ridge", 1.0f)),
      decay_(attributes.real("decay", 1.0f)),
      mass_max_(attributes.real("mass_max", 60.0f)),
      weight_min_(attributes.real("weight_min", 0.02f)) {}

std::unique_ptr<Plugin> FieldPlugin::copy() const { return std::make_unique<FieldPlugin>(*this); }

void FieldPlugin::store(FieldStore& fields) const {
    fields.add("steps", steps_);
    fields.add("ridge", ridge_);
    fields.add("decay", decay_);
    fields.add("mass_max", mass_max_);
    fields.add("weight_min", weight_min_);
    fields.add("in_place", in_place_);
}

void FieldPlugin::shapes(nvinfer1::DimsExprs const* in, nvinfer1::DimsExprs* out,
                         nvinfer1::IExprBuilder&) const {
    std::copy_n(in + kCurvature, kOutputs, out);
}

SpatialTttFieldSizes FieldPlugin::sizes(Tensors in) const {
    nvinfer1::Dims const& target = in[kTarget].dims;
    return {static_cast<int32_t>(target.d[0]),
            static_cast<int32_t>(target.d[1]),
            static_cast<int32_t>(in[kPoints].dims.d[0]),
            steps_,
            storage_type(in[kValues].type),
            ridge_,
            decay_,
            mass_max_,
            weight_min_};
}

void FieldPlugin::check(Tensors in) const {
    require_rank("target", in[kTarget].dims, 2);
    require_rank("points", in[kPoints].dims, 2);
    SpatialTttFieldSizes const s = sizes(in);
    require_shape("curvature", in[kCurvature].dims, {s.features, s.features});
    require_shape("weight", in[kWeight].dims, {s.features, s.channels});
    require_shape("points", in[kPoints].dims, {s.samples, 3});
    require_shape("values", in[kValues].dims, {s.samples, s.channels});
    require_shape("weights", in[kWeights].dims, {s.samples});
    require_none(spatial_ttt_field_refusal(&s));
    require_shape("omega", in[kOmega].dims, {s.features / 2, 3});
}

size_t FieldPlugin::workspace(Tensors in) const {
    SpatialTttFieldSizes const s = sizes(in);
    return spatial_ttt_field_workspace(&s);
}

int32_t FieldPlugin::aliased(int32_t output) const { return in_place_ != 0 ? output : -1; }

cudaError_t FieldPlugin::launch(Tensors in, void const* const* inputs, void* const* outputs,
                                void* workspace, cudaStream_t stream) const {
    SpatialTttFieldSizes const s = sizes(in);
    auto input = [inputs](int i) { return static_cast<float const*>(inputs[i]); };
    auto output = [outputs](int i) { return static_cast<float*>(outputs[i]); };
    SpatialTttFieldTensors const tensors{
        input(kCurvature),   input(kTarget),      input(kWeight), input(kPoints),
        inputs[kValues],     input(kWeights),     input(kOmega),  output(kNextCurvature),
        output(kNextTarget), output(kNextWeight), workspace};
    return spatial_ttt_field(&s, &tensors, stream);
}

}  // namespace spatial_ttt
