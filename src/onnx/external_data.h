// Where tensors lie outside their model: external_data of onnx.proto's TensorProto. Internal to this layer.
#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace qvl {

struct ExternalPlace {
  std::string file;  // as the model names it; "" where it names none
  std::uint64_t offset_bytes = 0;
  std::optional<std::uint64_t> length_bytes;  // nothing: as long as the tensor is
};

[[nodiscard]] inline bool is_external(const onnx::TensorProto& tensor) {
  return tensor.data_location() == onnx::TensorProto::EXTERNAL;
}

// Throws InputError, naming `source`, where the model has no number for a number.
[[nodiscard]] ExternalPlace external_place(const onnx::TensorProto& tensor, std::string_view source);
// The file of it alone.
[[nodiscard]] std::string external_file(const onnx::TensorProto& tensor);

void set_external_place(onnx::TensorProto& tensor, const ExternalPlace& place);
// Of a tensor whose place names a file.
void set_external_file(onnx::TensorProto& tensor, const std::string& file);

// Every tensor that may lie outside the model, those of sub-graphs and attributes too.
void visit_tensors(onnx::GraphProto& graph, const std::function<void(onnx::TensorProto&)>& visit);

}  // namespace qvl
