// The protobuf behind OnnxModel and GraphBuilder; private to this layer.
#pragma once

#include <onnx/onnx_pb.h>

#include "onnx/onnx_model.h"

namespace qvl {

struct OnnxModel::State {
  onnx::ModelProto model;
  std::vector<ExternalTensor> external;
  std::uint64_t external_size_bytes = 0;
};

// ONNX's number for a dtype (onnx.proto, TensorProto.DataType).
[[nodiscard]] inline onnx::TensorProto::DataType onnx_dtype(DType dtype) noexcept {
  switch (dtype) {
    case DType::f64:
      return onnx::TensorProto::DOUBLE;
    case DType::f32:
      return onnx::TensorProto::FLOAT;
    case DType::f16:
      return onnx::TensorProto::FLOAT16;
    case DType::bf16:
      return onnx::TensorProto::BFLOAT16;
    case DType::i64:
      return onnx::TensorProto::INT64;
    case DType::i32:
      return onnx::TensorProto::INT32;
    case DType::i16:
      return onnx::TensorProto::INT16;
    case DType::i8:
      return onnx::TensorProto::INT8;
    case DType::u64:
      return onnx::TensorProto::UINT64;
    case DType::u32:
      return onnx::TensorProto::UINT32;
    case DType::u16:
      return onnx::TensorProto::UINT16;
    case DType::u8:
      return onnx::TensorProto::UINT8;
    case DType::boolean:
      return onnx::TensorProto::BOOL;
  }
  return onnx::TensorProto::UNDEFINED;
}

}  // namespace qvl
