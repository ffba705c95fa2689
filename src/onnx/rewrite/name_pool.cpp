#include "onnx/rewrite/name_pool.h"

#include <fmt/format.h>

namespace qvl {

void NamePool::take_values(const onnx::GraphProto& graph) {
  for (const auto& input : graph.input()) take(input.name());
  for (const auto& tensor : graph.initializer()) take(tensor.name());
  for (const auto& tensor : graph.sparse_initializer()) take(tensor.values().name());
  for (const onnx::NodeProto& node : graph.node()) {
    for (const std::string& output : node.output()) take(output);
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      if (attribute.has_g()) take_values(attribute.g());
      for (const onnx::GraphProto& inner : attribute.graphs()) take_values(inner);
    }
  }
}

std::string NamePool::free_name(const std::string& wanted) {
  std::string name = wanted;
  while (!taken_.insert(name).second) name = fmt::format("{}#{}", wanted, ++seen_[wanted] + 1);
  return name;
}

std::string renamed(const Names& names, const std::string& value) {
  const auto found = value.empty() ? names.end() : names.find(value);
  return found == names.end() ? value : found->second;
}

std::string call_name(const onnx::NodeProto& call) {
  if (!call.name().empty()) return call.name();
  for (const std::string& output : call.output()) {
    if (!output.empty()) return output;
  }
  return call.op_type();
}

}  // namespace qvl
