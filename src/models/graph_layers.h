// Initializers of a graph, by the tensor table; and the layers that both graphs are made of.
#pragma once

#include <string>

#include "models/tensor_table.h"
#include "onnx/build/graph_builder.h"

namespace qvl {

// Builds the layers shared by the vision and the text graph. All weights and activations have one dtype.
class GraphLayers {
 public:
  // Both must outlive it.
  GraphLayers(GraphBuilder& graph, const TensorTable& table, DType dtype)
      : graph_(graph), table_(table), dtype_(dtype) {}

  // The initializer for a tensor of the checkpoint.
  Value weight(const std::string& name);
  // x [..., in] -> [..., out], as module `module` below the current one; `name` is the tensor's name without
  // ".weight".
  Value linear(const Value& x, const std::string& name, std::string_view module, bool bias);
  // x [..., n], normalised in f32 whatever the dtype (Qwen2RMSNorm).
  Value rms_norm(const Value& x, const std::string& name, std::string_view module, double epsilon);
  // down(silu(gate(x)) * up(x)); `name` is the tensors' name up to ".mlp".
  Value gated_mlp(const Value& x, const std::string& name, bool bias);
  // x [..., heads, d] turned by angles given as cos and sin of shape [..., 1, d]: x * cos + rotate_half(x) *
  // sin.
  Value rotate(const Value& x, const Value& cos, const Value& sin);
  // Softmax in f32, back in the dtype of the graph.
  Value softmax(const Value& scores);

 private:
  GraphBuilder& graph_;
  const TensorTable& table_;
  DType dtype_;
};

}  // namespace qvl
