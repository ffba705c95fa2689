// What a node is, and what it says. Internal to this layer.
#pragma once

#include <onnx/onnx_pb.h>

#include <string_view>

namespace qvl {

// Of the standard's operators.
[[nodiscard]] inline bool is_standard(const onnx::NodeProto& node) {
  return node.domain().empty() || node.domain() == "ai.onnx";
}
[[nodiscard]] inline bool is_standard(const onnx::NodeProto& node, std::string_view op) {
  return node.op_type() == op && is_standard(node);
}

// Null when the node has none of that name.
[[nodiscard]] inline const onnx::AttributeProto* find_attribute(const onnx::NodeProto& node,
                                                                std::string_view name) {
  for (const onnx::AttributeProto& attribute : node.attribute()) {
    if (attribute.name() == name) return &attribute;
  }
  return nullptr;
}

}  // namespace qvl
