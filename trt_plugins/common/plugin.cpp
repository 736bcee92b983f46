// Copyright 2026 spatial_ttt developers
// SPDX-License-Identifier: Apache-2.0
#include "plugin.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <stdexcept>

namespace spatial_ttt {

using nvinfer1::DataType;
using nvinfer1::Dims;
using nvinfer1::DynamicPluginTensorDesc;
using nvinfer1::PluginField;
using nvinfer1::PluginFieldType;
using nvinfer1::PluginTensorDesc;

namespace {

constexpr int32_t kFailure = -1;

nvinfer1::ILoggerFinder*& logger_finder() {
    static nvinfer1::ILoggerFinder* finder = nullptr;
    return finder;
}

// Return what ``body`` returns, or ``failure`` where it throws, with the reason reported.
template <typename Result, typename Body>
Result guarded(char const* name, Result failure, Body body) noexcept {
    try {
        return body();
    } catch (std::exception const& error) {
        report(name, error.what());
    } catch (...) {
        report(name, "unknown error");
    }
    return failure;
}

std::string written(int64_t const* sizes, size_t count) {
    std::string text = "(";
    for (size_t i = 0; i < count; ++i) {
        text += (i > 0 ? ", " : "") + std::to_string(sizes[i]);
    }
    return text + ")";
}

std::string written(Dims const& dims) {
    return written(std::vector<int64_t>(dims.d, dims.d + dims.nbDims).data(),
                   static_cast<size_t>(dims.nbDims));
}

// Descriptions with every dimension at its largest.
std::vector<PluginTensorDesc> at_largest(DynamicPluginTensorDesc const* tensors, int32_t count) {
    std::vector<PluginTensorDesc> largest;
    for (int32_t i = 0; i < count; ++i) {
        largest.push_back(tensors[i].desc);
        largest.back().dims = tensors[i].max;
    }
    return largest;
}

bool is_storage(DataType type) {
    return type == DataType::kFLOAT || type == DataType::kHALF || type == DataType::kBF16;
}

}  // namespace

Attributes::Attributes(nvinfer1::PluginFieldCollection const* fields) {
    if (fields != nullptr) {
        fields_.assign(fields->fields, fields->fields + fields->nbFields);
    }
}

PluginField const* Attributes::find(char const* name, PluginFieldType type) const {
    for (PluginField const& field : fields_) {
        if (std::strcmp(field.name, name) != 0) {
            continue;
        }
        if (field.type != type || field.data == nullptr || field.length < 1) {
            throw std::invalid_argument(std::string("attribute ") + name +
                                        " has another type than this plugin expects; build the "
                                        "engine again with this package's build-engine");
        }
        return &field;
    }
    return nullptr;
}

int32_t Attributes::integer(char const* name, int32_t fallback) const {
    PluginField const* field = find(name, PluginFieldType::kINT32);
    return field == nullptr ? fallback : *static_cast<int32_t const*>(field->data);
}

float Attributes::real(char const* name, float fallback) const {
    PluginField const* field = find(name, PluginFieldType::kFLOAT32);
    return field == nullptr ? fallback : *static_cast<float const*>(field->data);
}

std::string Attributes::text(char const* name, std::string const& fallback) const {
    PluginField const* field = find(name, PluginFieldType::kCHAR);
    if (field == nullptr) {
        return fallback;
    }
    // The parser counts the closing zero, the engine's reader may not.
    char const* start = static_cast<char const*>(field->data);
    return std::string(start, std::find(start, start + field->length, '\0'));
}

int32_t Attributes::size(char const* name) const {
    int32_t const value = integer(name, 0);
    if (value < 1) {
        throw std::invalid_argument(std::string("attribute ") + name +
                                    " must be set to 1 or more, got " + std::to_string(value));
    }
    return value;
}

void FieldStore::add(char const* name, int32_t value) {
    integers_.push_back(value);
    fields_.emplace_back(name, &integers_.back(), PluginFieldType::kINT32, 1);
}

void FieldStore::add(char const* name, float value) {
    reals_.push_back(value);
    fields_.emplace_back(name, &reals_.back(), PluginFieldType::kFLOAT32, 1);
}

void FieldStore::add(char const* name, std::string const& value) {
    texts_.push_back(value);
    fields_.emplace_back(name, texts_.back().c_str(), PluginFieldType::kCHAR,
                         static_cast<int32_t>(value.size() + 1));
}

nvinfer1::PluginFieldCollection const* FieldStore::collection() {
    collection_ = {static_cast<int32_t>(fields_.size()), fields_.data()};
    return &collection_;
}

void require_shape(char const* tensor, Dims const& got, std::initializer_list<int64_t> expected) {
    bool const same = static_cast<size_t>(got.nbDims) == expected.size() &&
                      std::equal(expected.begin(), expected.end(), got.d);
    if (!same) {
        throw std::invalid_argument(std::string(tensor) + " must have shape " +
                                    written(expected.begin(), expected.size()) + ", got " +
                                    written(got));
    }
}

void require_rank(char const* tensor, Dims const& got, int32_t rank) {
    if (got.nbDims != rank) {
        throw std::invalid_argument(std::string(tensor) + " must have " + std::to_string(rank) +
                                    " dimensions, got " + written(got));
    }
}

void require_none(char const* refusal) {
    if (refusal != nullptr) {
        throw std::invalid_argument(refusal);
    }
}

SpatialTttType storage_type(DataType type) {
    switch (type) {
        case DataType::kFLOAT:
            return SPATIAL_TTT_FLOAT;
        case DataType::kHALF:
            return SPATIAL_TTT_HALF;
        case DataType::kBF16:
            return SPATIAL_TTT_BFLOAT;
        default:
            throw std::invalid_argument("tensors must be float, half or bfloat16");
    }
}

void report(char const* operator_name, char const* sentence) noexcept {
    try {
        std::string const message =
            std::string("spatial_ttt plugin ") + operator_name + ": " + sentence;
        nvinfer1::ILogger* logger =
            logger_finder() == nullptr ? nullptr : logger_finder()->findLogger();
        if (logger != nullptr) {
            logger->log(nvinfer1::ILogger::Severity::kERROR, message.c_str());
        } else {
            std::fprintf(stderr, "%s\n", message.c_str());
        }
    } catch (...) {
        std::fputs("spatial_ttt plugin: an error could not be reported\n", stderr);
    }
}

void set_logger_finder(nvinfer1::ILoggerFinder* finder) noexcept { logger_finder() = finder; }

nvinfer1::IPluginCapability* Plugin::getCapabilityInterface(
    nvinfer1::PluginCapabilityType type) noexcept {
    switch (type) {
        case nvinfer1::PluginCapabilityType::kCORE:
            return static_cast<nvinfer1::IPluginV3OneCore*>(this);
        case nvinfer1::PluginCapabilityType::kBUILD:
            return static_cast<nvinfer1::IPluginV3OneBuildV2*>(this);
        case nvinfer1::PluginCapabilityType::kRUNTIME:
            return static_cast<nvinfer1::IPluginV3OneRuntime*>(this);
    }
    return nullptr;
}

nvinfer1::IPluginV3* Plugin::clone() noexcept {
    return guarded<nvinfer1::IPluginV3*>(signature_.name, nullptr,
                                         [&] { return copy().release(); });
}

int32_t Plugin::input_count() const {
    return static_cast<int32_t>(std::strlen(signature_.inputs));
}

int32_t Plugin::getNbOutputs() const noexcept {
    return static_cast<int32_t>(std::strlen(signature_.outputs));
}

void Plugin::require_counts(int32_t inputs, int32_t outputs) const {
    if (inputs != input_count() || outputs != getNbOutputs()) {
        throw std::invalid_argument("expected " + std::to_string(input_count()) + " inputs and " +
                                    std::to_string(getNbOutputs()) + " outputs, got " +
                                    std::to_string(inputs) + " and " + std::to_string(outputs));
    }
}

int32_t Plugin::getOutputDataTypes(DataType* types, int32_t outputs, DataType const* given,
                                   int32_t inputs) const noexcept {
    return guarded(signature_.name, kFailure, [&] {
        require_counts(inputs, outputs);
        char const* shared = std::strchr(signature_.inputs, 'T');
        for (int32_t i = 0; i < outputs; ++i) {
            types[i] = signature_.outputs[i] == 'T' ? given[shared - signature_.inputs]
                                                    : DataType::kFLOAT;
        }
        return 0;
    });
}

int32_t Plugin::getOutputShapes(nvinfer1::DimsExprs const* given, int32_t inputs,
                                nvinfer1::DimsExprs const*, int32_t, nvinfer1::DimsExprs* out,
                                int32_t outputs, nvinfer1::IExprBuilder& builder) noexcept {
    return guarded(signature_.name, kFailure, [&] {
        require_counts(inputs, outputs);
        shapes(given, out, builder);
        return 0;
    });
}

bool Plugin::supportsFormatCombination(int32_t position, DynamicPluginTensorDesc const* tensors,
                                       int32_t inputs, int32_t outputs) noexcept {
    return guarded(signature_.name, false, [&] {
        require_counts(inputs, outputs);
        std::string const letters = std::string(signature_.inputs) + signature_.outputs;
        auto const shared = static_cast<int32_t>(letters.find('T'));
        PluginTensorDesc const& own = tensors[position].desc;
        if (own.format != nvinfer1::TensorFormat::kLINEAR) {
            return false;
        }
        if (letters[position] == 'F') {
            return own.type == DataType::kFLOAT;
        }
        return is_storage(own.type) &&
               (position == shared || own.type == tensors[shared].desc.type);
    });
}

int32_t Plugin::configurePlugin(DynamicPluginTensorDesc const* in, int32_t inputs,
                                DynamicPluginTensorDesc const*, int32_t outputs) noexcept {
    return guarded(signature_.name, kFailure, [&] {
        require_counts(inputs, outputs);
        check(at_largest(in, inputs).data());
        return 0;
    });
}

size_t Plugin::getWorkspaceSize(DynamicPluginTensorDesc const* in, int32_t inputs,
                                DynamicPluginTensorDesc const*, int32_t) const noexcept {
    return guarded(signature_.name, size_t{0},
                   [&] { return workspace(at_largest(in, inputs).data()); });
}

int32_t Plugin::aliased(int32_t) const { return -1; }

int32_t Plugin::getAliasedInput(int32_t output) noexcept {
    return guarded(signature_.name, -1, [&] { return aliased(output); });
}

int32_t Plugin::onShapeChange(PluginTensorDesc const* in, int32_t inputs, PluginTensorDesc const*,
                              int32_t outputs) noexcept {
    return guarded(signature_.name, kFailure, [&] {
        require_counts(inputs, outputs);
        check(in);
        return 0;
    });
}

int32_t Plugin::enqueue(PluginTensorDesc const* in, PluginTensorDesc const*,
                        void const* const* inputs, void* const* outputs, void* workspace,
                        cudaStream_t stream) noexcept {
    return guarded(signature_.name, kFailure, [&] {
        cudaError_t const error = launch(in, inputs, outputs, workspace, stream);
        if (error == cudaErrorNoKernelImageForDevice) {
            throw std::runtime_error(
                "the plugin library has no code for this GPU; build the package again with "
                "-DCMAKE_CUDA_ARCHITECTURES set to its compute capability, as 87 for Orin");
        }
        if (error != cudaSuccess) {
            throw std::runtime_error(std::string("a launch failed: ") + cudaGetErrorString(error));
        }
        return 0;
    });
}

nvinfer1::IPluginV3* Plugin::attachToContext(nvinfer1::IPluginResourceContext*) noexcept {
    return clone();
}

nvinfer1::PluginFieldCollection const* Plugin::getFieldsToSerialize() noexcept {
    return guarded<nvinfer1::PluginFieldCollection const*>(signature_.name, nullptr, [&] {
        stored_ = FieldStore();
        store(stored_);
        return stored_.collection();
    });
}

}  // namespace spatial_ttt
