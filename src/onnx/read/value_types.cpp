#include "onnx/read/value_types.h"

#include <onnx/shape_inference/implementation.h>

#include <algorithm>
#include <exception>

#include "core/shape.h"
#include "onnx/element_type.h"
#include "onnx/external_data.h"
#include "onnx/read/model_graph_state.h"

namespace qvl {
namespace {

constexpr std::int64_t kSmall = 1024;  // elements that may tell a shape

onnx::TensorProto without_numbers(const onnx::TensorProto& tensor) {
  const auto count = element_count(Shape(tensor.dims().begin(), tensor.dims().end()));
  if (!is_external(tensor) && count && *count <= kSmall)
    return is_half(tensor.data_type()) ? widened(tensor, "a constant") : tensor;
  onnx::TensorProto bare;
  bare.set_name(tensor.name());
  *bare.mutable_dims() = tensor.dims();
  bare.set_data_type(is_half(tensor.data_type()) ? onnx::TensorProto::FLOAT
                                                 : onnx::TensorProto::DataType(tensor.data_type()));
  return bare;
}

void open_dimensions(onnx::TypeProto& type) {
  if (!type.has_tensor_type() || !type.tensor_type().has_shape()) return;
  for (auto& dim : *type.mutable_tensor_type()->mutable_shape()->mutable_dim()) dim.Clear();
}

bool is_told(const onnx::TypeProto& type) {
  return !type.has_tensor_type() || type.tensor_type().has_shape();
}

}  // namespace

bool has_sub_graph(const onnx::NodeProto& node) {
  return std::ranges::any_of(node.attribute(), [](const onnx::AttributeProto& attribute) {
    return attribute.has_g() || attribute.graphs_size() > 0;
  });
}

std::unordered_map<std::string, onnx::TypeProto> value_types(const onnx::ModelProto& model) {
  std::unordered_map<std::string, onnx::TypeProto> types;
  if (std::ranges::none_of(model.graph().node(), has_sub_graph)) return types;
  onnx::ModelProto copy;
  copy.set_ir_version(model.ir_version());
  *copy.mutable_opset_import() = model.opset_import();
  *copy.mutable_functions() = model.functions();
  onnx::GraphProto& graph = *copy.mutable_graph();
  graph.set_name("types");
  *graph.mutable_node() = model.graph().node();
  *graph.mutable_input() = model.graph().input();
  *graph.mutable_output() = model.graph().output();
  for (const onnx::TensorProto& tensor : model.graph().initializer())
    *graph.add_initializer() = without_numbers(tensor);
  try {
    onnx::shape_inference::InferShapes(copy);
  } catch (const std::exception&) {
    // What is not known then is taken from the file.
    graph.clear_value_info();
  }
  const auto add = [&](const auto& values) {
    for (const onnx::ValueInfoProto& value : values) {
      if (value.has_type() && is_told(value.type())) types.emplace(value.name(), value.type());
    }
  };
  add(model.graph().input());
  add(graph.value_info());
  for (const onnx::ValueInfoProto& value : model.graph().value_info()) {
    if (types.contains(value.name()) || !value.has_type() || !is_told(value.type())) continue;
    onnx::TypeProto type = value.type();
    open_dimensions(type);
    types.emplace(value.name(), std::move(type));
  }
  add(graph.output());
  return types;
}

}  // namespace qvl
