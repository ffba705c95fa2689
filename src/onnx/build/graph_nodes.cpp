// How GraphBuilder writes nodes, and what it checks of those that it has no function for.
#include <fmt/format.h>
#include <onnx/checker.h>
#include <onnx/defs/schema.h>
#include <onnx/shape_inference/implementation.h>

#include <algorithm>
#include <exception>
#include <set>
#include <type_traits>
#include <utility>

#include "onnx/build/graph_builder.h"
#include "onnx/build/graph_state.h"
#include "onnx/element_type.h"
#include "onnx/operator_set.h"
#include "qvl/error.h"

namespace qvl {
namespace {

// Sizes that inference tells and that are not the ones of the result.
bool differ(const onnx::TensorShapeProto& inferred, const SymbolicShape& shape) {
  if (inferred.dim_size() != static_cast<int>(shape.size())) return true;
  for (int i = 0; i < inferred.dim_size(); ++i) {
    const auto& dim = inferred.dim(i);
    const Dim& own = shape[static_cast<std::size_t>(i)];
    if (dim.has_dim_value() && (!own.is_fixed() || dim.dim_value() != own.value())) return true;
    // A symbol that inference makes up stands for any size.
    const bool known = dim.has_dim_param() && !dim.dim_param().starts_with("unk__");
    if (known && dim.dim_param() != own.text()) return true;
  }
  return false;
}

std::string described(const onnx::TypeProto_Tensor& type) {
  std::string text = element_type(type.elem_type()).name;
  if (!type.has_shape()) return text;
  text += " [";
  for (int i = 0; i < type.shape().dim_size(); ++i) {
    const auto& dim = type.shape().dim(i);
    if (i > 0) text += ", ";
    text += dim.has_dim_value() ? std::to_string(dim.dim_value())
                                : (dim.dim_param().empty() ? "?" : dim.dim_param());
  }
  return text + "]";
}

}  // namespace

void write_tensor(onnx::TensorProto& proto, const Tensor& tensor) {
  proto.set_data_type(onnx_dtype(tensor.dtype()));
  for (const std::int64_t dim : tensor.shape()) proto.add_dims(dim);
  proto.set_raw_data(tensor.bytes().data(), tensor.bytes().size());
}

void write_type(onnx::TypeProto& type, DType dtype, const SymbolicShape& shape) {
  type.mutable_tensor_type()->set_elem_type(onnx_dtype(dtype));
  onnx::TensorShapeProto& proto = *type.mutable_tensor_type()->mutable_shape();
  for (const Dim& dim : shape) {
    auto& written = *proto.add_dim();
    if (dim.is_fixed()) {
      written.set_dim_value(dim.value());
    } else {
      written.set_dim_param(dim.text());
    }
  }
}

void write_attribute(onnx::NodeProto& node, const Attribute& attribute) {
  onnx::AttributeProto& proto = *node.add_attribute();
  proto.set_name(attribute.name);
  const auto write = [&]<class T>(const T& value) {
    using Proto = onnx::AttributeProto;
    if constexpr (std::is_same_v<T, std::int64_t>) {
      proto.set_type(Proto::INT);
      proto.set_i(value);
    } else if constexpr (std::is_same_v<T, float>) {
      proto.set_type(Proto::FLOAT);
      proto.set_f(value);
    } else if constexpr (std::is_same_v<T, std::string>) {
      proto.set_type(Proto::STRING);
      proto.set_s(value);
    } else if constexpr (std::is_same_v<T, Tensor>) {
      proto.set_type(Proto::TENSOR);
      write_tensor(*proto.mutable_t(), value);
    } else if constexpr (std::is_same_v<T, std::vector<std::int64_t>>) {
      proto.set_type(Proto::INTS);
      proto.mutable_ints()->Add(value.begin(), value.end());
    } else if constexpr (std::is_same_v<T, std::vector<float>>) {
      proto.set_type(Proto::FLOATS);
      proto.mutable_floats()->Add(value.begin(), value.end());
    } else {
      static_assert(std::is_same_v<T, std::vector<std::string>>);
      proto.set_type(Proto::STRINGS);
      for (const std::string& text : value) proto.add_strings(text);
    }
  };
  std::visit(write, attribute.value);
}

Value GraphBuilder::State::node(std::string_view op, const std::vector<Value>& operands, DType dtype,
                                SymbolicShape shape, const std::vector<Attribute>& attributes) {
  NodeSpec spec{std::string(op)};
  spec.operands = operands;
  spec.results.push_back(NodeSpec::Result{dtype, std::move(shape)});
  spec.attributes = attributes;
  return node(spec).front();
}

std::vector<Value> GraphBuilder::State::node(const NodeSpec& spec) {
  for (const Value& operand : spec.operands) {
    if (operand.name.empty()) refuse(spec.op, "an operand is left out");
  }
  return append(spec);
}

void GraphBuilder::State::write_operands(const NodeSpec& spec, onnx::NodeProto& node) const {
  std::size_t count = spec.operands.size();
  while (count > 0 && spec.operands[count - 1].name.empty()) --count;  // at the end they need no place
  for (std::size_t i = 0; i < count; ++i) {
    const std::string& name = spec.operands[i].name;
    if (!name.empty() && !values.contains(name))
      refuse(spec.op, fmt::format("its operand {} is no value of the graph", name));
    node.add_input(name);
  }
}

void GraphBuilder::State::import_domain_of(const NodeSpec& spec) {
  const auto [known, is_new] = domains.emplace(spec.domain, spec.version);
  if (known->second != spec.version) {
    refuse(spec.op, fmt::format("it is of version {} of {}, other nodes are of version {}", spec.version,
                                spec.domain, known->second));
  }
  if (is_new) import_domain(model->model, spec.domain, spec.version);
}

std::vector<Value> GraphBuilder::State::append(const NodeSpec& spec) {
  onnx::NodeProto node;
  write_operands(spec, node);
  if (!spec.domain.empty()) import_domain_of(spec);
  std::string node_name = describe(spec.op);
  const int before = name_counts[node_name]++;
  if (before > 0) node_name += fmt::format("_{}", before);
  node.set_op_type(spec.op);
  node.set_name(node_name);
  if (!spec.domain.empty()) node.set_domain(spec.domain);
  std::size_t count = spec.results.size();
  while (count > 0 && !spec.results[count - 1]) --count;
  std::vector<Value> results(spec.results.size());
  for (std::size_t i = 0; i < count; ++i) {
    if (spec.results[i]) {
      results[i] = {fmt::format("{}_output_{}", node_name, i), spec.results[i]->dtype,
                    spec.results[i]->shape};
      note_value(results[i]);
    }
    node.add_output(results[i].name);
  }
  for (const Attribute& attribute : spec.attributes) write_attribute(node, attribute);
  *graph->add_node() = std::move(node);
  return results;
}

void GraphBuilder::State::check_standard(const NodeSpec& spec) const {
  onnx::ModelProto alone;
  alone.set_ir_version(model->model.ir_version());
  import_domain(alone, "", kOpset);
  onnx::GraphProto& part = *alone.mutable_graph();
  part.set_name("node");
  onnx::NodeProto& node = *part.add_node();
  node.set_op_type(spec.op);
  write_operands(spec, node);
  for (std::size_t i = 0; i < spec.results.size(); ++i)
    node.add_output(spec.results[i] ? fmt::format("/{}", i) : "");
  for (const Attribute& attribute : spec.attributes) write_attribute(node, attribute);
  std::set<std::string> given;
  for (const Value& operand : spec.operands) {
    if (operand.name.empty() || !given.insert(operand.name).second) continue;
    onnx::ValueInfoProto& input = *part.add_input();
    input.set_name(operand.name);
    write_type(*input.mutable_type(), operand.dtype, operand.shape);
    // The values of constants in the graph: shapes, axes.
    for (const onnx::TensorProto& tensor : graph->initializer()) {
      if (tensor.name() == operand.name && tensor.has_raw_data()) *part.add_initializer() = tensor;
    }
  }
  try {
    onnx::checker::CheckerContext context;
    context.set_ir_version(static_cast<int>(alone.ir_version()));
    context.set_opset_imports({{"", kOpset}});
    onnx::checker::check_node(node, context, onnx::checker::LexicalScopeContext());
    const onnx::ShapeInferenceOptions strict(/*check_type=*/true, /*error_mode=*/1, /*data_prop=*/true);
    onnx::shape_inference::InferShapes(alone, onnx::OpSchemaRegistry::Instance(), strict);
  } catch (const std::exception& error) {
    refuse(spec.op, error.what());
  }
  for (const onnx::ValueInfoProto& info : part.value_info()) {
    const auto place = std::ranges::find(node.output(), info.name());
    if (place == node.output().end() || !info.type().has_tensor_type()) continue;
    const auto& result = *spec.results[static_cast<std::size_t>(place - node.output().begin())];
    const auto& type = info.type().tensor_type();
    if (type.elem_type() == onnx_dtype(result.dtype) &&
        !(type.has_shape() && differ(type.shape(), result.shape)))
      continue;
    refuse(spec.op, fmt::format("result {} is said to be {} {}; it is {}", place - node.output().begin(),
                                name(result.dtype), to_string(result.shape), described(type)));
  }
}

std::vector<Value> GraphBuilder::node(const NodeSpec& node) {
  if (std::ranges::none_of(node.results, [](const auto& result) { return result.has_value(); }))
    state_->refuse(node.op, "it gives no result");
  std::set<std::string> names;
  for (const Attribute& attribute : node.attributes) {
    if (!names.insert(attribute.name).second)
      state_->refuse(node.op, fmt::format("it has two attributes {}", attribute.name));
  }
  NodeSpec spec = node;
  spec.domain = short_domain(node.domain);
  if (spec.domain.empty()) state_->check_standard(spec);
  return state_->append(spec);
}

}  // namespace qvl
