// Which boolean values of a graph are constants of the model. Internal to this layer.
#pragma once

#include <onnx/onnx_pb.h>

#include <optional>
#include <string>
#include <unordered_map>

namespace qvl {

// Initializers and Constant nodes of one element, also through Identity, Not and a Cast to bool.
class ConstantTruths {
 public:
  ConstantTruths() = default;
  explicit ConstantTruths(const onnx::GraphProto& graph) { learn(graph); }

  // The graph's initializers.
  void learn(const onnx::GraphProto& graph);
  void learn(const onnx::TensorProto& tensor, const std::string& name);
  // What the node gives; in an order of computation.
  void learn(const onnx::NodeProto& node);
  [[nodiscard]] std::optional<bool> of(const std::string& value) const;

 private:
  std::unordered_map<std::string, bool> truths_;
};

}  // namespace qvl
