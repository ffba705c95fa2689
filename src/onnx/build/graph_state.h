// What a GraphBuilder holds; private to this layer.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "onnx/build/graph_builder.h"
#include "onnx/model_state.h"

namespace qvl {

struct GraphBuilder::State {
  std::unique_ptr<OnnxModel::State> model = std::make_unique<OnnxModel::State>();
  onnx::GraphProto* graph = nullptr;
  std::string module;                                // "/model/layers.3/mlp"
  std::unordered_map<std::string, int> name_counts;  // how often a node name was asked for
  std::map<std::string, Value> initializers;
  std::map<std::string, std::string> outputs;   // value name -> output name
  std::unordered_set<std::string> values;       // names of all
  std::map<std::string, std::int64_t> domains;  // imported besides the standard's -> their versions

  // The name that the next node of this op would get, for error messages.
  [[nodiscard]] std::string describe(std::string_view op) const;
  // Appends a node with one result of the given dtype and shape.
  Value node(std::string_view op, const std::vector<Value>& operands, DType dtype, SymbolicShape shape,
             const std::vector<Attribute>& attributes = {});
  // Appends a node, all of whose operands are there.
  std::vector<Value> node(const NodeSpec& spec);
  // Appends a node. Left out are operands and results without a name.
  std::vector<Value> append(const NodeSpec& spec);
  void write_operands(const NodeSpec& spec, onnx::NodeProto& node) const;
  // Throws where the version of a domain is another one than before.
  void import_domain_of(const NodeSpec& spec);
  // Throws unless ONNX's schema of the standard operator fits the node, and its inference the results.
  void check_standard(const NodeSpec& spec) const;
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

void write_tensor(onnx::TensorProto& proto, const Tensor& tensor);
void write_type(onnx::TypeProto& type, DType dtype, const SymbolicShape& shape);
void write_attribute(onnx::NodeProto& node, const Attribute& attribute);

}  // namespace qvl
