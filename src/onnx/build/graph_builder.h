// A typed builder of ONNX graphs. Every op checks the dtypes and shapes of its operands, symbolic dimensions
// included, and throws UsageError naming the node when they do not fit; so a graph that could be built is
// well-formed.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/dtype.h"
#include "core/shape.h"
#include "core/tensor.h"
#include "onnx/build/dim.h"
#include "onnx/build/node_spec.h"

namespace qvl {

class OnnxModel;

class GraphBuilder {
 public:
  // Opset 17 of the standard domain, the newest that ONNX Runtime, TensorRT and Intel Neural Compressor all
  // take.
  static constexpr int kOpset = 17;

  explicit GraphBuilder(std::string graph_name);
  ~GraphBuilder();
  GraphBuilder(const GraphBuilder&) = delete;
  GraphBuilder& operator=(const GraphBuilder&) = delete;

  // While it lives, nodes made are named below it: module("/model/layers.3") then module("mlp") gives
  // /model/layers.3/mlp/MatMul. A second node of the same name gets a number behind it.
  class Module {
   public:
    Module(GraphBuilder& graph, std::string_view name);
    ~Module();
    Module(const Module&) = delete;
    Module& operator=(const Module&) = delete;

   private:
    GraphBuilder& graph_;
    std::size_t length_;
  };
  [[nodiscard]] Module module(std::string_view name) { return {*this, name}; }

  Value input(std::string name, DType dtype, SymbolicShape shape);
  // Makes `value` an output of the graph under this name.
  void output(const Value& value, const std::string& name);
  // An initializer in the external data file whose bytes are supplied when the model is written. Asked for
  // again under the same name and shape, it is the same initializer.
  Value weight(const std::string& name, DType dtype, const Shape& shape);
  // An initializer with its values. Small ones are stored in the graph, larger ones in the external data
  // file. A name stands for one value: asked for again with the same dtype and shape, it is the same
  // initializer.
  Value constant(const std::string& name, Tensor tensor);
  // Scalars, shared by value.
  Value scalar(float value, DType dtype);
  Value scalar(std::int64_t value);

  // Element-wise with broadcasting; both operands of one dtype.
  Value add(const Value& a, const Value& b) { return binary("Add", a, b); }
  Value sub(const Value& a, const Value& b) { return binary("Sub", a, b); }
  Value mul(const Value& a, const Value& b) { return binary("Mul", a, b); }
  Value div(const Value& a, const Value& b) { return binary("Div", a, b); }
  Value pow(const Value& a, const Value& b) { return binary("Pow", a, b); }
  Value logical_and(const Value& a, const Value& b);
  Value logical_not(const Value& x);
  Value equal(const Value& a, const Value& b);
  Value less_or_equal(const Value& a, const Value& b);
  Value where(const Value& condition, const Value& then, const Value& otherwise);

  Value neg(const Value& x) { return unary("Neg", x); }
  Value sqrt(const Value& x) { return unary("Sqrt", x); }
  Value sigmoid(const Value& x) { return unary("Sigmoid", x); }
  Value erf(const Value& x) { return unary("Erf", x); }
  Value cos(const Value& x) { return unary("Cos", x); }
  Value sin(const Value& x) { return unary("Sin", x); }
  // No node when the dtype is already right.
  Value cast(const Value& x, DType dtype);

  // a [..., M, K] x b [..., K, N] with broadcast leading dimensions.
  Value matmul(const Value& a, const Value& b);
  // a [M, K] x b [N, K] transposed.
  Value gemm_transposed(const Value& a, const Value& b);
  // Over the last axis.
  Value softmax(const Value& x);
  // Over the last axis, which stays with size 1.
  Value reduce_mean(const Value& x);
  Value cumsum_exclusive(const Value& x, std::int64_t axis);

  Value reshape(const Value& x, const SymbolicShape& shape);
  // For shapes whose symbols cannot be told from x: takes them from the leading dimensions of `like`.
  Value reshape_like(const Value& x, const Value& like, const SymbolicShape& shape);
  Value transpose(const Value& x, const std::vector<std::int64_t>& permutation);
  Value unsqueeze(const Value& x, const std::vector<std::int64_t>& axes);
  Value concat(const std::vector<Value>& parts, std::int64_t axis);
  std::vector<Value> split(const Value& x, const std::vector<std::int64_t>& sizes, std::int64_t axis);
  // Rows of x (axis 0) chosen by `indices` of any shape.
  Value gather_rows(const Value& x, const Value& indices);
  // [0, 1, …, n-1], n being the size of x along `axis`.
  Value range_of_axis(const Value& x, std::int64_t axis);

  // A node of an operator that has no function here. Of the standard's operators ONNX's own schema and shape
  // inference check operands, attributes and results; of other domains, which the model then imports, the
  // results are what `node` says. Gives the results, those that are left out without a name.
  std::vector<Value> node(const NodeSpec& node);

  // Ends the building. `metadata` becomes the model's metadata_props; producer is qvl and its version.
  [[nodiscard]] OnnxModel finish(std::span<const std::pair<std::string, std::string>> metadata);

 private:
  struct State;
  Value unary(std::string_view op, const Value& x);
  Value binary(std::string_view op, const Value& a, const Value& b);

  std::unique_ptr<State> state_;
};

}  // namespace qvl
