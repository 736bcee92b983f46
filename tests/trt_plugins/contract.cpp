// Copyright 2026 spatial_ttt developers
// SPDX-License-Identifier: Apache-2.0
// Does with a plugin what TensorRT does with it, from creator to enqueue, without TensorRT.
// contract.py calls it.
#include <NvInferRuntime.h>
#include <dlfcn.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

using namespace nvinfer1;

namespace {

// A dimension that is known.
class Dimension final : public IDimensionExpr, public apiv::VDimensionExpr {
   public:
    explicit Dimension(int64_t value) : value_(value) { IDimensionExpr::mImpl = this; }
    bool isConstant() const override { return true; }
    int64_t getConstantValue() const override { return value_; }
    bool isSizeTensor() const override { return false; }

   private:
    int64_t value_;
};

class Builder final : public IExprBuilder, public apiv::VExprBuilder {
   public:
    Builder() { IExprBuilder::mImpl = this; }
    IDimensionExpr const* constant(int64_t value) override {
        return &dimensions_.emplace_back(value);
    }
    IDimensionExpr const* operation(DimensionOperation operation, IDimensionExpr const& first,
                                    IDimensionExpr const& second) override {
        int64_t const a = first.getConstantValue(), b = second.getConstantValue();
        switch (operation) {
            case DimensionOperation::kPROD:
                return constant(a * b);
            case DimensionOperation::kFLOOR_DIV:
                return constant(a / b);
            default:
                throw std::logic_error("contract.cpp does not know this operation");
        }
    }
    IDimensionExpr const* declareSizeTensor(int32_t, IDimensionExpr const&,
                                            IDimensionExpr const&) override {
        throw std::logic_error("contract.cpp knows no size tensors");
    }

   private:
    std::deque<Dimension> dimensions_;
};

class Logger final : public ILogger, public ILoggerFinder {
   public:
    void log(Severity, char const* message) noexcept override { text += message; }
    ILogger* findLogger() override { return this; }
    std::string text;
};

template <typename T>
T* need(T* pointer, char const* what) {
    if (pointer == nullptr) throw std::runtime_error(std::string("no ") + what);
    return pointer;
}

void need_zero(int32_t result, char const* what) {
    if (result != 0) throw std::runtime_error(std::string(what) + " failed");
}

void need_true(bool result, std::string const& what) {
    if (!result) throw std::runtime_error(what);
}

struct Interfaces {
    IPluginV3OneCore* core;
    IPluginV3OneBuildV2* build;
    IPluginV3OneRuntime* runtime;

    explicit Interfaces(IPluginV3& plugin)
        : core(get<IPluginV3OneCore>(plugin, PluginCapabilityType::kCORE)),
          build(get<IPluginV3OneBuildV2>(plugin, PluginCapabilityType::kBUILD)),
          runtime(get<IPluginV3OneRuntime>(plugin, PluginCapabilityType::kRUNTIME)) {}

    template <typename T>
    static T* get(IPluginV3& plugin, PluginCapabilityType type) {
        return static_cast<T*>(need(plugin.getCapabilityInterface(type), "capability"));
    }
};

IPluginCreatorV3One* find_creator(void* library, char const* name) {
    using GetCreators = IPluginCreatorInterface* const* (*)(int32_t&);
    auto get = reinterpret_cast<GetCreators>(need(dlsym(library, "getCreators"), "getCreators"));
    int32_t count = 0;
    IPluginCreatorInterface* const* creators = get(count);
    for (int32_t i = 0; i < count; ++i) {
        auto* creator = static_cast<IPluginCreatorV3One*>(creators[i]);
        if (std::strcmp(creators[i]->getInterfaceInfo().kind, "PLUGIN CREATOR_V3ONE") == 0 &&
            std::strcmp(creator->getPluginName(), name) == 0 &&
            std::strcmp(creator->getPluginNamespace(), "") == 0 &&
            std::strcmp(creator->getPluginVersion(), "1") == 0) {
            return creator;
        }
    }
    return nullptr;
}

}  // namespace

extern "C" {

// A tensor as contract.py sees it; of outputs, the plugin fills rank, dims and type.
struct ContractTensor {
    int32_t rank;
    int64_t dims[8];
    int32_t type;  // DataType
    void* data;    // null: do not enqueue
};

struct ContractAttribute {
    char const* name;
    int32_t type;  // PluginFieldType
    void const* data;
    int32_t length;
};

struct ContractCall {
    char const* library;
    char const* name;
    ContractAttribute const* attributes;
    int32_t attribute_count;
    ContractTensor* inputs;
    int32_t input_count;
    ContractTensor* outputs;
    int32_t output_count;
    void* workspace;  // null: only ask for its size
    size_t workspace_size;
    char* message;  // what was logged or went wrong
    size_t message_size;
};
}

namespace {

PluginTensorDesc description(ContractTensor const& tensor) {
    PluginTensorDesc desc{};
    desc.dims.nbDims = tensor.rank;
    std::copy(tensor.dims, tensor.dims + tensor.rank, desc.dims.d);
    desc.type = static_cast<DataType>(tensor.type);
    desc.format = TensorFormat::kLINEAR;
    desc.scale = 1.0f;
    return desc;
}

// One plugin's way through the builder and the runtime.
class Drive {
   public:
    explicit Drive(ContractCall& call) : call_(call) {
        for (int32_t i = 0; i < call.input_count; ++i) in_.push_back(description(call.inputs[i]));
    }

