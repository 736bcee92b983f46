// Copyright 2026 spatial_ttt developers
// SPDX-License-Identifier: Apache-2.0
// What TensorRT looks up when it loads the library.
#include "common/plugin.h"
#include "fast_weight_update/plugin.h"
#include "field_update/plugin.h"
#include "spatio_temporal_conv/plugin.h"

SPATIAL_TTT_API nvinfer1::IPluginCreatorInterface* const* getCreators(int32_t& count) {
    static spatial_ttt::Creator<spatial_ttt::ConvPlugin> conv;
    static spatial_ttt::Creator<spatial_ttt::FastPlugin> fast;
    static spatial_ttt::Creator<spatial_ttt::FieldPlugin> field;
    static nvinfer1::IPluginCreatorInterface* const creators[] = {&conv, &fast, &field};
    count = sizeof(creators) / sizeof(creators[0]);
    return creators;
}

SPATIAL_TTT_API void setLoggerFinder(nvinfer1::ILoggerFinder* finder) {
    spatial_ttt::set_logger_finder(finder);
}

// Version of the plugins and of the TensorRT headers they were built with, to stamp engines with.
SPATIAL_TTT_API char const* spatial_ttt_plugin_version() { return spatial_ttt::kPluginVersion; }

SPATIAL_TTT_API int32_t spatial_ttt_tensorrt_version() { return NV_TENSORRT_VERSION; }
