// What a GraphBuilder holds; private to this layer.
#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "onnx/build/graph_builder.h"
#include "onnx/model_state.h"

namespace qvl {

// An attribute of a node: an integer or a list of integers.
struct Attribute {
  const char* name;
  std::vector<std::int64_t> integers;
  bool is_list = true;

  static Attribute of(const char* name, std::int64_t value) { return {name, {value}, false}; }
};

struct GraphBuilder::State {
  std::unique_ptr<OnnxModel::State> model = std::make_unique<OnnxModel::State>();
  onnx::GraphProto* graph = nullptr;
  std::string module;                                // "/model/layers.3/mlp"
  std::unordered_map<std::string, int> name_counts;  // how often a node name was asked for
  std::map<std::string, Value> initializers;
  std::map<std::string, std::string> outputs;  // value name -> output name

  // The name that the next node of this op would get, for error messages.
  [[nodiscard]] std::string describe(std::string_view op) const;
  // Appends a node with one result of the given dtype and shape.
  Value node(std::string_view op, const std::vector<Value>& operands, DType dtype, SymbolicShape shape,
             const std::vector<Attribute>& attributes = {});
  // Appends a node with several results.
  std::vector<Value> node_with_results(std::string_view op, const std::vector<Value>& operands,
                                       std::vector<Value> results, const std::vector<Attribute>& attributes);
  // Records dtype and shape of a value in the graph.
  void note_value(const Value& value);
  // Axis in [0, rank), from one that may count from the end. Throws.
  [[nodiscard]] std::size_t axis_of(std::string_view op, const Value& x, std::int64_t axis) const;
  [[noreturn]] void refuse(std::string_view op, const std::string& why) const;
  // Throws unless both have one dtype.
  void same_dtype(std::string_view op, const Value& a, const Value& b) const;
  // The shape of a broadcast (numpy's rules). Throws.
  [[nodiscard]] SymbolicShape broadcast(std::string_view op, const SymbolicShape& a,
                                        const SymbolicShape& b) const;
};

}  // namespace qvl
