// What a node is, and what its attributes say. Internal to this layer.
#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

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

[[nodiscard]] inline std::int64_t integer_of(const onnx::NodeProto& node, std::string_view name,
                                             std::int64_t missing) {
  const onnx::AttributeProto* const found = find_attribute(node, name);
  return found == nullptr ? missing : found->i();
}

inline void set_integer(onnx::NodeProto& node, const std::string& name, std::int64_t value) {
  onnx::AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::INT);
  attribute.set_i(value);
}

inline void set_real(onnx::NodeProto& node, const std::string& name, float value) {
  onnx::AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::FLOAT);
  attribute.set_f(value);
}

inline void set_integers(onnx::NodeProto& node, const std::string& name,
                         const std::vector<std::int64_t>& values) {
  onnx::AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::INTS);
  for (const std::int64_t value : values) attribute.add_ints(value);
}

}  // namespace qvl
