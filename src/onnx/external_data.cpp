#include "onnx/external_data.h"

#include <fmt/format.h>

#include <charconv>

#include "qvl/error.h"

namespace qvl {
namespace {

std::uint64_t number_of(const std::string& text, const std::string& tensor, std::string_view source) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return value;
  throw InputError(
      fmt::format("{}: the external data of {} lies at \"{}\", which is no number", source, tensor, text));
}

}  // namespace

ExternalPlace external_place(const onnx::TensorProto& tensor, std::string_view source) {
  ExternalPlace place;
  for (const onnx::StringStringEntryProto& entry : tensor.external_data()) {
    if (entry.key() == "location") place.file = entry.value();
    if (entry.key() == "offset") place.offset_bytes = number_of(entry.value(), tensor.name(), source);
    if (entry.key() == "length") place.length_bytes = number_of(entry.value(), tensor.name(), source);
  }
  return place;
}

std::string external_file(const onnx::TensorProto& tensor) {
  std::string file;
  for (const onnx::StringStringEntryProto& entry : tensor.external_data()) {
    if (entry.key() == "location") file = entry.value();
  }
  return file;
}

void set_external_place(onnx::TensorProto& tensor, const ExternalPlace& place) {
  tensor.set_data_location(onnx::TensorProto::EXTERNAL);
  tensor.clear_external_data();
  const auto put = [&](const char* key, const std::string& value) {
    onnx::StringStringEntryProto& entry = *tensor.add_external_data();
    entry.set_key(key);
    entry.set_value(value);
  };
  put("location", place.file);
  put("offset", std::to_string(place.offset_bytes));
  if (place.length_bytes) put("length", std::to_string(*place.length_bytes));
}

void set_external_file(onnx::TensorProto& tensor, const std::string& file) {
  for (onnx::StringStringEntryProto& entry : *tensor.mutable_external_data()) {
    if (entry.key() == "location") entry.set_value(file);
  }
}

void visit_tensors(onnx::GraphProto& graph, const std::function<void(onnx::TensorProto&)>& visit) {
  for (onnx::TensorProto& tensor : *graph.mutable_initializer()) visit(tensor);
  for (onnx::NodeProto& node : *graph.mutable_node()) {
    for (onnx::AttributeProto& attribute : *node.mutable_attribute()) {
      if (attribute.has_t()) visit(*attribute.mutable_t());
      for (onnx::TensorProto& tensor : *attribute.mutable_tensors()) visit(tensor);
      if (attribute.has_g()) visit_tensors(*attribute.mutable_g(), visit);
      for (onnx::GraphProto& inner : *attribute.mutable_graphs()) visit_tensors(inner, visit);
    }
  }
}

}  // namespace qvl
