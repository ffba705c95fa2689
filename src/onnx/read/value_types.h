// Types and shapes of a model's values, where sub-graphs need them. Internal to this layer.
#pragma once

#include <onnx/onnx_pb.h>

#include <string>
#include <unordered_map>

namespace qvl {

// Of the values of the model's graph as it is widened: what follows from its inputs and constants, with all
// dimensions; where nothing follows, type and rank as the file has them. A runtime learns from the shapes
// outside what the bodies of If, Loop and Scan give; a part of the graph has to bring them along. Empty where
// no node has a sub-graph.
[[nodiscard]] std::unordered_map<std::string, onnx::TypeProto> value_types(const onnx::ModelProto& model);

[[nodiscard]] bool has_sub_graph(const onnx::NodeProto& node);

}  // namespace qvl
