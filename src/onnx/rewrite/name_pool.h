// Names for what is put into a graph from elsewhere. Internal to this layer.
#pragma once

#include <onnx/onnx_pb.h>

#include <string>
#include <unordered_map>
#include <unordered_set>

namespace qvl {

// Names that are each given once.
class NamePool {
 public:
  void take(const std::string& name) { taken_.insert(name); }
  // Of all values of the graph and of its sub-graphs.
  void take_values(const onnx::GraphProto& graph);
  // The name, or one like it that is free.
  std::string free_name(const std::string& wanted);

 private:
  std::unordered_set<std::string> taken_;
  std::unordered_map<std::string, int> seen_;  // how often a name was wanted again
};

using Names = std::unordered_map<std::string, std::string>;  // -> new ones
// The new name of a value, or its own where it has none; "", an operand that is left out, stays.
[[nodiscard]] std::string renamed(const Names& names, const std::string& value);

// What is put in the place of a node is called after it: its name or, where it has none, its first output.
[[nodiscard]] std::string call_name(const onnx::NodeProto& call);

}  // namespace qvl