    void run(IPluginCreatorV3One& creator) {
        need(creator.getFieldNames(), "field names");
        std::vector<PluginField> fields;
        for (int32_t i = 0; i < call_.attribute_count; ++i) {
            auto const& a = call_.attributes[i];
            fields.emplace_back(a.name, a.data, static_cast<PluginFieldType>(a.type), a.length);
        }
        PluginFieldCollection const collection{call_.attribute_count, fields.data()};
        std::unique_ptr<IPluginV3> first(
            need(creator.createPlugin("node", &collection, TensorRTPhase::kBUILD), "plugin"));
        std::unique_ptr<IPluginV3> plugin(need(first->clone(), "clone"));
        first.reset();
        build(*Interfaces(*plugin).build);
        PluginFieldCollection const* stored =
            need(Interfaces(*plugin).runtime->getFieldsToSerialize(), "stored fields");
        std::unique_ptr<IPluginV3> loaded(
            need(creator.createPlugin("node", stored, TensorRTPhase::kRUNTIME), "loaded plugin"));
        plugin.reset();
        std::unique_ptr<IPluginV3> attached(
            need(Interfaces(*loaded).runtime->attachToContext(nullptr), "attached plugin"));
        loaded.reset();
        execute(*Interfaces(*attached).runtime);
    }

   private:
    void build(IPluginV3OneBuildV2& build) {
        int32_t const outputs = build.getNbOutputs();
        need_true(outputs == call_.output_count, "another number of outputs");
        infer(build);
        std::vector<DynamicPluginTensorDesc> all;
        for (auto const* group : {&in_, &out_}) {
            for (auto const& desc : *group) all.push_back({desc, desc.dims, desc.dims, desc.dims});
        }
        auto const inputs = static_cast<int32_t>(in_.size());
        for (int32_t i = 0; i < inputs + outputs; ++i) {
            need_true(build.supportsFormatCombination(i, all.data(), inputs, outputs),
                      "type of tensor " + std::to_string(i) + " refused");
            auto wrong = all;
            wrong[i].desc.type = DataType::kINT32;
            need_true(!build.supportsFormatCombination(i, wrong.data(), inputs, outputs),
                      "integers taken as tensor " + std::to_string(i));
            wrong[i] = all[i];
            wrong[i].desc.format = TensorFormat::kCHW32;
            need_true(!build.supportsFormatCombination(i, wrong.data(), inputs, outputs),
                      "a vectorised format taken as tensor " + std::to_string(i));
        }
        need_zero(build.configurePlugin(all.data(), inputs, all.data() + inputs, outputs),
                  "configurePlugin");
        call_.workspace_size =
            build.getWorkspaceSize(all.data(), inputs, all.data() + inputs, outputs);
        for (int32_t i = 0; i < outputs; ++i) {
            int32_t const input = build.getAliasedInput(i);
            need_true(input < inputs, "an output aliases no input");
        }
    }

    // Ask the plugin for types and shapes of its outputs.
    void infer(IPluginV3OneBuildV2& build) {
        Builder builder;
        std::vector<DataType> given, types(call_.output_count);
        std::vector<DimsExprs> shapes, results(call_.output_count);
        for (auto const& desc : in_) {
            given.push_back(desc.type);
            DimsExprs& shape = shapes.emplace_back();
            shape.nbDims = desc.dims.nbDims;
            for (int32_t d = 0; d < shape.nbDims; ++d) {
                shape.d[d] = builder.constant(desc.dims.d[d]);
            }
        }
        auto const inputs = static_cast<int32_t>(in_.size());
        need_zero(build.getOutputDataTypes(types.data(), call_.output_count, given.data(), inputs),
                  "getOutputDataTypes");
        need_zero(build.getOutputShapes(shapes.data(), inputs, nullptr, 0, results.data(),
                                        call_.output_count, builder),
                  "getOutputShapes");
        for (int32_t i = 0; i < call_.output_count; ++i) {
            ContractTensor& tensor = call_.outputs[i];
            tensor.type = static_cast<int32_t>(types[i]);
            tensor.rank = results[i].nbDims;
            for (int32_t d = 0; d < tensor.rank; ++d) {
                tensor.dims[d] = results[i].d[d]->getConstantValue();
            }
            out_.push_back(description(tensor));
        }
    }

    void execute(IPluginV3OneRuntime& runtime) {
        auto const inputs = static_cast<int32_t>(in_.size());
        need_zero(runtime.onShapeChange(in_.data(), inputs, out_.data(), call_.output_count),
                  "onShapeChange");
        std::vector<void const*> given;
        std::vector<void*> results;
        for (int32_t i = 0; i < inputs; ++i) given.push_back(call_.inputs[i].data);
        for (int32_t i = 0; i < call_.output_count; ++i) results.push_back(call_.outputs[i].data);
        if (results[0] == nullptr) {
            return;
        }
        need_zero(runtime.enqueue(in_.data(), out_.data(), given.data(), results.data(),
                                  call_.workspace, nullptr),
                  "enqueue");
    }

    ContractCall& call_;
    std::vector<PluginTensorDesc> in_, out_;
};

}  // namespace

// Return 0, or 1 with the reason in ``message``.
extern "C" __attribute__((visibility("default"))) int32_t contract_drive(ContractCall* call) {
    Logger logger;
    int32_t failed = 0;
    try {
        void* library = dlopen(call->library, RTLD_NOW | RTLD_LOCAL);
        need_true(library != nullptr, std::string("dlopen: ") + (library ? "" : dlerror()));
        using SetFinder = void (*)(ILoggerFinder*);
        auto set = reinterpret_cast<SetFinder>(
            need(dlsym(library, "setLoggerFinder"), "setLoggerFinder"));
        set(&logger);
        Drive(*call).run(*need(find_creator(library, call->name), "creator of this name"));
        set(nullptr);
    } catch (std::exception const& error) {
        logger.text = std::string(error.what()) + ": " + logger.text;
        failed = 1;
    }
    std::strncpy(call->message, logger.text.c_str(), call->message_size - 1);
    return failed;
}
