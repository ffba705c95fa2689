// Element types of tensors as ONNX numbers them. Internal to this layer.
#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <string>

#include "core/dtype.h"

namespace qvl {

[[nodiscard]] inline onnx::TensorProto::DataType onnx_dtype(DType dtype) noexcept {
  return static_cast<onnx::TensorProto::DataType>(onnx_number(dtype));
}

// f16 and bf16.
[[nodiscard]] bool is_half(int onnx_type) noexcept;

struct ElementType {
  std::string name;        // "F32", …; of what qvl has no dtype for "F8", "I4", "STRING", "ONNX_TYPE_n"
  std::uint64_t bits = 0;  // of an element; 0: not known
};
[[nodiscard]] ElementType element_type(int onnx_type);

}  // namespace qvl
