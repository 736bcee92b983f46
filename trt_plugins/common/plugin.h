// Copyright 2026 spatial_ttt developers
// SPDX-License-Identifier: Apache-2.0
// What the three plugins share: attributes, refusals, and the IPluginV3 interfaces. An operator
// says what it takes and may throw; nothing thrown leaves a method that TensorRT calls.
#pragma once

#include <NvInferRuntime.h>

#include <deque>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "types.h"

namespace spatial_ttt {

constexpr char const* kPluginVersion = "1";

// Attributes of a node: the fields that TensorRT hands over, and hands back from an engine.
class Attributes {
   public:
    explicit Attributes(nvinfer1::PluginFieldCollection const* fields);

    // Return an attribute, or ``fallback`` where it is not set; throw where its type is another.
    int32_t integer(char const* name, int32_t fallback) const;
    float real(char const* name, float fallback) const;
    std::string text(char const* name, std::string const& fallback) const;
    // Return an integer attribute; throw where it is missing or below 1.
    int32_t size(char const* name) const;

   private:
    nvinfer1::PluginField const* find(char const* name, nvinfer1::PluginFieldType type) const;

    std::vector<nvinfer1::PluginField> fields_;
};

// Owns the fields that are written into an engine.
class FieldStore {
   public:
    void add(char const* name, int32_t value);
    void add(char const* name, float value);
    void add(char const* name, std::string const& value);
    nvinfer1::PluginFieldCollection const* collection();

   private:
    std::deque<int32_t> integers_;
    std::deque<float> reals_;
    std::deque<std::string> texts_;
    std::vector<nvinfer1::PluginField> fields_;
    nvinfer1::PluginFieldCollection collection_{};
};

// Throw, with a sentence, unless the dimensions are the expected ones.
void require_shape(char const* tensor, nvinfer1::Dims const& got,
                   std::initializer_list<int64_t> expected);
void require_rank(char const* tensor, nvinfer1::Dims const& got, int32_t rank);
// Throw the sentence of a launcher's refusal, if there is one.
void require_none(char const* refusal);

SpatialTttType storage_type(nvinfer1::DataType type);

// Write an error to TensorRT's logger, or to the standard error stream where there is none.
void report(char const* operator_name, char const* sentence) noexcept;
void set_logger_finder(nvinfer1::ILoggerFinder* finder) noexcept;

// What is fixed about an operator.
struct Signature {
    char const* name;
    // One letter per input and output: F float, T the storage type that all T share.
    char const* inputs;
    char const* outputs;
};

class Plugin : public nvinfer1::IPluginV3,
               public nvinfer1::IPluginV3OneCore,
               public nvinfer1::IPluginV3OneBuildV2,
               public nvinfer1::IPluginV3OneRuntime {
   public:
    explicit Plugin(Signature const& signature) : signature_(signature) {}

    // IPluginV3
    nvinfer1::IPluginCapability* getCapabilityInterface(
        nvinfer1::PluginCapabilityType type) noexcept override;
    nvinfer1::IPluginV3* clone() noexcept override;

    // IPluginV3OneCore
    char const* getPluginName() const noexcept override { return signature_.name; }
    char const* getPluginVersion() const noexcept override { return kPluginVersion; }
    char const* getPluginNamespace() const noexcept override { return ""; }

    // IPluginV3OneBuildV2
    int32_t getNbOutputs() const noexcept override;
    int32_t getOutputDataTypes(nvinfer1::DataType* types, int32_t outputs,
                               nvinfer1::DataType const* given,
                               int32_t inputs) const noexcept override;
    int32_t getOutputShapes(nvinfer1::DimsExprs const* given, int32_t inputs,
                            nvinfer1::DimsExprs const* shape_inputs, int32_t shape_count,
                            nvinfer1::DimsExprs* shapes, int32_t outputs,
                            nvinfer1::IExprBuilder& builder) noexcept override;
    bool supportsFormatCombination(int32_t position,
                                   nvinfer1::DynamicPluginTensorDesc const* tensors,
                                   int32_t inputs, int32_t outputs) noexcept override;
    int32_t configurePlugin(nvinfer1::DynamicPluginTensorDesc const* in, int32_t inputs,
                            nvinfer1::DynamicPluginTensorDesc const* out,
                            int32_t outputs) noexcept override;
    size_t getWorkspaceSize(nvinfer1::DynamicPluginTensorDesc const* in, int32_t inputs,
                            nvinfer1::DynamicPluginTensorDesc const* out,
                            int32_t outputs) const noexcept override;
    int32_t getAliasedInput(int32_t output) noexcept override;

    // IPluginV3OneRuntime
    int32_t onShapeChange(nvinfer1::PluginTensorDesc const* in, int32_t inputs,
                          nvinfer1::PluginTensorDesc const* out,
                          int32_t outputs) noexcept override;
    int32_t enqueue(nvinfer1::PluginTensorDesc const* in, nvinfer1::PluginTensorDesc const* out,
                    void const* const* inputs, void* const* outputs, void* workspace,
                    cudaStream_t stream) noexcept override;
    nvinfer1::IPluginV3* attachToContext(
        nvinfer1::IPluginResourceContext* context) noexcept override;
    nvinfer1::PluginFieldCollection const* getFieldsToSerialize() noexcept override;

   protected:
    using Tensors = nvinfer1::PluginTensorDesc const*;

    // What an operator defines. All may throw std::exception with a sentence.
    virtual std::unique_ptr<Plugin> copy() const = 0;
    virtual void store(FieldStore& fields) const = 0;
    // Write the shapes of the outputs for those of the inputs.
    virtual void shapes(nvinfer1::DimsExprs const* in, nvinfer1::DimsExprs* out,
                        nvinfer1::IExprBuilder& builder) const = 0;
    // Throw unless the inputs' types and shapes, at their largest, are taken.
    virtual void check(Tensors in) const = 0;
    virtual size_t workspace(Tensors in) const = 0;
    virtual cudaError_t launch(Tensors in, void const* const* inputs, void* const* outputs,
                               void* workspace, cudaStream_t stream) const = 0;
    // Return the input whose buffer an output takes over, -1 for none.
    virtual int32_t aliased(int32_t output) const;

   private:
    int32_t input_count() const;
    void require_counts(int32_t inputs, int32_t outputs) const;

    Signature signature_;
    FieldStore stored_;
};

// Makes the plugin P, which has kSignature, kFields (names and types) and P(Attributes).
template <typename P>
class Creator final : public nvinfer1::IPluginCreatorV3One {
   public:
    Creator() : collection_{static_cast<int32_t>(P::kFields.size()), P::kFields.data()} {}

    nvinfer1::IPluginV3* createPlugin(char const*, nvinfer1::PluginFieldCollection const* fields,
                                      nvinfer1::TensorRTPhase) noexcept override {
        try {
            return new P(Attributes(fields));
        } catch (std::exception const& error) {
            report(getPluginName(), error.what());
        } catch (...) {
            report(getPluginName(), "unknown error while a plugin was made");
        }
        return nullptr;
    }
    nvinfer1::PluginFieldCollection const* getFieldNames() noexcept override {
        return &collection_;
    }
    char const* getPluginName() const noexcept override { return P::kSignature.name; }
    char const* getPluginVersion() const noexcept override { return kPluginVersion; }
    char const* getPluginNamespace() const noexcept override { return ""; }

   private:
    nvinfer1::PluginFieldCollection collection_;
};

}  // namespace spatial_ttt
