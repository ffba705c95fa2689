#include <fmt/format.h>

#include <cstring>

#include "core/convert.h"
#include "onnx/element_type.h"
#include "onnx/external_data.h"
#include "onnx/read/model_graph_state.h"
#include "qvl/error.h"

namespace qvl {
namespace {

template <class T, class List>
std::string bytes_of(const List& values) {
  std::string bytes(static_cast<std::size_t>(values.size()) * sizeof(T), '\0');
  for (int i = 0; i < values.size(); ++i) {
    const T value = static_cast<T>(values.Get(i));
    std::memcpy(bytes.data() + static_cast<std::size_t>(i) * sizeof(T), &value, sizeof(T));
  }
  return bytes;
}

std::string typed_bytes(const onnx::TensorProto& tensor, DType dtype) {
  switch (dtype) {
    case DType::f64:
      return bytes_of<double>(tensor.double_data());
    case DType::f32:
      return bytes_of<float>(tensor.float_data());
    case DType::i64:
      return bytes_of<std::int64_t>(tensor.int64_data());
    case DType::u64:
      return bytes_of<std::uint64_t>(tensor.uint64_data());
    case DType::u32:
      return bytes_of<std::uint32_t>(tensor.uint64_data());
    case DType::i32:
      return bytes_of<std::int32_t>(tensor.int32_data());
    case DType::f16:
    case DType::bf16:
    case DType::u16:
    case DType::i16:
      return bytes_of<std::uint16_t>(tensor.int32_data());
    case DType::i8:
    case DType::u8:
    case DType::boolean:
      return bytes_of<std::uint8_t>(tensor.int32_data());
  }
  return {};
}

void widen_type(onnx::TypeProto& type) {
  if (type.has_tensor_type() && is_half(type.tensor_type().elem_type()))
    type.mutable_tensor_type()->set_elem_type(onnx::TensorProto::FLOAT);
  if (type.has_sequence_type()) widen_type(*type.mutable_sequence_type()->mutable_elem_type());
  if (type.has_optional_type()) widen_type(*type.mutable_optional_type()->mutable_elem_type());
}

bool names_a_type(const onnx::AttributeProto& attribute) {
  return attribute.name() == "to" || attribute.name() == "dtype" || attribute.name() == "output_dtype";
}

void widen_sub_graph(onnx::GraphProto& graph) {
  widen_types(graph);
  for (onnx::TensorProto& tensor : *graph.mutable_initializer()) {
    if (is_half(tensor.data_type()) && !is_external(tensor)) tensor = widened(tensor, graph.name());
  }
}

void widen_attributes(onnx::NodeProto& node) {
  for (onnx::AttributeProto& attribute : *node.mutable_attribute()) {
    if (attribute.has_g()) widen_sub_graph(*attribute.mutable_g());
    for (onnx::GraphProto& graph : *attribute.mutable_graphs()) widen_sub_graph(graph);
    if (attribute.type() == onnx::AttributeProto::INT && names_a_type(attribute) &&
        is_half(static_cast<int>(attribute.i())))
      attribute.set_i(onnx::TensorProto::FLOAT);
    if (attribute.has_t() && is_half(attribute.t().data_type()) && !is_external(attribute.t()))
      *attribute.mutable_t() = widened(attribute.t(), node.name());
  }
}

void collect_captured(const onnx::GraphProto& graph, std::set<std::string> known,
                      std::set<std::string>& captured) {
  for (const auto& input : graph.input()) known.insert(input.name());
  for (const auto& initializer : graph.initializer()) known.insert(initializer.name());
  for (const onnx::NodeProto& node : graph.node()) {
    for (const std::string& input : node.input()) {
      if (!input.empty() && !known.contains(input)) captured.insert(input);
    }
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      if (attribute.has_g()) collect_captured(attribute.g(), known, captured);
      for (const onnx::GraphProto& inner : attribute.graphs()) collect_captured(inner, known, captured);
    }
    known.insert(node.output().begin(), node.output().end());
  }
  for (const auto& output : graph.output()) {
    if (!known.contains(output.name())) captured.insert(output.name());
  }
}

}  // namespace

std::string tensor_bytes(const onnx::TensorProto& tensor, DType dtype, const std::string& source) {
  const Shape shape(tensor.dims().begin(), tensor.dims().end());
  const auto count = element_count(shape);
  std::string bytes = tensor.has_raw_data() ? tensor.raw_data() : typed_bytes(tensor, dtype);
  if (!count || bytes.size() / size_bytes(dtype) != static_cast<std::uint64_t>(*count) ||
      bytes.size() % size_bytes(dtype) != 0) {
    throw InputError(fmt::format("{}: the constant {} {} {} has {} bytes of values", source, tensor.name(),
                                 name(dtype), to_string(shape), bytes.size()));
  }
  return bytes;
}

onnx::TensorProto widened(const onnx::TensorProto& tensor, const std::string& source) {
  const DType dtype = dtype_from_onnx(tensor.data_type()).value();
  const std::string stored = tensor_bytes(tensor, dtype, source);
  onnx::TensorProto wide;
  wide.set_name(tensor.name());
  *wide.mutable_dims() = tensor.dims();
  wide.set_data_type(onnx::TensorProto::FLOAT);
  std::string& bytes = *wide.mutable_raw_data();
  bytes.resize(stored.size() * 2);
  convert(dtype, std::as_bytes(std::span(stored)), DType::f32, std::as_writable_bytes(std::span(bytes)));
  return wide;
}

void widen_types(onnx::GraphProto& graph) {
  for (auto* values : {graph.mutable_input(), graph.mutable_output(), graph.mutable_value_info()}) {
    for (onnx::ValueInfoProto& value : *values) widen_type(*value.mutable_type());
  }
  for (onnx::NodeProto& node : *graph.mutable_node()) widen_attributes(node);
}

void widen_types(onnx::FunctionProto& function) {
  for (onnx::NodeProto& node : *function.mutable_node()) widen_attributes(node);
}

std::vector<std::string> captured_values(const onnx::NodeProto& node) {
  std::set<std::string> captured;
  for (const onnx::AttributeProto& attribute : node.attribute()) {
    if (attribute.has_g()) collect_captured(attribute.g(), {}, captured);
    for (const onnx::GraphProto& graph : attribute.graphs()) collect_captured(graph, {}, captured);
  }
  return {captured.begin(), captured.end()};
}

}  // namespace qvl
